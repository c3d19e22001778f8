"""The errors of an estimate as numbers: what plots draw and reports can draw again."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.estimate import quantile_two_sided
from ratchet.evaluation.points import POINTS, listed
from ratchet.evaluation.scored import Scored

Floats = npt.NDArray[np.float64]
_BINS, _LEAST_ROWS = 10, 10
_NORMAL_HALF = 1.349
"""The middle half of a standard normal is this wide."""


def estimate_points(scored: Scored, confidence: float, *, points: int = POINTS) -> dict[str, Any]:
    """True values against estimates: some rows, and the means of bins of equal size.

    ``x`` are estimates and ``y`` true values of rows spread evenly over the estimates. ``bins``
    have the mean ``promised``, the mean that ``happened`` with its interval ``low`` to ``high``,
    and ``rows``.
    """
    estimates = scored.proba[:, 0]
    rows = spread_rows(estimates, points)
    place, sizes = _places(estimates)
    promised, happened = _means(estimates, place, sizes), _means(scored.y, place, sizes)
    spread = np.bincount(place, weights=np.square(scored.y - happened[place]))
    se = np.sqrt(spread / np.maximum(sizes - 1, 1) / sizes)
    reach = quantile_two_sided(confidence) * se
    return {
        "x": listed(estimates[rows]),
        "y": listed(scored.y[rows]),
        "bins": {
            "promised": listed(promised),
            "happened": listed(happened),
            "low": listed(happened - reach),
            "high": listed(happened + reach),
            "rows": listed(sizes),
        },
    }


def residual_points(scored: Scored, *, points: int = POINTS) -> dict[str, Any]:
    """True value less estimate (``y``) against the estimate (``x``): rows, and bands of bins.

    ``bins`` have the mean estimate (``at``) and the errors' 10 %, 50 % and 90 % quantiles.
    """
    estimates, residuals = scored.proba[:, 0], -scored.errors
    rows = spread_rows(estimates, points)
    place, sizes = _places(estimates)
    parts = [residuals[place == code] for code in range(len(sizes))]
    low, middle, high = np.array([np.quantile(part, (0.1, 0.5, 0.9)) for part in parts]).T
    return {
        "x": listed(estimates[rows]),
        "y": listed(residuals[rows]),
        "bins": {
            "at": listed(_means(estimates, place, sizes)),
            "low": listed(low),
            "middle": listed(middle),
            "high": listed(high),
        },
    }


def distribution_points(scored: Scored, *, points: int = POINTS) -> dict[str, Any]:
    """How true value less estimate is spread.

    ``histogram`` counts rows between ``edges``, of which the outermost hold what lies beyond;
    ``quantiles`` has the errors' quantiles (``y``) at those of a standard normal (``x``); ``mean``
    and ``sd`` are of the errors; ``centre`` and ``width`` are the mean and deviation of a normal
    distribution with the same middle half.
    """
    residuals = np.sort(-scored.errors)
    low, high = clip_range(residuals)
    edges = np.linspace(low, high, 41)
    counts = np.histogram(np.clip(residuals, low, high), edges)[0]
    lower, centre, upper = np.quantile(residuals, (0.25, 0.5, 0.75)).tolist()
    ranks = np.unique(np.linspace(0, len(residuals) - 1, points).astype(np.int64))
    normal = NormalDist()
    return {
        "histogram": {"edges": listed(edges), "rows": listed(counts)},
        "quantiles": {
            "x": listed([normal.inv_cdf((rank + 0.5) / len(residuals)) for rank in ranks]),
            "y": listed(residuals[ranks]),
        },
        "mean": float(residuals.mean()),
        "sd": float(residuals.std()),
        "centre": centre,
        "width": (upper - lower) / _NORMAL_HALF,
    }


def clip_range(values: Floats, share: float = 0.005, reach: float = 0.3) -> tuple[float, float]:
    """The ends that a plot shows: all, unless a few values lie far out.

    Args:
        values: what is shown (n,).
        share: of the values at each end that may be cut off.
        reach: values are cut off beyond this many widths of the rest.
    """
    ends = np.quantile(values, (0, share, 1 - share, 1)).tolist()
    width = (ends[2] - ends[1]) or float(np.abs(values).max()) or 1.0
    low = max(ends[0], ends[1] - reach * width)
    high = min(ends[3], ends[2] + reach * width)
    return (low, high) if high > low else (low - 0.5 * width, high + 0.5 * width)


def spread_rows(values: Floats, points: int) -> npt.NDArray[np.int64]:
    """Positions of up to ``points`` rows, evenly over the order of ``values``."""
    order = np.argsort(values, kind="stable")
    if len(order) <= points:
        return order
    chosen: npt.NDArray[np.int64] = order[np.linspace(0, len(order) - 1, points).astype(np.int64)]
    return chosen


def _places(values: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Each row's bin of about equal size, equal values together, and the bins' rows."""
    bins = max(1, min(_BINS, len(values) // _LEAST_ROWS))
    cuts = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(values, cuts, method="lower"))
    place = np.searchsorted(edges, values, side="left")
    _, place = np.unique(place, return_inverse=True)
    return place, np.bincount(place).astype(np.float64)


def _means(values: Floats, place: npt.NDArray[np.int64], sizes: Floats) -> Floats:
    means: Floats = np.bincount(place, weights=values) / sizes
    return means
