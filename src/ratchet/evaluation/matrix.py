"""The page of a confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation import canvas
from ratchet.evaluation.canvas import Page, short_names
from ratchet.evaluation.themes import Theme

if TYPE_CHECKING:
    from ratchet.evaluation.metrics import Metrics

Floats = npt.NDArray[np.float64]
_MOST_CLASSES = 24


def confusion_points(metrics: Metrics) -> dict[str, Any]:
    """The matrix as drawn: ``labels``, ``rows`` of counts by true class, and their ``shares``.

    Of many classes the most frequent are kept, all others together are the last one.
    """
    counts = np.array(metrics.confusion)
    labels = [str(label) for label in metrics.classes]
    if len(labels) > _MOST_CLASSES:
        counts, labels = _most_frequent(counts, labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return {
        "labels": labels,
        "rows": [[int(cell) for cell in row] for row in counts],
        "shares": [[round(float(cell), 6) for cell in row] for row in shares],
    }


def confusion_page(metrics: Metrics, theme: Theme) -> Page:
    """Rows by true and predicted class, each cell tinted by its share of the true class."""
    data = confusion_points(metrics)
    labels = short_names(data["labels"], 18 if len(metrics.classes) < 5 else 15)
    counts, shares = np.array(data["rows"]), np.array(data["shares"])
    size = len(labels)
    right = sum(metrics.confusion[code][code] for code in range(len(metrics.classes)))
    page = Page(
        "Confusion matrix",
        f"{right:,} of {metrics.rows:,} rows are predicted right ({right / metrics.rows:.1%}); "
        "colour is the share of the true class",
        theme,
    )
    crowded, font = size > 6, 8 if size > 8 else 9.5
    widest = page.measure(labels, font)
    left = 0.06 + widest
    bottom = 0.125 if not crowded else 0.095 + widest * canvas.WIDTH / canvas.HEIGHT
    rect = (left, bottom, canvas.RIGHT - left, canvas.TOP - bottom)
    axes = page.add_axes("Predicted", "True", rect)
    axes.imshow(_tint(shares, theme), aspect="auto", interpolation="nearest")
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_xticks(range(size), labels, rotation=90 if crowded else 0, size=font)
    axes.set_yticks(range(size), labels, size=font)
    axes.tick_params(length=0, colors=theme.ink)
    for edge in range(size + 1):
        axes.axhline(edge - 0.5, color=theme.page, linewidth=2 if size < 12 else 0.8)
        axes.axvline(edge - 0.5, color=theme.page, linewidth=2 if size < 12 else 0.8)
    if size <= 12:
        _write_cells(axes, counts, shares, theme)
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


def _tint(shares: Floats, theme: Theme) -> Floats:
    """The empty colour for 0 to blue for 1, as colours (k, k, 3)."""
    from matplotlib.colors import to_rgb

    empty, full = np.array(to_rgb(theme.empty)), np.array(to_rgb(theme.blue))
    tinted: Floats = empty + shares[:, :, None] * (full - empty)
    return tinted


def _readable(tint: Floats, theme: Theme) -> str:
    """The theme's ink or page colour, whichever stands out more (contrast ratio of WCAG 2)."""
    from matplotlib.colors import to_rgb

    def light(colour: Floats) -> float:
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return 0.05 + float((linear * (0.2126, 0.7152, 0.0722)).sum())

    def contrast(name: str) -> float:
        pair = light(tint), light(np.array(to_rgb(name)))
        return max(pair) / min(pair)

    return max((theme.ink, theme.page), key=contrast)


def _write_cells(axes: Any, counts: npt.NDArray[np.int64], shares: Floats, theme: Theme) -> None:
    """Count and share into each cell, readable on its tint."""
    size = len(counts)
    large = 17 if size == 2 else max(7.0, 13 - 0.6 * size)
    tints = _tint(shares, theme)
    for row in range(size):
        for column in range(size):
            ink = _readable(tints[row, column], theme)
            text, share = f"{counts[row, column]:,}", f"{shares[row, column]:.1%}"
            style = {"color": ink, "ha": "center"}
            if size > 5:
                axes.text(column, row, text, size=large, va="center", **style)
                continue
            axes.text(column, row, text, size=large, va="bottom", weight="bold", **style)
            axes.text(column, row + 0.06, share, size=10, va="top", **style)
