"""The model as an ONNX session on one thread."""

from pathlib import Path

import numpy as np
import onnxruntime


def open_session(folder: Path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    probabilities = session.get_outputs()[-1].name

    def score(matrix: np.ndarray) -> np.ndarray:
        return session.run([probabilities], {name: matrix})[0]

    return score
