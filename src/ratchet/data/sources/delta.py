"""Somebody else's Delta table as a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ratchet.data.canonical import canonical, refuse_rows
from ratchet.data.schema import Kind, TableSchema
from ratchet.data.settings import SourceSettings
from ratchet.data.storage import is_remote, storage_options, table_files
from ratchet.errors import ConfigError, DataError
from ratchet.ids import digest_of

if TYPE_CHECKING:
    from deltalake import DeltaTable

_BATCH_ROWS = 1 << 17
_READER = 1  # counted up when the same version is read into other values


class DeltaSource:
    """The version of a Delta table that was newest when the source was opened.

    Files are read oldest first, so that a table that was appended to is seen as such.
    Partitioned tables and those with deletion vectors or column mapping go through
    Polars' own Delta scan, in its order.
    """

    def __init__(
        self, settings: SourceSettings, root: Path, columns: Mapping[str, Kind] | None
    ) -> None:
        self._shown = settings.path or ""
        self._uri = (
            self._shown if is_remote(self._shown) else str(root / Path(self._shown).expanduser())
        )
        self._pinned = dict(columns or {})
        self._table = _open(self._uri, self._shown)

    def describe(self) -> str:
        """``delta``, the path and the version."""
        return f"delta {self._shown} version {self._table.version()}"

    def modified(self) -> datetime | None:
        """When the version was committed, UTC."""
        commits: list[dict[str, Any]] = self._table.history(1)
        stamp = commits[0].get("timestamp") if commits else None
        return None if stamp is None else datetime.fromtimestamp(stamp / 1000, UTC)

    def fingerprint(self) -> str:
        """The digest of the table's id, its version and the pinned kinds: no file is read."""
        identity = [str(self._table.metadata().id), self._table.version()]
        return digest_of(
            {"delta": _READER, "table": identity, "columns": list(self._pinned.items())}
        )

    def schema(self) -> TableSchema:
        """The columns and their kinds, from the log."""
        found = TableSchema.from_polars(self._stored())
        return TableSchema.of((c.name, self._pinned.get(c.name, c.kind)) for c in found.columns)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, about 131,072 at a time; only ``columns`` are decoded."""
        kinds = {column.name: column.kind for column in self.schema().columns}
        names = list(columns) if columns is not None else list(kinds)
        frames = iter(self._scan().select(names).collect_batches(chunk_size=_BATCH_ROWS, lazy=True))
        start = 0
        while True:
            try:
                batch = next(frames, None)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise self._unreadable(error) from None
            if batch is None:
                return
            frame, misfits = canonical(batch, kinds)
            if misfits:
                refuse_rows(misfits, start, self._shown)
            start += batch.height
            yield frame

    def _stored(self) -> pl.Schema:
        try:
            return pl.scan_delta(self._table).collect_schema()
        except (OSError, pl.exceptions.PolarsError) as error:
            raise self._unreadable(error) from None

    def _scan(self) -> pl.LazyFrame:
        paths = [path for path, _ in sorted(table_files(self._table, self._uri), key=_age)]
        if not paths or not self._is_plain():
            return pl.scan_delta(self._table)
        return pl.scan_parquet(
            paths,
            glob=False,
            schema=self._stored(),
            missing_columns="insert",
            cast_options=pl.ScanCastOptions(
                integer_cast="upcast",
                float_cast="upcast",
                datetime_cast=["nanosecond-downcast", "convert-timezone"],
            ),
            storage_options=storage_options(self._uri),
        )

    def _is_plain(self) -> bool:
        """Whether the files hold all there is: no partitions, deletions or renamed columns."""
        if self._table.metadata().partition_columns:
            return False
        features = set(self._table.protocol().reader_features or [])
        mapping = self._table.metadata().configuration.get("delta.columnMapping.mode", "none")
        return "deletionVectors" not in features and mapping == "none"

    def _unreadable(self, error: Exception) -> DataError:
        said = str(error).splitlines()
        return DataError(
            f"The Delta table {self._shown} cannot be read",
            why=said[0] if said else type(error).__name__,
            fix="Check the table with the program that writes it",
            where="data.source.path",
            code="delta_unreadable",
        )


def _age(file: tuple[str, int]) -> tuple[int, str]:
    path, changed = file
    return changed, path


def _open(uri: str, shown: str) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    missing = ConfigError(
        f"There is no Delta table at {shown}",
        why=f"Looked for {uri}/_delta_log",
        fix="Correct data.source.path",
        where="data.source.path",
        code="source_missing",
    )
    if not is_remote(uri) and not (Path(uri) / "_delta_log").is_dir():
        raise missing
    try:
        return DeltaTable(uri, storage_options=storage_options(uri))
    except TableNotFoundError:
        raise missing from None
    except (DeltaError, OSError) as error:
        said = str(error).splitlines()
        raise DataError(
            f"The Delta table {shown} cannot be read",
            why=said[0] if said else type(error).__name__,
            fix="Check the table with the program that writes it",
            where="data.source.path",
            code="delta_unreadable",
        ) from None
