"""Point-in-time joins: what was known of an entity at a moment, for training rows.

The answer for a row is what the store would have held for its entity at its time, so that what a
model learns from is what it will be given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from ratchet.data.schema import TableSchema
from ratchet.errors import DataError
from ratchet.features.store.materialise import entity_column, stamp_column

_ENTITY, _STAMP, _PLACE, _KNOWN = "\0entity", "\0stamp", "\0place", "\0known"


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows with what was known of them.

    Attributes:
        frame: the rows in their order, with the history's columns after their own.
        found: rows of whom something was known.
        left_out: columns of the history that the rows have themselves; theirs stay, as a
            request's own values do.
    """

    frame: pl.DataFrame
    found: int
    left_out: tuple[str, ...]


def point_in_time(
    rows: pl.DataFrame,
    history: pl.DataFrame,
    *,
    by: str,
    time: str,
    max_age: timedelta | None = None,
) -> Joined:
    """Each row with the newest history row of its entity, at or before its time.

    A date counts from its midnight, UTC. Of history rows of the same entity and time the last
    one counts. What nobody knew is null, and so is what was older than ``max_age``. Rows
    without entity or time get nulls; history rows without are left out.

    Args:
        rows: the rows (n,), with ``by`` and ``time``.
        history: what became known when, with ``by`` and ``time``.
        by: the column that names the entity.
        time: the column that says when.

    Raises:
        DataError: one of the frames lacks a column, or its time is no date or time.
    """
    for frame, which in ((rows, "rows"), (history, "history")):
        _require(frame, which, by, time)
    left_out = tuple(
        name for name in history.columns if name in rows.columns and name not in (by, time)
    )
    added = [name for name in history.columns if name not in rows.columns]
    known = (
        history.select(*_key(history, by, time), *added, pl.lit(True).alias(_KNOWN))
        .drop_nulls([_ENTITY, _STAMP])
        .unique([_ENTITY, _STAMP], keep="last", maintain_order=True)
        .sort(_STAMP, maintain_order=True)
    )
    asked = rows.select(*_key(rows, by, time)).with_row_index(_PLACE)
    found = (
        asked.drop_nulls([_ENTITY, _STAMP])
        .sort(_STAMP, maintain_order=True)
        .join_asof(
            known,
            on=_STAMP,
            by=_ENTITY,
            strategy="backward",
            tolerance=None if max_age is None else max_age // timedelta(microseconds=1),
            check_sortedness=False,
        )
    )
    matched = asked.select(_PLACE).join(
        found.select(_PLACE, _KNOWN, *added), on=_PLACE, how="left", maintain_order="left"
    )
    frame = rows.hstack(matched.select(added))
    return Joined(frame, int(matched[_KNOWN].is_not_null().sum()), left_out)


def _key(frame: pl.DataFrame, by: str, time: str) -> tuple[pl.Expr, pl.Expr]:
    return (
        entity_column(by, frame.schema[by]).alias(_ENTITY),
        stamp_column(time).alias(_STAMP),
    )


def _require(frame: pl.DataFrame, which: str, by: str, time: str) -> None:
    schema = TableSchema.from_polars(frame.schema)
    for name, key in ((by, "data.id"), (time, "data.time")):
        if name not in schema:
            raise DataError(
                f'The {which} have no column "{name}", which {key} names',
                why=f"Their columns are {', '.join(schema.names[:12])}",
                fix=f"add the column, or name another one with --set {key}=NAME",
                where=which,
                code="column_missing",
            )
    if (kind := schema.kind(time)) not in ("date", "datetime"):
        raise DataError(
            f'The column "{time}" of the {which} is of kind {kind}, not a date or a time',
            fix=f"set data.columns.{time} to date or datetime",
            where=which,
            code="time_kind",
        )
