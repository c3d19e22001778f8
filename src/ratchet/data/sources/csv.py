"""CSV files as a source: one file, a folder or a glob, plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from ratchet.data.schema import Kind, TableSchema, kind_of, widest
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.csv_table import read_table
from ratchet.data.sources.files import FileSet, find_files
from ratchet.data.sources.rawtext import load_text
from ratchet.errors import DataError

_BATCH_ROWS = 1 << 18
_READER = 2  # counted up when the same bytes are read into other values
_OPTIONS = ("separator", "encoding", "quote", "header", "missing", "decimal", "formats")


class CsvSource:
    """CSV files with one header. Each file is parsed whole; batches are slices of it."""

    def __init__(
        self, settings: SourceSettings, root: Path, columns: Mapping[str, Kind] | None
    ) -> None:
        self._settings = settings
        self._pinned = dict(columns or {})
        self._files: FileSet = find_files(settings.path or "", root, "csv")
        self._schema: TableSchema | None = None
        self._frames: dict[Path, pl.DataFrame] = {}

    def describe(self) -> str:
        """``csv`` and the path."""
        return f"csv {self._files.describe()}"

    def modified(self) -> datetime:
        """When the newest file was written, UTC."""
        return self._files.modified()

    def fingerprint(self) -> str:
        """The digest of the files' bytes, the read options and the pinned kinds."""
        options: dict[str, Any] = self._settings.model_dump(mode="json", include=set(_OPTIONS))
        return self._files.fingerprint(
            {"csv": _READER, "options": options, "columns": list(self._pinned.items())}
        )

    def schema(self) -> TableSchema:
        """The columns and their kinds, after parsing the first file; all when not pinned."""
        if self._schema is None:
            self._schema = self._settle()
        return self._schema

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in file order, at most 262,144 at a time."""
        schema = self.schema()
        for path in self._files.paths:
            frame = self._frames.pop(path, None)
            if frame is None:
                frame = self._read(path, {c.name: c.kind for c in schema.columns})
            frame = self._aligned(frame, schema, path)
            if columns is not None:
                frame = frame.select(columns)
            self._files.require_unchanged()
            yield from frame.iter_slices(_BATCH_ROWS)

    def _read(self, path: Path, kinds: Mapping[str, Kind]) -> pl.DataFrame:
        return read_table(load_text(path, self._settings.encoding), self._settings, kinds)

    def _settle(self) -> TableSchema:
        """Kinds that fit every file: the pinned ones, else the narrowest that all share."""
        first, *rest = self._files.paths
        self._frames[first] = self._read(first, self._pinned)
        schema = TableSchema.from_polars(self._frames[first].schema)
        if not rest or all(name in self._pinned for name in schema.names):
            return schema
        for path in rest:
            frame = self._read(path, self._pinned)
            self._frames[path] = self._aligned(frame, schema, path)
        kinds = {name: self._shared_kind(name) for name in schema.names}
        for path, frame in list(self._frames.items()):
            if TableSchema.from_polars(frame.schema) != TableSchema.of(kinds):
                del self._frames[path]  # read again, in the kinds that fit all files
        return TableSchema.of(kinds)

    def _shared_kind(self, name: str) -> Kind:
        columns = [frame.get_column(name) for frame in self._frames.values()]
        filled = [column for column in columns if column.null_count() < column.len()]
        return widest(kind_of(column.dtype) for column in filled or columns)

    def _aligned(self, frame: pl.DataFrame, schema: TableSchema, path: Path) -> pl.DataFrame:
        if tuple(frame.columns) == schema.names:
            return frame
        missing = [name for name in schema.names if name not in frame.columns]
        extra = [name for name in frame.columns if name not in schema]
        if missing or extra:
            what = [f'lacks "{name}"' for name in missing] + [f'also has "{n}"' for n in extra]
            raise DataError(
                f"{path.name} has other columns than {self._files.paths[0].name}: it "
                + ", ".join(what[:5]),
                fix="Files of one source need one header; move the odd file away",
                where=str(path),
                code="files_differ",
            )
        return frame.select(schema.names)
