"""Metrics of rows that count differently, each with its interval.

Rows get unequal weights for two reasons: labels that came early stand for those still to come
(``lag.py``), and a row whose label is not known yet counts for each class with that class'
probability (``estimate.py``). With equal weights the values are those of ``evaluation``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.estimate import logit_interval, normal_interval
from ratchet.evaluation.labels import value_and_gradient
from ratchet.evaluation.measures import Measure, Undefined, row_losses
from ratchet.evaluation.ranking import Ranking, auc, average_precision, rank
from ratchet.evaluation.residuals import measure_errors
from ratchet.evaluation.scored import Scored

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """A metric with its interval.

    Attributes:
        value: the metric.
        low: lower end of the interval.
        high: upper end.
        se: standard error of ``value``.
        rows: rows it is of.
    """

    value: float
    low: float
    high: float
    se: float
    rows: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an end that is not finite is null."""
        ends = {"low": self.low, "high": self.high, "se": self.se}
        told = {name: value if isfinite(value) else None for name, value in ends.items()}
        return {"value": self.value, **told, "rows": self.rows}


def read_metric(
    rows: Scored, name: str, weight: Floats, *, confidence: float = 0.95
) -> Reading | None:
    """A metric of weighted rows; None where it has no value on them.

    Args:
        rows: labelled rows.
        name: the metric.
        weight: what each row counts (n,), above 0.
        confidence: of the interval.
    """
    found = measure_weighted(rows, name, weight)
    if isinstance(found, Undefined) or not isfinite(found.value):
        return None
    total = float(weight.sum())
    enough = rows.rows / max(rows.rows - 1, 1)
    se = sqrt(float(np.square(weight * found.influence).sum()) * enough) / total
    return reading_of(name, found.value, se, rows.rows, confidence, weight=weight)


def reading_of(
    name: str,
    value: float,
    se: float,
    rows: int,
    confidence: float,
    *,
    weight: Floats | None = None,
) -> Reading:
    """A value with the interval that suits its metric."""
    info = find_metric(name)
    if info.upper == 1.0 and name != "r2":
        effective = float(rows)
        if weight is not None:
            effective = float(weight.sum()) ** 2 / float(np.square(weight).sum())
        low, high = logit_interval(value, se, effective, confidence)
    else:
        lowest = -inf if name == "r2" else 0.0
        low, high = normal_interval(
            value, se, confidence, lowest=lowest, highest=inf if info.upper is None else info.upper
        )
    return Reading(value, low, high, se, rows)


def widened(reading: Reading, name: str, more: float, confidence: float) -> Reading:
    """The reading with an independent standard error added to its own."""
    se = sqrt(reading.se**2 + more**2)
    return replace(reading_of(name, reading.value, se, reading.rows, confidence))


def measure_weighted(rows: Scored, name: str, weight: Floats) -> Measure | Undefined:
    """A metric and each row's influence for a weight of 1 (n,).

    Raises:
        ValueError: no metric has the name.
    """
    info = find_metric(name)
    if rows.task.kind not in info.kinds:
        return Undefined(f"{info.title} does not fit a task of {rows.task.kind}")
    if rows.task.kind == "regression":
        return _of_errors(rows, name, weight)
    if info.from_labels:
        return _of_labels(rows, name, weight)
    if name in ("roc_auc", "pr_auc"):
        return _of_ranking(rows, name, weight)
    losses = row_losses(rows, name)
    mean = float(np.average(losses, weights=weight))
    return Measure(mean, losses - mean)


def _of_labels(rows: Scored, name: str, weight: Floats) -> Measure:
    classes = rows.classes
    cells = rows.y.astype(np.int64) * classes + rows.predicted
    shares = np.bincount(cells, weights=weight, minlength=classes * classes)
    shares = shares.reshape(classes, classes) / weight.sum()
    value, gradient = value_and_gradient(name, shares)
    return Measure(value, gradient[rows.y, rows.predicted] - float((gradient * shares).sum()))


def _of_ranking(rows: Scored, name: str, weight: Floats) -> Measure | Undefined:
    curve = auc if name == "roc_auc" else average_precision
    present = np.bincount(rows.y, weights=weight, minlength=rows.classes) > 0
    if present.sum() < 2:
        return Undefined("all rows are of one class")
    if rows.classes == 2:
        return Measure(*curve(_ranking(rows, 1, weight)))
    total, influence = 0.0, np.zeros(rows.rows)
    for code in np.flatnonzero(present):
        area, part = curve(_ranking(rows, int(code), weight))
        total, influence = total + area, influence + part
    return Measure(total / present.sum(), influence / present.sum())


def _ranking(rows: Scored, code: int, weight: Floats) -> Ranking:
    """Rows ranked by their score of a class; groups hold weights instead of counts."""
    plain = rank(rows.y == code, rows.proba[:, code])
    groups, counts = len(plain.thresholds), np.asarray(weight, dtype=np.float64)
    positives: Floats = np.bincount(plain.group, counts * plain.positive, groups).astype(float)
    every: Floats = np.bincount(plain.group, counts, groups).astype(float)
    return replace(plain, positives=positives, negatives=every - positives)


def _of_errors(rows: Scored, name: str, weight: Floats) -> Measure | Undefined:
    errors, y = rows.errors, rows.y
    if np.ptp(weight) == 0:
        found = measure_errors(errors, y, name)
        return Undefined(found) if isinstance(found, str) else Measure(*found)
    if name == "mae":
        mean = float(np.average(np.abs(errors), weights=weight))
        return Measure(mean, np.abs(errors) - mean)
    if name == "median_ae":
        return Undefined("a median of weighted rows has no interval here")
    squares = np.square(errors)
    mean = float(np.average(squares, weights=weight))
    if name == "rmse":
        root = sqrt(mean)
        return Measure(root, (squares - mean) / (2 * root) if root else np.zeros(len(y)))
    centred = np.square(y - np.average(y, weights=weight))
    spread = float(np.average(centred, weights=weight))
    if spread == 0:
        return Undefined("all rows have the same value of the target")
    return Measure(1 - mean / spread, -(squares - centred * (mean / spread)) / spread)
