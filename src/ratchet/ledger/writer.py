"""A ledger that is written: a transaction around every change, under the project's lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from ratchet.errors import EnvironmentFault
from ratchet.ledger.database import Database
from ratchet.ledger.events import Transaction
from ratchet.ledger.lease import TIME_TO_LIVE, Lease, acquire
from ratchet.ledger.reader import LedgerReader
from ratchet.ledger.served import ServedLedger


class LedgerWriter(LedgerReader, ServedLedger):
    """One project's part of a ledger, to be changed.

    While it holds the project's lease, every write first sees that the lease is still held.
    """

    def __init__(self, database: Database, project: str, now: Callable[[], datetime]) -> None:
        super().__init__(database, project, now)
        self._lease: Lease | None = None

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        with super()._write() as tx:
            if self._lease is not None:
                self._lease.confirm(tx.connection)
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
