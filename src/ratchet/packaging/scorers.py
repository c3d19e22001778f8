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

from ratchet.errors import DataError

Kind = Literal["onnx", "lightgbm", "xgboost", "numpy"]
Rows = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]

CHUNK = 1024
"""Rows scored at once: bounds the memory (an SVM holds rows x vectors), and costs no time."""


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
    """Scores with ONNX Runtime on one thread."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Batches have many sizes: a kept arena would hold the memory of the largest for good.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise DataError(
                "The model file cannot be opened",
                why=f"ONNX Runtime {onnxruntime.__version__} says: {error}"[:300],
                fix="install the versions in the bundle's requirements.txt, or train again",
                code="model_unreadable",
            ) from error
        # It keeps the file's bytes for good, to open the session anew on another device.
        self._session.disable_fallback()
        self._session._model_bytes = None
        # What its Python side does for every run, measured 3 us, is about other devices.
        self._run = getattr(self._session, "_sess", self._session).run
        given, made = self._session.get_inputs()[0], self._session.get_outputs()[0]
        self._input, self._outputs = given.name, [made.name]
        self._dtype = np.float64 if given.type == "tensor(double)" else np.float32
        self.features = int(given.shape[1])
        self.classes = int(made.shape[1])

    def score(self, X: Rows) -> Scores:
        """Scores float64 (n, classes) of encoded rows float32 (n, features)."""
        values = np.ascontiguousarray(X, dtype=self._dtype)
        run, names, key = self._run, self._outputs, self._input
        if len(values) <= CHUNK:
            return np.asarray(run(names, {key: values}, None)[0], dtype=np.float64)
        scores = np.empty((len(values), self.classes))
        for start in range(0, len(values), CHUNK):
            scores[start : start + CHUNK] = run(names, {key: values[start : start + CHUNK]}, None)[
                0
            ]
        return scores
