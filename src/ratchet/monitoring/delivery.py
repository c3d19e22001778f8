"""How well a project delivers models: DORA's measures, defined for models, from the ledger.

A deployment is a version that becomes champion and answers everything. Rollbacks are none of
their own. A canary that is taken back before that is a failure that was prevented, told apart.
Medians and 90th percentiles over the window, never averages of ratios.

Definitions after DORA's guide (dora.dev/guides/dora-metrics-four-keys): change lead time,
deployment frequency, failed deployment recovery time, change fail rate, deployment rework rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from ratchet.ledger.deployments import Deployment
from ratchet.ledger.history import History, Made
from ratchet.monitoring.incidents import FAILS_WITHIN, Incident, find_incidents

WINDOW: Final = timedelta(days=90)
UNPLANNED: Final = frozenset({"performance", "regret", "estimated"})
"""The triggers that answer an incident; the others are planned."""

BY_RUN: Final = "run"
"""Who a deployment is by that a run made itself, without a rollout."""

_BEFORE_GATE = ("ingest", "validate", "split", "features", "train", "evaluate")
_GATE = ("package", "gate")


@dataclass(frozen=True, slots=True)
class Spread:
    """Of several durations in seconds: how many, the middle one, and nine in ten are below."""

    count: int
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """A part of a whole; its share is None when the whole is nothing."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        """The part divided by the whole."""
        return self.part / self.whole if self.whole else None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The measures over a window.

    Attributes:
        days: length of the window, or since the project's first event if that is shorter.
        deployments: versions that became champion.
        per_week: deployments a week; of a shorter time, as if it had been a week.
        rejected, prevented: models stopped by a gate, and by a canary or shadow.
        lead_time: from the decision to train to answering everything; ``parts``: of which
            queue, train, gate and rollout.
        code_lead_time: from the commit of the project's folder to answering everything, of
            deployments that brought another commit than the one before.
        data_age: of the newest rows the version learned from, when it began to answer.
        change_failure: deployments that failed, of all; ``pending``: are still too young to tell.
        recovery: from the failing version's first answer to another version answering again; of
            incidents that somebody recorded, from their begin to their end.
        rework: deployments that answer an incident, of all.
    """

    at: datetime
    days: float
    deployments: int
    per_week: float
    rejected: int
    prevented: int
    lead_time: Spread
    parts: Mapping[str, Spread]
    data_age: Spread
    change_failure: Rate
    pending: int
    recovery: Spread
    rework: Rate
    incidents: tuple[Incident, ...] = field(default=())
    code_lead_time: Spread = Spread(0, None, None)

    def to_json(self) -> dict[str, Any]:
        """As in ``ratchet delivery --json``; durations in seconds."""
        body = asdict(self)
        body["at"] = self.at.isoformat()
        for name in ("change_failure", "rework"):
            rate: Rate = getattr(self, name)
            body[name] = {"part": rate.part, "whole": rate.whole, "share": rate.share}
        for told in body["incidents"]:
            for name in ("started", "detected", "resolved", "deployed"):
                told[name] = None if told[name] is None else told[name].isoformat()
        return body


def measure_delivery(past: History, arrived: Mapping[int, datetime] | None = None) -> Delivery:
    """The measures over the past.

    Args:
        arrived: by version of the table, when its rows arrived.
    """
    window = past.at - (max(past.since, past.began) if past.began else past.since)
    days = max(window / timedelta(days=1), 1.0)
    deployed = [row for row in past.champions if row.action == "promote" and row.at >= past.since]
    incidents = find_incidents(past)
    failed = {(each.version, each.deployed) for each in incidents}
    lead, ages, parts = _lead_times(past, deployed, arrived or {})
    return Delivery(
        at=past.at,
        days=days,
        deployments=len(deployed),
        per_week=len(deployed) / max(days, 7.0) * 7.0,
        rejected=sum(run.outcome == "rejected" for run in past.runs),
        prevented=sum(
            each.status == "rolled_back" and each.promoted is None for each in past.rollouts
        ),
        lead_time=spread_of(lead),
        parts={name: spread_of(found) for name, found in parts.items()},
        data_age=spread_of(ages),
        change_failure=Rate(
            sum((row.version, row.at) in failed for row in deployed), len(deployed)
        ),
        pending=sum(
            (row.version, row.at) not in failed and past.at - row.at < FAILS_WITHIN
            for row in deployed
        ),
        recovery=spread_of(
            [_seconds(each.started, each.resolved) for each in incidents if each.resolved]
        ),
        rework=Rate(sum(_is_rework(past, row) for row in deployed), len(deployed)),
        incidents=incidents,
        code_lead_time=spread_of(_code_lead_times(past, deployed)),
    )


def spread_of(seconds: Sequence[float]) -> Spread:
    """Median and 90th percentile (nearest rank) of durations."""
    if not seconds:
        return Spread(0, None, None)
    ordered = sorted(seconds)
    count = len(ordered)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2.0
    return Spread(count, middle, ordered[-(-9 * count // 10) - 1])


def _lead_times(
    past: History, deployed: Sequence[Deployment], arrived: Mapping[int, datetime]
) -> tuple[list[float], list[float], dict[str, list[float]]]:
    lead: list[float] = []
    ages: list[float] = []
    parts: dict[str, list[float]] = {name: [] for name in ("queue", "train", "gate", "rollout")}
    told: set[int] = set()
    for row in deployed:
        made = past.made.get(row.version or 0)
        if made is None or row.version is None or row.version in told:
            continue  # promoted again, by hand: it took no time to make
        told.add(row.version)
        began = made.decided or made.run.started
        lead.append(_seconds(began, row.at))
        for name, seconds in _parts(made, row).items():
            parts[name].append(seconds)
        snapshot = made.run.snapshot_version
        born = None if snapshot is None else arrived.get(snapshot)
        if born is not None:
            ages.append(_seconds(born, row.at))
    return lead, ages, parts


def _code_lead_times(past: History, deployed: Sequence[Deployment]) -> list[float]:
    """A model that data alone brought is no change of the code."""
    found: list[float] = []
    before: str | None = None
    for row in deployed:
        made = past.made.get(row.version or 0)
        if made is None or made.commit is None:
            continue
        if made.commit != before and made.committed is not None:
            found.append(_seconds(made.committed, row.at))
        before = made.commit
    return found


def _parts(made: Made, row: Deployment) -> dict[str, float]:
    """Of a run that promotes its model itself, all after training is the gate's: it rolls nothing
    out."""
    seconds = {step.name: step.seconds or 0.0 for step in made.steps}
    decided = made.decided or made.run.started
    judged = [step.recorded for step in made.steps if step.name in _GATE and step.recorded]
    known = {
        "queue": _seconds(decided, made.run.started),
        "train": sum(seconds.get(name, 0.0) for name in _BEFORE_GATE),
        "gate": sum(seconds.get(name, 0.0) for name in _GATE),
    }
    if judged:
        part = "gate" if row.by == BY_RUN else "rollout"
        known[part] = known.get(part, 0.0) + _seconds(max(judged), row.at)
    return known


def _is_rework(past: History, row: Deployment) -> bool:
    """Whether a deployment answers an incident: by its trigger, or as the first after one."""
    made = past.made.get(row.version or 0)
    # Rules that hold together name a run together: performance+new_rows.
    if made is not None and UNPLANNED.intersection(made.run.trigger.split("+")):
        return True
    before = [each for each in past.champions if each.seq < row.seq]
    return bool(before) and before[-1].action == "rollback"


def _seconds(first: datetime, then: datetime) -> float:
    return max((then - first).total_seconds(), 0.0)
