"""Runs: started, described, finished once, found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, insert, select, update

from ratchet.errors import ConflictError, UsageError
from ratchet.ids import digest_of
from ratchet.ledger.events import Transaction
from ratchet.ledger.process import operator
from ratchet.ledger.tables import gates, plain, runs

Outcome = Literal["promoted", "candidate", "rejected", "skipped", "failed"]
RunStatus = Literal["running", "finished"]

# What a run with the same inputs need not do again.
_DECIDED = ("promoted", "candidate", "rejected")


@dataclass(frozen=True, slots=True)
class Run:
    """One pipeline run.

    Attributes:
        inputs_key: digest of everything the run depends on; equal keys, equal runs.
        attempts: how often it was started or resumed.
        outcome: how it ended; None while it runs.
        reason: why it ended so.
        summary: JSON values for reports.
    """

    run_id: str
    trigger: str
    status: RunStatus
    started: datetime
    trigger_key: str | None = None
    outcome: Outcome | None = None
    reason: str = ""
    attempts: int = 1
    inputs_key: str | None = None
    config_digest: str | None = None
    snapshot_version: int | None = None
    snapshot_digest: str | None = None
    finished: datetime | None = None
    seconds: float | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What a run depends on, as far as it is known."""

    inputs_key: str | None = None
    config_digest: str | None = None
    snapshot_version: int | None = None
    snapshot_digest: str | None = None

    def known(self) -> dict[str, Any]:
        """The fields that are known."""
        fields = {
            "inputs_key": self.inputs_key,
            "config_digest": self.config_digest,
            "snapshot_version": self.snapshot_version,
            "snapshot_digest": self.snapshot_digest,
        }
        return {name: value for name, value in fields.items() if value is not None}


def start_run(
    tx: Transaction,
    run_id: str,
    *,
    trigger: str,
    trigger_key: str | None = None,
    inputs: RunInputs | None = None,
) -> Run:
    """Add a run.

    Raises:
        ConflictError: this run, or a run of this trigger, is there already.
    """
    if _row(tx.connection, tx.project, run_id) is not None:
        raise ConflictError(
            f"The run {run_id} was started before",
            fix=f"continue it: ratchet run --resume {run_id}",
        )
    if trigger_key is not None:
        same = (runs.c.project == tx.project) & (runs.c.trigger_key == trigger_key)
        other = tx.connection.scalar(select(runs.c.run_id).where(same))
        if other is not None:
            raise ConflictError(
                f"The trigger {trigger_key} has its run already",
                why="one trigger makes at most one run",
                fix=f"see it with `ratchet show {other}`",
            )
    known = (inputs or RunInputs()).known()
    run = Run(run_id, trigger, "running", tx.at, trigger_key=trigger_key, **known)
    facts = {"trigger": trigger, "trigger_key": trigger_key, "by": operator(), **known}
    seq = tx.append("run_started", facts, run_id=run_id)
    tx.connection.execute(
        insert(runs).values(
            project=tx.project,
            run_id=run_id,
            seq=seq,
            trigger=trigger,
            trigger_key=trigger_key,
            status="running",
            reason="",
            attempts=1,
            started=tx.at,
            summary={},
            **known,
        )
    )
    return run


def resume_run(tx: Transaction, run_id: str) -> Run:
    """Continue a run that stopped in the middle.

    Raises:
        UsageError: no such run.
        ConflictError: it is finished.
    """
    run = unfinished_run(tx, run_id)
    _change(tx, run_id, attempts=run.attempts + 1)
    tx.append("run_resumed", {"attempt": run.attempts + 1}, run_id=run_id)
    return get_run(tx.connection, tx.project, run_id)


def describe_run(tx: Transaction, run_id: str, inputs: RunInputs) -> Run:
    """Add what became known of a run's inputs.

    Raises:
        UsageError: no such run.
        ConflictError: it is finished.
    """
    unfinished_run(tx, run_id)
    known = inputs.known()
    if known:
        _change(tx, run_id, **known)
        tx.append("run_described", known, run_id=run_id)
    return get_run(tx.connection, tx.project, run_id)


def finish_run(
    tx: Transaction,
    run_id: str,
    outcome: Outcome,
    reason: str,
    summary: Mapping[str, Any] | None = None,
) -> Run:
    """End a run, once and for all.

    Raises:
        UsageError: no such run.
        ConflictError: it has an outcome already.
        ValueError: an outcome there is not, or no reason: a mistake in the caller.
    """
    if outcome not in get_args(Outcome):
        raise ValueError(f"no outcome: {outcome!r}")
    if not reason.strip():
        raise ValueError("every outcome has its reason")
    run = unfinished_run(tx, run_id)
    seconds = (tx.at - run.started).total_seconds()
    _change(
        tx,
        run_id,
        status="finished",
        outcome=outcome,
        reason=reason,
        finished=tx.at,
        seconds=seconds,
        summary=dict(summary or {}),
    )
    facts = {
        "outcome": outcome,
        "reason": reason,
        "seconds": seconds,
        "by": operator(),
        "evidence": evidence_of(tx.connection, tx.project, run, summary or {}),
    }
    tx.append("run_finished", facts, run_id=run_id)
    return get_run(tx.connection, tx.project, run_id)


def evidence_of(
    connection: Connection, project: str, run: Run, summary: Mapping[str, Any]
) -> dict[str, str | None]:
    """The digests of what a run's outcome was decided on."""
    return {
        "summary": digest_of(plain(dict(summary))),
        "gates": gates_digest(connection, project, run.run_id),
        "inputs": run.inputs_key,
        "settings": run.config_digest,
        "data": run.snapshot_digest,
    }


def get_run(connection: Connection, project: str, run_id: str) -> Run:
    """One run.

    Raises:
        UsageError: there is none of this id (code ``no_run``).
    """
    row = _row(connection, project, run_id)
    if row is None:
        raise UsageError(
            f"There is no run {run_id} in {project}",
            fix="list them with `ratchet runs`",
            code="no_run",
        )
    return _run(row)


def list_runs(connection: Connection, project: str, limit: int) -> tuple[Run, ...]:
    """The newest runs, newest first."""
    query = select(runs).where(runs.c.project == project)
    newest = query.order_by(runs.c.seq.desc()).limit(limit)
    return tuple(_run(row) for row in connection.execute(newest))


def last_completed(connection: Connection, project: str, inputs_key: str) -> Run | None:
    """The newest run that decided on exactly these inputs: promoted, candidate or rejected."""
    query = (
        select(runs)
        .where(runs.c.project == project, runs.c.inputs_key == inputs_key)
        .where(runs.c.outcome.in_(_DECIDED))
        .order_by(runs.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else _run(row)


def unfinished_runs(connection: Connection, project: str) -> tuple[Run, ...]:
    """The runs without an outcome, newest first.

    Whoever holds the project's lease knows that they are nobody's: their process died.
    """
    query = select(runs).where(runs.c.project == project, runs.c.status == "running")
    newest = query.order_by(runs.c.seq.desc())
    return tuple(_run(row) for row in connection.execute(newest))


def gates_digest(connection: Connection, project: str, run_id: str) -> str:
    """The digest of a run's verdicts, in their order."""
    place = (gates.c.project == project) & (gates.c.run_id == run_id)
    query = select(gates).where(place).order_by(gates.c.position)
    return digest_of([plain(dict(row._mapping)) for row in connection.execute(query)])


def _row(connection: Connection, project: str, run_id: str) -> Row[Any] | None:
    query = select(runs).where(runs.c.project == project, runs.c.run_id == run_id)
    return connection.execute(query).one_or_none()


def unfinished_run(tx: Transaction, run_id: str) -> Run:
    """The run, which must not have ended.

    Raises:
        UsageError: no such run.
        ConflictError: it has an outcome.
    """
    run = get_run(tx.connection, tx.project, run_id)
    if run.status == "finished":
        raise ConflictError(
            f"The run {run_id} is finished: {run.outcome}",
            why=run.reason,
            fix="start a new one with `ratchet run`",
        )
    return run


def _change(tx: Transaction, run_id: str, **values: Any) -> None:
    place = (runs.c.project == tx.project) & (runs.c.run_id == run_id)
    tx.connection.execute(update(runs).where(place).values(**values))


def _run(row: Row[Any]) -> Run:
    fields = dict(row._mapping)
    del fields["project"], fields["seq"]
    return Run(**fields)
