"""What a training algorithm takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Proba = npt.NDArray[np.float64]
Form = Literal["lightgbm", "xgboost", "sklearn"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Encoded rows to learn from.

    ``X`` float32 (n, d), C order, NaN where missing if the encoding keeps missing values;
    ``y`` class codes (n,); ``weight`` (n,) or None; ``categorical`` the columns of ``X`` that
    hold category codes; ``names`` of the columns (d,); ``classes`` k, whether all occur or not.
    """

    X: Matrix
    y: Codes
    weight: npt.NDArray[np.float32] | None
    categorical: tuple[int, ...]
    names: tuple[str, ...]
    classes: int

    def take(self, rows: npt.NDArray[np.int64]) -> TrainingRows:
        """The rows at these positions."""
        weight = None if self.weight is None else self.weight[rows]
        return TrainingRows(
            self.X[rows], self.y[rows], weight, self.categorical, self.names, self.classes
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model and how to score with it.

    ``form`` says what ``model`` is: a ``lightgbm.Booster``, an ``xgboost.Booster``, or a
    scikit-learn estimator. Tree thresholds are exact in float32, so that a float32 runtime takes
    every decision as training did. ``rounds`` is the number of boosting rounds in the model.
    """

    algorithm: str
    form: Form
    model: Any
    params: Mapping[str, Any]
    classes: int
    scorer: Callable[[Matrix], npt.NDArray[Any]]
    rounds: int | None = None

    def predict(self, X: Matrix) -> Proba:
        """Scores (n, k) of rows ``X`` (n, d) in the task's class order; each row sums to 1."""
        if X.shape[0] == 0:
            return np.empty((0, self.classes))
        scores = np.asarray(self.scorer(X), dtype=np.float64)
        if scores.ndim == 1:
            scores = np.column_stack([1.0 - scores, scores])
        return np.ascontiguousarray(scores)
