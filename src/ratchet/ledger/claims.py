"""Which loop looks after which projects of a ledger that several machines share.

A claim is a row among the leases, under a name that no project can have. Unlike a run's lease it
is renewed for all projects of a loop at once. It keeps two loops from doing the same work; that
nothing is done twice where both believe to have it is the business of run leases, trigger keys
and the numbers of what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, Executable, Row, delete, func, select, update

from ratchet import clock, ids
from ratchet.ledger.database import Database
from ratchet.ledger.lease import LeaseHolder
from ratchet.ledger.process import ProcessIdentity, liveness, this_process
from ratchet.ledger.tables import leases

TIME_TO_LIVE = timedelta(seconds=90)
_PREFIX = "@loop/"
_AT_ONCE = 500


class Claims:
    """One loop's claims in one ledger.

    Every method raises ``StorageError`` or ``UnreachableError`` when the database fails.
    """

    def __init__(self, database: Database, *, ttl: timedelta = TIME_TO_LIVE) -> None:
        self._database, self._ttl = database, ttl
        self._token = ids.token()

    def take(self, projects: Sequence[str]) -> dict[str, LeaseHolder]:
        """Claim the projects that no live loop has.

        Returns:
            The others, and who has them.
        """
        busy: dict[str, LeaseHolder] = {}
        for start in range(0, len(projects), _AT_ONCE):
            busy |= self._take(projects[start : start + _AT_ONCE])
        return busy

    def _take(self, projects: Sequence[str]) -> dict[str, LeaseHolder]:
        keys = [_PREFIX + name for name in projects]
        with self._database.write() as connection:
            at = _now(connection)
            dead = [
                row.project
                for row in _rows(connection, keys)
                if row.token != self._token and not _lives(_holder(row), at)
            ]
            connection.execute(delete(leases).where(leases.c.project.in_(dead)))
            there = {row.project for row in _rows(connection, keys)}
            mine = this_process()
            for key in keys:
                if key not in there:
                    connection.execute(_insert(connection, key, self._token, mine, at, self._ttl))
            rows = _rows(connection, keys)
        return {
            row.project.removeprefix(_PREFIX): _holder(row)
            for row in rows
            if row.token != self._token
        }

    def renew(self) -> frozenset[str]:
        """Put off the end of all claims.

        Returns:
            The projects that are still claimed.
        """
        mine = leases.c.token == self._token
        with self._database.write() as connection:
            at = _now(connection)
            connection.execute(
                update(leases).where(mine).values(heartbeat=at, expires=at + self._ttl)
            )
            kept = connection.scalars(select(leases.c.project).where(mine))
            return frozenset(str(key).removeprefix(_PREFIX) for key in kept)

    def release(self, projects: Sequence[str] | None = None) -> None:
        """Give claims back: those of some projects, or all."""
        gone = leases.c.token == self._token
        if projects is not None:
            gone &= leases.c.project.in_([_PREFIX + name for name in projects])
        with self._database.write() as connection:
            connection.execute(delete(leases).where(gone))


def _insert(
    connection: Connection,
    key: str,
    token: str,
    process: ProcessIdentity,
    at: datetime,
    ttl: timedelta,
) -> Executable:
    # Two loops may claim at once: the second one gets none of these, and sees who has them.
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_new
    else:
        from sqlalchemy.dialects.sqlite import insert as insert_new  # type: ignore[assignment]
    return (
        insert_new(leases)
        .values(
            project=key,
            token=token,
            machine=process.machine,
            host=process.host,
            pid=process.pid,
            process_started=process.started,
            purpose="ratchet loop",
            since=at,
            heartbeat=at,
            expires=at + ttl,
        )
        .on_conflict_do_nothing()
    )


def _rows(connection: Connection, keys: Sequence[str]) -> Sequence[Row[tuple[object, ...]]]:
    return connection.execute(select(leases).where(leases.c.project.in_(keys))).all()


def _holder(row: Row[tuple[object, ...]]) -> LeaseHolder:
    process = ProcessIdentity(row.machine, row.host, row.pid, row.process_started)
    return LeaseHolder(row.token, process, row.purpose, row.since, row.heartbeat, row.expires)


def _lives(holder: LeaseHolder, at: datetime) -> bool:
    state = liveness(holder.process)
    return state == "alive" or (state == "unknown" and holder.expires > at)


def _now(connection: Connection) -> datetime:
    # The machines that share the ledger have clocks of their own: the database's decides.
    if connection.dialect.name == "postgresql":
        at = connection.scalar(select(func.clock_timestamp()))
        assert isinstance(at, datetime)
        return at
    return clock.now()
