"""Distributions before and after, in few enough bars to be looked at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import polars as pl

from ratchet.data.schema import Kind, polars_type
from ratchet.monitoring.binning import bin_levels
from ratchet.monitoring.columns import (
    NUMBERS,
    Counts,
    Floats,
    LevelColumn,
    NumberColumn,
    ProfileColumn,
    cumulative,
)
from ratchet.monitoring.profile import Profile, Window, build_column
from ratchet.monitoring.tallies import LevelTally, NumberTally, Tally, count_levels, tally_column

BARS = 40
_FEW_VALUES = 16
_LEVELS = 8
# Of each side, so much may lie beyond the ends of the picture.
_BEYOND = 0.005
_SKEWED = 30.0


@dataclass(frozen=True, slots=True)
class NumberPicture:
    """A histogram of numbers.

    Attributes:
        edges: of the bars (b + 1,).
        before: share of the reference's rows in each bar (b,).
        after: share of the new rows (b,).
        log: the edges are at equal ratios, not at equal distances.
        beyond: shares that lie outside the edges, before and after.
    """

    edges: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    log: bool
    beyond: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LevelPicture:
    """Shares of levels, or of the few values of a column of numbers.

    Attributes:
        names: of the bars; the last ones may be ``other``, ``new`` and ``missing`` in brackets.
        before: share of all rows of the reference.
        after: share of all new rows.
        ordered: the names are numbers in their order.
    """

    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    ordered: bool = False


Picture: TypeAlias = NumberPicture | LevelPicture


def picture_of(profile: Profile, window: Window, name: str) -> Picture | None:
    """The picture of a column; None where one side has no rows."""
    return _picture(profile.columns[name], window.tallies[name])


def _picture(column: ProfileColumn, tally: Tally) -> Picture | None:
    if not column.counts.sum() + column.missing or not tally.rows:
        return None
    if isinstance(column, LevelColumn):
        assert isinstance(tally, LevelTally)
        return _levels(column, tally)
    assert isinstance(tally, NumberTally)
    if not column.present or not tally.counts.sum():
        return None
    return _few_values(column, tally) or _histogram(column, tally)


def picture_between(name: str, kind: Kind, before: pl.Series, after: pl.Series) -> Picture | None:
    """The picture of two series, in bins that fit both."""
    before, after = (values.cast(polars_type(kind), strict=False) for values in (before, after))
    both = _column_of_both(name, kind, pl.concat([before, after]))
    first, second = (tally_column(both, values) for values in (before, after))
    column = replace(both, counts=first.counts, missing=first.missing)
    return _picture(column, second)


def _column_of_both(name: str, kind: Kind, values: pl.Series) -> ProfileColumn:
    if kind in NUMBERS:
        return build_column(name, kind, values)
    # Nothing of a picture is kept: rare levels may be named.
    counted, missing = count_levels(values)
    return bin_levels(name, kind, counted, missing, fewest=1)


def _levels(column: LevelColumn, tally: LevelTally) -> LevelPicture:
    named = min(_LEVELS, len(column.levels))
    rows = (column.present + column.missing, tally.rows)
    parts = [
        _level_parts(each, named, len(column.levels)) for each in (column.counts, tally.counts)
    ]
    names = [*column.levels[:named], "(other)", "(new)", "(missing)"]
    before = [*parts[0], column.missing]
    after = [*parts[1], tally.missing]
    # What nobody has is not drawn.
    shown = [at for at in range(len(names)) if at < named or before[at] or after[at]]
    return LevelPicture(
        tuple(names[at] for at in shown),
        tuple(before[at] / max(1, rows[0]) for at in shown),
        tuple(after[at] / max(1, rows[1]) for at in shown),
    )


def _level_parts(counts: Counts, named: int, levels: int) -> list[int]:
    known = counts[:named].tolist()
    return [*known, int(counts[named : levels + 1].sum()), int(counts[levels + 1])]


def _few_values(column: NumberColumn, tally: NumberTally) -> LevelPicture | None:
    """The column's values one by one, where both sides have few of them."""
    filled = np.flatnonzero((column.counts > 0) | (tally.counts > 0))
    if len(filled) > _FEW_VALUES or not column.single[filled].all():
        return None
    values = column.edges[filled - 1]
    if column.kind == "integer":
        values = np.ceil(values)
    rows = (column.present + column.missing, tally.rows)
    names = [f"{value:.10g}" for value in values]
    before, after = column.counts[filled].tolist(), tally.counts[filled].tolist()
    if column.missing or tally.missing:
        names.append("(missing)")
        before.append(column.missing)
        after.append(tally.missing)
    return LevelPicture(
        tuple(names),
        tuple(size / rows[0] for size in before),
        tuple(size / rows[1] for size in after),
        ordered=True,
    )


def _histogram(column: NumberColumn, tally: NumberTally) -> NumberPicture:
    """Bars of equal width, or of equal ratio where most values would lie in the first one."""
    ends = _ends(column, tally)
    curves = [cumulative(counts) for counts in (column.counts, tally.counts)]
    low = min(_quantile(ends, curve, _BEYOND) for curve in curves)
    high = max(_quantile(ends, curve, 1 - _BEYOND) for curve in curves)
    if high <= low:
        room = abs(low) * 0.05 or 0.5
        low, high = low - room, high + room
    middle = _quantile(ends, curves[0], 0.5)
    log = low > 0 and high - low > _SKEWED * (middle - low) and high > 100 * low
    if log:
        edges = np.geomspace(low, high, BARS + 1)
    elif column.kind == "integer":
        # Bars of as many whole numbers each, or some would look taller than others.
        wide = max(1, int(np.ceil((high - low) / BARS)))
        edges = np.arange(np.floor(low) + 0.5, high + wide, wide)
    else:
        edges = np.linspace(low, high, BARS + 1)
    shares = [np.diff(_at(ends, curve, edges)) for curve in curves]
    return NumberPicture(
        edges=tuple(edges.tolist()),
        before=tuple(shares[0].tolist()),
        after=tuple(shares[1].tolist()),
        log=bool(log),
        beyond=(1 - float(shares[0].sum()), 1 - float(shares[1].sum())),
    )


def _ends(column: NumberColumn, tally: NumberTally) -> Floats:
    """The bins' ends (b + 1,).

    The outer ones lie as far out as the means in the outer bins say, but no further than the
    other bins reach together: one corrupt value is no reason to see nothing of the others.
    """
    if not len(column.edges):
        return np.array([column.low, column.high + 1])
    edges = column.edges
    if column.kind == "integer":
        # Whole numbers lie in the middle of their bins.
        edges = np.maximum.accumulate(np.ceil(edges) - 0.5)
    first, last = float(edges[0]), float(edges[-1])
    low, high, reach = min(column.low, first), max(column.high, last), last - first
    if tally.counts[0]:
        mean = column.centre + float(tally.sums[0] / tally.counts[0])
        low = min(low, max(2 * mean - first, first - reach))
    if tally.counts[-1]:
        mean = column.centre + float(tally.sums[-1] / tally.counts[-1])
        high = max(high, min(2 * mean - last, last + reach))
    return np.concatenate([[low], edges, [high]])


def _quantile(ends: Floats, curve: Floats, share: float) -> float:
    return float(np.interp(share, curve, ends))


def _at(ends: Floats, curve: Floats, values: Floats) -> Floats:
    """The share below each value; inside a bin its rows lie evenly."""
    return np.interp(values, ends, curve)
