"""What set runs off: requests, evaluations of the policy, and which triggers have their run.

Read without the runs' summaries, which are long: a tick over many idle projects asks this often.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, select

from ratchet.ledger.events import Event, read_events
from ratchet.ledger.tables import gates, runs

REQUESTED, EVALUATED, MONITORED = "trigger_requested", "trigger_evaluated", "monitored"


@dataclass(frozen=True, slots=True)
class RunHead:
    """A run without what it found: see ``runs.Run`` for the other fields.

    Attributes:
        judged: its gates were evaluated: not when the checks of the data stopped it.
    """

    run_id: str
    trigger: str
    trigger_key: str | None
    status: str
    outcome: str | None
    attempts: int
    started: datetime
    finished: datetime | None
    seconds: float | None
    judged: bool

    @property
    def trained(self) -> bool:
        """Whether it ended in a decision on a new model."""
        return self.judged and self.outcome in ("promoted", "candidate", "rejected")


def list_heads(connection: Connection, project: str, limit: int = 200) -> tuple[RunHead, ...]:
    """The newest runs, newest first."""
    newest = _heads(project).order_by(runs.c.seq.desc()).limit(limit)
    return tuple(RunHead(*row) for row in connection.execute(newest))


def last_event(connection: Connection, project: str, kind: str) -> Event | None:
    """The newest event of a kind."""
    found = read_events(connection, project, kind=kind, limit=1)
    return found[0] if found else None


def _heads(project: str) -> Select[Any]:
    stored = (getattr(runs.c, name) for name in RunHead.__slots__ if name != "judged")
    judged = exists().where(gates.c.project == runs.c.project, gates.c.run_id == runs.c.run_id)
    return select(*stored, judged.label("judged")).where(runs.c.project == project)
