"""What a ledger says of a project's health and of how it delivers, read in one look.

Without the runs' summaries, which are long: a server asks this whenever its metrics are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from ratchet.ledger.deployments import Deployment, list_deployments
from ratchet.ledger.events import Event, read_events
from ratchet.ledger.health import FAILED, PROBLEMS, RECOVERED
from ratchet.ledger.incidents import CLOSED, OPENED, Report, list_reports
from ratchet.ledger.lease import LeaseHolder, read_holder
from ratchet.ledger.results import GateRecord, list_gates
from ratchet.ledger.rollouts import Rollout, list_rollouts
from ratchet.ledger.steps import Step, list_steps
from ratchet.ledger.tables import chains, events, moment, outbox, runs
from ratchet.ledger.triggers import EVALUATED, MONITORED
from ratchet.ledger.versions import get_version

SOURCE = "run_source"
"""The event that tells which commit a run's folder was at."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a line: see ``runs.Run``; ``seq`` is the number of the event that began it."""

    run_id: str
    seq: int
    trigger: str
    trigger_key: str | None
    status: str
    outcome: str | None
    reason: str
    attempts: int
    snapshot_version: int | None
    started: datetime
    finished: datetime | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Post:
    """How alerts stand: how many, by status; since when the oldest waits; why it does."""

    by_status: Mapping[str, int]
    waiting_since: datetime | None = None
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """How a version that was promoted came to be.

    Attributes:
        run: the run that made it.
        steps: that run's steps.
        decided: when it was decided to train; None when nobody but a person did.
        commit: that the project's folder was at when the run began; None where nobody knows.
        committed: when that was made.
    """

    run: RunLine
    steps: tuple[Step, ...]
    decided: datetime | None
    commit: str | None = None
    committed: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A project's past, as far as its health and its delivery ask.

    Attributes:
        began: the project's first event; None in an empty ledger.
        runs: those that began since then, oldest first.
        ended: runs that ended, ever, by outcome.
        champions: every change of the champion, oldest first.
        made: how the versions that were promoted since then came to be, by version.
        ill: versions of the record in force that do not load: version and why.
        gates: of the newest run that has any.
        monitored: the newest observation.
        episodes: what was found wrong with the pipeline, and what was not any more, oldest first.
        incidents: what people recorded, oldest first.
    """

    at: datetime
    since: datetime
    began: datetime | None
    runs: tuple[RunLine, ...]
    ended: Mapping[str, int]
    champions: tuple[Deployment, ...]
    rollouts: tuple[Rollout, ...]
    made: Mapping[int, Made]
    holder: LeaseHolder | None
    post: Post
    ill: Mapping[int, str]
    gates: tuple[GateRecord, ...]
    monitored: Event | None
    episodes: tuple[Event, ...]
    incidents: tuple[Report, ...] = ()


def read_history(
    connection: Connection, project: str, *, since: datetime, now: datetime
) -> History:
    """Everything in one look."""
    lines = _lines(connection, project, since)
    champions = list_deployments(connection, project, "champion")
    judged = next((line for line in reversed(lines) if line.outcome not in (None, "skipped")), None)
    began = select(events.c.at).where(events.c.project == project).order_by(events.c.seq).limit(1)
    observed = read_events(connection, project, kind=MONITORED, limit=1)
    return History(
        at=now,
        since=since,
        began=connection.scalar(began),
        runs=lines,
        ended=_ended(connection, project),
        champions=champions,
        rollouts=tuple(
            each for each in list_rollouts(connection, project) if (each.ended or now) >= since
        ),
        made=_made(connection, project, lines, champions, since),
        holder=read_holder(connection, project),
        post=_post(connection, project),
        ill=_ill(connection, project, champions),
        gates=() if judged is None else list_gates(connection, project, judged.run_id),
        monitored=observed[0] if observed else None,
        episodes=tuple(
            event for event in read_events(connection, project, kind=PROBLEMS) if event.at >= since
        ),
        incidents=list_reports(
            event
            for kind in (OPENED, CLOSED)
            for event in read_events(connection, project, kind=kind)
        ),
    )


def newest_event(connection: Connection, project: str) -> int:
    """The number of the project's newest event: unchanged, nothing has happened."""
    found = connection.scalar(select(chains.c.seq).where(chains.c.project == project))
    return int(found or 0)


def _lines(connection: Connection, project: str, since: datetime) -> tuple[RunLine, ...]:
    stored = (runs.c[name] for name in RunLine.__slots__)
    query = select(*stored).where(runs.c.project == project, runs.c.started >= since)
    return tuple(RunLine(*row) for row in connection.execute(query.order_by(runs.c.seq)))


def _ended(connection: Connection, project: str) -> dict[str, int]:
    place = (runs.c.project == project) & runs.c.outcome.is_not(None)
    counted = select(runs.c.outcome, func.count()).where(place).group_by(runs.c.outcome)
    return {str(outcome): int(count) for outcome, count in connection.execute(counted)}


def _made(
    connection: Connection,
    project: str,
    lines: tuple[RunLine, ...],
    champions: tuple[Deployment, ...],
    since: datetime,
) -> dict[int, Made]:
    known = {line.run_id: line for line in lines}
    found: dict[int, Made] = {}
    for row in champions:
        if row.version is None or row.action != "promote" or row.at < since:
            continue
        run = known.get(get_version(connection, project, row.version).run_id)
        if run is None:
            continue
        steps = list_steps(connection, project, run.run_id)
        commit, committed = _commit(connection, project, run.run_id)
        decided = _decided(connection, project, run)
        found[row.version] = Made(run, steps, decided, commit, committed)
    return found


def _commit(
    connection: Connection, project: str, run_id: str
) -> tuple[str | None, datetime | None]:
    told = [
        event.facts
        for event in read_events(connection, project, run_id=run_id)
        if event.kind == SOURCE
    ]
    if not told:
        return None, None
    at = told[-1]["committed"]
    return told[-1]["commit"], None if at is None else moment(at)


def _decided(connection: Connection, project: str, run: RunLine) -> datetime | None:
    """When the policy decided to start the run: the decision is kept before the run begins."""
    if run.trigger_key is None:
        return None
    query = (
        select(events.c.facts)
        .where(events.c.project == project, events.c.kind == EVALUATED, events.c.seq < run.seq)
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    facts: Any = connection.scalar(query)
    granted = (facts or {}).get("granted") or {}
    if granted.get("key") != run.trigger_key:
        return None
    return datetime.fromisoformat(granted["at"])


def _post(connection: Connection, project: str) -> Post:
    place = outbox.c.project == project
    counted = connection.execute(
        select(outbox.c.status, func.count()).where(place).group_by(outbox.c.status)
    )
    by_status = {str(status): int(count) for status, count in counted}
    failing = select(outbox.c.created, outbox.c.last_error).where(
        place, outbox.c.status == "waiting", outbox.c.attempts > 0
    )
    oldest = connection.execute(failing.order_by(outbox.c.created).limit(1)).one_or_none()
    return Post(by_status) if oldest is None else Post(by_status, oldest[0], oldest[1])


def _ill(connection: Connection, project: str, champions: tuple[Deployment, ...]) -> dict[int, str]:
    if not champions:
        return {}
    told = [
        event
        for kind in (FAILED, RECOVERED)
        for event in read_events(connection, project, kind=kind, after=champions[-1].seq)
    ]
    ill: dict[int, str] = {}
    for event in sorted(told, key=lambda event: event.seq):
        if event.kind == FAILED:
            ill[event.facts["version"]] = event.facts["why"]
        else:
            ill.pop(event.facts["version"], None)
    return ill
