"""What monitoring would have told the policy of the champion's quality at a moment of the past.

The cohorts are the periods of the replay; a cohort is mature when all its labels are known. From
them the facts are made by monitoring's own code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from ratchet.backtest.cells import Cells
from ratchet.backtest.settings import listens
from ratchet.evaluation.catalog import metric_names
from ratchet.monitoring.cohorts import FEWEST, Cohort
from ratchet.monitoring.estimate import Estimator, estimate, fit_estimator
from ratchet.monitoring.labelled import Watched
from ratchet.monitoring.lag import LagCurve
from ratchet.monitoring.maturity import LabelAge
from ratchet.monitoring.settings import MonitoringSettings
from ratchet.monitoring.standing import (
    ArmPerformance,
    Baseline,
    Performance,
    best_baseline,
    estimated_of,
    margin_of,
)
from ratchet.monitoring.told import performance_facts
from ratchet.monitoring.trends import LabelTrend
from ratchet.monitoring.weighing import Reading
from ratchet.triggers.facts import Observed, PerformanceFacts
from ratchet.triggers.settings import TriggersSettings

_ARM = "champion"
_LINEAGE = 3
_FEWEST_PERIODS = 20
"""Periods that history covers at least, whatever ``monitoring.history`` is."""


@dataclass(frozen=True, slots=True)
class Served:
    """A version of the replay: the training point it is from, and since when it serves."""

    version: int
    point: int
    since: datetime


class QualityFacts:
    """Facts of one policy's replay."""

    def __init__(
        self, cells: Cells, settings: MonitoringSettings, policy: TriggersSettings
    ) -> None:
        self._cells, self._settings, self._policy = cells, settings, policy
        limits = policy.performance.limits if policy.performance is not None else {}
        known = metric_names(cells.stream.task.kind)
        self._names = tuple(
            dict.fromkeys([cells.watched, *(name for name in limits if name in known)])
        )
        self._estimates = listens(policy, "estimated")
        self._estimators: dict[int, Estimator | None] = {}
        lengths = np.diff([end.timestamp() for end in cells.stream.ends])
        length = timedelta(seconds=float(np.median(lengths)))
        self._recent = max(settings.recent_span, length)
        self._history = max(settings.history_span, _FEWEST_PERIODS * length)

    def facts(self, served: Sequence[Served], period: int) -> PerformanceFacts | None:
        """What is known of the champion at the end of a period; None before it has answered."""
        stream, now = self._cells.stream, self._cells.stream.ends[period]
        champion = served[-1]
        cohorts = self._cohorts(champion, period, now)
        if not cohorts:
            return None
        ends = [one.point for one in served[1:]] + [period]
        baselines = {
            one.version: self._baselines(one, until, period, now)
            for one, until in list(zip(served, ends, strict=True))[-_LINEAGE:]
        }
        metric = self._cells.watched
        best = best_baseline(champion.version, [one.version for one in served], metric, baselines)
        share = self._settings.margin
        arm = ArmPerformance(
            champion.version, _ARM, metric, None, None, None,
            sum(one.mature for one in cohorts), sum(not one.mature for one in cohorts),
            best, None, None, margin_of(share, metric, None if best is None else best.value), 0.0,
            estimated_of(cohorts, self._watched(champion), metric, as_of=now, share=share),
        )  # fmt: skip
        delay = stream.delay.total_seconds()
        curve = LagCurve((delay,), (1.0,), delay, stream.rows, stream.rows, True)
        found = Performance(
            now, tuple(cohorts), (arm,), (), baselines, curve, LabelTrend(), stream.rows,
            label_age=LabelAge(delay),
        )  # fmt: skip
        told = performance_facts(
            found, champion.version, [(one.version, one.since) for one in served]
        )
        if told is None:
            return None
        lag = None if told["label_lag"] is None else told["label_lag"]
        return Observed.from_json({"performance": told | {"label_lag": lag}}).performance

    def _cohorts(self, champion: Served, period: int, now: datetime) -> list[Cohort]:
        stream = self._cells.stream
        known, made = stream.known(period), []
        for number in range(champion.point + 1, period + 1):
            rows = stream.rows_of(number)
            count = rows.stop - rows.start
            start = stream.ends[number - 1]
            if not count or start < now - self._history:
                continue
            there = min(max(known - rows.start, 0), count)
            made.append(
                Cohort(
                    start=start,
                    end=stream.ends[number],
                    version=champion.version,
                    arm=_ARM,
                    predictions=count,
                    labelled=there,
                    coverage=there / count,
                    mature=there == count,
                    metrics=self._metrics(champion, number) if there == count else {},
                    estimated=self._estimated(champion, number),
                )
            )
        return made

    def _metrics(self, one: Served, period: int) -> dict[str, Reading]:
        found = {name: self._cells.in_period(one.point, period, name) for name in self._names}
        return {name: reading for name, reading in found.items() if reading is not None}

    def _baselines(
        self, one: Served, until: int, period: int, now: datetime
    ) -> dict[str, Baseline]:
        """What a version did when it was new: its first mature cohorts, before that its test."""
        stream, fit = self._cells.stream, self._cells.fits[one.point]
        start, stop, source = fit.tested, fit.known, "test"
        known = stream.known(period)
        mature = [
            number
            for number in range(one.point + 1, until + 1)
            if stream.bounds[number + 1] <= known
            and stream.bounds[number + 1] > stream.bounds[number]
            and stream.ends[number - 1] >= now - self._history
        ]
        if mature:
            began = stream.ends[mature[0] - 1]
            first = [number for number in mature if stream.ends[number] <= began + self._recent]
            enough = stream.ends[mature[-1]] - began >= 2 * self._recent
            rows = (
                (int(stream.bounds[mature[0]]), int(stream.bounds[first[-1] + 1]))
                if first
                else (0, 0)
            )
            if enough and rows[1] - rows[0] >= FEWEST:
                (start, stop), source = rows, "live"
        found = {name: self._cells.reading(one.point, start, stop, name) for name in self._names}
        return {
            name: Baseline(one.version, reading.value, reading.se, source, reading.rows)
            for name, reading in found.items()
            if reading is not None
        }

    def _watched(self, one: Served) -> Watched:
        return Watched(one.version, self._cells.stream.task, estimator=self._estimator(one))

    def _estimator(self, one: Served) -> Estimator | None:
        if not self._estimates:
            return None
        if one.point not in self._estimators:
            fit, cells = self._cells.fits[one.point], self._cells
            rows = cells.scored(one.point, fit.tested, fit.known)
            self._estimators[one.point] = fit_estimator(
                rows.y, rows.proba, rows.predicted, rows.task, self._names
            )
        return self._estimators[one.point]

    def _estimated(self, one: Served, period: int) -> dict[str, Reading]:
        estimator = self._estimator(one)
        if estimator is None:
            return {}
        span = self._cells.stream.rows_of(period)
        rows = self._cells.scored(one.point, span.start, span.stop)
        return estimate(
            estimator, rows.proba, rows.predicted, rows.task, self._names,
            confidence=self._settings.confidence,
        )  # fmt: skip
