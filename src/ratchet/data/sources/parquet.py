"""Parquet files as a source: one file, a folder (partitioned too) or a glob."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from ratchet.data.canonical import canonical, refuse_rows
from ratchet.data.memory import rows_at_once
from ratchet.data.schema import Kind, TableSchema, kind_of, widest
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.files import find_files, unreadable
from ratchet.errors import DataError

_READER = 1  # counted up when the same bytes are read into other values


class ParquetSource:
    """Parquet files with the same columns, read by column and in batches.

    In a folder ``.../year=2026/...`` the parts of the path are columns too.
    """

    def __init__(
        self, settings: SourceSettings, root: Path, columns: Mapping[str, Kind] | None
    ) -> None:
        self._pinned = dict(columns or {})
        self._files = find_files(settings.path or "", root, "parquet")
        single = self._files.paths == (root / Path(settings.path or "").expanduser(),)
        self._partitioned = not single and any("=" in str(path) for path in self._files.paths)
        self._schema: TableSchema | None = None

    def describe(self) -> str:
        """``parquet`` and the path."""
        return f"parquet {self._files.describe()}"

    def modified(self) -> datetime:
        """When the newest file was written, UTC."""
        return self._files.modified()

    def fingerprint(self) -> str:
        """The digest of the files' bytes and of the pinned kinds."""
        partitions = [str(p.parent) for p in self._files.paths] if self._partitioned else []
        return self._files.fingerprint(
            {"parquet": _READER, "partitions": partitions, "columns": list(self._pinned.items())}
        )

    def schema(self) -> TableSchema:
        """The columns and their kinds, from the files' footers."""
        if self._schema is None:
            self._schema = self._settle()
        return self._schema

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in file order, some at a time; only ``columns`` are decoded."""
        schema = self.schema()
        kinds = {column.name: column.kind for column in schema.columns}
        names = list(columns) if columns is not None else list(schema.names)
        for path in self._files.paths:
            start = 0
            for batch in self._rows(path, names):
                frame, misfits = canonical(batch, kinds)
                if misfits:
                    refuse_rows(misfits, start, path.name)
                start += batch.height
                yield frame
        self._files.require_unchanged()

    def _rows(self, path: Path, names: list[str]) -> Iterator[pl.DataFrame]:
        frames: Iterator[pl.DataFrame] | None = None
        while True:
            try:
                if frames is None:
                    scan = self._scan(path).select(names)
                    frames = iter(scan.collect_batches(chunk_size=rows_at_once(scan), lazy=True))
                frame = next(frames, None)
            except pl.exceptions.PolarsError as error:
                raise _damaged(path, error) from None
            if frame is None:
                return
            yield frame

    def _scan(self, path: Path) -> pl.LazyFrame:
        return pl.scan_parquet(path, glob=False, hive_partitioning=self._partitioned)

    def _settle(self) -> TableSchema:
        first, *rest = [(path, self._footer(path)) for path in self._files.paths]
        names = list(first[1])
        for path, footer in rest:
            odd = set(names) ^ set(footer)
            if odd:
                shown = ", ".join(f'"{name}"' for name in sorted(odd)[:5])
                raise DataError(
                    f"{path.name} has other columns than {first[0].name}: {shown}",
                    fix="Files of one source need the same columns; move the odd file away",
                    where=str(path),
                    code="files_differ",
                )
        return TableSchema.of((name, self._kind(name, [first, *rest])) for name in names)

    def _kind(self, name: str, footers: list[tuple[Path, pl.Schema]]) -> Kind:
        if name in self._pinned:
            return self._pinned[name]
        types = [footer[name] for _, footer in footers]
        return widest(kind_of(t) for t in [t for t in types if t != pl.Null] or types)

    def _footer(self, path: Path) -> pl.Schema:
        try:
            return self._scan(path).collect_schema()
        except pl.exceptions.PolarsError as error:
            raise _damaged(path, error) from None
        except OSError as error:
            raise unreadable(str(path), error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path.name} is no readable Parquet file",
        why=str(error).splitlines()[0] if str(error) else type(error).__name__,
        fix="Write or copy the file again",
        where=str(path),
        code="parquet_damaged",
    )
