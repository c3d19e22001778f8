"""The rows of one version of a table of the lake, as its files hold them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ratchet.data.delta_log import open_table
from ratchet.data.snapshot import Snapshot
from ratchet.data.storage import is_remote, storage_fault, storage_options, table_files
from ratchet.errors import StorageError


def scan_version(place: str, snapshot: Snapshot) -> pl.LazyFrame:
    """The rows of a version, in the order of ingestion; nothing is read yet.

    Raises StorageError when the table cannot be read, or when files of it are gone.
    """
    moments = [column.name for column in snapshot.schema.columns if column.kind == "datetime"]
    stored = snapshot.schema.polars()
    stored.update(dict.fromkeys(moments, pl.Datetime("us", "UTC")))
    files = _files(place, snapshot)
    if not files:
        return pl.LazyFrame(schema=snapshot.schema.polars())
    frame = pl.scan_parquet(
        files, glob=False, schema=stored, storage_options=storage_options(place)
    )
    if moments:
        frame = frame.with_columns(pl.col(moments).dt.replace_time_zone(None))
    return frame


def _files(place: str, snapshot: Snapshot) -> list[str]:
    """The files of a version in the order of ingestion, which is that of their names."""
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
