"""The ledger as a server needs it: what serves, who may ask, and the alerts it keeps.

A server that starts loads this and no more; ``store.Ledger`` is the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from ratchet import clock
from ratchet.ledger import health, outbox
from ratchet.ledger.database import BUSY_SECONDS, Database
from ratchet.ledger.events import Event, Transaction, read_events
from ratchet.ledger.keys import Key, list_keys
from ratchet.ledger.migrations import open_current
from ratchet.ledger.traffic import Traffic, newest_seq, read_traffic

P = ParamSpec("P")
R = TypeVar("R")


def written(
    change: Callable[Concatenate[Transaction, P], R],
) -> Callable[Concatenate[ServedLedger, P], R]:
    """A change as a method of the ledger, in a transaction of its own.

    Its arguments, its result and its errors are those of the change.
    """

    @wraps(change)
    def method(ledger: ServedLedger, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with ledger._write() as tx:
            return change(tx, *args, **kwargs)

    return method


def rehearsed(
    change: Callable[Concatenate[Transaction, P], object],
) -> Callable[Concatenate[ServedLedger, P], None]:
    """A change as a method of the ledger that raises what the change would, and keeps nothing."""

    def method(ledger: ServedLedger, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with ledger._write() as tx:
            change(tx, *args, **kwargs)
            tx.connection.rollback()

    return method


class ServedReader:
    """A server's questions.

    Every method raises ``StorageError`` or ``UnreachableError`` when the database fails.
    """

    def __init__(self, database: Database, project: str) -> None:
        self.database = database
        self.project = project

    @property
    def place(self) -> str:
        """Where the ledger is, without a password."""
        return self.database.place

    def traffic(self, *, at: datetime | None = None, before: int | None = None) -> Traffic | None:
        """The record of what serves, now or at a time in the past; None when nothing does.

        Args:
            before: the record that was in force before the one of this number.
        """
        with self.database.read() as connection:
            return read_traffic(connection, self.project, at=at, before=before)

    def position(self) -> int:
        """The number of the newest change of what serves: what a server looks at every second."""
        with self.database.read() as connection:
            return newest_seq(connection, self.project)

    def events(
        self,
        *,
        kind: str | None = None,
        run_id: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> tuple[Event, ...]:
        """The events in order, or the last ``limit`` of them."""
        with self.database.read() as connection:
            return read_events(
                connection, self.project, kind=kind, run_id=run_id, after=after, limit=limit
            )

    def api_keys(self) -> tuple[Key, ...]:
        """Every API key that was ever made, oldest first; revoked ones too."""
        with self.database.read() as connection:
            return list_keys(connection, self.project)


class ServedLedger(ServedReader):
    """What a server asks of its project's part of a ledger, and what it keeps there."""

    def __init__(self, database: Database, project: str, now: Callable[[], datetime]) -> None:
        super().__init__(database, project)
        self._now = now

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with self.database.write() as connection:
            yield Transaction.begin(connection, self.project, self._now())

    note_serving = written(health.note_health)
    enqueue = written(outbox.enqueue)


def open_served(
    url: str,
    *,
    project: str,
    create: bool = True,
    now: Callable[[], datetime] = clock.now,
    busy_seconds: float = BUSY_SECONDS,
) -> ServedLedger:
    """Open what a server needs of a ledger; arguments and errors are ``store.open_ledger``'s."""
    database = open_current(url, create=create, now=now, busy_seconds=busy_seconds)
    return ServedLedger(database, project, now)
