"""The metrics of a candidate, computed on scores in NumPy: seven for classes, three for numbers.

Point estimates only, fast enough to be called per fold; intervals, curves and reports are the
evaluation package's, and agree with these. Definitions are scikit-learn's: precision, recall and
F1 are averages weighted by class size, with two classes as with more; the areas are plain means
over the classes against the rest. A ratio without cases (precision with nothing predicted) is 0.
Scores with a single column are estimates of a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Targets = npt.NDArray[np.int32] | npt.NDArray[np.float64]

METRICS: Final = ("accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss")
REGRESSION_METRICS: Final = ("rmse", "mae", "r2")
LOWER_IS_BETTER: Final = frozenset({"log_loss", "rmse", "mae"})
SMALLEST = float(np.finfo(np.float64).eps)


def score_all(y: Targets, proba: Floats) -> dict[str, float]:
    """Every metric that is defined for classes ``y`` (n,) and scores ``proba`` (n, k).

    ``roc_auc`` and ``pr_auc`` are left out when ``y`` holds a single class: there is nothing to
    rank. With scores (n, 1) ``y`` are numbers, and ``r2`` is left out when all are the same.
    """
    classes = proba.shape[1]
    if classes == 1:
        return score_numbers(y, proba[:, 0])
    y = np.asarray(y, dtype=np.int32)
    matrix = confusion(y, predict_classes(proba), classes)
    precision, recall, f1 = _rates(matrix)
    size = matrix.sum(axis=1)
    scores = {"accuracy": float(np.trace(matrix) / matrix.sum())}
    for name, rate in (("precision", precision), ("recall", recall), ("f1", f1)):
        scores[name] = float(np.average(rate, weights=size))
    for name, area in (("roc_auc", roc_auc), ("pr_auc", average_precision)):
        value = _one_against_rest(y, proba, size, area)
        if value is not None:
            scores[name] = value
    scores["log_loss"] = log_loss(y, proba)
    return scores


def score_numbers(y: Targets, estimate: Floats) -> dict[str, float]:
    """Root mean squared and mean absolute error, and R² = 1 - squared error / variance."""
    error = estimate - y
    squared = float(np.mean(error**2))
    scores = {"rmse": math.sqrt(squared), "mae": float(np.abs(error).mean())}
    variance = float(np.var(y))
    if variance > 0:
        scores["r2"] = 1.0 - squared / variance
    return scores


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (n - 1) of each metric over the folds that have it."""
    found = {}
    for name in dict.fromkeys(name for fold in scores for name in fold):
        values = np.array([fold[name] for fold in scores if name in fold])
        deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        found[name] = (float(values.mean()), deviation)
    return found


def better(metric: str, left: float, right: float) -> bool:
    """Whether ``left`` is strictly better than ``right``."""
    return left < right if metric in LOWER_IS_BETTER else left > right


def predict_classes(proba: Floats) -> Codes:
    """The class with the highest score; the positive class from 0.5 with two (n,)."""
    if proba.shape[1] == 2:
        return np.asarray(proba[:, 1] >= 0.5, dtype=np.int32)
    return np.asarray(proba.argmax(axis=1), dtype=np.int32)


def confusion(y: Codes, predicted: Codes, classes: int) -> npt.NDArray[np.int64]:
    """Counts (k, k): rows are true classes, columns predicted ones."""
    flat = y.astype(np.int64) * classes + predicted
    counts = np.bincount(flat, minlength=classes * classes)
    return np.asarray(counts.reshape(classes, classes), dtype=np.int64)


def roc_auc(positive: npt.NDArray[np.bool_], score: Floats) -> float | None:
    """Area under the ROC curve, as the rank sum of the positives; None with one class."""
    hits, all_up_to = _cumulative(positive, score)
    n_positive, n = int(hits[-1]), int(all_up_to[-1])
    n_negative = n - n_positive
    if n_positive == 0 or n_negative == 0:
        return None
    new_hits = np.diff(hits, prepend=0)
    misses = all_up_to - hits
    new_misses = np.diff(misses, prepend=0)
    # From the highest score down: a positive beats every negative still to come, and half its ties.
    won = new_hits * (n_negative - misses) + 0.5 * new_hits * new_misses
    return float(won.sum() / (n_positive * n_negative))


def average_precision(positive: npt.NDArray[np.bool_], score: Floats) -> float | None:
    """Area under the precision-recall curve, without interpolation; None with one class."""
    hits, all_up_to = _cumulative(positive, score)
    if hits[-1] == 0 or hits[-1] == all_up_to[-1]:
        return None
    recall_step = np.diff(hits, prepend=0) / hits[-1]
    return float((recall_step * hits / all_up_to).sum())


def log_loss(y: Codes, proba: Floats) -> float:
    """Mean negative log of the true class's score; scores are kept off 0 by 2.2e-16."""
    total = proba.sum(axis=1)
    chosen = proba[np.arange(len(y)), y] / total
    return float(-np.log(np.clip(chosen, SMALLEST, 1.0 - SMALLEST)).mean())


def _cumulative(
    positive: npt.NDArray[np.bool_], score: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Positives and rows at or above each distinct score, from the highest score down."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    return np.cumsum(positive[order], dtype=np.int64)[last], last.astype(np.int64) + 1


def _rates(matrix: npt.NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each class (k,)."""
    right = np.diag(matrix).astype(np.float64)
    predicted, true = matrix.sum(axis=0), matrix.sum(axis=1)
    return (
        _divide(right, predicted),
        _divide(right, true),
        _divide(2 * right, predicted + true),
    )


def _divide(top: Floats, bottom: npt.NDArray[np.int64]) -> Floats:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _one_against_rest(
    y: Codes,
    proba: Floats,
    size: npt.NDArray[np.int64],
    area: Callable[[npt.NDArray[np.bool_], Floats], float | None],
) -> float | None:
    if proba.shape[1] == 2:
        return area(y == 1, proba[:, 1])
    values = [area(y == code, proba[:, code]) for code in np.flatnonzero(size)]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
