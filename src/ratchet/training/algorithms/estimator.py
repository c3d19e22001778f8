"""Scores of a fitted scikit-learn estimator, and probabilities for one that has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.training.fitted import Fitted, Matrix, TrainingRows
from ratchet.training.folds import make_folds

CALIBRATION_FOLDS = 3


def fitted_estimator(name: str, model: Any, params: Mapping[str, Any], classes: int) -> Fitted:
    """``model``, fitted on class codes, as a ``Fitted`` with all ``classes`` columns."""
    known = np.asarray(model.classes_, dtype=np.int64)

    def score(X: Matrix) -> npt.NDArray[np.float64]:
        some = np.asarray(model.predict_proba(X), dtype=np.float64)
        if len(known) == classes:
            return some
        # A rare class may be missing from the rows learned on: it scores 0.
        every = np.zeros((len(some), classes))
        every[:, known] = some
        return every

    return Fitted(
        algorithm=name,
        form="sklearn",
        model=model,
        params=dict(params),
        classes=classes,
        scorer=score,
    )


def fit_with_sigmoid(model: Any, rows: TrainingRows, seed: int) -> Any:
    """``model``, which only gives decision values, fitted together with a sigmoid over them.

    The sigmoid is learned on decision values for rows the model had not seen, from three folds
    (Platt, "Probabilistic outputs for support vector machines", 1999).

    Raises:
        ValueError: a class has a single row, so there is nothing to learn the sigmoid on.
    """
    from sklearn.calibration import CalibratedClassifierCV

    rarest = int(np.bincount(rows.y)[np.unique(rows.y)].min())
    if rarest < 2:
        raise ValueError("a class with a single row leaves nothing to learn probabilities from")
    folds = make_folds(rows.y, min(CALIBRATION_FOLDS, rarest), seed=seed)
    calibrated = CalibratedClassifierCV(
        model,
        method="sigmoid",
        ensemble=False,
        cv=[(fold.train, fold.score) for fold in folds],
    )
    calibrated.fit(rows.X, rows.y, sample_weight=rows.weight)
    calibrated.cv = len(folds)  # the positions are of no use any more
    return calibrated
