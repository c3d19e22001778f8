"""An ONNX file, opened in ONNX Runtime."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError

CHUNK: Final = 1024
"""Rows scored at once: bounds the memory (an SVM holds rows x vectors), and costs no time."""


class Session:
    """A graph of one input and one output, both (rows, columns), on one thread.

    Attributes:
        features, outputs: the columns of either.

    Raises:
        DataError: the runtime cannot read the file.
    """

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
        self.features, self.outputs = int(given.shape[1]), int(made.shape[1])

    def run(self, X: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
        """The output (n, outputs) for the rows of ``X`` (n, features)."""
        values = np.ascontiguousarray(X, dtype=self._dtype)
        run, names, key = self._run, self._outputs, self._input
        if len(values) <= CHUNK:
            return np.asarray(run(names, {key: values}, None)[0], dtype=np.float64)
        found = np.empty((len(values), self.outputs))
        for start in range(0, len(values), CHUNK):
            found[start : start + CHUNK] = run(names, {key: values[start : start + CHUNK]}, None)[0]
        return found
