"""What a search ends in: one model, or a weighted mean of several, and what follows its scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.task import Task
from ratchet.features.recipe import Recipe
from ratchet.training.calibrate import Calibration
from ratchet.training.combine import combine
from ratchet.training.fitted import Fitted, Proba
from ratchet.training.threshold import Threshold

ENSEMBLE = "ensemble"
"""The name of the weighted mean among the candidates."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One fitted model of a blend; the weights of all members sum to 1.

    ``saved`` is what training can go on from (``Algorithm.save``), if its algorithm can.
    """

    name: str
    algorithm: str
    recipe: Recipe
    fitted: Fitted
    weight: float
    saved: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """The model that is shipped: its members, then a calibration, then a decision.

    Scores are the weighted mean of the members' scores, calibrated if that was worth it.
    ``threshold`` is from which score on the positive class is decided; two classes only.
    ``residuals`` (n,) are, for regression, what out-of-fold estimates were off by, NaN where a row
    has none: value less estimate.
    """

    task: Task
    members: tuple[Member, ...]
    calibration: Calibration | None = None
    threshold: Threshold | None = None
    residuals: Floats | None = None

    @property
    def name(self) -> str:
        """The candidate it is: its only member's name, or ``ensemble``."""
        return self.members[0].name if len(self.members) == 1 else ENSEMBLE

    @property
    def algorithm(self) -> str:
        """What trained it: its only member's algorithm, or ``ensemble``."""
        return self.members[0].algorithm if len(self.members) == 1 else ENSEMBLE

    def score(self, frame: pl.DataFrame) -> Proba:
        """Scores float64 (n, k) of raw rows; members with the same recipe share its matrix."""
        matrices: dict[int, np.ndarray] = {}
        scores = []
        for member in self.members:
            matrix = matrices.get(id(member.recipe))
            if matrix is None:
                matrix = matrices[id(member.recipe)] = member.recipe.matrix(frame)
            scores.append(member.fitted.predict(matrix))
        weights = [member.weight for member in self.members]
        return combine(scores, weights, self.calibration)
