"""Between which values a metric will lie, whatever the labels that are still missing.

The worst labels for a metric contradict the model wherever they can, the best ones agree with it
(Manski, *Am. Econ. Rev.* 80 (1990) 319). For the area under the ROC curve the worst positives are
the rows that are scored lowest, and how many of them there are is tried out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task
from ratchet.evaluation.measures import Undefined, measure
from ratchet.evaluation.scored import Scored

Floats = npt.NDArray[np.float64]

_CLASSES: Final = ("accuracy", "recall", "log_loss", "brier")
_POSITIVE: Final = ("precision_positive", "recall_positive", "f1_positive")


def metric_bounds(known: Scored, open_rows: Scored, name: str) -> tuple[float, float] | None:
    """The least and the largest value of a metric once all labels are there; None where unbounded.

    Args:
        known: labelled rows.
        open_rows: rows whose label is missing; their ``y`` is not looked at.
        name: the metric.
    """
    task = known.task
    if task.kind == "regression":
        return None
    if name == "roc_auc" and task.kind == "binary":
        return _of_area(known, open_rows)
    if name not in _CLASSES and not (name in _POSITIVE and task.kind == "binary"):
        return None
    ends = []
    for labels in (_against(open_rows, name), _for(open_rows, name)):
        found = measure(_together(known, open_rows, labels, task), name)
        if isinstance(found, Undefined):
            return None
        ends.append(found.value)
    return min(ends), max(ends)


def _against(rows: Scored, name: str) -> npt.NDArray[np.integer]:
    """The labels that hurt most: the class that is scored lowest, or not the decided one."""
    if name in ("log_loss", "brier"):
        return np.asarray(np.argmin(rows.proba, axis=1))
    return np.asarray((rows.predicted + 1) % rows.classes)


def _for(rows: Scored, name: str) -> npt.NDArray[np.integer]:
    if name in ("log_loss", "brier"):
        return np.asarray(np.argmax(rows.proba, axis=1))
    return rows.predicted


def _together(
    known: Scored, open_rows: Scored, labels: npt.NDArray[np.integer], task: Task
) -> Scored:
    return Scored(
        np.concatenate([known.y, labels.astype(known.y.dtype)]),
        np.concatenate([known.proba, open_rows.proba]),
        np.concatenate([known.predicted, open_rows.predicted]),
        task,
    )


def _of_area(known: Scored, open_rows: Scored) -> tuple[float, float] | None:
    """Every number of positives among the open rows is tried, from the lowest or the highest up."""
    scores, positive = known.proba[:, 1], known.y == 1
    ups, downs = np.sort(scores[positive]), np.sort(scores[~positive])
    rest = np.sort(open_rows.proba[:, 1])
    base = float(_wins(downs, ups).sum())
    count = np.arange(len(rest) + 1)
    pairs = (len(ups) + count) * (len(downs) + len(rest) - count)
    if not (pairs > 0).any():
        return None
    # What an open row brings as a positive (negatives below it), and as a negative.
    as_up, as_down = _wins(downs, rest), len(ups) - _wins(ups, rest)

    def wins(ups_first: Floats, downs_first: Floats) -> Floats:
        gained = np.concatenate([[0.0], np.cumsum(ups_first)])
        left = np.concatenate([[0.0], np.cumsum(downs_first)])
        return np.asarray(base + gained + (left[-1] - left))

    worst = wins(as_up, as_down)
    best = wins(as_up[::-1], as_down[::-1]) + count * (len(rest) - count)
    share = np.divide(1.0, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return float(np.nanmin(worst * share)), float(min(1.0, np.nanmax(best * share)))


def _wins(sorted_others: Floats, scores: Floats) -> Floats:
    """How many of the others each score beats, ties counted half (n,)."""
    below = np.searchsorted(sorted_others, scores, side="left")
    upto = np.searchsorted(sorted_others, scores, side="right")
    return np.asarray((below + upto) / 2.0)
