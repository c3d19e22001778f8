"""An interval for a difference that holds at all looks together, and what it takes to see one.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", *Ann. Statist.* 52, 2024 (arXiv 2103.06476), two-sided.
"""

from __future__ import annotations

from math import inf, log, sqrt
from statistics import NormalDist
from typing import Final

POWER: Final = 0.8
"""The chance to see a difference that is there, which is planned for."""
_MOST = 10**9


def radius(n: float, spread: float, alpha: float, planned: float) -> float:
    """Half the width of the interval after ``n`` entities.

    With a probability of at least 1 - alpha, asymptotically, none of the intervals misses the
    difference, however often one looks.

    Args:
        n: entities of both arms.
        spread: standard error of the difference times the root of ``n``; for means
            ``sqrt(var_a / share_a + var_b / share_b)``.
        alpha: over both sides and all looks.
        planned: the number of entities at which the interval is the tightest.
    """
    if n <= 0 or spread <= 0:
        return inf
    r = (-2.0 * log(alpha) + log(1.0 - 2.0 * log(alpha))) / planned
    grown = n * r + 1.0
    return spread * sqrt(2.0 * grown / (n * n * r) * log(sqrt(grown) / alpha))


def visible(
    n: float, spread: float, alpha: float, planned: float, *, power: float = POWER
) -> float:
    """The difference that is proven after ``n`` entities with a probability of ``power``."""
    return radius(n, spread, alpha, planned) + NormalDist().inv_cdf(power) * spread / sqrt(n)


def needed(difference: float, spread: float, alpha: float, *, power: float = POWER) -> int:
    """The entities of both arms after which ``difference`` is proven with a chance of ``power``.

    The interval is taken to be the tightest at half of them, as an experiment has it. A difference
    may well be proven earlier: this is the last look's own power.
    """
    low, high = 1, 2
    while visible(high, spread, alpha, high / 2, power=power) > difference:
        low, high = high, high * 2
        if high > _MOST:
            return _MOST
    while high - low > max(1, low // 1000):
        middle = (low + high) // 2
        if visible(middle, spread, alpha, middle / 2, power=power) > difference:
            low = middle
        else:
            high = middle
    return high
