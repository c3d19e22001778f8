"""Scorers: a model file opened in the one runtime it needs.

Measured on Telco (19 columns), one core, CPU: one row by ONNX 0.007 ms (logistic regression),
0.02 (300 LightGBM trees of 31 leaves), 0.07 (forest of 300 trees), 0.05 (SVM with 3,000
vectors), where LightGBM's own library needs 0.04 ms and scikit-learn's forest 8 ms; 100,000
rows of the LightGBM model 0.95 s against 1.31 s. Importing onnxruntime costs 0.14 CPU-s,
LightGBM or XGBoost 1.1 to 1.2. So ONNX is tried first for both uses; only what is linear needs
no runtime at all (``linear``).
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ratchet.packaging.batches import FEW, BatchScorer
from ratchet.packaging.session import Session

Kind = Literal["onnx", "lightgbm", "xgboost", "numpy"]
Rows = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


class Scorer(Protocol):
    """Turns encoded rows into class scores, or into estimates of a number.

    ``classes`` is how many scores a row has: one for regression. ``features`` is how many columns
    the encoded rows have.
    """

    classes: int
    features: int

    def score(self, X: Rows) -> Scores:
        """Scores float64 (n, classes) of encoded rows float32 (n, features)."""
        ...


def open_scorer(kind: Kind, content: bytes) -> Scorer:
    """The scorer for a model file's bytes.

    Raises:
        DataError: the runtime cannot read the file.
        MissingExtraError: the runtime is not installed.
    """
    if kind == "lightgbm":
        from ratchet.packaging.lightgbm import LightGBMScorer

        return LightGBMScorer(content)
    if kind == "xgboost":
        from ratchet.packaging.xgboost import XGBoostScorer

        return XGBoostScorer(content)
    if kind == "numpy":
        from ratchet.packaging.linear import LinearScorer

        return LinearScorer(content)
    return OnnxScorer(content)


class OnnxScorer:
    """Scores with ONNX Runtime on one thread; many rows of a model of trees by masks."""

    def __init__(self, content: bytes) -> None:
        self._session = Session(content)
        self._batches = BatchScorer(self._session, content)
        self.features, self.classes = self._session.features, self._session.outputs

    def score(self, X: Rows) -> Scores:
        """Scores float64 (n, classes) of encoded rows float32 (n, features)."""
        return self._session.run(X) if len(X) < FEW else self._batches.score(X)
