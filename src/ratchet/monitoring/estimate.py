"""Performance before the labels are there: confidence-based estimation (CBPE).

Scores are calibrated on rows whose labels are known and that the model did not learn from. A row
with the calibrated chance c of a class then counts c for that class: the expected accuracy is the
mean of c where the class was decided, the expected area under the ROC curve is

    sum_i c_i (sum_{s_j < s_i} (1 - c_j) + ties / 2) / (sum c  sum (1 - c))

and every other metric likewise follows from rows that count for each class in part.

That is right while labels keep the relation to scores that they had: it follows a change of the
rows (covariate shift), and it is blind to a change of what becomes of them (concept shift). So it
is an early warning that is held against the truth as soon as there is one, and muted when it was
off by more than the margin. Estimates of numbers have no such estimator: their interval is the same
for every row, so it says nothing of the rows at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task
from ratchet.evaluation.measures import Undefined
from ratchet.evaluation.scored import Scored
from ratchet.monitoring.weighing import Reading, measure_weighted, read_metric, reading_of
from ratchet.training.calibrate import Calibration, ScoredRows, fit_map

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.integer]

FEWEST: Final = 200
"""Labelled rows that an estimator is made of at least, and an eighth of them of the rarer class."""
FOR_ISOTONIC: Final = 400
_SURE: Final = 1.645
FEWEST_COHORTS: Final = 3
"""Matured cohorts from which the estimator's error is told."""

NO_ESTIMATE: Final = (
    "a regression's errors cannot be told before its labels: its interval is the same for every row"
)
TOO_FEW: Final = "too few labelled rows to calibrate the scores on"


@dataclass(frozen=True, slots=True)
class Estimator:
    """What is needed to estimate a model's performance from its scores.

    Attributes:
        calibration: from scores to chances; None where the scores are chances already.
        reference: each metric on the rows it was calibrated on: what is usual, and how sure.
        rows: labelled rows it was calibrated on.
        source: ``test`` rows of the training, or ``live`` ones.
    """

    calibration: Calibration | None
    reference: Mapping[str, tuple[float, float]]
    rows: int
    source: str = "test"

    def to_json(self) -> dict[str, Any]:
        """A JSON object; the same estimator gives the same one."""
        return {
            "calibration": None if self.calibration is None else self.calibration.to_json(),
            "reference": {name: list(pair) for name, pair in self.reference.items()},
            "rows": self.rows,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Estimator:
        """The estimator that ``to_json`` wrote."""
        held = raw["calibration"]
        return cls(
            None if held is None else Calibration.from_json(held),
            {name: (float(pair[0]), float(pair[1])) for name, pair in raw["reference"].items()},
            raw["rows"],
            raw["source"],
        )


@dataclass(frozen=True, slots=True)
class EstimatorError:
    """How far estimates were from what was realised, once the labels were there.

    Attributes:
        metric: the metric.
        cohorts: matured cohorts that were compared.
        bias: mean of estimate less realised value.
        error: root of the mean squared difference, less what the sampling of the realised values
            explains.
        margin: the error from which the estimator is muted.
        muted: it was off by more than the margin, and not by chance.
    """

    metric: str
    cohorts: int
    bias: float
    error: float
    margin: float
    muted: bool


def fit_estimator(
    y: Codes,
    proba: Floats,
    predicted: Codes,
    task: Task,
    names: Sequence[str],
    *,
    source: str = "test",
) -> Estimator | None:
    """An estimator from labelled rows that the model did not learn from; None with too few.

    Args:
        y: true class codes (n,).
        proba: class scores (n, k).
        predicted: decided class codes (n,).
        task: what is predicted.
        names: the metrics whose usual values are kept.
        source: where the rows are from.
    """
    if task.kind == "regression" or len(y) < FEWEST:
        return None
    rarest = int(np.bincount(y, minlength=len(task.classes)).min())
    if rarest < (FEWEST // 8 if task.kind == "binary" else 1):
        return None
    rows = ScoredRows(proba, y.astype(np.int64), np.ones(len(y)))
    if task.kind == "multiclass":
        method = "temperature" if rarest < 10 else "offsets"
    else:
        method = "isotonic" if rarest >= FOR_ISOTONIC else "sigmoid"
    scored, weight = Scored(y, proba, predicted, task), np.ones(len(y))
    reference = {}
    for name in names:
        found = read_metric(scored, name, weight)
        if found is not None:
            reference[name] = (_short(found.value), _short(found.se))
    fitted = fit_map(method, rows)
    rounded = Calibration(fitted.method, tuple(_short(point) for point in fitted.points))
    return Estimator(rounded, reference, len(y), source)


def estimate(
    estimator: Estimator,
    proba: Floats,
    predicted: Codes,
    task: Task,
    names: Sequence[str],
    *,
    confidence: float = 0.95,
) -> dict[str, Reading]:
    """What the metrics of these rows will be, by the estimator's lights.

    The interval holds the chance of the labels that are to come, and how well the metric was known
    on the rows that the scores were calibrated on.

    Args:
        estimator: of the model that gave the scores.
        proba: class scores (n, k).
        predicted: decided class codes (n,).
        task: what is predicted.
        names: the metrics; one that has no value on the rows is left out.
        confidence: of the intervals.
    """
    count, classes = proba.shape
    if not count:
        return {}
    chances = proba if estimator.calibration is None else estimator.calibration.apply(proba)
    chances = chances / chances.sum(axis=1, keepdims=True)
    expanded = Scored(
        np.tile(np.arange(classes), count),
        np.repeat(proba, classes, axis=0),
        np.repeat(predicted, classes),
        task,
    )
    weight = chances.ravel()
    found = {}
    for name in names:
        measured = measure_weighted(expanded, name, weight)
        if isinstance(measured, Undefined) or not np.isfinite(measured.value):
            continue
        parts = measured.influence.reshape(count, classes)
        mean = (chances * parts).sum(axis=1, keepdims=True)
        by_label = float((chances * np.square(parts - mean)).sum()) / count**2
        _, known = estimator.reference.get(name, (0.0, 0.0))
        se = sqrt(by_label + known**2)
        found[name] = reading_of(name, measured.value, se, count, confidence)
    return found


def estimator_error(
    metric: str, pairs: Sequence[tuple[Reading, Reading]], margin: float
) -> EstimatorError | None:
    """The error over cohorts of which both is known; None with fewer than three.

    Args:
        metric: the metric.
        pairs: estimate and realised value of each matured cohort.
        margin: the error from which the estimator is muted.
    """
    if len(pairs) < FEWEST_COHORTS:
        return None
    rows = np.array([realised.rows for _, realised in pairs], dtype=np.float64)
    off = np.array([guess.value - realised.value for guess, realised in pairs])
    chance = np.array([realised.se for _, realised in pairs])
    weight = rows / rows.sum()
    excess = float(weight @ (off**2 - chance**2))
    # Squares of the realised values' own errors vary, by the variance of a squared normal.
    spread = sqrt(2.0 * float(np.square(weight * chance**2).sum()))
    error = sqrt(max(excess, 0.0))
    muted = excess > margin**2 + _SURE * spread
    return EstimatorError(metric, len(pairs), float(weight @ off), error, margin, muted)


def _short(value: float) -> float:
    # The last digits of a fit are nothing to tell two bundles apart by.
    return float(f"{value:.8g}")
