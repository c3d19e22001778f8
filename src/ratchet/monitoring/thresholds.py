"""How far apart is too far: thresholds from the project's own past windows.

A p-value asks whether two samples differ at all, and rows that come in groups, days or waves
always do. So each column's distances of past windows from the reference tell what is usual, a
floor tells what matters, and the threshold is the distance that a quiet window exceeds by chance
with probability alpha over all columns together. With r the fourth roots of the distances of K
windows, m and v their mean and variance in a column, V the mean of v / m^2 over columns::

    v* = ((K - 1) v + 10 V m^2) / (K + 9)
    threshold = max(floor, (m + t(K + 9, 1 - alpha / columns) sqrt(v* (1 + 1 / K)))^4)

The fourth root makes distances of samples (Kolmogorov's distribution) and of windows that each
lie somewhere else (normal shifts) about equally close to normal. On logarithms the small distances
of the latter count for so much that thresholds come out above every possible distance; on the
distances themselves the budget is exceeded several times. See ``docs/explanation/drift.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Literal

import numpy as np

from ratchet.monitoring.columns import LevelColumn, ProfileColumn, cumulative
from ratchet.monitoring.distributions import student_quantile
from ratchet.monitoring.profile import Profile, Window
from ratchet.monitoring.statistics import js_distance, merged_levels
from ratchet.monitoring.tallies import Tally

FEWEST_WINDOWS = 10
FEWEST_ROWS = 30
"""Fewer say nothing of how far apart samples usually are."""
FLOORS: Mapping[str, float] = {"ks": 0.05, "js": 0.05}
"""The least distance that is drift: KS of numbers, Jensen-Shannon of levels."""

ALPHA = 0.05

_PRIOR = 10


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of columns on KS (numbers) and on the Jensen-Shannon distance (levels).

    Attributes:
        distances: of each column that enough windows had.
        missing: the largest share of missing values in the windows, for each column.
        windows: how many windows they are from.
        rows: the median of the windows' rows.
        source: ``live`` windows or blocks of the ``training`` rows in the order of time.
    """

    distances: Mapping[str, float]
    missing: Mapping[str, float] = field(default_factory=dict)
    windows: int = 0
    rows: int = 0
    source: str = "live"

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "distances": dict(self.distances),
            "missing": dict(self.missing),
            "windows": self.windows,
            "rows": self.rows,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Thresholds:
        """The thresholds that ``to_json`` wrote."""
        return cls(**raw)


def calibrate(
    windows: Sequence[Window],
    reference: Profile,
    *,
    alpha: float = ALPHA,
    floors: Mapping[str, float] = FLOORS,
    within: bool = False,
) -> Thresholds | None:
    """Thresholds from past windows of the size that is watched; None with fewer than 10.

    Args:
        windows: past windows without alarm, each of the length that is watched.
        reference: their profile.
        alpha: the probability that a quiet window raises an alarm in any column.
        floors: the least distance that is drift, for ``ks`` and ``js``.
        within: the windows' rows are among those of the reference: each is compared with the
            reference without it.
    """
    used = [window for window in windows if window.rows >= FEWEST_ROWS]
    if len(used) < FEWEST_WINDOWS:
        return None
    found: dict[str, list[float]] = {}
    missing: dict[str, float] = {}
    for name, column in reference.columns.items():
        tallies = [window.tallies[name] for window in used]
        held = [tally for tally in tallies if tally.counts.sum() >= FEWEST_ROWS]
        if len(held) >= FEWEST_WINDOWS:
            found[name] = [distance(column, tally, within=within) for tally in held]
        shares = [tally.missing / tally.rows for tally in tallies if tally.rows >= FEWEST_ROWS]
        if shares:
            missing[name] = max(shares)
    rows = int(np.median([window.rows for window in used]))
    return Thresholds(limits_of(found, reference, alpha, floors), missing, len(used), rows)


def limits_of(
    found: Mapping[str, Sequence[float]],
    reference: Profile,
    alpha: float,
    floors: Mapping[str, float],
) -> dict[str, float]:
    """The formula above, for the distances of past windows by column."""
    roots = {
        name: np.power(distances, 0.25)
        for name, distances in found.items()
        if not reference.columns[name].unjudged
    }
    # A column that never moves says nothing of how much the others vary.
    moving = [each for each in roots.values() if each.max() > 0]
    pooled = float(np.mean([each.var(ddof=1) / each.mean() ** 2 for each in moving] or [0.0]))
    limits = {}
    for name, each in roots.items():
        k, mean = len(each), float(each.mean())
        freedom = k + _PRIOR - 1
        variance = ((k - 1) * float(each.var(ddof=1)) + _PRIOR * pooled * mean**2) / freedom
        reach = student_quantile(1 - alpha / len(roots), freedom)
        usual = (mean + reach * sqrt(variance * (1 + 1 / k))) ** 4
        limits[name] = max(floors[statistic_of(reference.columns[name])], min(usual, 1.0))
    return limits


def statistic_of(column: ProfileColumn) -> Literal["ks", "js"]:
    """The distance that a column is judged by."""
    return "js" if isinstance(column, LevelColumn) else "ks"


def distance(column: ProfileColumn, tally: Tally, *, within: bool = False) -> float:
    """The distance of a tally from its reference; ``within``: from the other rows of it."""
    known = np.maximum(column.counts - tally.counts, 0) if within else column.counts
    if not known.any() or not tally.counts.any():
        return 0.0
    if isinstance(column, LevelColumn):
        first, second = merged_levels(known), merged_levels(tally.counts)
        return js_distance(first / first.sum(), second / second.sum())
    return float(np.abs(cumulative(known) - cumulative(tally.counts)).max())
