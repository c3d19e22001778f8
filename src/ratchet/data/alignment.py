"""Frames from different places brought into one table's columns and kinds."""

from __future__ import annotations

import polars as pl

from ratchet.data.canonical import canonical, refuse_rows
from ratchet.data.schema import TableSchema, polars_type, widest


def merge_schemas(first: TableSchema, second: TableSchema, *, extend: bool) -> TableSchema:
    """The columns of ``first`` in kinds that hold the values of both.

    ``extend`` adds the columns that only ``second`` has, at the end.
    """
    kinds = {
        column.name: widest((column.kind, second.kind(column.name)))
        if column.name in second
        else column.kind
        for column in first.columns
    }
    if extend:
        kinds |= {c.name: c.kind for c in second.columns if c.name not in first}
    return TableSchema.of(kinds)


def align(frame: pl.DataFrame, schema: TableSchema, *, start: int, where: str) -> pl.DataFrame:
    """``frame`` with the columns of ``schema`` in their kinds; what it lacks is missing.

    Args:
        start: the 0-based number of its first row, for errors.
        where: what it was read from, for errors.

    Raises:
        DataError: ``type_mismatch``, a value does not fit its column's kind.
    """
    present = [name for name in schema.names if name in frame.columns]
    pinned = {column.name: column.kind for column in schema.columns}
    made, misfits = canonical(frame.select(present), pinned)
    if misfits:
        refuse_rows(misfits, start, where)
    lacking = {
        column.name: pl.lit(None, dtype=polars_type(column.kind))
        for column in schema.columns
        if column.name not in present
    }
    return made.with_columns(**lacking).select(schema.names)
