"""A connection to SQLite or PostgreSQL through SQLAlchemy: transactions, and their faults.

Everything that can go wrong with a database becomes one of Ratchet's own errors here, without a
password in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ratchet.errors import (
    ConfigError,
    ConflictError,
    MissingExtraError,
    RatchetError,
    StorageError,
    UnreachableError,
)

BUSY_SECONDS = 10.0
_CONNECT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Database:
    """An open database.

    Attributes:
        engine: SQLAlchemy's pool of connections.
        place: the file, or the address without its password: fit for a message.
    """

    engine: Engine
    place: str

    @property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the database.

        Raises:
            StorageError, UnreachableError: see ``faults``.
        """
        with faults(self.place), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: all of it is kept, or nothing.

        Raises:
            StorageError, UnreachableError, ConflictError: see ``faults``.
        """
        with faults(self.place), self.engine.connect() as connection:
            connection = connection.execution_options(ratchet_writes=True)
            with connection.begin():
                yield connection

    def identity(self) -> tuple[int, int] | None:
        """Which file this is, as long as it is there; None for PostgreSQL.

        An open connection does not notice that its file was moved away or replaced.

        Raises:
            StorageError: the file is not there.
        """
        if self.is_postgresql:
            return None
        try:
            found = Path(self.place).stat()
        except OSError as error:
            raise _storage_fault(self.place, error.strerror or str(error)) from None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


class NoLedgerError(StorageError):
    """Nothing has run in the project yet: no fault of the disk, and no reason to look at it."""

    code = "no_ledger"
    exit_code = 2


def open_database(url: str, *, create: bool = True, busy_seconds: float = BUSY_SECONDS) -> Database:
    """Open ``sqlite:////absolute/file.db`` or ``postgresql://user:password@host/database``.

    Args:
        url: the address. Whatever follows ``sqlite:///`` is the path as it is, unquoted.
        create: make a missing SQLite file and its folder.
        busy_seconds: how long a SQLite writer waits for another one.

    Raises:
        ConfigError: an address of another form.
        MissingExtraError: PostgreSQL without psycopg.
        StorageError: no such file, or its folder cannot be made.
    """
    if url.startswith("sqlite:///"):
        return _open_sqlite(Path(url.removeprefix("sqlite:///")), create, busy_seconds)
    if url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        return _open_postgresql(url)
    raise ConfigError(
        "The ledger's address is neither SQLite nor PostgreSQL",
        why=f"it starts with {url.split(':', 1)[0]!r}" if ":" in url else "it is no address",
        fix="set storage.ledger to `sqlite` or to postgresql://user@host/database",
        where="storage.ledger",
    )


def _open_sqlite(path: Path, create: bool, busy_seconds: float) -> Database:
    place = str(path)
    try:
        if not path.exists():
            if not create:
                raise NoLedgerError(
                    f"There is no ledger at {place}",
                    why="nothing has run in this project yet",
                    fix="start with `ratchet run`",
                    where=place,
                )
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _storage_fault(place, error.strerror or str(error)) from None
    engine = create_engine(
        URL.create("sqlite", database=place), connect_args={"timeout": busy_seconds}
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: Any) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves, see below
        # WAL: readers never wait for the writer. FULL: the ledger is the truth for what serves,
        # so a commit survives a power cut too; with some forty commits in a run it costs nothing.
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer that starts as a reader fails at once when another one wrote meanwhile;
        # IMMEDIATE makes it wait its turn instead.
        writes = connection.get_execution_options().get("ratchet_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return Database(engine, place)


def _open_postgresql(text: str) -> Database:
    try:
        url = make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        raise ConfigError(
            "The ledger's PostgreSQL address cannot be read",
            why="it has not the form postgresql://user:password@host:port/database",
            fix="write special characters of the password as %XX",
            where="storage.ledger",
        ) from None
    arguments: dict[str, Any] = {"application_name": "ratchet"}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = _CONNECT_SECONDS
    try:
        engine = create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_size=2)
    except ImportError:
        raise MissingExtraError.of("psycopg", "postgres", "A ledger on PostgreSQL") from None
    return Database(engine, _address(url))


def _address(url: URL) -> str:
    """``postgresql://user@host:port/database``: the password and the options left out."""
    bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database)
    return bare.render_as_string(hide_password=True)


@contextmanager
def faults(place: str) -> Iterator[None]:
    """Turn whatever SQLAlchemy or a driver raises into one of Ratchet's errors.

    The original is cut off (``from None``): its text may hold the statement's values, and a
    driver's the connection's options.

    Raises:
        StorageError: the file or disk does not do what it should.
        UnreachableError: PostgreSQL does not answer or refuses us.
        ConflictError: a row that must be unique is there already.
    """
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(
            f"The ledger {place} already holds what was to be written",
            why=_first_line(error.orig),
            fix="look at `ratchet runs`, then try again",
            where=place,
        ) from None
    except DBAPIError as error:
        raise _fault_of(error, place) from None
    except PoolTimeoutError:
        raise UnreachableError(f"The ledger {place} has no free connection", where=place) from None
    except SQLAlchemyError as error:
        raise RatchetError(
            f"The ledger {place} failed", why=type(error).__name__, where=place
        ) from None


def _fault_of(error: DBAPIError, place: str) -> RatchetError:
    if isinstance(error.orig, sqlite3.Error):
        return sqlite_fault(error.orig, place)
    return _postgresql_fault(error.orig, place)


_SQLITE_FAULTS = (
    ("SQLITE_FULL", "the disk is full", "make room on the disk, then run again"),
    (
        "SQLITE_BUSY",
        "another process keeps it locked",
        "wait for the other process, or stop it, then run again",
    ),
    (
        "SQLITE_LOCKED",
        "another process keeps it locked",
        "wait for the other process, or stop it, then run again",
    ),
    (
        "SQLITE_READONLY",
        "the file or its folder is read-only",
        "give the user that runs ratchet the right to write there",
    ),
    (
        "SQLITE_PERM",
        "the file or its folder is read-only",
        "give the user that runs ratchet the right to write there",
    ),
    (
        "SQLITE_CANTOPEN",
        "the file cannot be opened",
        "see that its folder exists and that you may read and write there",
    ),
    (
        "SQLITE_NOTADB",
        "the file is no SQLite database",
        "restore it from a backup, or move it away to start anew",
    ),
    (
        "SQLITE_CORRUPT",
        "the file is damaged",
        "restore it from a backup, or save what `sqlite3 FILE .recover` finds",
    ),
    ("SQLITE_IOERR", "the disk fails", "look at the disk and its free space, then run again"),
)


def sqlite_fault(error: sqlite3.Error, place: str, what: str = "ledger") -> RatchetError:
    """What went wrong with the SQLite file ``place``, which is a ``what``, and the way out."""
    name = getattr(error, "sqlite_errorname", "") or ""
    for prefix, why, fix in _SQLITE_FAULTS:
        if name.startswith(prefix):
            return StorageError(f"The {what} {place} cannot be used", why=why, fix=fix, where=place)
    return RatchetError(f"The {what} {place} refused a statement", why=str(error), where=place)


def _postgresql_fault(original: BaseException | None, place: str) -> RatchetError:
    state = str(getattr(original, "sqlstate", None) or "")
    why = _first_line(original)
    lowered = why.lower()
    if state.startswith("53"):
        return StorageError(
            f"The ledger {place} cannot store more",
            why=why,
            fix="make room on the database server, then run again",
            where=place,
        )
    if "password" in lowered or state.startswith("28") or "no pg_hba.conf" in lowered:
        fix = "look at the user and the password in storage.ledger"
    elif "does not exist" in lowered:
        fix = "make the database and the user first: createdb, createuser"
    elif state in ("42501", "25006"):
        fix = "give the user the right to create and write tables in this database"
    else:
        fix = "see that the server runs and that this machine may reach it"
    if state and not state.startswith(("08", "28", "3D", "57", "42501", "25006", "40")):
        return RatchetError(f"The ledger {place} refused a statement", why=why, where=place)
    return UnreachableError(
        f"The ledger {place} does not answer or refuses us", why=why, fix=fix, where=place
    )


def _first_line(original: BaseException | None) -> str:
    lines = [line.strip() for line in str(original or "").splitlines() if line.strip()]
    return lines[0] if lines else ""


def _storage_fault(place: str, why: str) -> StorageError:
    return StorageError(
        f"The ledger {place} cannot be used",
        why=why,
        fix="give the user that runs ratchet the right to write there",
        where=place,
    )
