"""Learns how a column is standardised on the training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ratchet.features.encoders.slots import Floats


@dataclass(frozen=True, slots=True)
class Scale:
    """(x - mean) / deviation; a deviation of 0 gives 0, None leaves x."""

    mean: float | None = None
    deviation: float | None = None

    def apply(self, values: Floats) -> Floats:
        """The scaled values; NaN stays."""
        if self.mean is None or self.deviation is None:
            return values
        if self.deviation == 0.0:
            return np.where(np.isnan(values), np.nan, 0.0)
        return (values - self.mean) / self.deviation


def learn_scale(values: Floats, weights: Floats | None = None) -> Scale:
    """Mean and standard deviation (over n) of the values that are not NaN.

    A deviation that rounding alone can explain counts as 0, as in scikit-learn's
    ``StandardScaler``.
    """
    absent = np.isnan(values)
    if absent.any():
        values = values[~absent]
        weights = None if weights is None else weights[~absent]
    total = float(len(values) if weights is None else weights.sum())
    if total == 0.0:
        return Scale(0.0, 0.0)
    mean = float(np.average(values, weights=weights))
    variance = float(np.average((values - mean) ** 2, weights=weights))
    rounding = total * np.finfo(np.float64).eps * abs(mean)
    if variance <= total * np.finfo(np.float64).eps * variance + rounding**2:
        return Scale(mean, 0.0)
    return Scale(mean, float(np.sqrt(variance)))
