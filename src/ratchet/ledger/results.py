"""What a run found: its candidates, their metrics, and the gates, in columns made for SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Table, delete, insert, select

from ratchet.ledger.events import Transaction
from ratchet.ledger.runs import unfinished_run
from ratchet.ledger.tables import candidates, gates, metrics

Split = Literal["cv", "test"]


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of one candidate on one part of the data.

    Attributes:
        low, high: the ends of its interval, where there is one.
        std: its spread over the folds, for ``cv``.
    """

    metric: str
    split: Split
    value: float | None
    low: float | None = None
    high: float | None = None
    std: float | None = None


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """One trained candidate, or one that failed (``error``)."""

    candidate: str
    algorithm: str
    best: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None
    measures: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True)
class GateRecord:
    """One gate's verdict; ``origin`` says where its threshold was set."""

    name: str
    passed: bool
    value: float | None = None
    threshold: float | None = None
    reason: str = ""
    origin: str = ""


def record_candidates(tx: Transaction, run_id: str, found: Sequence[CandidateRecord]) -> None:
    """Write a run's candidates with their metrics, in place of any written before.

    Raises:
        UsageError: no such run.
        ConflictError: the run is finished.
    """
    unfinished_run(tx, run_id)
    _clear(tx, candidates, run_id)
    _clear(tx, metrics, run_id)
    place = {"project": tx.project, "run_id": run_id}
    rows = [
        {
            **place,
            "candidate": item.candidate,
            "algorithm": item.algorithm,
            "best": item.best,
            "params": item.params,
            "seconds": item.seconds,
            "error": item.error,
        }
        for item in found
    ]
    measured = [
        {
            **place,
            "candidate": item.candidate,
            "algorithm": item.algorithm,
            "metric": measure.metric,
            "split": measure.split,
            "value": _finite(measure.value),
            "low": _finite(measure.low),
            "high": _finite(measure.high),
            "std": _finite(measure.std),
        }
        for item in found
        for measure in item.measures
    ]
    if rows:
        tx.connection.execute(insert(candidates), rows)
    if measured:
        tx.connection.execute(insert(metrics), measured)
    tx.append(
        "candidates_recorded", {"candidates": [_facts(item) for item in found]}, run_id=run_id
    )


def record_gates(tx: Transaction, run_id: str, verdicts: Sequence[GateRecord]) -> None:
    """Write a run's gate verdicts, in place of any written before.

    Raises:
        UsageError: no such run.
        ConflictError: the run is finished.
    """
    unfinished_run(tx, run_id)
    _clear(tx, gates, run_id)
    rows = [
        {
            "name": item.name,
            "value": _finite(item.value),
            "threshold": _finite(item.threshold),
            "passed": bool(item.passed),
            "reason": item.reason,
            "origin": item.origin,
        }
        for item in verdicts
    ]
    if rows:
        tx.connection.execute(
            insert(gates),
            [
                {"project": tx.project, "run_id": run_id, "position": position, **row}
                for position, row in enumerate(rows)
            ],
        )
    passed = bool(rows) and all(row["passed"] for row in rows)
    tx.append("gates_recorded", {"passed": passed, "gates": rows}, run_id=run_id)


def list_candidates(
    connection: Connection, project: str, run_id: str
) -> tuple[CandidateRecord, ...]:
    """A run's candidates by name, each with its metrics."""
    found: dict[str, list[Measure]] = {}
    measured = select(metrics).where(metrics.c.project == project, metrics.c.run_id == run_id)
    for row in connection.execute(measured.order_by(metrics.c.split, metrics.c.metric)):
        measure = Measure(row.metric, row.split, row.value, row.low, row.high, row.std)
        found.setdefault(row.candidate, []).append(measure)
    query = select(candidates).where(candidates.c.project == project, candidates.c.run_id == run_id)
    return tuple(
        CandidateRecord(
            row.candidate,
            row.algorithm,
            row.best,
            row.params,
            row.seconds,
            row.error,
            tuple(found.get(row.candidate, ())),
        )
        for row in connection.execute(query.order_by(candidates.c.candidate))
    )


def list_gates(connection: Connection, project: str, run_id: str) -> tuple[GateRecord, ...]:
    """A run's gate verdicts in the order they were given."""
    query = select(gates).where(gates.c.project == project, gates.c.run_id == run_id)
    return tuple(
        GateRecord(row.name, row.passed, row.value, row.threshold, row.reason, row.origin)
        for row in connection.execute(query.order_by(gates.c.position))
    )


def gates_passed(connection: Connection, project: str, run_id: str) -> bool:
    """Whether the run's gates were evaluated and every one of them passed."""
    verdicts = list_gates(connection, project, run_id)
    return bool(verdicts) and all(verdict.passed for verdict in verdicts)


def _clear(tx: Transaction, table: Table, run_id: str) -> None:
    place = (table.c.project == tx.project) & (table.c.run_id == run_id)
    tx.connection.execute(delete(table).where(place))


def _facts(item: CandidateRecord) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "candidate": item.candidate,
        "algorithm": item.algorithm,
        "best": item.best,
        "metrics": {f"{m.split}.{m.metric}": m.value for m in item.measures},
    }
    return facts | ({"error": item.error} if item.error else {})


def _finite(value: float | None) -> float | None:
    # SQL has no portable answer to a comparison with NaN; null says "not known".
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    return float(value)
