"""What people are told of a comparison: no more digits than the rows can vouch for.

Whoever reads exact differences on the same test rows again and again tunes to these rows without
knowing it. Told in steps of half a standard error, many looks teach little more than one (Blum and
Hardt, "The Ladder", ICML 2015, arXiv 1502.04585). The ledger keeps the full figures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, floor
from typing import TYPE_CHECKING

from ratchet.evaluation.catalog import find_metric

if TYPE_CHECKING:
    from ratchet.evaluation.compare import Comparison


def nearest(value: float, se: float) -> float:
    """``value`` rounded to half a standard error."""
    return _on_grid(value, se, round)


def at_least(value: float, se: float) -> float:
    """``value`` rounded down to half a standard error: never says more than is proven."""
    return _on_grid(value, se, floor)


def at_most(value: float, se: float) -> float:
    """``value`` rounded up to half a standard error."""
    return _on_grid(value, se, ceil)


def _on_grid(value: float, se: float, rounding: Callable[[float], int]) -> float:
    step = se / 2
    # Steps finer than the numbers themselves round nothing.
    return value if step <= abs(value) * 1e-15 else rounding(value / step) * step


def shown(found: Comparison) -> Comparison:
    """The comparison as people may see it.

    The new model's value stays as it is, for its own test metrics say it anyway; the old one's is
    moved so that the two differ by the rounded difference. Without a standard error there is
    nothing to tell.
    """
    if found.difference is None or found.se is None or found.new is None:
        return replace(found, old=None, difference=None, wins=None, losses=None)
    se, difference = found.se, nearest(found.difference, found.se)
    return replace(
        found,
        old=found.new - find_metric(found.metric).sign * difference,
        difference=difference,
        low=None if found.low is None else at_least(found.low, se),
        high=None if found.high is None else at_most(found.high, se),
        lower=None if found.lower is None else at_least(found.lower, se),
        upper=None if found.upper is None else at_most(found.upper, se),
        rows_needed=None,
        wins=None,
        losses=None,
    )
