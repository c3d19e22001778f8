"""How far apart is too far: thresholds from the project's own past windows.

A p-value asks whether two samples differ at all, and rows that come in groups, days or waves
always do. So each column's distances of past windows from the reference tell what is usual, a
floor tells what matters, and the threshold is the distance that a window of the same kind
exceeds by chance with probability alpha over all columns together. With s the distances of K
windows, L = ln s, m and v the mean and the variance of L in a column, V the mean of v over
columns::

    v* = ((K - 1) v + 10 V) / (K + 9)
    threshold = max(floor, exp(m + t(K + 9, 1 - alpha / columns) sqrt(v* (1 + 1 / K))))

Simulated with 30 columns and 10 past windows of 2,000 rows, see ``docs/explanation/drift.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Any, Literal

import numpy as np

from ratchet.monitoring.columns import LevelColumn, ProfileColumn, cumulative
from ratchet.monitoring.distributions import student_quantile
from ratchet.monitoring.profile import Profile, Window
from ratchet.monitoring.statistics import js_distance, merged_levels
from ratchet.monitoring.tallies import Tally

FEWEST_WINDOWS = 10
FLOORS: Mapping[str, float] = {"ks": 0.05, "js": 0.05}
"""The least distance that is drift: KS of numbers, Jensen-Shannon of levels."""

ALPHA = 0.05

_FEWEST_ROWS = 30
_PRIOR = 10
_LEAST = 1e-4


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
    used = [window for window in windows if window.rows >= _FEWEST_ROWS]
    if len(used) < FEWEST_WINDOWS:
        return None
    found: dict[str, list[float]] = {}
    missing: dict[str, float] = {}
    for name, column in reference.columns.items():
        tallies = [window.tallies[name] for window in used]
        held = [tally for tally in tallies if tally.counts.sum() >= _FEWEST_ROWS]
        if len(held) >= FEWEST_WINDOWS:
            found[name] = [distance(column, tally, within=within) for tally in held]
        shares = [tally.missing / tally.rows for tally in tallies if tally.rows >= _FEWEST_ROWS]
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
    logs = {
        name: np.log(np.maximum(distances, _LEAST))
        for name, distances in found.items()
        if not reference.columns[name].unjudged
    }
    # A column that never moves says nothing of how much the others vary.
    spread = [float(each.var(ddof=1)) for each in logs.values() if each.max() > log(_LEAST)]
    pooled = float(np.mean(spread)) if spread else 0.0
    limits = {}
    for name, each in logs.items():
        k = len(each)
        variance = ((k - 1) * float(each.var(ddof=1)) + _PRIOR * pooled) / (k + _PRIOR - 1)
        reach = student_quantile(1 - alpha / len(logs), k + _PRIOR - 1)
        usual = exp(float(each.mean()) + reach * sqrt(variance * (1 + 1 / k)))
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
