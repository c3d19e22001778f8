"""How well each version and arm does: realised on mature cohorts, estimated until then.

Everything is as of a moment: what was answered or observed later has no part in it, so that the
same question about the past always has the same answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import hypot
from typing import Any, Final

import numpy as np

from ratchet.data.lake import Lake
from ratchet.evaluation.catalog import find_metric
from ratchet.monitoring.cohorts import (
    FEWEST,
    Aged,
    Cohort,
    age,
    cut_cohorts,
    readings,
)
from ratchet.monitoring.labelled import Log, Watched, micros, read_log
from ratchet.monitoring.maturity import Maturity, label_age, label_lags, usual_lags
from ratchet.monitoring.pairs import find_pairs, metric_of
from ratchet.monitoring.parts import Part, recent_parts
from ratchet.monitoring.standing import (
    ArmPerformance,
    Baseline,
    Performance,
    best_baseline,
    estimated_of,
    margin_of,
    regret_of,
)
from ratchet.monitoring.trends import label_trend

_WATCHED: Final = {
    "binary": ("roc_auc", "accuracy", "log_loss", "f1_positive"),
    "multiclass": ("log_loss", "accuracy", "roc_auc", "f1"),
    "regression": ("rmse", "mae"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        as_of: nothing answered or observed later is used.
        metric: what performance is judged by; the usual one of the task when None.
        period: of a cohort.
        recent: the newest mature cohorts of this span are the present.
        history: how far back predictions are looked at.
        maturity: when a cohort is mature.
        margin: a loss that counts as none, and the error at which the estimator is muted; for a
            metric without upper end a share of its usual value.
        confidence: of the intervals.
        lineage: versions that were promoted, oldest first: a baseline is the best of three.
        slices: columns whose values are looked at apart; all inputs when empty.
        unlogged: columns that the log drops or keeps as digests.
    """

    as_of: datetime
    metric: str | None = None
    period: timedelta = timedelta(days=1)
    recent: timedelta = timedelta(days=7)
    history: timedelta = timedelta(days=90)
    maturity: Maturity = field(default_factory=Maturity)
    margin: float = 0.02
    confidence: float = 0.95
    lineage: tuple[int, ...] = ()
    slices: tuple[str, ...] = ()
    unlogged: frozenset[str] = frozenset()


def measure(lake: Lake, watched: Mapping[int, Watched], question: Question) -> Performance:
    """The performance of some versions as of a moment.

    Raises:
        StorageError: the lake cannot be read.
    """
    log = read_log(lake, watched, as_of=question.as_of, since=question.as_of - question.history)
    return judge_log(log, watched, question, lake=lake)


def judge_log(
    log: Log, watched: Mapping[int, Watched], question: Question, *, lake: Lake | None = None
) -> Performance:
    """What a log says; with a lake the parts of the rows are looked at, too."""
    curve = label_lags(log)
    usual, needed = usual_lags(log, curve), label_age(log, curve, question.maturity)
    share = question.maturity.share
    aged = [
        age(log, one, usual, needed, period=question.period, share=share) for one in log.answers
    ]
    cohorts = [_cohorts(log, one, watched[one.answers.version], question) for one in aged]
    baselines = {
        version: {
            name: Baseline(version, value, se, "test")
            for name, (value, se) in known.reference.items()
        }
        for version, known in watched.items()
    }
    for one, found in zip(aged, cohorts, strict=True):
        if not one.answers.shadow:
            baselines[one.answers.version] |= _first(one, found, question)
    arms = [
        _arm(one, found, watched, question, baselines=baselines, lake=lake)
        for one, found in zip(aged, cohorts, strict=True)
    ]
    every = [cohort for found in cohorts for cohort in found]
    return Performance(
        as_of=log.as_of,
        cohorts=tuple(sorted(every, key=lambda one: (one.start, one.version, one.arm))),
        arms=tuple(arms),
        pairs=find_pairs(aged, watched, question.metric, question.confidence),
        baselines=baselines,
        lag=curve,
        labels=label_trend(log, question.recent),
        rows=sum(len(answers) for answers in log.answers),
        unfit=log.unfit,
        unknown=log.unknown,
        label_age=needed,
    )


def _cohorts(log: Log, aged: Aged, known: Watched, question: Question) -> tuple[Cohort, ...]:
    metric = metric_of(question.metric, known)
    names = tuple(dict.fromkeys((metric, *_WATCHED[known.task.kind])))
    return cut_cohorts(log, aged, known, names, question.period, confidence=question.confidence)


def _arm(
    aged: Aged,
    cohorts: Sequence[Cohort],
    watched: Mapping[int, Watched],
    question: Question,
    *,
    baselines: Mapping[int, Mapping[str, Baseline]],
    lake: Lake | None,
) -> ArmPerformance:
    answers, known = aged.answers, watched[aged.answers.version]
    metric = metric_of(question.metric, known)
    mature = [cohort for cohort in cohorts if cohort.mature]
    newest = [one for one in mature if one.start >= mature[-1].end - question.recent]
    recent, parts = None, tuple[Part, ...]()
    if newest:
        mask = _inside(aged, newest)
        if mask.sum() >= FEWEST:
            recent = readings(aged, mask, (metric,), question.confidence).get(metric)
            if lake is not None and not answers.shadow:
                parts = recent_parts(lake, answers, mask, known, metric, question)
    baseline = best_baseline(known.version, question.lineage, metric, baselines)
    drop = z = None
    if recent is not None and baseline is not None:
        drop = find_metric(metric).sign * (baseline.value - recent.value)
        spread = hypot(recent.se, baseline.se)
        z = drop / spread if spread > 0 else None
    return ArmPerformance(
        version=answers.version,
        arm=answers.arm,
        metric=metric,
        recent=recent,
        since=newest[0].start if newest else None,
        until=newest[-1].end if newest else None,
        mature=len(mature),
        immature=len(cohorts) - len(mature),
        baseline=baseline,
        drop=drop,
        z=z,
        margin=margin_of(question.margin, metric, None if baseline is None else baseline.value),
        regret=regret_of(mature, baseline, metric),
        estimated=estimated_of(cohorts, known, metric, as_of=question.as_of, share=question.margin),
        parts=parts,
    )


def _first(aged: Aged, cohorts: Sequence[Cohort], question: Question) -> dict[str, Baseline]:
    """A version's first mature cohorts together, once newer ones are told apart from them."""
    mature = [one for one in cohorts if one.mature]
    if not mature or mature[-1].end - mature[0].start < 2 * question.recent:
        return {}
    first = [one for one in mature if one.end <= mature[0].start + question.recent]
    mask = _inside(aged, first)
    if mask.sum() < FEWEST:
        return {}
    names = list(dict.fromkeys(name for one in first for name in one.metrics))
    version = aged.answers.version
    return {
        name: Baseline(version, one.value, one.se, "live", one.rows)
        for name, one in readings(aged, mask, names, question.confidence).items()
    }


def _inside(aged: Aged, cohorts: Sequence[Cohort]) -> Any:
    """The labelled rows of some cohorts (n,)."""
    length = micros(cohorts[0].end) - micros(cohorts[0].start)
    numbers = [micros(cohort.start) // length for cohort in cohorts]
    return np.isin(aged.period, numbers) & aged.answers.has
