"""How a version stands: what it does, what it is held against, what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ratchet.evaluation.catalog import find_metric
from ratchet.ledger.tables import plain
from ratchet.monitoring.cohorts import FEWEST, Cohort
from ratchet.monitoring.estimate import NO_ESTIMATE, TOO_FEW, EstimatorError, estimator_error
from ratchet.monitoring.labelled import Watched
from ratchet.monitoring.lag import LagCurve
from ratchet.monitoring.maturity import LabelAge
from ratchet.monitoring.pairs import Pair
from ratchet.monitoring.parts import Part
from ratchet.monitoring.trends import LabelTrend
from ratchet.monitoring.weighing import Reading


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a version is held against: the best of the last three that were promoted.

    Attributes:
        version: whose value it is.
        value: of the metric.
        se: its standard error.
        source: ``live``, its first mature cohorts, or ``test``, its test rows.
        rows: labelled rows it is of; 0 where nobody kept that.
    """

    version: int
    value: float
    se: float
    source: str
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Estimated:
    """What the estimator says of the newest cohorts.

    Attributes:
        reading: of the newest cohort that is over.
        usual: the metric on the rows that the scores were calibrated on.
        drop: how much worse the newest is than usual; negative is better.
        in_a_row: newest cohorts in a row that are worse by more than twice the margin.
        muted: the estimator was off by more than the margin where the truth is known.
        error: its error; None until three cohorts matured.
        reason: why there is no estimate; else empty.
    """

    reading: Reading | None = None
    usual: float | None = None
    drop: float | None = None
    in_a_row: int = 0
    muted: bool = False
    error: EstimatorError | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ArmPerformance:
    """One version in one arm.

    Attributes:
        version: the model version.
        arm: the arm.
        metric: what everything here is in.
        recent: the newest mature cohorts together; None when there are too few labels.
        since: where they begin.
        until: where they end.
        mature: mature cohorts in all.
        immature: cohorts that are not mature yet.
        baseline: what ``recent`` is held against; None when nothing is known of it.
        drop: how much worse ``recent`` is than the baseline; negative is better.
        z: ``drop`` over its standard error.
        margin: the loss that counts as none, in the metric's unit.
        regret: loss against the baseline times predictions, over mature cohorts; at least 0.
        estimated: what the scores alone say.
        parts: parts of the recent rows; those that are worse first.
    """

    version: int
    arm: str
    metric: str
    recent: Reading | None
    since: datetime | None
    until: datetime | None
    mature: int
    immature: int
    baseline: Baseline | None
    drop: float | None
    z: float | None
    margin: float
    regret: float
    estimated: Estimated
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Performance:
    """Everything that was found; see ``ArmPerformance`` for a version.

    Attributes:
        as_of: the moment.
        cohorts: of every version and arm, by time.
        arms: by version and arm.
        pairs: shadows against those whose answers were seen, on the same predictions.
        baselines: of every version by metric: what it did when it was new.
        lag: how long labels take.
        labels: whether they still come.
        rows: predictions looked at.
        unfit: predictions or outcomes that fit no class or number of their version.
        unknown: predictions of versions nothing is known of.
        label_age: from what age on cohorts are mature, or why none is.
    """

    as_of: datetime
    cohorts: tuple[Cohort, ...]
    arms: tuple[ArmPerformance, ...]
    pairs: tuple[Pair, ...]
    baselines: Mapping[int, Mapping[str, Baseline]]
    lag: LagCurve
    labels: LabelTrend
    rows: int
    unfit: int = 0
    unknown: int = 0
    label_age: LabelAge = field(default_factory=LabelAge)

    def of(self, version: int, arm: str | None = None) -> ArmPerformance | None:
        """A version's performance in an arm, or in the one with the most rows."""
        mine = [one for one in self.arms if one.version == version and arm in (None, one.arm)]
        return max(mine, key=lambda one: one.recent.rows if one.recent else 0, default=None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "as_of": self.as_of.isoformat(),
            "rows": self.rows,
            "unfit": self.unfit,
            "unknown": self.unknown,
            "arms": [_plain(one) for one in self.arms],
            "pairs": [_plain(one) for one in self.pairs],
            "lag": self.lag.to_json(),
            "label_age": asdict(self.label_age),
            "labels": self.labels.to_json(),
            "cohorts": [one.to_json() for one in self.cohorts],
        }


def _plain(value: ArmPerformance | Pair) -> dict[str, Any]:
    """As JSON values, moments in ISO form."""
    told: dict[str, Any] = plain(asdict(value))
    return told


def margin_of(share: float, metric: str, usual: float | None) -> float:
    """The loss that counts as none: ``share``, or that share of what is usual without an end."""
    if find_metric(metric).upper is not None or usual is None:
        return share
    return share * abs(usual)


def best_baseline(
    version: int,
    lineage: Sequence[int],
    metric: str,
    known: Mapping[int, Mapping[str, Baseline]],
) -> Baseline | None:
    """The best of a version and the two that were promoted before it.

    A model that was made in the middle of a change begins badly; held against itself alone it
    would never be found worse.

    Args:
        version: the version.
        lineage: versions that were promoted, oldest first.
        metric: what is best.
        known: every version's baselines by metric.
    """
    line = [number for number in lineage if number < version][-2:]
    found = [
        known[number][metric] for number in (*line, version) if metric in known.get(number, {})
    ]
    sign = find_metric(metric).sign
    return max(found, key=lambda one: sign * one.value, default=None)


def regret_of(mature: Sequence[Cohort], baseline: Baseline | None, metric: str) -> float:
    """Loss against the baseline times predictions, since the version last did as well."""
    if baseline is None:
        return 0.0
    total, sign = 0.0, find_metric(metric).sign
    for cohort in mature:
        reading = cohort.metrics.get(metric)
        if reading is not None:
            total = max(0.0, total + sign * (baseline.value - reading.value) * cohort.predictions)
    return total


def estimated_of(
    cohorts: Sequence[Cohort], known: Watched, metric: str, *, as_of: datetime, share: float
) -> Estimated:
    """What the estimator says of the newest cohorts, and how far it was off before."""
    if known.task.kind == "regression":
        return Estimated(reason=NO_ESTIMATE)
    if known.estimator is None:
        return Estimated(reason=TOO_FEW)
    usual = known.estimator.reference.get(metric, (None, 0.0))[0]
    margin, sign = margin_of(share, metric, usual), find_metric(metric).sign
    over = [
        cohort
        for cohort in cohorts
        if cohort.end <= as_of and metric in cohort.estimated and cohort.predictions >= FEWEST
    ]
    pairs = [
        (cohort.estimated[metric], cohort.metrics[metric])
        for cohort in over
        if cohort.mature and metric in cohort.metrics
    ]
    error = estimator_error(metric, pairs, margin)
    in_a_row = 0
    for cohort in reversed(over):
        if usual is None or sign * (usual - cohort.estimated[metric].value) <= 2 * margin:
            break
        in_a_row += 1
    newest = over[-1].estimated[metric] if over else None
    drop = None if newest is None or usual is None else sign * (usual - newest.value)
    return Estimated(newest, usual, drop, in_a_row, error is not None and error.muted, error)
