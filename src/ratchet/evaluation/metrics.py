"""A model measured on labelled rows: every metric with its interval, confusion, per-class report.

The headline ``precision``, ``recall`` and ``f1`` are averaged over the classes with the classes'
shares as weights, for two classes and for more; ``*_positive`` are those of the positive class.
Nothing is resampled: the same rows always give the same intervals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.catalog import find_metric, metric_names
from ratchet.evaluation.estimate import (
    Estimate,
    logit_interval,
    normal_interval,
    undefined,
    wilson,
)
from ratchet.evaluation.labels import ClassReport, confusion, report
from ratchet.evaluation.measures import Measure, Undefined, measure, standard_error
from ratchet.evaluation.scored import Scored, scored_rows

if TYPE_CHECKING:
    from ratchet.data.task import Task


@dataclass(frozen=True, slots=True)
class Metrics:
    """One model measured on one set of rows.

    Attributes:
        rows: how many rows.
        classes: the labels, in the order of the confusion matrix.
        threshold: the score from which the positive class is predicted; binary only.
        confidence: of every interval.
        estimates: name and estimate, in report order.
        confusion: rows by true class, then by predicted class.
        report: each class's precision, recall, F1 and support.
    """

    rows: int
    classes: tuple[str | int | float | bool, ...]
    threshold: float
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
    y: npt.NDArray[np.integer],
    proba: npt.NDArray[np.float64],
    *,
    task: Task,
    threshold: float = 0.5,
    confidence: float = 0.95,
    names: Iterable[str] | None = None,
) -> Metrics:
    """Measure a model.

    Args:
        y: true class codes (n,).
        proba: class scores (n, k), in the order of ``task.classes``.
        task: binary or multiclass.
        threshold: the positive class is predicted from this score on; binary only.
        confidence: of the intervals, each on its own, both sides together.
        names: which metrics; all that fit the task when not given.

    Raises:
        DataError: no rows, or scores that are not finite.
        ValueError: an unknown metric in ``names``.
    """
    scored = scored_rows(y, proba, task=task, threshold=threshold)
    counts = confusion(scored.y, scored.predicted, scored.classes)
    wanted = metric_names(task.kind) if names is None else tuple(names)
    return Metrics(
        rows=scored.rows,
        classes=tuple(task.classes),
        threshold=threshold,
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
