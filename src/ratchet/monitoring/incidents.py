"""Deployments that failed: taken back, found worse by the watch, or said so by somebody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ratchet.ledger.deployments import Deployment
from ratchet.ledger.history import History
from ratchet.ledger.incidents import Report

FAILS_WITHIN: Final = timedelta(days=30)
"""A deployment that is undone or found worse within this time has failed."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which users were hit, and how it was mended; times are None until they are known.

    Attributes:
        version: which answered; None where none did.
        started: when the version began to answer; where somebody recorded it, what they said.
        detected: when it was decided against it, or recorded.
        resolved: when another version answered everything again, or what was recorded.
        by: who took it back or recorded it: a person, or ``rollout``.
        deployed: of the deployment that failed by it; None for one that none is blamed for.
    """

    version: int | None
    started: datetime
    detected: datetime
    resolved: datetime | None
    by: str
    reason: str
    deployed: datetime | None = None


def find_incidents(past: History) -> tuple[Incident, ...]:
    """The incidents of the window, in the order of time.

    One that somebody recorded is blamed on the deployment of the version that answered when it
    began, if that was at most ``FAILS_WITHIN`` before. Where the same deployment was taken back,
    or found worse, it is one incident, with the times that were recorded.
    """
    seen = {one.deployed: one for one in _undone(past)}
    told = []
    for report in past.incidents:
        if report.since < past.since and (report.until or past.at) < past.since:
            continue
        row = _blamed(past, report)
        found = Incident(
            report.version, report.since, report.recorded, report.until, report.by, report.reason,
            None if row is None else row.at,
        )  # fmt: skip
        same = None if row is None else seen.pop(row.at, None)
        if same is not None and found.resolved is None:
            found = replace(found, resolved=same.resolved)
        told.append(found)
    return tuple(sorted((*seen.values(), *told), key=lambda one: one.started))


def _blamed(past: History, report: Report) -> Deployment | None:
    rows = [
        row
        for row in past.champions
        if row.action == "promote" and row.version == report.version and row.at <= report.since
    ]
    if report.version is None or not rows or report.since - rows[-1].at > FAILS_WITHIN:
        return None
    return rows[-1]


def _undone(past: History) -> list[Incident]:
    """Deployments that were undone, or that the watch found worse.

    A rollback counts against the version it leaves, when that was deployed at most
    ``FAILS_WITHIN`` before.
    """
    found: list[Incident] = []
    for place, row in enumerate(past.champions):
        if row.action != "promote" or row.version is None or row.at < past.since:
            continue
        after = past.champions[place + 1] if place + 1 < len(past.champions) else None
        worse = next(
            (
                each
                for each in past.rollouts
                if each.version == row.version and each.watch == "worse" and each.promoted
                and each.promoted >= row.at and (after is None or each.promoted < after.at)
            ),
            None,
        )  # fmt: skip
        undone = after is not None and after.action == "rollback"
        if undone and after is not None and after.at - row.at <= FAILS_WITHIN:
            detected = worse.ended if worse is not None and worse.ended else after.at
            detected = min(detected, after.at)
            found.append(
                Incident(row.version, row.at, detected, after.at, after.by, after.reason, row.at)
            )
        elif worse is not None:
            detected = worse.ended or worse.changed
            resolved = None if after is None else after.at
            found.append(
                Incident(row.version, row.at, detected, resolved, worse.by, worse.reason, row.at)
            )
    return found
