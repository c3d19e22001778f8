"""Which rows decided on models, how often, and what each decision came to.

A decision is noted before its figures are known: a process that dies in between has used the rows
all the same. Noting one again, after a crash or because another run makes the very same comparison,
counts nothing more: the same figures give luck no second chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.sql import ColumnElement

from ratchet.errors import UsageError
from ratchet.ids import digest_of
from ratchet.ledger.events import Transaction, read_events
from ratchet.ledger.tables import holdout_uses

NOTED = "holdout_noted"
JUDGED = "holdout_judged"

# Before schema version 3 an event alone said that rows had decided, and which.
_EARLIER = "holdout_used"
SKETCH = 1024
_EARLIER_SKETCH = 256
_SAME = 0.5
_LET_BE = 0.25


@dataclass(frozen=True, slots=True)
class HoldoutRows:
    """The rows of a decision.

    Attributes:
        count: how many.
        sketch: the ``SKETCH`` smallest hashes of them (all, when there are fewer), 16 hex digits
            each, ascending: a sample that two sets share as far as they share rows (Broder, "On
            the resemblance and containment of documents", SEQUENCES 1997).
        first: the oldest moment among them, as text; None without a time column.
        last: the newest.
    """

    count: int
    sketch: tuple[str, ...]
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True, slots=True)
class HoldoutUse:
    """One decision on rows.

    Attributes:
        run_id: the run that made it.
        challenger: which of the run's models: the way it was made.
        holdout_id: a name of the rows; decisions on mostly the same rows share it.
        use: which decision on these rows this is, from 1.
        comparison: digest of what was compared; equal ones are one decision.
        champion: the version compared with.
        rule: how the rows were chosen.
        difference: how much better the challenger was, in the metric's unit, in full.
        se: the standard error of it.
        level: what the decision was allowed to cost, one-sided; None when the rows are used up.
        verdict: what was proven; None until it is judged.
        shown: the difference that people were told.
        shown_to: whom: what started the run.
    """

    run_id: str
    challenger: str
    seq: int
    at: datetime
    holdout_id: str
    use: int
    comparison: str
    champion: int
    metric: str
    rule: str
    rows: HoldoutRows
    difference: float | None = None
    se: float | None = None
    level: float | None = None
    verdict: str | None = None
    passed: bool | None = None
    shown: float | None = None
    shown_to: str | None = None
    judged: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a decision came to; the fields are those of ``HoldoutUse``."""

    difference: float | None
    se: float | None
    level: float | None
    verdict: str
    passed: bool
    shown: float | None
    shown_to: str


def share_used(rows: Sequence[str], earlier: Sequence[str]) -> float:
    """The share of the rows of one sketch that are among those of another, 0 to 1.

    Each sketch tells all of its rows up to its largest hash; up to the smaller of both bounds the
    shared rows are known, and they are a random sample.
    """
    bounds = [sketch[-1] for sketch in (rows, earlier) if len(sketch) in (SKETCH, _EARLIER_SKETCH)]
    known = [row for row in rows if not bounds or row <= min(bounds)]
    found = set(earlier)
    return sum(row in found for row in known) / len(known) if known else 0.0


def decisions_before(rows: Sequence[str], earlier: Sequence[Sequence[str]]) -> int:
    """In how many earlier decisions the rows took part: the mean over the rows, rounded up.

    A few rows more do not make new rows, and rows put together from two old sets are old too; up
    to a quarter of a decision is let be.
    """
    return ceil(sum(share_used(rows, sketch) for sketch in earlier) - _LET_BE)


def note_use(
    tx: Transaction,
    run_id: str,
    challenger: str,
    rows: HoldoutRows,
    *,
    comparison: str,
    champion: int,
    metric: str,
    rule: str,
) -> HoldoutUse:
    """Count a decision on these rows, or give back the one that is there.

    There is one for each model of a run, and one for each comparison.
    """
    known = list_uses(tx.connection, tx.project)
    mine = [use for use in known if (use.run_id, use.challenger) == (run_id, challenger)]
    same = [use for use in known if use.comparison == comparison]
    for found in (*mine, *same):
        return found
    earlier = [use.rows.sketch for use in known] + _earlier_sketches(tx, run_id)
    use = 1 + decisions_before(rows.sketch, earlier)
    holdout = _holdout_id(rows, known)
    facts: dict[str, Any] = {
        "challenger": challenger,
        "holdout_id": holdout,
        "use": use,
        "comparison": comparison,
        "champion": champion,
        "metric": metric,
        "rule": rule,
        "rows": rows.count,
        "first": rows.first,
        "last": rows.last,
    }
    seq = tx.append(NOTED, {**facts, "sketch": _sketch_digest(rows.sketch)}, run_id=run_id)
    tx.connection.execute(
        insert(holdout_uses).values(
            project=tx.project,
            run_id=run_id,
            seq=seq,
            at=tx.at,
            sketch=list(rows.sketch),
            **facts,
        )
    )
    return get_use(tx.connection, tx.project, run_id, challenger)


def judge_use(tx: Transaction, run_id: str, challenger: str, judgement: Judgement) -> HoldoutUse:
    """Write what a decision came to; the same again changes nothing.

    Raises:
        UsageError: it was never noted.
    """
    use = get_use(tx.connection, tx.project, run_id, challenger)
    facts = {name: getattr(judgement, name) for name in Judgement.__slots__}
    if all(getattr(use, name) == value for name, value in facts.items()):
        return use
    tx.append(JUDGED, {"challenger": challenger, **facts}, run_id=run_id)
    tx.connection.execute(
        update(holdout_uses)
        .where(_place(tx.project, run_id, challenger))
        .values(judged=tx.at, **facts)
    )
    return get_use(tx.connection, tx.project, run_id, challenger)


def get_use(connection: Connection, project: str, run_id: str, challenger: str) -> HoldoutUse:
    """One decision.

    Raises:
        UsageError: there is none (code ``no_use``).
    """
    query = select(holdout_uses).where(_place(project, run_id, challenger))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UsageError(
            f"The run {run_id} noted no decision on test rows for its model `{challenger}`",
            fix="start a new run: ratchet run --force",
            code="no_use",
        )
    return _use(row)


def list_uses(
    connection: Connection, project: str, holdout_id: str | None = None
) -> tuple[HoldoutUse, ...]:
    """The decisions in order, all of them or those on one holdout."""
    query = select(holdout_uses).where(holdout_uses.c.project == project)
    if holdout_id is not None:
        query = query.where(holdout_uses.c.holdout_id == holdout_id)
    return tuple(_use(row) for row in connection.execute(query.order_by(holdout_uses.c.seq)))


def _place(project: str, run_id: str, challenger: str) -> ColumnElement[bool]:
    return (
        (holdout_uses.c.project == project)
        & (holdout_uses.c.run_id == run_id)
        & (holdout_uses.c.challenger == challenger)
    )


def _earlier_sketches(tx: Transaction, run_id: str) -> list[Sequence[str]]:
    """The sketches of decisions that were made before there was a table of them."""
    found = read_events(tx.connection, tx.project, kind=_EARLIER)
    return [event.facts.get("sketch", ()) for event in found if event.run_id != run_id]


def _holdout_id(rows: HoldoutRows, known: Sequence[HoldoutUse]) -> str:
    """The name of the known rows that most of these are among; a new one when there are none."""
    shares = [(share_used(rows.sketch, use.rows.sketch), use.seq, use) for use in known]
    best = max(shares, key=lambda item: item[:2], default=None)
    if best is not None and best[0] >= _SAME:
        return best[2].holdout_id
    return _sketch_digest(rows.sketch)[:12]


def _sketch_digest(sketch: Sequence[str]) -> str:
    return digest_of(list(sketch))


def _use(row: Row[Any]) -> HoldoutUse:
    fields = dict(row._mapping)
    del fields["project"]
    rows = HoldoutRows(
        fields["rows"], tuple(fields.pop("sketch")), fields.pop("first"), fields.pop("last")
    )
    return HoldoutUse(**{**fields, "rows": rows})
