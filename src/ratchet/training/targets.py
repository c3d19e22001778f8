"""A target to be estimated, in standard units while a model learns it.

Learners stop, penalise and round in absolute terms: a target of a million, or of a millionth, would
silently change what their parameters mean. So they learn ``(y - center) / scale``, and the model is
turned back into the target's own units afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.training.fitted import TrainingRows

Floats = npt.NDArray[np.float64]
CENTER, SCALE = "ratchet_center", "ratchet_scale"
"""Attributes of an XGBoost model whose output stays in standard units."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Where a target's values lie: value = center + scale * standard value."""

    center: float = 0.0
    scale: float = 1.0

    def standardise(self, y: npt.NDArray[np.float64] | npt.NDArray[np.int32]) -> Floats:
        """Values (n,) in standard units."""
        return (np.asarray(y, dtype=np.float64) - self.center) / self.scale

    def restore(self, values: npt.NDArray[np.floating]) -> Floats:
        """Standard values in the target's units."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.center


def standard_of(rows: TrainingRows) -> Standard:
    """The mean and standard deviation of the target of ``rows``; 0 and 1 for classes.

    A target that is all one value keeps the scale 1.
    """
    if rows.classes:
        return Standard()
    y = np.asarray(rows.y, dtype=np.float64)
    center = float(np.average(y, weights=rows.weight))
    spread = float(np.sqrt(np.average((y - center) ** 2, weights=rows.weight)))
    # What is left of a constant after rounding is no spread.
    return Standard(center, spread if spread > 1e-12 * abs(center) else 1.0)
