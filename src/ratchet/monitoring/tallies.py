"""Counting one column's values in the bins of its reference."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import polars as pl

from ratchet.data.parsing import parse
from ratchet.data.schema import Kind
from ratchet.monitoring.binning import level_mark
from ratchet.monitoring.cells import CellTable
from ratchet.monitoring.columns import Counts, Floats, LevelColumn, NumberColumn, ProfileColumn

NAMED_NEW = 20
"""How many new levels a tally can name."""


@dataclass(eq=False, slots=True)
class NumberTally:
    """Rows of a window in the bins of a number column.

    Attributes:
        counts: rows in each bin (b,).
        sums: of their differences from the reference's centre (b,).
        missing: rows without a finite value.
    """

    counts: Counts
    sums: Floats
    missing: int = 0

    @property
    def rows(self) -> int:
        """Rows counted, the missing ones among them."""
        return int(self.counts.sum()) + self.missing

    def add(self, other: Tally) -> None:
        """Count the rows of another tally of the same column as well."""
        assert isinstance(other, NumberTally)
        self.counts += other.counts
        self.sums += other.sums
        self.missing += other.missing


@dataclass(eq=False, slots=True)
class LevelTally:
    """Rows of a window at the levels of a level column.

    Attributes:
        counts: rows at each level, at rare levels, at new ones (L + 2,).
        missing: rows without a value.
        fresh: some of the new levels and their rows: the same ones in whatever order tallies are
            added, as it is always those with the least checksums.
    """

    counts: Counts
    missing: int = 0
    fresh: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows counted, the missing ones among them."""
        return int(self.counts.sum()) + self.missing

    def add(self, other: Tally) -> None:
        """Count the rows of another tally of the same column as well."""
        assert isinstance(other, LevelTally)
        self.counts += other.counts
        self.missing += other.missing
        for level, size in other.fresh.items():
            self.fresh[level] = self.fresh.get(level, 0) + size
        self.fresh = _few_of(self.fresh.items())


Tally: TypeAlias = NumberTally | LevelTally


def empty_tally(column: ProfileColumn) -> Tally:
    """A tally of no rows."""
    counts = np.zeros(column.slots, np.int64)
    if isinstance(column, NumberColumn):
        return NumberTally(counts, np.zeros(column.slots))
    return LevelTally(counts)


def tally_column(column: ProfileColumn, values: pl.Series, table: CellTable | None = None) -> Tally:
    """The tally of a series; ``table`` is quicker where there are many numbers."""
    if isinstance(column, NumberColumn):
        return tally_numbers(column, values, table)
    return tally_levels(column, values)


def tally_numbers(column: NumberColumn, values: pl.Series, table: CellTable | None) -> NumberTally:
    """The tally of a series; ``table`` is quicker where there are many values."""
    numbers = number_values(values, column.kind)
    if table is None:
        return _searched(column, numbers)
    counts, sums = table.count(numbers)
    return NumberTally(counts[:-1], sums[:-1], int(counts[-1]))


def _searched(column: NumberColumn, numbers: Floats) -> NumberTally:
    with np.errstate(over="ignore"):
        away = numbers.astype(np.float64) - column.centre
        finite = np.isfinite(away.astype(np.float32))
    known, away = numbers[finite], away[finite]
    bins = np.searchsorted(column.edges, known, side="right")
    return NumberTally(
        np.bincount(bins, minlength=column.slots),
        np.bincount(bins, weights=away, minlength=column.slots).astype(np.float64, copy=False),
        len(numbers) - len(known),
    )


def number_values(values: pl.Series, kind: Kind) -> Floats:
    """Values as floats, or as integers where none is missing; what is missing is NaN.

    Dates and moments become microseconds since 1970. What is no number is missing.
    """
    if kind in ("date", "datetime"):
        values = _moments(values)
    elif not values.dtype.is_numeric():
        values = values.cast(pl.Float64, strict=False)
    elif values.dtype.is_decimal():
        values = values.cast(pl.Float64)
    if kind == "integer" and values.dtype.is_float():
        values = values.floor()
    if values.null_count():
        values = values.cast(pl.Float64).fill_null(float("nan"))
    numbers: Floats = values.to_numpy()
    return numbers


def _moments(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        days = parse(values, "date")[0].cast(pl.Datetime("us"))
        values = parse(values, "datetime")[0].fill_null(days)
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None:
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values.cast(pl.Datetime("us"), strict=False).cast(pl.Int64)


def tally_levels(column: LevelColumn, values: pl.Series) -> LevelTally:
    """The tally of a series."""
    counted, missing = count_levels(values)
    counts = np.zeros(column.slots, np.int64)
    rest = len(column.levels)
    unknown: list[tuple[str, int]] = []
    for level, size in counted:
        place = column.places.get(level)
        if place is not None:
            counts[place] += size
        elif column.closed:
            unknown.append((level, size))
        else:
            counts[rest] += size
    fresh = list(_without_rare(column, unknown)) if unknown else []
    new = sum(size for _, size in fresh)
    counts[rest] += sum(size for _, size in unknown) - new
    counts[rest + 1] = new
    return LevelTally(counts, missing, _few_of(fresh))


def count_levels(values: pl.Series) -> tuple[list[tuple[str, int]], int]:
    """Each level's text and rows, in no order, and the rows without one."""
    name = values.name or "value"
    counted = values.alias(name).value_counts(name="count")
    texts = level_texts(counted[name])
    pairs = zip(texts.to_list(), counted["count"].to_list(), strict=True)
    found: dict[str, int] = {}
    missing = 0
    for level, size in pairs:
        if level is None:
            missing += size
        else:
            found[level] = found.get(level, 0) + size
    return list(found.items()), missing


def level_texts(values: pl.Series) -> pl.Series:
    """Levels as text; equal values of a boolean, a number or a text have equal texts."""
    return values if values.dtype == pl.String else values.cast(pl.String, strict=False)


def _without_rare(column: LevelColumn, unknown: list[tuple[str, int]]) -> Iterable[tuple[str, int]]:
    if not len(column.rare):
        return unknown
    marks = np.array([level_mark(level) for level, _ in unknown], dtype=np.uint32)
    places = np.searchsorted(column.rare, marks).clip(max=len(column.rare) - 1)
    return [item for item, new in zip(unknown, column.rare[places] != marks, strict=True) if new]


def _few_of(levels: Iterable[tuple[str, int]]) -> dict[str, int]:
    ranked = sorted(levels, key=lambda item: (_order(item[0]), item[0]))
    return dict(ranked[:NAMED_NEW])


def _order(level: str) -> int:
    return zlib.crc32(level.encode("utf-8", "surrogatepass"))
