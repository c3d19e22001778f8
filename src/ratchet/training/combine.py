"""How the scores of several models become one: the same arithmetic in training and in serving.

Needs NumPy only, so that a server can load it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.training.calibrate import Calibration, Floats


def combine(
    scores: Sequence[Floats], weights: Sequence[float], calibration: Calibration | None
) -> Floats:
    """Members' scores (n, k) as one: this very sum, in this order, wherever a model scores."""
    if len(scores) == 1:
        total = scores[0]
    else:
        total = scores[0] * weights[0]
        for part, weight in zip(scores[1:], weights[1:], strict=True):
            total = total + part * weight
    return total if calibration is None else calibration.apply(total)
