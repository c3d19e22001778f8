"""All plots of a model, light or dark, and the same as numbers.

Each plot is PNG bytes, 700 x 500 pixels. A plot that the rows cannot give (ROC with one class) is
left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import StorageError
from ratchet.evaluation.bars import importance_page, shap_importance_page
from ratchet.evaluation.curves import (
    calibration_page,
    precision_recall_page,
    roc_page,
    threshold_page,
)
from ratchet.evaluation.importance import importance_metric as usual_importance
from ratchet.evaluation.matrix import confusion_page, confusion_points
from ratchet.evaluation.metrics import Metrics, evaluate
from ratchet.evaluation.points import (
    calibration_points,
    precision_recall_points,
    roc_points,
    threshold_points,
)
from ratchet.evaluation.residual_plots import distribution_page, estimate_page, residual_page
from ratchet.evaluation.residual_points import (
    distribution_points,
    estimate_points,
    residual_points,
)
from ratchet.evaluation.scored import Scored, Targets, scored_rows
from ratchet.evaluation.swarm import dependence_page, dependence_points, swarm_page, swarm_points
from ratchet.evaluation.themes import ThemeName, find_theme

if TYPE_CHECKING:
    from ratchet.data.task import Task
    from ratchet.evaluation.canvas import Page
    from ratchet.evaluation.explanation import Explanation
    from ratchet.evaluation.importance import Importance
    from ratchet.evaluation.themes import Theme

Floats = npt.NDArray[np.float64]
_DEPENDENCES = 4


def render_plots(
    y: Targets,
    proba: Floats,
    *,
    task: Task,
    metrics: Metrics,
    importance: Sequence[Importance] = (),
    importance_metric: str | None = None,
    explanation: Explanation | None = None,
    theme: ThemeName = "light",
) -> dict[str, bytes]:
    """All plots of a model, by name, each a PNG file's bytes.

    Args:
        y: true class codes (n,); for regression the true values.
        proba: class scores (n, k); for regression estimates (n, 1).
        task: what is predicted.
        metrics: the same rows' metrics, all of them.
        importance: columns and their permutation importance; no plot of it when empty.
        importance_metric: the metric that ``importance`` is measured in; the usual one of the task
            when not given.
        explanation: SHAP values; no plots of them when not given.
        theme: the colours.
    """
    scored = scored_rows(y, proba, task=task, threshold=metrics.threshold)
    colours = find_theme(theme)
    drawn = _error_pages if task.kind == "regression" else _class_pages
    pages = drawn(scored, metrics, colours)
    if importance:
        metric = importance_metric or usual_importance(task)
        pages["importance"] = importance_page(importance, metric, colours)
    if explanation is not None and explanation.rows:
        output = shown_output(explanation)
        pages["shap_importance"] = shap_importance_page(explanation, colours)
        pages["shap_beeswarm"] = swarm_page(explanation, colours, output=output)
        pages["shap_dependence"] = dependence_page(explanation, colours, output=output)
    return {name: page.to_png() for name, page in pages.items()}


def _class_pages(scored: Scored, metrics: Metrics, theme: Theme) -> dict[str, Page]:
    pages = {"confusion_matrix": confusion_page(metrics, theme)}
    if metrics["roc_auc"].value is not None:
        pages["roc_curve"] = roc_page(scored, metrics, theme)
        pages["precision_recall"] = precision_recall_page(scored, metrics, theme)
    pages["calibration"] = calibration_page(scored, metrics, theme)
    threshold = threshold_page(scored, metrics, theme)
    if threshold is not None:
        pages["threshold"] = threshold
    return pages


def _error_pages(scored: Scored, metrics: Metrics, theme: Theme) -> dict[str, Page]:
    return {
        "predicted_actual": estimate_page(scored, metrics, theme),
        "residuals": residual_page(scored, metrics, theme),
        "residual_distribution": distribution_page(scored, metrics, theme),
    }


def plot_points(
    y: Targets,
    proba: Floats,
    *,
    task: Task,
    metrics: Metrics,
    explanation: Explanation | None = None,
) -> dict[str, Any]:
    """What `render_plots` draws as JSON: a name for each plot, and at most 200 points a line.

    Args:
        y: as of `render_plots`.
        proba: likewise.
        task: likewise.
        metrics: likewise.
        explanation: likewise; its importance is ``explanation.importance()``.
    """
    scored = scored_rows(y, proba, task=task, threshold=metrics.threshold)
    if task.kind == "regression":
        found: dict[str, Any] = {
            "predicted_actual": estimate_points(scored, metrics.confidence),
            "residuals": residual_points(scored),
            "residual_distribution": distribution_points(scored),
        }
    else:
        found = {
            "confusion_matrix": confusion_points(metrics),
            "calibration": calibration_points(scored, metrics),
        }
        if metrics["roc_auc"].value is not None:
            found["roc_curve"] = roc_points(scored, metrics)
            found["precision_recall"] = precision_recall_points(scored, metrics)
        threshold = threshold_points(scored, metrics)
        if threshold is not None:
            found["threshold"] = threshold
    if explanation is not None and explanation.rows:
        output = shown_output(explanation)
        swarm = swarm_points(explanation, output=output)
        found["shap_importance"] = [item.to_json() for item in explanation.importance()]
        found["shap_beeswarm"] = swarm
        found["shap_dependence"] = [
            dependence_points(explanation, line["feature"], output=output)
            for line in swarm["lines"][:_DEPENDENCES]
        ]
    return found


def shown_output(explanation: Explanation) -> int:
    """The class whose values are drawn row by row: the one that most rows score highest."""
    if len(explanation.outputs) == 1:
        return 0
    highest = explanation.scores.argmax(axis=1)
    return int(np.bincount(highest, minlength=len(explanation.outputs)).argmax())


def draw_all(
    y: Targets,
    proba: Floats,
    *,
    task: Task,
    folder: Path,
    metrics: Metrics | None = None,
    importance: Sequence[Importance] = (),
    importance_metric: str | None = None,
    explanation: Explanation | None = None,
    theme: ThemeName = "light",
) -> tuple[Path, ...]:
    """Write all plots of a model into ``folder``, as ``roc_curve.png`` and so on.

    Args:
        y: as of `render_plots`.
        proba: likewise.
        task: likewise.
        folder: an existing folder.
        metrics: the same rows' metrics; measured here when not given.
        importance: as of `render_plots`.
        importance_metric: likewise.
        explanation: likewise.
        theme: likewise.

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
        explanation=explanation,
        theme=theme,
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
