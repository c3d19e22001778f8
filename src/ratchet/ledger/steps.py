"""The steps of runs: recorded, and found again when their work can be reused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select

from ratchet.ledger.events import Transaction
from ratchet.ledger.runs import unfinished_run
from ratchet.ledger.tables import steps

StepStatus = Literal["running", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run.

    Attributes:
        key: digest of code version, settings and inputs: what makes its output reusable.
        output_digest: digest of what it made.
        folder: where its output lies.
        cached: whether the output of an earlier run was used.
        error: the fault as ``RatchetError.to_json`` gives it.
    """

    run_id: str
    name: str
    status: StepStatus
    key: str | None = None
    output_digest: str | None = None
    folder: str | None = None
    started: datetime | None = None
    seconds: float | None = None
    cached: bool = False
    attempts: int = 1
    error: Mapping[str, Any] | None = None
    recorded: datetime | None = None


def record_step(tx: Transaction, step: Step) -> Step:
    """Write how a step stands; a later record of the same step replaces it.

    Raises:
        UsageError: no such run.
        ConflictError: the run is finished.
    """
    unfinished_run(tx, step.run_id)
    values: dict[str, Any] = {
        "status": step.status,
        "key": step.key,
        "output_digest": step.output_digest,
        "folder": step.folder,
        "started": step.started,
        "seconds": step.seconds,
        "cached": step.cached,
        "attempts": step.attempts,
        "error": step.error,
    }
    facts = {"step": step.name} | {
        name: value for name, value in values.items() if value is not None
    }
    seq = tx.append(f"step_{step.status}", facts, run_id=step.run_id)
    place = (
        (steps.c.project == tx.project)
        & (steps.c.run_id == step.run_id)
        & (steps.c.name == step.name)
    )
    tx.connection.execute(delete(steps).where(place))
    tx.connection.execute(
        insert(steps).values(
            project=tx.project,
            run_id=step.run_id,
            name=step.name,
            seq=seq,
            recorded=tx.at,
            **values,
        )
    )
    return replace(step, recorded=tx.at)


def list_steps(connection: Connection, project: str, run_id: str) -> tuple[Step, ...]:
    """A run's steps in the order they were last recorded."""
    query = select(steps).where(steps.c.project == project, steps.c.run_id == run_id)
    return tuple(_step(row) for row in connection.execute(query.order_by(steps.c.seq)))


def find_step(connection: Connection, project: str, key: str) -> Step | None:
    """The newest finished step with this key; its folder may have been cleaned away since."""
    query = (
        select(steps)
        .where(steps.c.project == project, steps.c.key == key, steps.c.status == "finished")
        .order_by(steps.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _step(row)


def _step(row: Row[Any]) -> Step:
    fields = dict(row._mapping)
    del fields["project"], fields["seq"]
    return Step(**fields)
