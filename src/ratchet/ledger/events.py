"""The chain of events: one per project, append-only, each holding the hash of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Text, insert, select, type_coerce, update

from ratchet.ids import canonical_json, digest_of
from ratchet.ledger.tables import chains, events, moment_text, plain

START = ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with its facts.

    Attributes:
        seq: its number in the project's chain, from 1 without a gap.
        at: when, never before the event ahead of it.
        kind: what, in snake case: ``run_started``, ``deployed``, ...
        run_id: the run it belongs to, if any.
        facts: JSON values.
        hash: SHA-256 over everything above and the previous event's hash.
    """

    seq: int
    at: datetime
    kind: str
    run_id: str | None
    facts: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(slots=True)
class Transaction:
    """A write transaction on one project's part of the ledger.

    It holds the project's chain locked from its start to its end, so the writes of a project
    happen one after another, whoever makes them and on either database, and nothing can
    dead-lock.

    Attributes:
        at: when its events happen: never before the last one.
        now: what the clock says, from which waiting is counted. After it was put back that is
            before ``at``, until it has caught up.
    """

    connection: Connection
    project: str
    at: datetime
    now: datetime
    seq: int = field(default=0)
    hash: str = field(default=START)

    @classmethod
    def begin(cls, connection: Connection, project: str, now: datetime) -> Transaction:
        """Lock the project's chain and read where it ends.

        The transaction's time is never before the last event's: when clocks of two machines
        differ, the order of times stays the order of events.
        """
        head = select(chains.c.seq, chains.c.hash, chains.c.at).where(chains.c.project == project)
        row = connection.execute(head.with_for_update()).one_or_none()
        if row is None:
            _start_chain(connection, project)
            row = connection.execute(head.with_for_update()).one()
        at = now if row.at is None else max(now, row.at)
        return cls(connection, project, at, now, int(row.seq), row.hash)

    def append(self, kind: str, facts: Mapping[str, Any], *, run_id: str | None = None) -> int:
        """Add one event.

        Returns:
            Its number.
        """
        seq = self.seq + 1
        kept = plain(facts)
        run = None if run_id is None else plain(run_id)
        digest = event_hash(
            self.project, seq, moment_text(self.at), kind, run, canonical_json(kept), self.hash
        )
        self.connection.execute(
            insert(events).values(
                project=self.project,
                seq=seq,
                at=self.at,
                kind=kind,
                run_id=run,
                facts=kept,
                previous=self.hash,
                hash=digest,
            )
        )
        self.connection.execute(
            update(chains)
            .where(chains.c.project == self.project)
            .values(seq=seq, at=self.at, hash=digest)
        )
        self.seq, self.hash = seq, digest
        return seq


def _start_chain(connection: Connection, project: str) -> None:
    # Two processes may start a project's chain at once: the second one waits, then does nothing.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_new
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_new  # type: ignore[assignment]
    connection.execute(
        insert_new(chains).values(project=project, seq=0, hash=START).on_conflict_do_nothing()
    )


def event_hash(
    project: str, seq: int, at: str, kind: str, run_id: str | None, facts: str, previous: str
) -> str:
    """The hash of an event (64 hex digits), from the very texts that are stored."""
    return digest_of([project, seq, at, kind, run_id, facts, previous])


def read_events(
    connection: Connection,
    project: str,
    *,
    kind: str | None = None,
    run_id: str | None = None,
    after: int = 0,
    limit: int | None = None,
) -> tuple[Event, ...]:
    """The project's events in order, or the last ``limit`` of them."""
    query = select(
        events.c.seq,
        events.c.at,
        events.c.kind,
        events.c.run_id,
        events.c.facts,
        events.c.previous,
        events.c.hash,
    ).where(events.c.project == project, events.c.seq > after)
    if kind is not None:
        query = query.where(events.c.kind == kind)
    if run_id is not None:
        query = query.where(events.c.run_id == run_id)
    if limit is None:
        rows = connection.execute(query.order_by(events.c.seq)).all()
    else:
        last = connection.execute(query.order_by(events.c.seq.desc()).limit(limit)).all()
        rows = list(reversed(last))
    return tuple(Event(*row) for row in rows)


def stored_events(connection: Connection, project: str) -> Iterator[tuple[Any, ...]]:
    """The rows of the chain as the texts that are stored, in order."""
    query = (
        select(
            events.c.seq,
            type_coerce(events.c.at, Text),
            events.c.kind,
            events.c.run_id,
            type_coerce(events.c.facts, Text),
            events.c.previous,
            events.c.hash,
        )
        .where(events.c.project == project)
        .order_by(events.c.seq)
        .execution_options(yield_per=2000)
    )
    for row in connection.execute(query):
        yield tuple(row)
