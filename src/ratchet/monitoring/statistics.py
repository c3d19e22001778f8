"""What tells two distributions apart: distances from counts, as effects and not as p-values.

Every one is 0 for equal distributions. Shares are of rows with a value; missing ones are told
apart. With F and G the cumulative shares before and after:

- *KS*: the largest |F - G|. From bins it is known at the edges, and inside a bin it cannot be
  more than its ends allow: so the exact value lies in a certified interval.
- *Wasserstein*: the area between F and G, in the column's unit; from counts and sums it is exact
  but for bins in which the curves cross.
- *PSI*: sum of (q - p) ln(q / p) over ten groups, shares of at least 1e-4.
- *Jensen-Shannon distance*: root of the divergence in bits, 0 to 1, over 64 groups.
- *Cramer's V*: of the table before/after x level with equal weight for both: 0 to 1, whatever
  the numbers of rows; (1/2 sum (p - q)^2 / (p + q))^(1/2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, sqrt

import numpy as np
import numpy.typing as npt

from ratchet.monitoring.columns import Counts, Floats, LevelColumn, NumberColumn, cumulative
from ratchet.monitoring.distributions import chi_square_tail, kolmogorov_tail
from ratchet.monitoring.tallies import LevelTally, NumberTally

PSI_GROUPS, JS_GROUPS = 10, 64
LEAST_SHARE = 1e-4
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A value that lies between ``low`` and ``high`` for certain; equal where it is exact."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """How far one column is from its reference.

    What a column has no meaning for, and what nothing can be said of without rows, is None.

    Attributes:
        rows: with a value, before and after.
        gone: rows without one, before and after.
        ks: of numbers.
        psi: population stability index.
        wasserstein: of numbers: the distance over the reference's standard deviation.
        js: Jensen-Shannon distance.
        cramers_v: of levels.
        new_share: of levels: rows with a level never seen before; None where not all are known.
        p_value: that two samples of one distribution lie this far apart (KS, chi-squared).
        means: of numbers, before and after.
        groups: how many groups ``js`` was made from.
        distinct: different values in the reference, where they were counted.
        fresh: some of the levels never seen before.
    """

    rows: tuple[int, int]
    gone: tuple[int, int]
    ks: Interval | None = None
    psi: float | None = None
    wasserstein: float | None = None
    js: float | None = None
    cramers_v: float | None = None
    new_share: float | None = None
    p_value: float = 1.0
    means: tuple[float, float] | None = None
    groups: int = 1
    distinct: int = 0
    fresh: tuple[str, ...] = ()

    @property
    def total(self) -> tuple[int, int]:
        """All rows, before and after."""
        return self.rows[0] + self.gone[0], self.rows[1] + self.gone[1]

    @property
    def missing(self) -> tuple[float, float]:
        """Shares of rows without a value, before and after; 0 without rows."""
        before, after = self.total
        return self.gone[0] / max(1, before), self.gone[1] / max(1, after)

    @property
    def combined(self) -> float | None:
        """0.7 KS + 0.3 min(Wasserstein / std, 1), of numbers."""
        if self.ks is None or self.wasserstein is None:
            return None
        return 0.7 * self.ks.value + 0.3 * min(self.wasserstein, 1.0)


def measure_numbers(column: NumberColumn, tally: NumberTally) -> Measured:
    """A window's numbers against the reference, from their counts and sums."""
    before, after = column.present, int(tally.counts.sum())
    rows, gone = (before, after), (column.missing, tally.missing)
    if not before or not after:
        return Measured(rows, gone, distinct=column.distinct)
    upto, now = column.shares(), cumulative(tally.counts)
    ks = ks_interval(upto, now, column.single)
    area = area_between(column, tally, upto, now)
    finest = column.groups(JS_GROUPS)
    return Measured(
        rows=rows,
        gone=gone,
        ks=ks,
        psi=psi(*_grouped(column, tally.counts, column.groups(PSI_GROUPS))),
        wasserstein=over_std(area, column.std),
        js=js_distance(*_grouped(column, tally.counts, finest)),
        p_value=ks_p_value(ks.value, rows),
        means=(column.mean, column.centre + float(tally.sums.sum()) / after),
        groups=len(finest),
        distinct=column.distinct,
    )


def measure_levels(column: LevelColumn, tally: LevelTally) -> Measured:
    """A window's levels against the reference."""
    before, after = column.present, int(tally.counts.sum())
    rows, gone = (before, after), (column.missing, tally.missing)
    if not before or not after:
        return Measured(rows, gone, distinct=column.distinct)
    found = compare_levels(column.counts, tally.counts, gone=gone, closed=column.closed)
    fresh = tuple(sorted(tally.fresh, key=lambda level: (-tally.fresh[level], level)))
    return replace(found, distinct=column.distinct, fresh=fresh)


def compare_levels(
    before: Counts, after: Counts, *, gone: tuple[int, int], closed: bool = True
) -> Measured:
    """Counts (L + 2,) of levels, frequent ones first, then of rare and of new ones."""
    rows = (int(before.sum()), int(after.sum()))
    first, second = merged_levels(before), merged_levels(after)
    p, q = first / rows[0], second / rows[1]
    return Measured(
        rows=rows,
        gone=gone,
        psi=psi(p, q),
        js=js_distance(p, q),
        cramers_v=cramers_v(p, q),
        new_share=int(after[-1]) / rows[1] if closed else None,
        p_value=levels_p_value(first, second),
        groups=max(2, int(((first > 0) | (second > 0)).sum())),
    )


def _grouped(
    column: NumberColumn, counts: Counts, starts: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Shares of groups of bins, before and after."""
    p = np.add.reduceat(column.counts, starts) / column.present
    q = np.add.reduceat(counts, starts) / counts.sum()
    return p, q


def merged_levels(counts: Counts) -> Counts:
    """Levels beyond the most frequent ones counted with the rare ones."""
    most = JS_GROUPS - 2
    if len(counts) - 2 <= most:
        return counts
    rest = counts[most:-1].sum()
    return np.concatenate([counts[:most], [rest], counts[-1:]])


def ks_interval(upto: Floats, now: Floats, single: npt.NDArray[np.bool_]) -> Interval:
    """The KS distance from cumulative shares (b + 1,) at the ends of bins.

    Inside a bin the first curve may already have made all of its step and the second none of
    it; not so where a bin has room for one value only (``single`` (b,)).
    """
    low = float(np.abs(upto - now).max())
    reach = np.maximum(upto[1:] - now[:-1], now[1:] - upto[:-1])
    high = float(np.where(single, 0.0, reach).max())
    return Interval(low, low, max(low, high))


def ks_p_value(distance: float, rows: tuple[int, int]) -> float:
    """The asymptotic p-value of a KS distance between samples of the given sizes."""
    m, n = rows
    return kolmogorov_tail(sqrt(m * n / (m + n)) * distance)


def area_between(column: NumberColumn, tally: NumberTally, upto: Floats, now: Floats) -> float:
    """The area between two curves, bin by bin, each bin's rows of a side taken at their mean.

    Exact wherever the curves do not cross inside a bin: the area then depends on the rows' mean
    alone. Where they cross, it is exact for rows of one value, and off by a part of one bin else.
    """
    edges = column.edges - column.centre
    if not len(edges):
        means = column.sums.sum() / column.present - tally.sums.sum() / tally.counts.sum()
        return abs(float(means))
    first, second = _means(column.counts, column.sums), _means(tally.counts, tally.sums)
    start, end = np.append(-np.inf, edges), np.append(edges, np.inf)
    # Where a side has no rows in a bin, nothing happens to its curve there.
    first = np.where(np.isnan(first), np.where(np.isnan(second), start, second), first)
    second = np.where(np.isnan(second), first, second)
    low = np.minimum(first, second).clip(start, end)
    high = np.maximum(first, second).clip(start, end)
    # Below all rows both curves are at 0, and above them at 1: there is no area.
    if np.isinf(low[0]):
        low[0] = high[0] = edges[0]
    start[0], end[-1] = low[0], high[-1]
    ahead = np.where(first <= second, upto[1:] - now[:-1], upto[:-1] - now[1:])
    before, after = upto[:-1] - now[:-1], upto[1:] - now[1:]
    parts = np.abs(before) * (low - start) + np.abs(ahead) * (high - low)
    return float((parts + np.abs(after) * (end - high)).sum())


def _means(counts: Counts, sums: Floats) -> Floats:
    """Means of bins; NaN where there are no rows."""
    means = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def over_std(distance: float, std: float) -> float | None:
    """A distance in standard deviations; None where the reference has none and the rows differ."""
    if std > 0:
        return distance / std
    return None if distance > 0 else 0.0


def psi(p: Floats, q: Floats) -> float:
    """Population stability index of shares (g,); shares of less than 1e-4 count as that."""
    p, q = np.maximum(p, LEAST_SHARE), np.maximum(q, LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def js_distance(p: Floats, q: Floats) -> float:
    """Jensen-Shannon distance of shares (g,), base 2: 0 to 1."""
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(p > 0, p * np.log2(p / middle), 0.0)
        parts += np.where(q > 0, q * np.log2(q / middle), 0.0)
    return sqrt(max(0.0, float(parts.sum()) / 2))


def js_by_chance(groups: int, rows: tuple[int, int]) -> float:
    """The Jensen-Shannon distance, root of mean square, of samples of one distribution."""
    return sqrt((groups - 1) / (8 * log(2)) * (1 / max(rows[0], 1) + 1 / max(rows[1], 1)))


def cramers_v(p: Floats, q: Floats) -> float:
    """Cramer's V of shares (g,) with equal weight before and after: 0 to 1."""
    both = p + q
    parts = np.divide((p - q) ** 2, both, out=np.zeros_like(both), where=both > 0)
    return sqrt(float(parts.sum()) / 2)


def levels_p_value(before: Counts, after: Counts) -> float:
    """The chi-squared test of counts (g,); groups of fewer than 5 expected are put together."""
    table = np.array([before, after], dtype=np.float64)
    expected = table.sum(axis=0) * (table.sum(axis=1) / table.sum()).min()
    small = expected < _LEAST_EXPECTED
    merged = np.column_stack([table[:, ~small], table[:, small].sum(axis=1)])
    merged = merged[:, merged.sum(axis=0) > 0]
    if merged.shape[1] < 2:
        return 1.0
    wanted = np.outer(merged.sum(axis=1), merged.sum(axis=0)) / merged.sum()
    return chi_square_tail(float(((merged - wanted) ** 2 / wanted).sum()), merged.shape[1] - 1)
