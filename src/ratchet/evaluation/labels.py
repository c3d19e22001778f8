"""Measures of predicted classes: confusion matrix, per-class report, precision, recall, F1.

Values are those of scikit-learn with ``zero_division=0``. Each measure is a smooth function of the
confusion matrix's shares, so its derivative by each cell is every row's influence on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One class in the report.

    Attributes:
        label: the class.
        precision: share of the rows predicted as it that are it; 0 when none is predicted.
        recall: share of its rows that are predicted as it; 0 when it has none.
        f1: their harmonic mean.
        support: its rows.
        predicted: rows predicted as it.
    """

    label: str | int | float | bool
    precision: float
    recall: float
    f1: float
    support: int
    predicted: int


def confusion(y: Codes, predicted: Codes, classes: int) -> npt.NDArray[np.int64]:
    """Rows by true class (first axis) and predicted class: (k, k) counts."""
    cells = y.astype(np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def ratio(top: Floats, bottom: Floats) -> Floats:
    """``top / bottom``, and 0 where ``bottom`` is."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def report(
    counts: npt.NDArray[np.int64], labels: tuple[str | int | float | bool, ...]
) -> tuple[ClassReport, ...]:
    """Each class's precision, recall and F1 from confusion counts (k, k)."""
    hits = np.diag(counts).astype(np.float64)
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    precision = ratio(hits, predicted.astype(np.float64))
    recall = ratio(hits, support.astype(np.float64))
    f1 = ratio(2 * hits, (support + predicted).astype(np.float64))
    return tuple(
        ClassReport(
            label,
            float(precision[k]),
            float(recall[k]),
            float(f1[k]),
            int(support[k]),
            int(predicted[k]),
        )
        for k, label in enumerate(labels)
    )


def value_and_gradient(name: str, shares: Floats) -> tuple[float, Floats]:
    """A measure of the confusion matrix's shares (k, k) and its derivative by each cell (k, k).

    Args:
        name: a metric of predicted classes (`ratchet.evaluation.catalog`).
        shares: confusion counts over the number of rows.
    """
    if name in ("accuracy", "recall"):
        return float(np.trace(shares)), np.eye(len(shares))
    if name == "precision":
        return _weighted_precision(shares)
    if name == "f1":
        return _weighted_f1(shares)
    return _of_positive(name, shares)


def _weighted_precision(shares: Floats) -> tuple[float, Floats]:
    """Sum over classes of support share x hits / predicted share."""
    hits, true, predicted = np.diag(shares), shares.sum(axis=1), shares.sum(axis=0)
    precision = ratio(hits, predicted)
    by_hit = ratio(true, predicted)
    gradient = np.diag(by_hit) + precision[:, None] - (by_hit * precision)[None, :]
    return float(true @ precision), gradient


def _weighted_f1(shares: Floats) -> tuple[float, Floats]:
    """Sum over classes of support share x 2 hits / (support share + predicted share)."""
    hits, true, predicted = np.diag(shares), shares.sum(axis=1), shares.sum(axis=0)
    total = true + predicted
    by_hit = ratio(2 * true, total)
    by_true = ratio(2 * hits * predicted, total**2)
    by_predicted = ratio(2 * hits * true, total**2)
    gradient = np.diag(by_hit) + by_true[:, None] - by_predicted[None, :]
    return float(by_hit @ hits), gradient


def _of_positive(name: str, shares: Floats) -> tuple[float, Floats]:
    """A ratio a / b of the 2 x 2 matrix, both linear in its cells: d(a/b) = (da - (a/b) db) / b."""
    top = np.array([[0.0, 0.0], [0.0, 1.0]])
    bottom = {
        "precision_positive": np.array([[0.0, 1.0], [0.0, 1.0]]),
        "recall_positive": np.array([[0.0, 0.0], [1.0, 1.0]]),
        "f1_positive": np.array([[0.0, 0.5], [0.5, 1.0]]),
    }[name]
    amount = float((bottom * shares).sum())
    if amount == 0:
        return 0.0, np.zeros((2, 2))
    value = float((top * shares).sum()) / amount
    return value, (top - value * bottom) / amount
