"""Versioned tables on Delta Lake: every run pins one version, history is never overwritten.

The rows of a version keep the order in which they were ingested. What is known about a
version (rows, content digest, schema, where it came from) is stored in the commit that
makes it, so data and facts appear together or not at all. A process that is killed leaves
at most files that no commit names.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ratchet.clock import now
from ratchet.data.delta_log import commit, open_table, read_snapshot
from ratchet.data.intake import judge, remember_seen, take_in, was_seen
from ratchet.data.parts import PartWriter
from ratchet.data.snapshot import Ingest, Snapshot
from ratchet.data.sources.port import Source
from ratchet.data.storage import is_remote, local_path
from ratchet.data.stored import scan_version
from ratchet.errors import ConflictError, UsageError

_ATTEMPTS = 3


class Lake:
    """Delta tables under one folder or ``s3://bucket/prefix``.

    Every method raises StorageError when the place cannot be read or written.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/") if is_remote(uri) else str(local_path(uri))

    def place(self, table: str) -> str:
        """Where a table lies: a folder, or an address such as s3://bucket/prefix/table."""
        return f"{self._uri}/{table}"

    def latest(self, table: str) -> Snapshot | None:
        """The newest version of a table; None when there is none yet."""
        place = self.place(table)
        opened = open_table(place)
        return None if opened is None else read_snapshot(table, place, opened.version())

    def snapshot(self, table: str, version: int) -> Snapshot:
        """One version. Raises UsageError (``no_such_version``)."""
        place = self.place(table)
        opened = open_table(place)
        last = -1 if opened is None else opened.version()
        if not 0 <= version <= last:
            raise UsageError(
                f'The table "{table}" has no version {version}',
                why=f"It has the versions 0 to {last}" if last >= 0 else "It is empty",
                fix="Choose one of them" if last >= 0 else "Ingest data first: ratchet run",
                code="no_such_version",
            )
        return read_snapshot(table, place, version)

    def history(self, table: str) -> tuple[Snapshot, ...]:
        """All versions, oldest first."""
        place = self.place(table)
        opened = open_table(place)
        last = -1 if opened is None else opened.version()
        return tuple(read_snapshot(table, place, version) for version in range(last + 1))

    def scan(self, snapshot: Snapshot, columns: Sequence[str] | None = None) -> pl.LazyFrame:
        """The rows of a version, in the order of ingestion; nothing is read yet."""
        frame = scan_version(self.place(snapshot.table), snapshot)
        return frame if columns is None else frame.select(columns)

    def is_current(self, table: str, source: Source) -> bool:
        """Whether the source is as it was at the last ingest, told without reading a row."""
        latest = self.latest(table)
        return latest is not None and was_seen(self.place(table), latest, source.fingerprint())

    def ingest(self, table: str, source: Source) -> Ingest:
        """Bring a table up to its source; a new version only when the content changed.

        Equal fingerprints end it without reading a row. Otherwise all rows are read: equal
        content is no new version; content that begins with all the rows there were appends
        the new ones; any other content replaces them, and old versions stay readable.

        Raises what the source raises, DataError (``no_rows``), and ConflictError when
        others keep committing to the table.
        """
        fingerprint = source.fingerprint()
        place = self.place(table)
        for _ in range(_ATTEMPTS):
            latest = self.latest(table)
            if latest is not None and was_seen(place, latest, fingerprint):
                reason = "the source and how it is read are as they were"
                return Ingest(latest, "unchanged", reason)
            writer = PartWriter(place, 0 if latest is None else latest.version + 1)
            done: Ingest | None = None
            try:
                done = self._attempt(table, source, latest, fingerprint, writer)
            finally:
                if done is None:
                    writer.discard()
            if done is not None:
                return done
        raise ConflictError(
            f'Others keep writing to the table "{table}"',
            fix="Run again when they are done",
            where=place,
            code="lake_conflict",
        )

    def _attempt(
        self,
        table: str,
        source: Source,
        latest: Snapshot | None,
        fingerprint: str | None,
        writer: PartWriter,
    ) -> Ingest | None:
        """Read the source and commit; None when somebody else committed meanwhile."""
        place = self.place(table)
        intake = take_in(source, latest, writer)
        change, reason = judge(latest, intake)
        if latest is not None and change == "unchanged":
            writer.discard()
            remember_seen(place, latest, fingerprint)
            return Ingest(latest, change, reason)
        made = Snapshot(
            table=table,
            version=0 if latest is None else latest.version + 1,
            rows=intake.rows,
            digest=intake.digest,
            schema=intake.schema,
            change=change,
            source=source.describe(),
            created=now(),
            fingerprint=fingerprint,
        )
        if not commit(place, made, writer.finish()):
            return None
        return Ingest(made, change, reason)
