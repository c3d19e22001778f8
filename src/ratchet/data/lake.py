"""Versioned tables on Delta Lake: every run pins one version, history is never overwritten.

The rows of a version keep the order in which they were ingested. What is known about a
version (rows, content digest, schema, where it came from) is stored in the commit that
makes it, so data and facts appear together or not at all. A process that is killed leaves
at most files that no commit names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ratchet.clock import now
from ratchet.data.delta_log import commit, open_table, read_snapshot
from ratchet.data.intake import judge, remember_seen, take_in, was_seen
from ratchet.data.parts import PartWriter
from ratchet.data.snapshot import Ingest, Snapshot
from ratchet.data.sources.port import Source
from ratchet.data.storage import (
    is_remote,
    local_path,
    storage_fault,
    storage_options,
    table_files,
)
from ratchet.errors import ConflictError, StorageError, UsageError

_ATTEMPTS = 3


class Lake:
    """Delta tables under one folder or ``s3://bucket/prefix``.

    Every method raises StorageError when the place cannot be read or written.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/") if is_remote(uri) else str(local_path(uri))

    def latest(self, table: str) -> Snapshot | None:
        """The newest version of a table; None when there is none yet."""
        place = self._place(table)
        opened = open_table(place)
        return None if opened is None else read_snapshot(table, place, opened.version())

    def snapshot(self, table: str, version: int) -> Snapshot:
        """One version. Raises UsageError (``no_such_version``)."""
        place = self._place(table)
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
        place = self._place(table)
        opened = open_table(place)
        last = -1 if opened is None else opened.version()
        return tuple(read_snapshot(table, place, version) for version in range(last + 1))

    def scan(self, snapshot: Snapshot, columns: Sequence[str] | None = None) -> pl.LazyFrame:
        """The rows of a version, in the order of ingestion; nothing is read yet."""
        place = self._place(snapshot.table)
        moments = [c.name for c in snapshot.schema.columns if c.kind == "datetime"]
        stored = snapshot.schema.polars()
        stored.update(dict.fromkeys(moments, pl.Datetime("us", "UTC")))
        frame = pl.scan_parquet(
            self._files(snapshot),
            glob=False,
            schema=stored,
            storage_options=storage_options(place),
        )
        if moments:
            frame = frame.with_columns(pl.col(moments).dt.replace_time_zone(None))
        return frame if columns is None else frame.select(columns)

    def is_current(self, table: str, source: Source) -> bool:
        """Whether the source is as it was at the last ingest, told without reading a row."""
        latest = self.latest(table)
        return latest is not None and was_seen(self._place(table), latest, source.fingerprint())

    def ingest(self, table: str, source: Source) -> Ingest:
        """Bring a table up to its source; a new version only when the content changed.

        Equal fingerprints end it without reading a row. Otherwise all rows are read: equal
        content is no new version; content that begins with all the rows there were appends
        the new ones; any other content replaces them, and old versions stay readable.

        Raises what the source raises, DataError (``no_rows``), and ConflictError when
        others keep committing to the table.
        """
        fingerprint = source.fingerprint()
        place = self._place(table)
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
        place = self._place(table)
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

    def _place(self, table: str) -> str:
        return f"{self._uri}/{table}"

    def _files(self, snapshot: Snapshot) -> list[str]:
        """The files of a version in the order of ingestion, which is that of their names."""
        place = self._place(snapshot.table)
        opened = open_table(place, snapshot.version)
        if opened is None:
            raise storage_fault(place, OSError("the table disappeared"))
        files = sorted(path for path, _ in table_files(opened, place))
        gone = [] if is_remote(place) else [path for path in files if not Path(path).exists()]
        if gone:
            raise StorageError(
                f'Version {snapshot.version} of the table "{snapshot.table}" is damaged',
                why=f"{Path(gone[0]).name} is missing in {place}",
                fix="Restore the folder from a backup; nothing in it is ever to be removed",
                where=place,
                code="lake_damaged",
            )
        return files
