"""Predictions of one period, judged together: realised, estimated, and bounded until all is known.

A cohort is *mature* when nearly all labels it will ever have are there (``maturity.py``). Before
that its metric is shown with what bounds it, and decides nothing: labels that came early are no
random part of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.monitoring.bounds import metric_bounds
from ratchet.monitoring.estimate import estimate
from ratchet.monitoring.labelled import Answers, Log, Watched, moment_of
from ratchet.monitoring.lag import LagCurve, arrival_weights
from ratchet.monitoring.maturity import LabelAge, ages_of, is_mature
from ratchet.monitoring.weighing import Reading, read_metric

Floats = npt.NDArray[np.float64]

FEWEST: Final = 30
"""Labelled rows that a cohort's metric is told from."""
_ENOUGH_OF_A_KIND: Final = 100


@dataclass(frozen=True, slots=True)
class Cohort:
    """The predictions of one version and arm in one period.

    Attributes:
        start: of the period.
        end: of the period; a period that is not over yet is never mature.
        version: the model version.
        arm: the arm.
        predictions: how many.
        labelled: how many have an outcome.
        coverage: the share of them.
        mature: nearly all labels that will ever come are there.
        metrics: realised, weighted for labels that are slow to come; provisional until mature.
        estimated: from the scores alone.
        bounds: the least and the largest value possible once all labels are there, before
            maturity; for metrics that have any.
    """

    start: datetime
    end: datetime
    version: int
    arm: str
    predictions: int
    labelled: int
    coverage: float
    mature: bool
    metrics: Mapping[str, Reading] = field(default_factory=dict)
    estimated: Mapping[str, Reading] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "version": self.version,
            "arm": self.arm,
            "predictions": self.predictions,
            "labelled": self.labelled,
            "coverage": self.coverage,
            "mature": self.mature,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "estimated": {name: one.to_json() for name, one in self.estimated.items()},
            "bounds": {name: list(pair) for name, pair in self.bounds.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Aged:
    """Predictions of one version and arm with their periods and weights.

    Attributes:
        answers: the predictions.
        period: the number of each one's period (n,).
        weight: what a labelled row counts (n,); 1 where there is no label.
        mature: the numbers of mature periods.
    """

    answers: Answers
    period: npt.NDArray[np.int64]
    weight: Floats
    mature: frozenset[int]


def age(
    log: Log,
    answers: Answers,
    curve: LagCurve,
    needed: LabelAge,
    *,
    period: timedelta,
    share: float,
) -> Aged:
    """Cut predictions into periods (from 1970 on, in UTC) and weigh those with a label.

    Args:
        log: what is known.
        answers: the predictions.
        curve: how many labels come.
        needed: the age of mature periods.
        period: the length of one.
        share: of the labels that will ever come, that is enough.
    """
    length = int(period / timedelta(microseconds=1))
    numbers = answers.at // length
    weight, ages = np.ones(len(answers)), ages_of(log, answers)
    has = answers.has
    if has.any():
        weight[has] = arrival_weights(ages[has], answers.lag[has], _kinds(answers))
    mature = set()
    for number in np.unique(numbers).tolist():
        mask = numbers == number
        over = (number + 1) * length <= log.now
        if over and is_mature(curve, needed, share, ages[mask], has[mask]):
            mature.add(number)
    return Aged(answers, numbers, weight, frozenset(mature))


def cut_cohorts(
    log: Log,
    aged: Aged,
    watched: Watched,
    names: Sequence[str],
    period: timedelta,
    *,
    confidence: float,
) -> tuple[Cohort, ...]:
    """The cohorts of one version and arm, oldest first.

    Args:
        log: what is known.
        aged: the predictions.
        watched: their version.
        names: the metrics.
        period: of the cohorts.
        confidence: of the intervals.
    """
    answers, made = aged.answers, []
    for number in np.unique(aged.period):
        mask = aged.period == number
        known = mask & answers.has
        count, labelled = int(mask.sum()), int(known.sum())
        mature = int(number) in aged.mature
        realised: dict[str, Reading] = {}
        if labelled >= FEWEST:
            realised = readings(aged, known, names, confidence)
        guessed: dict[str, Reading] = {}
        if watched.estimator is not None:
            decided = answers.predicted[mask]
            guessed = estimate(
                watched.estimator,
                answers.proba[mask],
                decided,
                answers.task,
                names,
                confidence=confidence,
            )
        made.append(
            Cohort(
                start=_start(int(number), period),
                end=_start(int(number) + 1, period),
                version=answers.version,
                arm=answers.arm,
                predictions=count,
                labelled=labelled,
                coverage=labelled / count,
                mature=mature,
                metrics=realised,
                estimated=guessed,
                bounds={} if mature else _bounds(answers, mask, names),
            )
        )
    return tuple(made)


def readings(
    aged: Aged, mask: npt.NDArray[np.bool_], names: Sequence[str], confidence: float
) -> dict[str, Reading]:
    """The metrics of labelled rows; those without a value are left out."""
    scored, weight = aged.answers.scored(mask), aged.weight[mask]
    found = {name: read_metric(scored, name, weight, confidence=confidence) for name in names}
    return {name: one for name, one in found.items() if one is not None}


def _bounds(
    answers: Answers, mask: npt.NDArray[np.bool_], names: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """Bounds of the metrics if every open row gets a label; some may never, so they are wide."""
    known, left = mask & answers.has, mask & ~answers.has
    if not left.any() or not known.any() or answers.task.kind == "regression":
        return {}
    found = {}
    for name in names:
        ends = metric_bounds(answers.scored(known), answers.scored(left), name)
        if ends is not None:
            found[name] = ends
    return found


def _kinds(answers: Answers) -> npt.NDArray[np.int64]:
    """Labelled rows by what became of them and what had been said: their labels take alike.

    Of numbers, by which third of all outcomes theirs is in.
    """
    y = answers.y[answers.has]
    if answers.task.kind == "regression":
        ends = np.quantile(y, (1 / 3, 2 / 3))
        return np.searchsorted(ends, y, side="right").astype(np.int64)
    decided = answers.predicted[answers.has]
    kinds = np.asarray(y * len(answers.task.classes) + decided, dtype=np.int64)
    sizes = dict(zip(*np.unique(kinds, return_counts=True), strict=True))
    few = np.isin(kinds, [kind for kind, size in sizes.items() if size < _ENOUGH_OF_A_KIND])
    # Too few of one kind tell nothing of their delays: they go by the outcome alone.
    return np.where(few, -1 - y.astype(np.int64), kinds)


def _start(number: int, period: timedelta) -> datetime:
    return moment_of(number * int(period / timedelta(microseconds=1)))
