"""What set runs off: requests, evaluations of the policy, and which triggers have their run.

Read without the runs' summaries, which are long: a tick over many idle projects asks this often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, select

from ratchet.ledger.deployments import current_deployment
from ratchet.ledger.events import Event, read_events
from ratchet.ledger.tables import gates, runs
from ratchet.ledger.versions import get_version

REQUESTED, EVALUATED, MONITORED = "trigger_requested", "trigger_evaluated", "monitored"

_LOOKS = "investigate:"
"""What the trigger of a run begins with whose model may at most be a shadow."""


def looking_trigger(trigger: str) -> str:
    """The trigger of a run that only looks closer at what a rule saw."""
    return f"{_LOOKS}{trigger}"


def only_looks(trigger: str) -> bool:
    """Whether a run of this trigger only looks closer: its model does not come to serve by it."""
    return trigger.startswith(_LOOKS)


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

    @property
    def only_looks(self) -> bool:
        """Whether it only looked closer, see ``only_looks``."""
        return only_looks(self.trigger)


def newest_training(
    connection: Connection, project: str, heads: Sequence[RunHead]
) -> RunHead | None:
    """The newest run that trained for what serves.

    One that only looked closer is none, unless its model came to serve: schedule, age and new
    rows are counted as if it had not been.

    Args:
        heads: the runs, newest first.
    """
    trained = [head for head in heads if head.trained]
    if not trained or not trained[0].only_looks:
        return trained[0] if trained else None
    serves = current_deployment(connection, project, "champion")
    number = None if serves is None else serves.version
    made = None if number is None else get_version(connection, project, number).run_id
    return next((head for head in trained if not head.only_looks or head.run_id == made), None)


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
