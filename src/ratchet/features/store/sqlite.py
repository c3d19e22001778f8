"""The feature store in one SQLite file: no server, and a read is a matter of microseconds."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from ratchet.clock import now as read_clock
from ratchet.errors import StorageError
from ratchet.features.store.packing import pack, unpacker
from ratchet.features.store.port import (
    FeatureRow,
    FeatureSchema,
    StoredRow,
    StoredSchema,
    StoreFacts,
    micros,
    moment,
)

BUSY_SECONDS = 10.0
READ_BUSY_SECONDS = 0.5
_BATCH = 20_000
_AT_ONCE = 500
_CACHE_KIB, _WRITE_CACHE_KIB = 16 << 10, 64 << 10
_LOG_PAGES, _LOG_BYTES = 16_000, 16 << 20

_TABLES = """
CREATE TABLE IF NOT EXISTS feature_sets (
  id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, schema TEXT NOT NULL,
  columns TEXT NOT NULL, published INTEGER, UNIQUE (project, schema)
);
CREATE TABLE IF NOT EXISTS feature_rows (
  set_id INTEGER NOT NULL, entity TEXT NOT NULL, at INTEGER NOT NULL, expires INTEGER,
  packed BLOB NOT NULL, PRIMARY KEY (set_id, entity)
) WITHOUT ROWID;
"""
_SET = "(SELECT id FROM feature_sets WHERE project = ? AND schema = ?)"
_ALIVE = "(expires IS NULL OR expires > ?)"
_READ = f"SELECT at, packed FROM feature_rows WHERE set_id = {_SET} AND entity = ? AND {_ALIVE}"
_WRITE = """
INSERT INTO feature_rows (set_id, entity, at, expires, packed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (set_id, entity) DO UPDATE
SET at = excluded.at, expires = excluded.expires, packed = excluded.packed
WHERE excluded.at >= at OR expires <= ?
"""


class SqliteStore:
    """Feature rows in a SQLite file with a write-ahead log: readers never wait for a writer.

    Args:
        path: the file; it and its folder are made on first use.
        project: whose rows; several projects may share a file.
        now: reads the clock.
    """

    waits = False

    def __init__(
        self, path: Path, project: str, *, now: Callable[[], datetime] = read_clock
    ) -> None:
        self._path, self._project, self._now = path, project, now
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._inode: int | None = None

    def push(
        self, rows: Iterable[FeatureRow], schema: FeatureSchema, *, ttl: timedelta | None = None
    ) -> int:
        """Store rows, some thousand in a transaction; how many were newer than what was there."""
        stored, waiting = 0, iter(rows)
        with self._writing() as connection:
            number = self._number(connection, schema)
        while batch := list(islice(waiting, _BATCH)):
            at = micros(self._now())
            end = None if ttl is None else at + micros_of(ttl)
            values = [(number, row.entity, row.stamp, end, pack(row.values), at) for row in batch]
            with self._writing() as connection:
                stored += connection.executemany(_WRITE, values).rowcount
        return stored

    def publish(self, schema: FeatureSchema) -> None:
        """Make ``schema`` the one that is read; forget all but it and the one before."""
        with self._writing() as connection:
            number, at = self._number(connection, schema), micros(self._now())
            # Two of one moment must not tie.
            last = connection.execute(
                "SELECT max(published) FROM feature_sets WHERE project = ?", (self._project,)
            ).fetchone()[0]
            at = at if last is None else max(at, last + 1)
            connection.execute("UPDATE feature_sets SET published = ? WHERE id = ?", (at, number))
            old = connection.execute(
                "SELECT id FROM feature_sets WHERE project = ? AND published IS NOT NULL "
                "ORDER BY published DESC LIMIT -1 OFFSET 2",
                (self._project,),
            ).fetchall()
            connection.executemany("DELETE FROM feature_rows WHERE set_id = ?", old)
            connection.executemany("DELETE FROM feature_sets WHERE id = ?", old)
            connection.execute("DELETE FROM feature_rows WHERE expires <= ?", (at,))
        with self._faults():
            # Reads are slower while the log is long; what a reader still needs stays in it.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def current(self) -> FeatureSchema | None:
        """The schema published last."""
        with self._faults():
            self._notice_new_file()
            row = (
                self._reader()
                .execute(
                    "SELECT columns FROM feature_sets WHERE project = ? AND published IS NOT NULL "
                    "ORDER BY published DESC LIMIT 1",
                    (self._project,),
                )
                .fetchone()
            )
        return None if row is None else FeatureSchema.from_json(json.loads(row[0]))

    def read(self, entities: Sequence[str], schema: FeatureSchema) -> list[StoredRow | None]:
        """The rows, found by the primary key."""
        place, at = (self._project, schema.digest), micros(self._now())
        unpack = unpacker(schema)
        with self._faults():
            reader = self._reader()
            if len(entities) == 1:
                row = reader.execute(_READ, (*place, entities[0], at)).fetchone()
                return [None if row is None else unpack(row[1], row[0])]
            found: dict[str, StoredRow] = {}
            for start in range(0, len(entities), _AT_ONCE):
                wanted = entities[start : start + _AT_ONCE]
                marks = ",".join("?" * len(wanted))
                rows = reader.execute(
                    f"SELECT entity, at, packed FROM feature_rows WHERE set_id = {_SET} "
                    f"AND entity IN ({marks}) AND {_ALIVE}",
                    (*place, *wanted, at),
                )
                for entity, stamp, packed in rows:
                    found[entity] = unpack(packed, stamp)
        return [found.get(entity) for entity in entities]

    def describe(self) -> StoreFacts:
        """Counted row by row."""
        with self._faults():
            rows = (
                self._reader()
                .execute(
                    "SELECT columns, published, count(at), min(at), max(at) FROM feature_sets "
                    f"LEFT JOIN feature_rows ON set_id = id AND {_ALIVE} "
                    "WHERE project = ? AND published IS NOT NULL "
                    "GROUP BY id ORDER BY published DESC",
                    (micros(self._now()), self._project),
                )
                .fetchall()
            )
        return StoreFacts(
            str(self._path),
            tuple(
                StoredSchema(
                    FeatureSchema.from_json(json.loads(columns)),
                    moment(published),
                    count,
                    None if oldest is None else moment(oldest),
                    None if newest is None else moment(newest),
                )
                for columns, published, count, oldest, newest in rows
            ),
        )

    def ping(self) -> None:
        """Open the file."""
        with self._faults():
            self._reader().execute("SELECT 1 FROM feature_sets LIMIT 1").fetchone()

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            opened, self._opened = self._opened, []
            self._local = threading.local()
        for connection in opened:
            connection.close()

    def _number(self, connection: sqlite3.Connection, schema: FeatureSchema) -> int:
        place = (self._project, schema.digest)
        connection.execute(
            "INSERT OR IGNORE INTO feature_sets (project, schema, columns) VALUES (?, ?, ?)",
            (*place, json.dumps(schema.to_json(), ensure_ascii=False)),
        )
        return int(connection.execute(f"SELECT {_SET}", place).fetchone()[0])

    def _reader(self) -> sqlite3.Connection:
        """This thread's own connection for reading."""
        reader: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            if not self._path.exists():
                with self._writing():  # makes the tables
                    pass
            reader = self._connect(READ_BUSY_SECONDS)
            reader.execute("PRAGMA query_only = ON")
            reader.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._local.reader = reader
        return reader

    def _notice_new_file(self) -> None:
        """Let go of a file that was removed or replaced under us."""
        there = self._path.stat().st_ino if self._path.exists() else None
        if there != self._inode and self._inode is not None:
            # Another thread may be at work with the old one; its connection is closed with ours.
            self._local = threading.local()
        self._inode = there

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it is kept, or nothing. It waits for another writer's to end."""
        with self._faults():
            writer: sqlite3.Connection | None = getattr(self._local, "writer", None)
            if writer is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                writer = self._connect(BUSY_SECONDS)
                # What is lost by a power cut is what was pushed last; it can be pushed again.
                writer.execute("PRAGMA synchronous = NORMAL")
                # Pushes touch pages all over the file: many small moves from the log into it cost
                # more than the rows themselves.
                writer.execute(f"PRAGMA cache_size = -{_WRITE_CACHE_KIB}")
                writer.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
                writer.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
                writer.executescript(_TABLES)
                self._local.writer = writer
            writer.execute("BEGIN IMMEDIATE")
            try:
                yield writer
            except BaseException:
                writer.execute("ROLLBACK")
                raise
            writer.execute("COMMIT")

    def _connect(self, busy: float) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=busy, isolation_level=None, check_same_thread=False
        )
        with self._lock:
            self._opened.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Whatever SQLite or the file system says, as a StorageError."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                "The feature store cannot be read or written",
                why=getattr(error, "strerror", None) or str(error),
                fix="check the file and its folder, or set storage.features; "
                "a damaged file may be removed and pushed again",
                where=str(self._path),
            ) from None


def micros_of(span: timedelta) -> int:
    """A duration in microseconds."""
    return span // timedelta(microseconds=1)
