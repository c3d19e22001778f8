"""From a table to the store: the newest row of every entity, known at a moment and no later.

Rows are streamed: one piece of the table is in memory at a time. Of a piece only the newest row
per entity is stored, and the store itself keeps an older piece's row from replacing a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from ratchet.clock import now
from ratchet.data.schema import TableSchema
from ratchet.errors import UsageError
from ratchet.features.store.port import FeatureRow, FeatureSchema, FeatureStore, micros

_ENTITY, _STAMP, _PLACE = "\0entity", "\0stamp", "\0place"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is taken from a table.

    Attributes:
        schema: the columns to store.
        by: the column that names the entity.
        time: the column that says when a row was known; None takes rows in their order.
        as_of: no row that is newer is taken; None takes all.
    """

    schema: FeatureSchema
    by: str
    time: str | None
    as_of: datetime | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, once."""
        names = (self.by, *(() if self.time is None else (self.time,)), *self.schema.names)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did.

    Attributes:
        rows: rows that were read.
        stored: rows that were written; an older row of an entity that is there is not.
        later: rows left out because they are newer than ``as_of``.
        nameless: rows left out because they name no entity.
        undated: rows left out because they do not say when.
    """

    rows: int = 0
    stored: int = 0
    later: int = 0
    nameless: int = 0
    undated: int = 0


def want(
    table: TableSchema,
    columns: Iterable[str],
    *,
    by: str | None,
    time: str | None,
    as_of: datetime | None = None,
) -> Wanted:
    """What to take of ``columns`` from a table.

    Raises:
        UsageError: the table has no column for the entity or the time, the time is none, or
            ``as_of`` is given and nothing says when rows were known.
    """
    if by is None:
        raise UsageError(
            "Nothing says which entity a row is about",
            why="the feature store keeps the newest row of each entity",
            fix="name the column with data.id",
            where="data.id",
            code="no_entity_column",
        )
    for name, key in ((by, "data.id"), (time, "data.time")):
        if name is not None and name not in table:
            raise UsageError(
                f'The data has no column "{name}", which {key} names',
                why=f"Its columns are {', '.join(table.names[:12])}",
                fix=f"set {key} to one of them, or add the column",
                where=key,
                code="column_missing",
            )
    if time is not None and table.kind(time) not in ("date", "datetime"):
        raise UsageError(
            f'The time column "{time}" is of kind {table.kind(time)}, not a date or a time',
            why="how old stored features are cannot be told from it",
            fix=f"set data.columns.{time} to date or datetime",
            where="data.time",
            code="time_kind",
        )
    if time is None and as_of is not None:
        raise UsageError(
            "What was known at a time cannot be told",
            why="no column says when a row was known",
            fix="name it with data.time, or leave out --as-of",
            where="data.time",
            code="no_time_column",
        )
    held = [column for column in table.columns if column.name in set(columns)]
    return Wanted(FeatureSchema.of(held), by, time, as_of)


def materialise(
    pieces: Iterable[pl.DataFrame],
    wanted: Wanted,
    store: FeatureStore,
    *,
    ttl: timedelta | None = None,
    progress: Callable[[Pushed], None] | None = None,
) -> Pushed:
    """Store the newest row of every entity, then let readers read these columns.

    Args:
        pieces: the table in its order; the same moment's later row wins.
        progress: called after every piece.

    Raises:
        UnreachableError, StorageError: the store; what was written stays, and doing it again
            is safe.
    """
    total, at = Pushed(), now()
    for piece in pieces:
        newest, found = newest_rows(piece, wanted, at)
        stored = store.push(_feature_rows(newest, wanted.schema), wanted.schema, ttl=ttl)
        total = Pushed(
            total.rows + found.rows,
            total.stored + stored,
            total.later + found.later,
            total.nameless + found.nameless,
            total.undated + found.undated,
        )
        if progress is not None:
            progress(total)
    if total.rows:
        store.publish(wanted.schema)
    return total


def newest_rows(piece: pl.DataFrame, wanted: Wanted, at: datetime) -> tuple[pl.DataFrame, Pushed]:
    """The newest row per entity of a piece: entity, time in microseconds, then the columns.

    ``at`` is the time of rows that have none. With it what was left out.
    """
    stamps = pl.lit(micros(at)) if wanted.time is None else stamp_column(wanted.time)
    named = piece.select(
        entity_column(wanted.by, piece.schema[wanted.by]).alias(_ENTITY),
        stamps.cast(pl.Int64).alias(_STAMP),
        *(_storable(name, piece.schema[name]) for name in wanted.schema.names),
    )
    nameless = pl.col(_ENTITY).is_null()
    undated = pl.col(_STAMP).is_null()
    later = pl.lit(False) if wanted.as_of is None else pl.col(_STAMP) > micros(wanted.as_of)
    counts = named.select(
        nameless.sum().alias("nameless"),
        (~nameless & undated).sum().alias("undated"),
        (~nameless & later.fill_null(False)).sum().alias("later"),
    ).row(0, named=True)
    kept = named.filter(~nameless & ~undated & ~later)
    newest = (
        kept.with_row_index(_PLACE)
        .sort(_STAMP, _PLACE)
        .unique(_ENTITY, keep="last", maintain_order=True)
        .drop(_PLACE)
        .sort(_ENTITY)  # neighbours in the file are written together
    )
    return newest, Pushed(piece.height, 0, **counts)


def entity_column(name: str, dtype: pl.DataType) -> pl.Expr:
    """The column as texts that name entities, as ``packing.entity_text`` names single ones."""
    column = pl.col(name)
    if dtype.is_float():
        whole = column.is_finite() & (column == column.floor()) & (column.abs() < 2**63)
        return (
            pl.when(whole)
            .then(column.cast(pl.Int64, strict=False).cast(pl.String))
            .when(column.is_finite())
            .then(column.cast(pl.String))
        )
    if dtype == pl.Datetime:
        whole = column.dt.microsecond() == 0
        return (
            pl.when(whole)
            .then(column.dt.strftime("%Y-%m-%dT%H:%M:%S"))
            .otherwise(column.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"))
        )
    return column.cast(pl.String)


def stamp_column(name: str) -> pl.Expr:
    """A date or time column as microseconds since 1970, UTC."""
    return pl.col(name).cast(pl.Datetime("us")).dt.timestamp("us")


def _storable(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    return pl.when(column.is_finite()).then(column).alias(name) if dtype.is_float() else column


def _feature_rows(newest: pl.DataFrame, schema: FeatureSchema) -> Iterator[FeatureRow]:
    for entity, stamp, *values in newest.select(_ENTITY, _STAMP, *schema.names).iter_rows():
        yield FeatureRow(entity, stamp, values)


def missing_columns(wanted: Sequence[str], table: TableSchema) -> tuple[str, ...]:
    """Those of ``wanted`` that the table does not have: requests must bring them."""
    return tuple(name for name in wanted if name not in table)
