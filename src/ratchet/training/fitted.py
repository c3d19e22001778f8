"""What a training algorithm takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ratchet.training.matrix_file import MatrixFile

Matrix = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int32]
Targets = npt.NDArray[np.int32] | npt.NDArray[np.float64]
Proba = npt.NDArray[np.float64]
Form = Literal["lightgbm", "xgboost", "sklearn", "torch"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Encoded rows to learn from.

    ``X`` float32 (n, d), C order, NaN where missing if the encoding keeps missing values;
    ``y`` class codes int32 (n,), or for regression values float64 (n,); ``weight`` (n,) or None;
    ``categorical`` the columns of ``X`` that hold category codes; ``names`` of the columns (d,);
    ``classes`` k, whether all occur or not; 0 for regression.

    ``cache``, if there is one, belongs to whoever fits many times on these very rows: algorithms
    leave in it what they can use again, under keys of their own (see ``algorithms/reuse.py``).

    With ``file`` the rows are too many for memory: they lie there, and ``X`` is (0, d). Only
    algorithms that say they ``stream`` are given such rows.
    """

    X: Matrix
    y: Targets
    weight: npt.NDArray[np.float32] | None
    categorical: tuple[int, ...]
    names: tuple[str, ...]
    classes: int
    cache: dict[Any, Any] | None = field(default=None, repr=False)
    file: MatrixFile | None = None

    def take(self, rows: npt.NDArray[np.int64]) -> TrainingRows:
        """The rows at these positions, without a cache."""
        weight = None if self.weight is None else self.weight[rows]
        return TrainingRows(
            self.X[rows], self.y[rows], weight, self.categorical, self.names, self.classes
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A trained model and how to score with it.

    ``form`` says what ``model`` is: a ``lightgbm.Booster``, an ``xgboost.Booster``, a
    scikit-learn estimator, or the network's weights (torch). ``classes`` is 0 for regression.
    Tree thresholds are exact in float32, so that a float32 runtime takes
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
        """Scores (n, k) of rows ``X`` (n, d) in the task's class order; each row sums to 1.

        For regression the estimates (n, 1).
        """
        if X.shape[0] == 0:
            return np.empty((0, self.classes or 1))
        scores = np.asarray(self.scorer(X), dtype=np.float64)
        if self.classes == 0:
            return np.ascontiguousarray(scores.reshape(len(X), 1))
        if scores.ndim == 1:
            scores = np.column_stack([1.0 - scores, scores])
        return np.ascontiguousarray(scores)
