"""Tests that may be looked at after every event: their error rate holds over all looks together.

Three of them. An e-value for counts that a version should have no more of than its share of the
requests (errors, slow requests); a lower bound for a mean that holds at all times (losses); and
one for the distance of two distributions (scores).

Sources: Ville's inequality with a mixture of binomial likelihood ratios (Robbins, *Ann. Math.
Stat.* 41, 1970); Hoeffding, *JASA* 58, 1963, theorem 4, for shares that are counted; Waudby-Smith,
Arbour, Sinha, Kennedy and Ramdas, *Ann. Statist.* 52, 2024 (arXiv 2103.06476), for means; the
Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant for distributions.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_NODES = 64
_CHUNK = 16_384
PLANNED = 5_000
"""The number of rows at which the bound of a mean is the tightest."""


def log_e_path(
    hits: npt.ArrayLike, trials: npt.ArrayLike, share: npt.ArrayLike, *, null: float = 1.0
) -> Floats:
    """The logarithm of an e-value after each block of requests, (b,).

    Of the ``trials`` bad requests of a block, ``hits`` were the new version's, which answered
    ``share`` of all requests in it. If its odds of a bad request are at most ``null`` times the
    others', the e-value ever exceeds 1/a with a probability of at most a: however often it is
    looked at, whatever the rate of bad requests, and though the share may change.

    It is a mixture of likelihood ratios of odds ``null / u`` against ``null``, u uniform on (0, 1)
    (a beta distribution; 64 points of it, a mixture in its own right). The ratio of one block is a
    convex function of its hits, which for given shares are hypergeometric: no larger on average
    than for a binomial of the same mean (Hoeffding), where it is 1.

    Args:
        hits: bad requests of the new version, (b,).
        trials: of both versions.
        share: the new version's part of the requests, 0 to 1.
    """
    x, n, p = (np.atleast_1d(np.asarray(each, float)) for each in (hits, trials, share))
    ratio, log_weight = _mixture(null)
    # There are few different shares: one for each stage, or for each count of a block.
    shares, which = np.unique(p, return_inverse=True)
    against = np.log1p(shares * (null - 1.0))[:, None]
    cost = np.log1p(shares[:, None] * (ratio - 1.0)) - against
    gain = np.log(ratio / null)
    found = np.empty(len(x))
    reached = np.zeros(len(ratio))
    for first in range(0, len(x), _CHUNK):
        part = slice(first, first + _CHUNK)
        step = x[part, None] * gain - n[part, None] * cost[which[part]]
        paths = reached + np.cumsum(step, axis=0)
        reached = paths[-1]
        found[part] = _log_sum(paths + log_weight)
    return found


@cache
def _mixture(null: float) -> tuple[Floats, Floats]:
    """Odds and the logarithms of their weights, which sum to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return null / ((nodes + 1.0) / 2.0), np.log(weights / 2.0)


def _log_sum(values: Floats) -> Floats:
    highest = values.max(axis=1)
    found: Floats = highest + np.log(np.exp(values - highest[:, None]).sum(axis=1))
    return found


def mean_path(values: npt.ArrayLike, alpha: float, *, planned: int = PLANNED) -> Floats:
    """Lower bounds for the mean after each value, (n,): all of them hold together.

    With a probability of at least 1 - alpha, asymptotically, no bound ever exceeds the mean. The
    values need not be alike, only have the same mean given those before. One-sided form of the
    asymptotic confidence sequence; minus infinity where the spread is not known.

    Args:
        planned: the number of values at which the bound is the tightest.
    """
    x = np.asarray(values, float)
    t = np.arange(1, len(x) + 1)
    mean = np.cumsum(x) / t
    centre = x[0] if len(x) else 0.0
    moved = np.cumsum(x - centre) / t
    spread = np.sqrt(np.maximum(np.cumsum((x - centre) ** 2) / t - moved**2, 0.0))
    both = min(2.0 * alpha, 0.5)
    r = (-2.0 * np.log(both) + np.log(1.0 - 2.0 * np.log(both))) / planned
    grown = t * r + 1.0
    radius = spread * np.sqrt(2.0 * grown / (t**2 * r) * np.log1p(np.sqrt(grown) / (2.0 * alpha)))
    return np.where(spread > 0, mean - radius, -np.inf)


def effect_path(losses: npt.ArrayLike, chosen: npt.ArrayLike, share: npt.ArrayLike) -> Floats:
    """What each row says of the difference in mean loss, the new version's minus the other's, (n,).

    Each row was answered by one of two versions, the new one with probability ``share``. The mean
    of what is returned is the difference, row by row, whatever the share was at the time, and
    whatever changed with time (augmented inverse probability weighting with the means so far).

    Args:
        losses: of the version that answered, (n,), in order.
        chosen: whether that was the new one.
        share: how probable that was; strictly between 0 and 1.
    """
    y, p = np.asarray(losses, float), np.asarray(share, float)
    new = np.asarray(chosen, bool)
    ours, others = _means_before(y, new), _means_before(y, ~new)
    return np.asarray(
        ours - others + np.where(new, (y - ours) / p, -(y - others) / (1.0 - p)), float
    )


def _means_before(values: Floats, of: npt.NDArray[np.bool_]) -> Floats:
    """At each row the mean of the earlier rows that count; before the first of them, of all."""
    counted = np.cumsum(of, dtype=float) - of
    summed = np.cumsum(np.where(of, values, 0.0)) - np.where(of, values, 0.0)
    every = np.cumsum(values) - values
    place = np.arange(len(values))
    start = np.divide(every, place, out=np.zeros_like(values), where=place > 0)
    np.divide(summed, counted, out=start, where=counted > 0)
    return start


def distance_bound(
    ours: npt.ArrayLike, others: npt.ArrayLike, alpha: float, *, first: int = 100
) -> tuple[float, float]:
    """The Kolmogorov-Smirnov distance of two samples, and a lower bound for that of their sources.

    The bound holds for all sample sizes from ``first`` on together, with a probability of at
    least 1 - alpha: size n has the level alpha x first / (n (n + 1)), which sums to alpha.

    Returns:
        Distance and bound; a bound of 0 under ``first`` values on a side.
    """
    a, b = np.sort(np.asarray(ours, float)), np.sort(np.asarray(others, float))
    if not len(a) or not len(b):
        return 0.0, 0.0
    at = np.concatenate([a, b])
    below = np.searchsorted(a, at, side="right") / len(a)
    distance = float(np.abs(below - np.searchsorted(b, at, side="right") / len(b)).max())
    if min(len(a), len(b)) < first:
        return distance, 0.0
    away = sum(_radius(len(sample), alpha / 2.0, first) for sample in (a, b))
    return distance, max(0.0, distance - away)


def _radius(n: int, alpha: float, first: int) -> float:
    level = alpha * first / (n * (n + 1.0))
    return float(np.sqrt(np.log(2.0 / level) / (2.0 * n)))
