"""Exact SHAP values of the models that have a closed form: boosted trees and linear models.

Trees: the library's own TreeSHAP (Lundberg et al., *Nature Machine Intelligence* 2 (2020) 56), on
its margin, against the training rows that reached each leaf. Linear: weight x (value - mean over
the background), which is exact when columns are switched one by one (Strumbelj and Kononenko,
*Knowl. Inf. Syst.* 41 (2014) 647). Both are on the log odds of two classes, and on the estimate of
a regression; of more classes on log scores less their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Contributions = Callable[[Matrix], Floats]
Shift = float | Floats
"""One number, or one for each score (k,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """A closed form.

    Attributes:
        method: of trees or of a linear model.
        contributions: of rows (n, D) the part of each matrix column, and at the end the base:
            (n, D + 1, k), on the scale of an explanation.
    """

    method: Literal["tree", "linear"]
    contributions: Contributions


def exact_lightgbm(booster: Any, *, slope: float = 1.0, shift: Shift = 0.0) -> Exact:
    """TreeSHAP of a ``lightgbm.Booster`` without linear leaves.

    Args:
        booster: the library's model.
        slope: what follows on the margin, as a sigmoid calibration or a temperature does: slope x
            margin + shift.
        shift: likewise.
    """
    outputs = int(booster.num_model_per_iteration())

    def contributions(X: Matrix) -> Floats:
        found = np.asarray(booster.predict(X, pred_contrib=True, num_threads=1), np.float64)
        return _scaled(found.reshape(len(X), outputs, -1).swapaxes(1, 2), slope, shift)

    return Exact("tree", contributions)


def exact_xgboost(booster: Any, *, slope: float = 1.0, shift: Shift = 0.0) -> Exact:
    """TreeSHAP of an ``xgboost.Booster`` of trees.

    Args:
        booster: the library's model.
        slope: what follows on the margin, as a sigmoid calibration or a temperature does: slope x
            margin + shift.
        shift: likewise.
    """
    import xgboost

    def contributions(X: Matrix) -> Floats:
        types = booster.feature_types
        matrix = xgboost.DMatrix(
            X, feature_types=types, enable_categorical=types is not None, nthread=1
        )
        found = np.asarray(
            booster.predict(matrix, pred_contribs=True, validate_features=False), np.float64
        )
        several = found.reshape(len(X), -1, X.shape[1] + 1)
        return _scaled(several.swapaxes(1, 2), slope, shift)

    return Exact("tree", contributions)


def exact_linear(
    weights: Floats,
    intercept: Floats,
    background: Matrix,
    *,
    slope: float = 1.0,
    shift: Shift = 0.0,
) -> Exact:
    """The closed form of a linear margin.

    Args:
        weights: of the matrix columns (k, D); one row for two classes and for regression.
        intercept: of the margins (k,).
        background: rows (b, D) whose mean is the base; no missing values.
        slope: what follows on the margin: slope x margin + shift.
        shift: likewise.
    """
    coefficients = np.atleast_2d(np.asarray(weights, np.float64))
    centre = background.mean(axis=0, dtype=np.float64)
    usual = np.einsum("kd,d->k", coefficients, centre) + np.ravel(intercept)

    def contributions(X: Matrix) -> Floats:
        parts = (X - centre)[:, :, None] * coefficients.T[None]
        base = np.broadcast_to(usual, (len(X), 1, len(usual)))
        return _scaled(np.concatenate((parts, base), axis=1), slope, shift)

    return Exact("linear", contributions)


def _scaled(parts: Floats, slope: float, shift: Shift) -> Floats:
    """Contributions (n, D + 1, k) after a straight line; of several scores less their mean."""
    if parts.shape[2] > 1:
        parts = parts - parts.mean(axis=2, keepdims=True)
    parts = parts * slope
    parts[:, -1] += shift
    return parts
