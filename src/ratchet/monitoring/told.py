"""What an observation tells the triggers: plain values, small enough for an event of the ledger.

The fields are those of ``DriftFacts`` and ``PerformanceFacts`` in ``triggers/facts.py``, which is
above this package and reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np

from ratchet.evaluation.catalog import find_metric
from ratchet.monitoring.cohorts import Cohort
from ratchet.monitoring.findings import DriftReport
from ratchet.monitoring.labelled import SHADOW
from ratchet.monitoring.standing import ArmPerformance, Performance
from ratchet.monitoring.weighing import Reading

_MOST_COLUMNS: Final = 10
_MOST_COHORTS: Final = 60
_OF_OTHERS: Final = 10
_LINEAGE: Final = 3
_FOR_GROWTH: Final = 5
_SURE: Final = 2.33
_DAY: Final = 86_400.0


def drift_facts(report: DriftReport, *, until: datetime, in_a_row: int) -> dict[str, Any]:
    """The newest window of the champion."""
    drifted = [column for column in report.columns if column.drifted]
    return {
        "window": until.isoformat(),
        "share": report.share,
        "importance": report.importance_share,
        "columns": [column.column for column in drifted[:_MOST_COLUMNS]],
        "drifted": report.drifted,
        "in_a_row": in_a_row,
        "alarming": report.alarming,
        "reason": report.reason,
    }


def label_need(found: Performance | None, version: int, since: datetime) -> dict[str, Any]:
    """What labels are wanted of: a version's cohorts that a window from ``since`` on lies in.

    Their begin, their predictions, and how many of these have no label; nothing where nobody
    looked at them.
    """
    mine = [
        one
        for one in ([] if found is None else found.cohorts)
        if one.version == version and one.arm != SHADOW and one.end > since
    ]
    if not mine:
        return {}
    rows = sum(one.predictions for one in mine)
    return {
        "since": min(one.start for one in mine).isoformat(),
        "rows": rows,
        "unlabelled": rows - sum(one.labelled for one in mine),
    }


def performance_facts(
    found: Performance, champion: int, lineage: Sequence[tuple[int, datetime]]
) -> dict[str, Any] | None:
    """The champion's performance; None when it has not answered in the span that was looked at."""
    arm = _leading(found, champion)
    if arm is None:
        return None
    mine = [one for one in found.cohorts if (one.version, one.arm) == (champion, arm.arm)]
    mature = [one for one in mine if one.mature][-_MOST_COHORTS:]
    # What is over and has estimates, and no mature labels yet.
    open_ones = [one for one in mine if not one.mature and one.end <= found.as_of and one.estimated]
    names = list(dict.fromkeys([arm.metric, *(n for one in mine for n in one.metrics)]))
    lag = found.label_age.after
    return {
        "version": champion,
        "metric": arm.metric,
        "cohorts": {
            name: _series(mature if name == arm.metric else mature[-_OF_OTHERS:], name)
            for name in names
        },
        "baselines": _baselines(found, lineage, names),
        "estimated": {
            name: [_measured(one.estimated[name], one.predictions, one.end) for one in open_ones]
            for name in (arm.metric,)
            if open_ones and name in open_ones[-1].estimated
        },
        "estimator_error": {}
        if arm.estimated.error is None
        else {arm.metric: arm.estimated.error.error},
        "growth": _growth(mature, arm.metric),
        "label_lag": lag,
    }


def _leading(found: Performance, version: int) -> ArmPerformance | None:
    """The arm in which a version answered most, of those that somebody saw."""
    rows: dict[str, int] = {}
    for cohort in found.cohorts:
        if cohort.version == version and cohort.arm != SHADOW:
            rows[cohort.arm] = rows.get(cohort.arm, 0) + cohort.predictions
    if not rows:
        return None
    return found.of(version, max(rows, key=lambda arm: rows[arm]))


def _series(cohorts: Sequence[Cohort], name: str) -> list[dict[str, Any]]:
    return [
        _measured(one.metrics[name], one.predictions, one.end)
        for one in cohorts
        if name in one.metrics
    ]


def _measured(
    reading: Reading, rows: int, until: datetime | None, version: int | None = None
) -> dict[str, Any]:
    return {
        "value": _short(reading.value),
        "se": _short(reading.se),
        "rows": rows,
        "until": None if until is None else until.isoformat(),
        "version": version,
    }


def _baselines(
    found: Performance, lineage: Sequence[tuple[int, datetime]], names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """What the last promoted versions did when they were new, oldest first."""
    told: dict[str, list[dict[str, Any]]] = {}
    for version, promoted in lineage[-_LINEAGE:]:
        for metric, one in found.baselines.get(version, {}).items():
            if metric not in names:
                continue
            told.setdefault(metric, []).append(
                {
                    "value": _short(one.value),
                    "se": _short(one.se),
                    "rows": one.rows,
                    "until": promoted.isoformat(),
                    "version": version,
                }
            )
    return told


def _short(value: float) -> float:
    """Six digits: the event stays small."""
    return float(f"{value:.6g}")


def _growth(mature: Sequence[Cohort], metric: str) -> float | None:
    """How much worse the metric gets in a day: the slope of the cohorts, if it is surely above 0.

    Least squares with one over the squared standard errors as weights.
    """
    told = [one for one in mature if metric in one.metrics and one.metrics[metric].se > 0]
    if len(told) < _FOR_GROWTH:
        return None
    days = np.array([one.end.timestamp() / _DAY for one in told])
    sign = find_metric(metric).sign
    worse = np.array([-sign * one.metrics[metric].value for one in told])
    weight = np.array([one.metrics[metric].se ** -2 for one in told])
    centred = days - np.average(days, weights=weight)
    spread = float((weight * centred**2).sum())
    if spread <= 0:
        return None
    slope = float((weight * centred * worse).sum()) / spread
    return slope if slope > _SURE / spread**0.5 else 0.0
