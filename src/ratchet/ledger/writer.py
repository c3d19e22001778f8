"""A ledger that is written: a transaction around every change, under the project's lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from ratchet.errors import EnvironmentFault
from ratchet.ledger.database import Database
from ratchet.ledger.events import Transaction
from ratchet.ledger.lease import TIME_TO_LIVE, Lease, acquire
from ratchet.ledger.reader import LedgerReader

P = ParamSpec("P")
R = TypeVar("R")


class LedgerWriter(LedgerReader):
    """One project's part of a ledger, to be changed.

    While it holds the project's lease, every write first sees that the lease is still held.
    """

    def __init__(self, database: Database, project: str, now: Callable[[], datetime]) -> None:
        super().__init__(database, project)
        self._now = now
        self._lease: Lease | None = None

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
            tx = Transaction.begin(connection, self.project, self._now())
            if self._lease is not None:
                self._lease.confirm(connection)
            yield tx

    @contextmanager
    def lease(
        self, purpose: str = "ratchet run", *, ttl: timedelta = TIME_TO_LIVE
    ) -> Iterator[Lease]:
        """Hold the project while the body runs.

        Args:
            purpose: what for, as whoever waits reads it.
            ttl: how long it lasts without a heartbeat.

        Raises:
            ConflictError: a live process holds it, named with what to do.
        """
        with self._write() as tx:
            holder = acquire(tx, purpose=purpose, ttl=ttl, now=self._now)
        lease = Lease(self.database, holder, self.project, ttl=ttl, now=self._now)
        self._lease = lease
        lease.start()
        try:
            yield lease
        finally:
            self._lease = None
            # A lease that cannot be given back now ends by itself; the run's result stands.
            with suppress(EnvironmentFault):
                lease.stop()


def written(
    change: Callable[Concatenate[Transaction, P], R],
) -> Callable[Concatenate[LedgerWriter, P], R]:
    """A change as a method of the ledger, in a transaction of its own.

    Its arguments, its result and its errors are those of the change.
    """

    @wraps(change)
    def method(ledger: LedgerWriter, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with ledger._write() as tx:
            return change(tx, *args, **kwargs)

    return method


def rehearsed(
    change: Callable[Concatenate[Transaction, P], object],
) -> Callable[Concatenate[LedgerWriter, P], None]:
    """A change as a method of the ledger that raises what the change would, and keeps nothing."""

    def method(ledger: LedgerWriter, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with ledger._write() as tx:
            change(tx, *args, **kwargs)
            tx.connection.rollback()

    return method
