"""Whether scores mean what they say: the scores' bins, what they promise and what happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.estimate import quantile_two_sided
from ratchet.evaluation.scored import Scored

Floats = npt.NDArray[np.float64]
_LEAST_ROWS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBins:
    """Rows in bins of equal size by score.

    Attributes:
        promised: mean score of each bin (b,).
        happened: share of the bin's rows where it came true (b,).
        low: lower end of the share's interval (b,).
        high: upper end (b,).
        rows: rows of each bin (b,).
    """

    promised: Floats
    happened: Floats
    low: Floats
    high: Floats
    rows: Floats

    @property
    def gap(self) -> float:
        """Mean of |promised - happened| over rows (expected calibration error)."""
        return float(np.abs(self.promised - self.happened) @ self.rows / self.rows.sum())


def calibration_bins(scored: Scored, confidence: float, *, bins: int = 10) -> CalibrationBins:
    """Bins of the positive class's score, or, for more than two classes, of the highest score.

    Args:
        scored: the rows.
        confidence: of each bin's interval.
        bins: how many at most, of 10 rows at least; equal scores stay together.
    """
    if scored.classes == 2:
        scores, true = scored.proba[:, 1], scored.y == 1
    else:
        scores, true = scored.proba.max(axis=1), scored.y == scored.predicted
    bins = max(1, min(bins, scored.rows // _LEAST_ROWS))
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, scores, side="left")
    rows = np.bincount(place, minlength=len(edges) + 1).astype(np.float64)
    used = rows > 0
    sums = np.bincount(place, weights=scores, minlength=len(rows))
    hits = np.bincount(place, weights=true, minlength=len(rows))
    rows, promised, happened = rows[used], (sums[used] / rows[used]), (hits[used] / rows[used])
    low, high = wilson_bands(happened, rows, confidence)
    return CalibrationBins(promised, happened, low, high, rows)


def wilson_bands(share: Floats, trials: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Wilson's interval (see `ratchet.evaluation.estimate.wilson`) of many shares at once."""
    z = quantile_two_sided(confidence)
    known = np.maximum(trials, 1e-9)
    scaled = z * z / known
    centre = (share + scaled / 2) / (1 + scaled)
    half = z / (1 + scaled) * np.sqrt(share * (1 - share) / known + scaled / (4 * known))
    low = np.minimum(np.maximum(centre - half, 0.0), share)
    high = np.maximum(np.minimum(centre + half, 1.0), share)
    return low, high
