"""The plots of a model: confusion matrix, ROC, precision-recall, calibration, importance.

Each is PNG bytes, 700 pixels wide. A plot that the rows cannot give (ROC with one class) is left
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import StorageError
from ratchet.evaluation import canvas
from ratchet.evaluation.canvas import BLUE, INK, SOFT, plain
from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.curves import calibration_page, precision_recall_page, roc_page
from ratchet.evaluation.metrics import Metrics, evaluate
from ratchet.evaluation.scored import scored_rows

if TYPE_CHECKING:
    from ratchet.data.task import Task
    from ratchet.evaluation.importance import Importance

Floats = npt.NDArray[np.float64]
_MOST_CLASSES = 24
_MOST_BARS = 15


def render_plots(
    y: npt.NDArray[np.integer],
    proba: Floats,
    *,
    task: Task,
    metrics: Metrics,
    importance: Sequence[Importance] = (),
    importance_metric: str = "log_loss",
) -> dict[str, bytes]:
    """All plots of a model, by name, each a PNG file's bytes.

    Args:
        y: true class codes (n,).
        proba: class scores (n, k).
        task: the classes.
        metrics: the same rows' metrics, all of them.
        importance: columns and their importance; no plot of it when empty.
        importance_metric: the metric that ``importance`` is measured in.
    """
    scored = scored_rows(y, proba, task=task, threshold=metrics.threshold)
    pages = {"confusion_matrix": confusion_page(metrics)}
    if metrics["roc_auc"].value is not None:
        pages["roc_curve"] = roc_page(scored, metrics)
        pages["precision_recall"] = precision_recall_page(scored, metrics)
    pages["calibration"] = calibration_page(scored, metrics)
    if importance:
        pages["importance"] = importance_page(importance, importance_metric)
    return {name: canvas.to_png(page) for name, page in pages.items()}


def draw_all(
    y: npt.NDArray[np.integer],
    proba: Floats,
    *,
    task: Task,
    folder: Path,
    metrics: Metrics | None = None,
    importance: Sequence[Importance] = (),
    importance_metric: str = "log_loss",
) -> tuple[Path, ...]:
    """Write all plots of a model into ``folder``, as ``roc_curve.png`` and so on.

    Args:
        y: true class codes (n,).
        proba: class scores (n, k).
        task: the classes.
        folder: an existing folder.
        metrics: the same rows' metrics; measured here when not given.
        importance: columns and their importance; no plot of it when empty.
        importance_metric: the metric that ``importance`` is measured in.

    Raises:
        StorageError: a file cannot be written.
    """
    plots = render_plots(
        y,
        proba,
        task=task,
        metrics=metrics or evaluate(y, proba, task=task),
        importance=importance,
        importance_metric=importance_metric,
    )
    files = []
    for name, image in plots.items():
        file = folder / f"{name}.png"
        try:
            file.write_bytes(image)
        except OSError as error:
            raise StorageError(
                f"The plot {file.name} cannot be written",
                why=error.strerror or str(error),
                where=str(folder),
            ) from None
        files.append(file)
    return tuple(files)


def confusion_page(metrics: Metrics) -> Any:
    """Rows by true and predicted class, each cell tinted by its share of the true class."""
    counts = np.array(metrics.confusion)
    labels = [plain(label, 16 if len(metrics.classes) < 5 else 12) for label in metrics.classes]
    if len(labels) > _MOST_CLASSES:
        counts, labels = _most_frequent(counts, labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(labels)
    right = int(np.trace(np.array(metrics.confusion)))
    page = canvas.start_page(
        "Confusion matrix",
        f"{right:,} of {metrics.rows:,} rows are predicted right"
        f" ({metrics['accuracy'].value:.1%}); colour is the share of the true class",
    )
    crowded = size > 8
    left = 0.13 if max(map(len, labels)) <= 8 else 0.205
    bottom = 0.23 if crowded else 0.125
    axes = canvas.add_axes(
        page, "Predicted", "True", (left, bottom, canvas.RIGHT - left, canvas.TOP - bottom)
    )
    axes.imshow(_tint(shares), aspect="auto", interpolation="nearest")
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks(range(size), labels, rotation=90 if crowded else 0, size=8 if crowded else 10)
    axes.set_yticks(range(size), labels, size=8 if crowded else 10)
    axes.tick_params(length=0, colors=INK)
    for edge in range(size + 1):
        axes.axhline(edge - 0.5, color="white", linewidth=2 if size < 12 else 0.8)
        axes.axvline(edge - 0.5, color="white", linewidth=2 if size < 12 else 0.8)
    if size <= 12:
        _write_cells(axes, counts, shares)
    return page


def _most_frequent(
    counts: npt.NDArray[np.int64], labels: list[str]
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The most frequent classes of a large matrix; all others together are the last one."""
    order = np.argsort(-counts.sum(axis=1), kind="stable")
    keep, rest = np.sort(order[: _MOST_CLASSES - 1]), order[_MOST_CLASSES - 1 :]
    group = np.full(len(labels), len(keep))
    group[keep] = np.arange(len(keep))
    small = np.zeros((len(keep) + 1, len(keep) + 1), dtype=np.int64)
    np.add.at(small, (group[:, None], group[None, :]), counts)
    return small, [*(labels[code] for code in keep), f"{len(rest)} others"]


def _tint(shares: Floats) -> Floats:
    """White for 0 to blue for 1, as colours (k, k, 3)."""
    white, blue = np.array([0.965, 0.972, 0.98]), np.array([0.0, 0.447, 0.698])
    tinted: Floats = white + shares[:, :, None] * (blue - white)
    return tinted


def _write_cells(axes: Any, counts: npt.NDArray[np.int64], shares: Floats) -> None:
    """Count and share into each cell."""
    size = len(counts)
    large = 17 if size == 2 else max(7.0, 13 - 0.6 * size)
    for row in range(size):
        for column in range(size):
            ink = "white" if shares[row, column] > 0.72 else INK
            text, share = f"{counts[row, column]:,}", f"{shares[row, column]:.1%}"
            if size > 5:
                axes.text(column, row, text, size=large, color=ink, ha="center", va="center")
                continue
            axes.text(
                column,
                row - 0.06,
                text,
                size=large,
                color=ink,
                ha="center",
                va="center",
                weight="bold",
            )
            axes.text(column, row + 0.16, share, size=10, color=ink, ha="center", va="center")


def importance_page(importance: Sequence[Importance], metric: str) -> Any:
    """The columns that matter most, with their standard errors."""
    shown = list(importance[:_MOST_BARS])
    info = find_metric(metric)
    change = "Rise" if info.better == "lower" else "Fall"
    title = "log loss" if metric == "log_loss" else info.title
    more = f"the {len(shown)} of {len(importance)} columns that matter most"
    page = canvas.start_page(
        "Feature importance",
        f"{change} of {title} when a column"
        f" is shuffled  ·  {more if len(shown) < len(importance) else 'all columns'}",
    )
    names = [plain(item.name, 26) for item in shown]
    left = 0.04 + 0.0125 * max(len(name) for name in names)
    axes = canvas.add_axes(
        page,
        f"{change} of {title}, with its 95% interval",
        "",
        (left, canvas.BOTTOM, canvas.RIGHT - left, canvas.TOP - canvas.BOTTOM),
    )
    places = max(len(shown), 6) - 1 - np.arange(len(shown))
    values = np.array([item.value for item in shown])
    errors = np.array([item.se for item in shown])
    axes.barh(
        places,
        values,
        height=0.66,
        color=BLUE,
        xerr=1.96 * errors,
        error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2.5},
    )
    axes.axvline(0, color=SOFT, linewidth=0.8)
    axes.set_yticks(places, names, size=9.5, color=INK)
    axes.set_ylim(-0.7, max(len(shown), 6) - 0.3)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return page
