"""Distances of two columns from all their values: one sort of each, and little more.

The KS distance looks closely only at those stretches of the sorted values in which a larger
difference than the one already found is possible at all. The Wasserstein distance runs along the
quantiles, whose places are known without comparing values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
import polars as pl

from ratchet.data.schema import Kind, kind_of, widest
from ratchet.monitoring.cells import CHUNK
from ratchet.monitoring.columns import NUMBERS, Floats
from ratchet.monitoring.statistics import (
    JS_GROUPS,
    PSI_GROUPS,
    Interval,
    Measured,
    compare_levels,
    js_distance,
    ks_p_value,
    over_std,
    psi,
)
from ratchet.monitoring.tallies import NAMED_NEW, count_levels, number_values

_FAMILIES: Mapping[Kind, Kind] = {"integer": "number", "date": "datetime"}
_SMALL = 20_000
_STRETCH = 128
_MOST_STRETCHES = 4_096
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Sorted:
    """A column's finite values in order (n,), and how many rows have none."""

    values: Floats
    missing: int


def sort_numbers(values: pl.Series, kind: Kind) -> Sorted:
    """The values of a series of numbers, dates or moments, sorted."""
    numbers = number_values(values, kind)
    ordered = pl.Series(numbers).sort().to_numpy().astype(np.float64, copy=False)
    low = int(np.searchsorted(ordered, -_LARGEST, side="left"))
    high = int(np.searchsorted(ordered, _LARGEST, side="right"))
    return Sorted(ordered[low:high], len(ordered) - (high - low))


def kind_between(before: pl.Series, after: pl.Series) -> tuple[Kind, Kind | None]:
    """The kind to compare two series in: that of the reference; and what it changed to, if it did.

    Whole numbers and others are of one kind here, and dates and moments. A column without values
    is of any kind. Text that was mostly numbers has not changed when all of it is: which of the
    two a file is read as may hang on a single value.
    """
    first, second = kind_of(before.dtype), kind_of(after.dtype)
    if after.null_count() == len(after):
        return first, None
    if before.null_count() == len(before):
        return second, None
    if _FAMILIES.get(first, first) == _FAMILIES.get(second, second):
        return widest([first, second]), None
    if first == "string" and 2 * _fitting(before, second) >= len(before) - before.null_count():
        return first, None
    return first, second


def _fitting(texts: pl.Series, kind: Kind) -> int:
    """How many texts can be read as values of a kind."""
    if kind == "boolean":
        return int(texts.str.to_lowercase().is_in(["true", "false"]).sum())
    return int(np.isfinite(number_values(texts, kind)).sum())


def measure_exactly(before: pl.Series, after: pl.Series, kind: Kind) -> Measured:
    """How far a column is from its reference, from all values of both."""
    if kind not in NUMBERS:
        return _measure_levels(before, after)
    first, second = sort_numbers(before, kind), sort_numbers(after, kind)
    found = measure_sorted(first, second)
    if kind != "integer":
        return found
    changes = int(np.count_nonzero(first.values[1:] != first.values[:-1]))
    return replace(found, distinct=changes + min(1, len(first.values)))


def measure_sorted(before: Sorted, after: Sorted) -> Measured:
    """The same of numbers that are sorted already."""
    a, b = before.values, after.values
    rows, gone = (len(a), len(b)), (before.missing, after.missing)
    if not len(a) or not len(b):
        return Measured(rows, gone)
    ks = ks_distance(a, b)
    mean, std = moments(a)
    p, q = _grouped(a, b, JS_GROUPS)
    return Measured(
        rows=rows,
        gone=gone,
        ks=Interval(ks, ks, ks),
        psi=psi(*_grouped(a, b, PSI_GROUPS)),
        wasserstein=over_std(wasserstein_distance(a, b), std),
        js=js_distance(p, q),
        p_value=ks_p_value(ks, rows),
        means=(mean, float(b.mean())),
        groups=len(p),
    )


def _measure_levels(before: pl.Series, after: pl.Series) -> Measured:
    known, gone = count_levels(before)
    found, gone_now = count_levels(after)
    ranked = sorted(known, key=lambda item: (-item[1], item[0]))
    places = {level: place for place, (level, _) in enumerate(ranked)}
    first = np.array([*(size for _, size in ranked), 0, 0], dtype=np.int64)
    second = np.zeros_like(first)
    for level, size in found:
        second[places.get(level, -1)] += size
    rows = (int(first.sum()), int(second.sum()))
    if not all(rows):
        return Measured(rows, (gone, gone_now), distinct=len(known))
    fresh = {level: size for level, size in found if level not in places}
    return replace(
        compare_levels(first, second, gone=(gone, gone_now)),
        distinct=len(known),
        fresh=tuple(sorted(fresh, key=lambda level: (-fresh[level], level))[:NAMED_NEW]),
    )


def _grouped(a: Floats, b: Floats, groups: int) -> tuple[Floats, Floats]:
    """Shares of both between the quantiles of the first; a value as heavy as a group is one."""
    edges = np.unique(a[(np.arange(1, groups) * len(a)) // groups])
    sizes = np.searchsorted(a, edges, side="right") - np.searchsorted(a, edges, side="left")
    heavy = edges[sizes * groups >= len(a)]
    edges = np.unique(np.concatenate([edges, np.nextafter(heavy, np.inf)]))
    ends = [np.concatenate([[0], np.searchsorted(x, edges), [len(x)]]) for x in (a, b)]
    return np.diff(ends[0]) / len(a), np.diff(ends[1]) / len(b)


def moments(values: Floats) -> tuple[float, float]:
    """Mean and population standard deviation of sorted values (n,)."""
    centre = float(values[len(values) // 2])
    total = squares = 0.0
    # From the median, which is never further than the deviation from the mean: nothing cancels.
    for start in range(0, len(values), CHUNK):
        away = values[start : start + CHUNK] - centre
        total += float(away.sum())
        squares += float((away * away).sum())  # np.dot would wake threads for it
    shift = total / len(values)
    return centre + shift, sqrt(max(0.0, squares / len(values) - shift * shift))


def ks_distance(a: Floats, b: Floats) -> float:
    """The largest difference of the cumulative shares of sorted values (n,) and (m,).

    Equal to SciPy's ``ks_2samp`` on all values, ties included.
    """
    rows = (len(a), len(b))
    if len(a) + len(b) <= _SMALL:
        return _largest(a, b, (0, 0), rows)
    marks = np.unique(np.concatenate([_spread(a), _spread(b)]))
    left = [np.searchsorted(x, marks, side="left") for x in (a, b)]
    right = [np.searchsorted(x, marks, side="right") for x in (a, b)]
    before, upto = ([x[0] / rows[0], x[1] / rows[1]] for x in (left, right))
    best = max(float(np.abs(x[0] - x[1]).max()) for x in (before, upto))
    # Between two marks the one curve may make all of its step before the other begins its own.
    reach = np.maximum(before[0][1:] - upto[1][:-1], before[1][1:] - upto[0][:-1])
    for place in np.argsort(-reach, kind="stable"):
        if reach[place] <= best:
            break
        i, k = int(right[0][place]), int(right[1][place])
        part = (a[i : left[0][place + 1]], b[k : left[1][place + 1]])
        best = max(best, _largest(*part, (i, k), rows))
    return best


def _spread(values: Floats) -> Floats:
    """Values that part sorted ones into stretches of equal length, first and last among them."""
    stretches = min(_MOST_STRETCHES, len(values) // _STRETCH + 1)
    return values[np.linspace(0, len(values) - 1, stretches + 1).astype(np.int64)]


def _largest(a: Floats, b: Floats, offsets: tuple[int, int], rows: tuple[int, int]) -> float:
    """The largest difference at any of the values of two stretches.

    Each curve is ahead by most at one of its own values. Of equal values the last one counts;
    at the others the curve is taken for lower than it is, which never adds to the difference.
    """
    found = 0.0
    for own, other, mine, its in ((a, b, 0, 1), (b, a, 1, 0)):
        if len(own):
            ahead = np.arange(offsets[mine] + 1, offsets[mine] + len(own) + 1) / rows[mine]
            behind = np.searchsorted(other, own, side="right") + offsets[its]
            found = max(found, float((ahead - behind / rows[its]).max()))
    return found


def wasserstein_distance(a: Floats, b: Floats) -> float:
    """The area between the cumulative shares of sorted values (n,) and (m,), in their unit.

    The mean distance of equal quantiles: value i of the longer one covers the quantiles i/n to
    (i+1)/n, so the values of the shorter one that it meets are known by counting.
    """
    if len(a) < len(b):
        a, b = b, a
    n, m = len(a), len(b)
    if n == m:
        return float(np.abs(a - b).mean())
    total = 0.0
    for start in range(0, m, CHUNK):
        total += _area_along(a, b, start, min(start + CHUNK, m))
    return total / n


def _area_along(a: Floats, b: Floats, start: int, stop: int) -> float:
    """The part of the area at values ``start`` to ``stop`` of b, in steps of a's quantiles."""
    n, m = len(a), len(b)
    # Value j of b covers the quantiles of a from place j n / m on.
    marks = np.arange(start, stop + 1, dtype=np.int64) * n
    whole = marks // m
    rest = marks - whole * m
    # A value of a that lies across a mark counts for the one of b before it, ...
    ends = whole + (rest > 0)
    met = a[ends[0] : ends[-1]]
    away = met - np.repeat(b[start:stop], np.diff(ends))
    np.abs(away, out=away)
    # ... and what of it lies beyond the mark is then moved to the one after it.
    at = whole[:-1]
    across = a[at]
    own = np.abs(across - b[start:stop])
    before = np.abs(across - b[np.maximum(np.arange(start, stop) - 1, 0)])
    moved = np.where(rest[:-1] > 0, (1 - rest[:-1] / m) * (own - before), 0.0)
    return float(away.sum() + moved.sum())
