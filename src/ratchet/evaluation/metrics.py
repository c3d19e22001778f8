"""A model measured on labelled rows: every metric with its interval, confusion, per-class report.

Models of numbers have no classes: their metrics are of the errors, and the rest is empty.

The headline ``precision``, ``recall`` and ``f1`` are averaged over the classes with the classes'
shares as weights, for two classes and for more; ``*_positive`` are those of the positive class.
Nothing is resampled: the same rows always give the same intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.catalog import find_metric, metric_names
from ratchet.evaluation.estimate import (
    Estimate,
    logit_interval,
    normal_interval,
    skewed_interval,
    undefined,
    wilson,
)
from ratchet.evaluation.labels import ClassReport, confusion, report
from ratchet.evaluation.measures import Measure, Undefined, measure, skewness, standard_error
from ratchet.evaluation.residuals import median_interval
from ratchet.evaluation.scored import Scored, Targets, scored_rows

if TYPE_CHECKING:
    from ratchet.data.task import Task


@dataclass(frozen=True, slots=True)
class Metrics:
    """One model measured on one set of rows.

    Attributes:
        rows: how many rows.
        classes: the labels, in the order of the confusion matrix; none for regression.
        threshold: the score from which the positive class is predicted; None unless binary.
        confidence: of every interval.
        estimates: name and estimate, in report order.
        confusion: rows by true class, then by predicted class.
        report: each class's precision, recall, F1 and support.
    """

    rows: int
    classes: tuple[str | int | float | bool, ...]
    threshold: float | None
    confidence: float
    estimates: tuple[tuple[str, Estimate], ...]
    confusion: tuple[tuple[int, ...], ...]
    report: tuple[ClassReport, ...]

    def __getitem__(self, name: str) -> Estimate:
        for known, estimate in self.estimates:
            if known == name:
                return estimate
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.estimates)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics' names."""
        return tuple(name for name, _ in self.estimates)

    def values(self) -> dict[str, float | None]:
        """Name and value; None where a metric is undefined on these rows."""
        return {name: estimate.value for name, estimate in self.estimates}

    def to_json(self) -> dict[str, Any]:
        """A JSON object without NaN or infinity."""
        return {
            "rows": self.rows,
            "classes": list(self.classes),
            "threshold": self.threshold,
            "confidence": self.confidence,
            "estimates": {name: estimate.to_json() for name, estimate in self.estimates},
            "confusion": [list(row) for row in self.confusion],
            "report": [asdict(row) for row in self.report],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Metrics:
        """The metrics that `to_json` wrote."""
        return cls(
            rows=data["rows"],
            classes=tuple(data["classes"]),
            threshold=data["threshold"],
            confidence=data["confidence"],
            estimates=tuple(
                (name, Estimate.from_json(part)) for name, part in data["estimates"].items()
            ),
            confusion=tuple(tuple(row) for row in data["confusion"]),
            report=tuple(ClassReport(**row) for row in data["report"]),
        )


def evaluate(
    y: Targets,
    proba: npt.NDArray[np.float64],
    *,
    task: Task,
    threshold: float | None = 0.5,
    confidence: float = 0.95,
    names: Iterable[str] | None = None,
) -> Metrics:
    """Measure a model.

    Args:
        y: true class codes (n,); for regression the true values.
        proba: class scores (n, k), in the order of ``task.classes``; for regression estimates
            (n, 1).
        task: what is predicted.
        threshold: the positive class is predicted from this score on; binary only, 0.5 when None.
        confidence: of the intervals, each on its own, both sides together.
        names: which metrics; all that fit the task when not given.

    Raises:
        DataError: no rows, or scores that are not finite.
        ValueError: an unknown metric in ``names``.
    """
    scored = scored_rows(y, proba, task=task, threshold=threshold)
    counts = np.zeros((0, 0), dtype=np.int64)
    if task.kind != "regression":
        counts = confusion(scored.y, scored.predicted, scored.classes)
    wanted = metric_names(task.kind) if names is None else tuple(names)
    return Metrics(
        rows=scored.rows,
        classes=tuple(task.classes),
        threshold=(0.5 if threshold is None else threshold) if task.kind == "binary" else None,
        confidence=confidence,
        estimates=tuple((name, estimate(scored, name, counts, confidence)) for name in wanted),
        confusion=tuple(tuple(int(cell) for cell in row) for row in counts),
        report=report(counts, tuple(task.classes)),
    )


def estimate(
    scored: Scored, name: str, counts: npt.NDArray[np.int64], confidence: float
) -> Estimate:
    """One metric with the interval that fits it.

    Args:
        scored: the rows.
        name: the metric.
        counts: the rows' confusion counts (k, k).
        confidence: of the interval.
    """
    found = measure(scored, name)
    if isinstance(found, Undefined):
        return undefined(found.reason)
    if scored.task.kind == "regression":
        return _of_errors(name, found, scored, confidence)
    if name in ("accuracy", "recall"):
        return _proportion(found.value, scored.rows, confidence)
    if find_metric(name).binary_only:
        return _of_positive(name, found.value, counts, confidence)
    if name in ("log_loss", "brier"):
        low, high = normal_interval(
            found.value,
            standard_error(found.influence),
            confidence,
            lowest=0.0,
            highest=find_metric(name).upper or np.inf,
        )
        return Estimate(found.value, low, high, "normal")
    if name in ("roc_auc", "pr_auc"):
        return _of_ranking(name, found, scored, confidence)
    se = standard_error(found.influence)
    low, high = logit_interval(found.value, se, scored.rows, confidence)
    return Estimate(found.value, low, high, "delta method, logit", found.note)


def _of_errors(name: str, found: Measure, scored: Scored, confidence: float) -> Estimate:
    """An interval of a measure of errors; squares and sizes of errors are skewed."""
    se = standard_error(found.influence)
    note = f"{scored.rows} rows show next to no spread" if scored.rows < 3 else ""
    if name == "r2":
        low, high = normal_interval(found.value, se, confidence, highest=1.0)
        return Estimate(found.value, low, high, "jackknife, normal", note)
    if name == "median_ae":
        low, high = median_interval(np.abs(scored.errors), confidence)
        return Estimate(found.value, low, high, "order statistics", note)
    skew = skewness(found.influence)
    if name == "mae":
        low, high = skewed_interval(found.value, se, skew, scored.rows, confidence)
        return Estimate(found.value, low, high, "Hall", note)
    # The root of an interval of the mean square, as a part of that mean square.
    part = 2 * se / found.value if found.value else 0.0
    low, high = skewed_interval(1.0, part, skew, scored.rows, confidence)
    return Estimate(
        found.value, found.value * sqrt(low), found.value * sqrt(high), "Hall, root", note
    )


def _of_ranking(name: str, found: Measure, scored: Scored, confidence: float) -> Estimate:
    """An area's interval: DeLong's variance for ROC, the jackknife's for precision and recall."""
    strata = scored.y if name == "roc_auc" else None
    se = standard_error(found.influence, strata=strata)
    sizes = np.bincount(scored.y)
    smallest = int(sizes[sizes > 0].min())
    # One row of a class shows no spread: the interval then rests on that row alone.
    low, high = logit_interval(found.value, se if smallest > 1 else 0.0, smallest, confidence)
    kind = "DeLong, logit" if name == "roc_auc" else "infinitesimal jackknife, logit"
    return Estimate(found.value, low, high, kind if smallest > 1 else "Wilson", found.note)


def _proportion(value: float, trials: int, confidence: float, note: str = "") -> Estimate:
    """A share of independent rows."""
    low, high = wilson(value, trials, confidence)
    return Estimate(value, low, high, "Wilson", note)


def _of_positive(
    name: str, value: float, counts: npt.NDArray[np.int64], confidence: float
) -> Estimate:
    """Precision, recall and F1 of the positive class.

    Each is a share of the rows it is about. F1 = 2J / (1 + J), where J is the share of true
    positives among all rows that are positive or predicted so; both ends of J's interval are
    carried over.
    """
    hits = int(counts[1, 1])
    actual, predicted = int(counts[1].sum()), int(counts[:, 1].sum())
    if name == "precision_positive":
        note = "" if predicted else "no row is predicted positive"
        return _proportion(value, predicted, confidence, note)
    if name == "recall_positive":
        return _proportion(value, actual, confidence, "" if actual else "no row is positive")
    either = actual + predicted - hits
    low, high = wilson(hits / either if either else 0.0, either, confidence)
    note = "" if either else "no row is positive or predicted so"
    return Estimate(value, 2 * low / (1 + low), 2 * high / (1 + high), "Wilson", note)
