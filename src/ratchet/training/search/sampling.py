"""How many rows to search on, when all of them are too many for the time, and which.

A search wants a few dozen trials. Where the time would do for a handful on all rows, it is better
spent on more trials with fewer rows, the best of which then meet again on more of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ratchet.training.fitted import Targets
from ratchet.training.folds import Positions, strata_of
from ratchet.training.table import TrainingTable

CELLS_ALWAYS = 1_000_000
"""Up to so many cells (rows x columns) all rows are searched on."""

TRIALS_WANTED = 25
"""Full trials for which a sample has to leave time; more are tried, since most are pruned."""

LEAST_ROWS = 10_000
LEAST_OF_A_CLASS = 500
"""Rows, and rows of the rarest class, that a sample keeps if there are as many."""

WORTHWHILE = 0.6
"""A larger share of the rows than this is not worth a sample."""


def sample_size(
    table: TrainingTable, seconds: float, seconds_for: Callable[[int], float]
) -> int | None:
    """Rows to search on within ``seconds``; None for all.

    ``seconds_for(n)`` measures what one full trial takes on a sample of n rows.
    """
    rows = len(table.y)
    if rows * max(1, table.columns) <= CELLS_ALWAYS or not math.isfinite(seconds):
        return None
    probe = min(rows, LEAST_ROWS)
    taken = max(1e-4, seconds_for(probe))
    # A trial's time grows about in proportion to its rows, a part of it not at all: the probe errs
    # on the side of fewer rows.
    fitting = int(probe * seconds / TRIALS_WANTED / taken)
    wanted = max(fitting, least_rows(table.y))
    return None if wanted >= WORTHWHILE * rows else wanted


def least_rows(y: Targets) -> int:
    """The smallest sample that still has something to say about the rarest class."""
    least = min(len(y), LEAST_ROWS)
    if np.issubdtype(y.dtype, np.floating):
        return least
    count = np.bincount(y.astype(np.int32))
    rarest = int(count[count > 0].min())
    return max(least, math.ceil(len(y) * min(1.0, LEAST_OF_A_CLASS / rarest)))


def draw_sample(table: TrainingTable, rows: int) -> Positions | None:
    """Positions of about ``rows`` rows, in ascending order; None if that is all.

    Classes keep their shares. In time order every stretch of time is thinned out alike, so that
    each fold's newest rows stay a fair sample of it; groups are taken whole. A larger sample of
    the same table holds the smaller one.
    """
    n = len(table.y)
    if rows >= n:
        return None
    rng = np.random.default_rng(table.seed)
    if table.groups is not None:
        return _whole_groups(table.groups, rows, rng)
    lot = rng.random(n)
    strata = strata_of(table.y).astype(np.int64)
    if table.time is not None:
        blocks = np.argsort(np.argsort(table.time, kind="stable"), kind="stable") * BLOCKS // n
        strata = strata * BLOCKS + blocks
    kept = np.zeros(n, dtype=bool)
    order = np.lexsort((lot, strata))
    sizes = np.bincount(strata)[np.unique(strata)]
    start = 0
    for size in sizes.tolist():
        take = math.ceil(size * rows / n)
        kept[order[start : start + take]] = True
        start += size
    return np.flatnonzero(kept)


BLOCKS = 50
"""Stretches of time that are thinned out alike."""


def _whole_groups(groups: np.ndarray, rows: int, rng: np.random.Generator) -> Positions:
    _, code = np.unique(groups, return_inverse=True)
    size = np.bincount(code)
    order = rng.permutation(len(size))
    enough = int(np.searchsorted(np.cumsum(size[order]), rows)) + 1
    kept = np.zeros(len(size), dtype=bool)
    kept[order[:enough]] = True
    return np.flatnonzero(kept[code])
