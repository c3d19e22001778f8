"""One run per project at a time: a lease with a heartbeat.

The holder renews it from a thread of its own. When the holder dies, a process on the same machine
sees that its process is gone and takes the lease over at once; elsewhere it expires. A holder
that slept through its lease finds out: every write it makes is refused (``confirm``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from ratchet.clock import monotonic
from ratchet.errors import ConflictError, EnvironmentFault
from ratchet.ids import token as new_token
from ratchet.ledger.database import Database
from ratchet.ledger.events import Transaction
from ratchet.ledger.process import ProcessIdentity, liveness, this_process
from ratchet.ledger.tables import leases

TIME_TO_LIVE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds a project, and since when."""

    token: str
    process: ProcessIdentity
    purpose: str
    since: datetime
    heartbeat: datetime
    expires: datetime

    def describe(self) -> str:
        """The holder for people."""
        where = f"process {self.process.pid} on {self.process.host}"
        return f"{where} since {self.since:%Y-%m-%d %H:%M:%S} UTC ({self.purpose})"


class Lease:
    """A held lease. ``Ledger.lease`` makes and releases it."""

    def __init__(
        self,
        database: Database,
        holder: LeaseHolder,
        project: str,
        *,
        ttl: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self.holder = holder
        self.project = project
        self._database = database
        self._ttl = ttl
        self._now = now
        self._renewed = monotonic()
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="ratchet-lease", daemon=True)

    def start(self) -> None:
        """Begin to renew it, every quarter of its life."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing, and give it back."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._ttl.total_seconds())
        with self._database.write() as connection:
            connection.execute(delete(leases).where(self._mine))

    def check(self) -> None:
        """See that the lease is still ours.

        Raises:
            ConflictError: it expired or somebody else has it (code ``lease_lost``).
        """
        with self._database.read() as connection:
            self.confirm(connection)

    def confirm(self, connection: Connection) -> None:
        """The same, as part of a transaction that writes.

        Raises:
            ConflictError: it expired or somebody else has it (code ``lease_lost``).
        """
        query = select(leases.c.token).where(leases.c.project == self.project)
        if self._lost or connection.scalar(query) != self.holder.token:
            raise ConflictError(
                f"This process no longer holds the project {self.project}",
                why=f"it was not heard of for {self._ttl.total_seconds():g} s "
                "and another process took over",
                fix="look at `ratchet runs`; start again when nobody else works on the project",
                code="lease_lost",
            )

    def renew(self) -> bool:
        """Put off the end of the lease.

        Returns:
            Whether it was still ours.
        """
        with self._database.write() as connection:
            at = _now(connection, self._now)
            renewed = connection.execute(
                update(leases).where(self._mine).values(heartbeat=at, expires=at + self._ttl)
            )
            self._lost = renewed.rowcount == 0
        self._renewed = monotonic()
        return not self._lost

    def _beat(self) -> None:
        while not self._stop.wait(self._ttl.total_seconds() / 4):
            try:
                if not self.renew():
                    return
            except EnvironmentFault:
                # The database may come back in time; if not, the lease is over for others too.
                if monotonic() - self._renewed > self._ttl.total_seconds():
                    self._lost = True
                    return

    @property
    def _mine(self) -> ColumnElement[bool]:
        return (leases.c.project == self.project) & (leases.c.token == self.holder.token)


def acquire(
    tx: Transaction, *, purpose: str, ttl: timedelta, now: Callable[[], datetime]
) -> LeaseHolder:
    """Take the project's lease, from nobody or from a holder that is dead.

    Raises:
        ConflictError: a live process holds it (code ``project_busy``).
    """
    at = _now(tx.connection, now)
    other = read_holder(tx.connection, tx.project)
    if other is not None:
        # On this machine the process itself tells, also after a night's sleep of the machine;
        # elsewhere the heartbeat does.
        state = liveness(other.process)
        if state == "alive" or (state == "unknown" and other.expires > at):
            raise _busy(tx.project, other)
        tx.connection.execute(delete(leases).where(leases.c.project == tx.project))
        facts = {
            "from": other.describe(),
            "because": "its process is gone" if state == "gone" else "it was not heard of in time",
        }
        tx.append("lease_taken_over", facts)
    holder = LeaseHolder(new_token(), this_process(), purpose, at, at, at + ttl)
    tx.connection.execute(
        insert(leases).values(
            project=tx.project,
            token=holder.token,
            machine=holder.process.machine,
            host=holder.process.host,
            pid=holder.process.pid,
            process_started=holder.process.started,
            purpose=purpose,
            since=at,
            heartbeat=at,
            expires=holder.expires,
        )
    )
    return holder


def read_holder(connection: Connection, project: str) -> LeaseHolder | None:
    """Who holds the project, alive or not."""
    row = connection.execute(select(leases).where(leases.c.project == project)).one_or_none()
    if row is None:
        return None
    process = ProcessIdentity(row.machine, row.host, row.pid, row.process_started)
    return LeaseHolder(row.token, process, row.purpose, row.since, row.heartbeat, row.expires)


def _busy(project: str, holder: LeaseHolder) -> ConflictError:
    return ConflictError(
        f"The project {project} is in use",
        why=f"by {holder.describe()}",
        fix=f"wait until it is done, or stop it (kill {holder.process.pid}); "
        "the lease of a dead process is taken over by itself",
        code="project_busy",
    )


def _now(connection: Connection, now: Callable[[], datetime]) -> datetime:
    # Several machines share a PostgreSQL ledger, and their clocks differ: its clock decides.
    if connection.dialect.name == "postgresql":
        at = connection.scalar(select(func.clock_timestamp()))
        assert isinstance(at, datetime)
        return at
    return now()
