"""Rollouts: how a version comes to serve step by step.

A rollout is a row that changes, and an event for each change (``rollout_steps.py``). At most one of
a project is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, select

from ratchet.errors import UsageError
from ratchet.ledger.tables import rollouts

Strategy = Literal["direct", "canary", "shadow", "manual"]
Status = Literal[
    "shadow", "running", "paused", "awaiting_approval", "promoted", "rolled_back", "aborted"
]
Watch = Literal["off", "on", "clean", "worse", "unknown", "ended"]
Serves = Literal["shadow", "canary", "clear", "promote", "back"]

CHANGED = "rollout_changed"
CHALLENGER: Final = "challenger"
"""The arm, and the alias, of the version that is being rolled out."""

OPEN: tuple[Status, ...] = ("shadow", "running", "paused", "awaiting_approval")
BEFORE = -1
"""The stage of a version that answers nobody yet: it waits, or shadows."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """How a version comes to serve.

    Attributes:
        seq: the number of the event that changed it last; changing it takes this number.
        previous: the champion when it began, to which it goes back.
        run_id: the run that asked for it; None when somebody did by hand.
        stage: which of ``rules["steps"]`` is in force; -1 before the first.
        share: of the traffic in percent.
        rules: what it goes by, as it was when it began; no setting changes a test that runs.
        record: the number of the record of what serves that it stands on; None: none of its own.
        watch: after the promotion ``on``, then its verdict: ``clean``, ``worse``, ``unknown`` (no
            labels came), or ``ended`` (something else serves).
        evidence: what the last step was decided on.
        started, stage_started, promoted: by the clock of whoever did it, as the times of what was
            served are; ``changed`` and ``ended`` are their events', which never go back.
    """

    rollout_id: str
    seq: int
    changed: datetime
    version: int
    previous: int
    run_id: str | None
    strategy: Strategy
    status: Status
    stage: int
    share: float
    rules: Mapping[str, Any]
    salt: str
    record: int | None
    started: datetime
    stage_started: datetime
    promoted: datetime | None
    ended: datetime | None
    watch: Watch
    evidence: Mapping[str, Any]
    by: str
    reason: str

    @property
    def open(self) -> bool:
        """Whether it is still to end in a promotion or not."""
        return self.status in OPEN

    @property
    def only_looks(self) -> bool:
        """Whether it is open only to look closer: it asks for nothing until somebody approves."""
        return self.open and bool(self.rules.get("only_looks")) and bool(self.rules["approval"])

    @property
    def alive(self) -> bool:
        """Whether anything is still to be decided: it is open, or watched after its promotion."""
        return self.open or self.watch == "on"


@dataclass(frozen=True, slots=True)
class Begin:
    """A rollout, asked for.

    Attributes:
        serves: ``shadow`` or ``canary`` from now on; None: nothing yet.
        forced: let it answer although its gates did not pass.
    """

    version: int
    strategy: Strategy
    status: Status
    rules: Mapping[str, Any]
    by: str
    reason: str
    run_id: str | None = None
    stage: int = BEFORE
    share: float = 0.0
    serves: Serves | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """A step of a rollout, asked for; what is None stays as it is.

    Attributes:
        expected_seq: ``Rollout.seq`` when this was decided.
        serves: what serves from then on: ``shadow``; ``canary`` with ``share``; ``clear``: the
            champion alone; ``promote``: this version; ``back``: the champion before it.
        anew: the step at work, or the watch, begins anew at this time, as the clock was put back.
    """

    rollout_id: str
    expected_seq: int
    by: str
    reason: str
    status: Status | None = None
    stage: int | None = None
    share: float | None = None
    watch: Watch | None = None
    serves: Serves | None = None
    evidence: Mapping[str, Any] | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)
    anew: datetime | None = None


def get_rollout(connection: Connection, project: str, rollout_id: str) -> Rollout:
    """One rollout. Raises UsageError when there is none of this id."""
    row = connection.execute(
        select(rollouts).where(rollout_place(project, rollout_id))
    ).one_or_none()
    if row is None:
        raise UsageError(f"There is no rollout {rollout_id}", code="no_rollout")
    return _rollout(row)


def list_rollouts(
    connection: Connection, project: str, limit: int | None = None
) -> tuple[Rollout, ...]:
    """The rollouts, the one that changed last first."""
    query = select(rollouts).where(rollouts.c.project == project)
    query = query.order_by(rollouts.c.seq.desc())
    if limit is not None:
        query = query.limit(limit)
    return tuple(_rollout(row) for row in connection.execute(query))


def live_rollout(connection: Connection, project: str) -> Rollout | None:
    """The rollout with something still to be decided, or None.

    The open one; but while that waits for an approval, the one that is watched, if there is one.
    """
    place = (rollouts.c.project == project) & (
        rollouts.c.status.in_(OPEN) | (rollouts.c.watch == "on")
    )
    found = [_rollout(row) for row in connection.execute(select(rollouts).where(place))]
    return max(found, key=_urgency, default=None)


def _urgency(rollout: Rollout) -> tuple[int, int]:
    waits = rollout.status == "awaiting_approval"
    return (0 if waits else 2 if rollout.open else 1), rollout.seq


def rollout_place(project: str, rollout_id: str) -> Any:
    """The condition that finds a rollout's row."""
    return (rollouts.c.project == project) & (rollouts.c.rollout_id == rollout_id)


def _rollout(row: Row[Any]) -> Rollout:
    fields = dict(row._mapping)
    del fields["project"]
    return Rollout(**fields)
