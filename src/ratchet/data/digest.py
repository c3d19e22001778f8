"""The digest of a table's content: equal rows in equal order, equal digest."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from ratchet.data.schema import Kind, TableSchema
from ratchet.ids import digest_of

_VERSION = 1
_TEXT_AT_ONCE = 1 << 30  # bytes joined at a time; one Polars text holds less than 4 GB


class ContentDigest:
    """SHA-256 over the columns of a table, fed in pieces; how it is cut does not matter.

    Per column two streams are hashed: the values (8, 4 or 1 little-endian bytes each,
    zero where null; for text the lengths, and the bytes in a third stream) and the row
    numbers of the nulls. The digest is the SHA-256 of names, kinds, the number of rows and
    these. ``hexdigest`` may be asked at any time: fed the first N rows of a table, it is
    the digest those N rows had when they were the whole table.
    """

    def __init__(self, schema: TableSchema) -> None:
        self._schema = schema
        self._columns = [_ColumnDigest(column.name, column.kind) for column in schema.columns]
        self._rows = 0

    @property
    def schema(self) -> TableSchema:
        """The columns."""
        return self._schema

    @property
    def rows(self) -> int:
        """How many rows were fed."""
        return self._rows

    def update(self, frame: pl.DataFrame) -> None:
        """Feed the next rows; ValueError when their columns are not the schema's."""
        if TableSchema.from_polars(frame.schema) != self._schema:
            raise ValueError("the frame's columns are not those of the digest")
        for column in self._columns:
            column.update(frame.get_column(column.name), self._rows)
        self._rows += frame.height

    def hexdigest(self) -> str:
        """64 hex digits for all rows fed so far."""
        return digest_of(
            {
                "version": _VERSION,
                "rows": self._rows,
                "schema": self._schema.to_json(),
                "columns": [column.hexdigests() for column in self._columns],
            }
        )


def digest_frame(frame: pl.DataFrame) -> str:
    """The content digest of a whole frame."""
    digest = ContentDigest(TableSchema.from_polars(frame.schema))
    digest.update(frame)
    return digest.hexdigest()


class _ColumnDigest:
    """The running hashes of one column."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name = name
        self._kind = kind
        self._values = hashlib.sha256()
        self._texts = hashlib.sha256()
        self._nulls = hashlib.sha256()

    def update(self, series: pl.Series, start: int) -> None:
        if series.null_count():
            rows = series.is_null().arg_true().to_numpy().astype("<i8") + start
            self._nulls.update(rows.data)
        if self._kind == "string":
            self._update_text(series)
        else:
            self._values.update(_fixed_width(series, self._kind).data)

    def _update_text(self, series: pl.Series) -> None:
        lengths = series.str.len_bytes().fill_null(0)
        if lengths.len() > 1 and int(lengths.cast(pl.Int64).sum()) > _TEXT_AT_ONCE:
            half = series.len() // 2
            self._update_text(series.head(half))
            self._update_text(series.slice(half))
            return
        counts = np.ascontiguousarray(lengths.to_numpy().astype("<u4", copy=False))
        self._values.update(counts.data)
        self._texts.update(series.str.join("").cast(pl.Binary).item() or b"")

    def hexdigests(self) -> list[str]:
        return [h.hexdigest() for h in (self._values, self._texts, self._nulls)]


def _fixed_width(series: pl.Series, kind: Kind) -> np.ndarray:
    if kind == "number":
        values = series.fill_null(0.0).to_numpy().astype("<f8", copy=False)
    elif kind == "boolean":
        values = series.fill_null(False).cast(pl.UInt8).to_numpy()
    elif kind == "date":
        values = series.to_physical().fill_null(0).to_numpy().astype("<i4", copy=False)
    else:
        values = series.to_physical().fill_null(0).to_numpy().astype("<i8", copy=False)
    return np.ascontiguousarray(values)
