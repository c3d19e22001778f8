"""Scores of a fitted scikit-learn estimator, and probabilities for one that has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.training.fitted import Fitted, Matrix, TrainingRows
from ratchet.training.folds import make_folds

CALIBRATION_FOLDS = 3
DOUBLE_CELLS = 20_000_000
"""Up to this many cells a matrix is learned from in float64."""
Answer = Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]
BLOCK = 65_536
"""Rows scored at once in float64: bounds the copy."""


def fitted_estimator(
    name: str, model: Any, params: Mapping[str, Any], classes: int, *, wide: bool = False
) -> Fitted:
    """``model``, fitted on class codes (or on values, with no ``classes``), as a ``Fitted``.

    Its scores have a column for each of the ``classes``. ``wide`` hands it float64 rows: some
    estimators, such as GaussianNB, reckon in the precision of what they are given, and what is
    shipped reckons in float64.
    """
    answer = _estimates(model) if classes == 0 else _probabilities(model, classes)

    def score(X: Matrix) -> npt.NDArray[np.float64]:
        if not wide:
            return answer(X)
        blocks = [X[start : start + BLOCK] for start in range(0, len(X), BLOCK)]
        return np.concatenate([answer(block.astype(np.float64)) for block in blocks])

    return Fitted(
        algorithm=name,
        form="sklearn",
        model=model,
        params=dict(params),
        classes=classes,
        scorer=score,
    )


def learnable(rows: TrainingRows) -> npt.NDArray[Any]:
    """The matrix as linear algebra wants it: float64, unless that is too much memory."""
    return rows.X.astype(np.float64) if rows.X.size <= DOUBLE_CELLS else rows.X


def _estimates(model: Any) -> Answer:
    def answer(X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return np.asarray(model.predict(X), dtype=np.float64).reshape(len(X))

    return answer


def _probabilities(model: Any, classes: int) -> Answer:
    known = np.asarray(model.classes_, dtype=np.int64)

    def answer(X: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        some = np.asarray(model.predict_proba(X), dtype=np.float64)
        if len(known) == classes:
            return some
        # A rare class may be missing from the rows learned on: it scores 0.
        every = np.zeros((len(some), classes))
        every[:, known] = some
        return every

    return answer


def fit_with_sigmoid(model: Any, rows: TrainingRows, seed: int) -> Any:
    """``model``, which only gives decision values, fitted together with a sigmoid over them.

    The sigmoid is learned on decision values for rows the model had not seen, from three folds
    (Platt, "Probabilistic outputs for support vector machines", 1999).

    Raises:
        ValueError: a class has a single row, so there is nothing to learn the sigmoid on.
    """
    from sklearn.calibration import CalibratedClassifierCV

    codes = rows.y.astype(np.int32, copy=False)
    rarest = int(np.bincount(codes)[np.unique(codes)].min())
    if rarest < 2:
        raise ValueError("a class with a single row leaves nothing to learn probabilities from")
    folds = make_folds(codes, min(CALIBRATION_FOLDS, rarest), seed=seed)
    calibrated = CalibratedClassifierCV(
        model,
        method="sigmoid",
        ensemble=False,
        cv=[(fold.train, fold.score) for fold in folds],
    )
    calibrated.fit(learnable(rows), codes, sample_weight=rows.weight)
    calibrated.cv = len(folds)  # the positions are of no use any more
    return calibrated
