"""Any other scikit-learn estimator, converted by skl2onnx.

Importing skl2onnx costs 0.2 CPU-s where scikit-learn is loaded, so the estimators that Ratchet
trains by name have their own way (``forests.py``, ``margins.py``), which is more exact as well.
"""

from __future__ import annotations

import warnings
from typing import Any

from ratchet.packaging.graph import (
    IR_VERSION,
    OLD_TREES_OPSET,
    OPSET,
    PRODUCER,
    serialize,
    settle_names,
)
from ratchet.packaging.trees import InexpressibleError


def convert(model: Any, *, wide: bool) -> bytes:
    """``model`` as ONNX, in float64 when ``wide``, else in float32.

    Raises:
        InexpressibleError: skl2onnx cannot convert it.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if wide else FloatTensorType
    try:
        # Converters of third parties raise and warn whatever they like; what they say is kept.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = to_onnx(
                model,
                initial_types=[("X", kind([None, int(model.n_features_in_)]))],
                options={"zipmap": False} if hasattr(model, "classes_") else None,
                target_opset={"": OPSET, "ai.onnx.ml": OLD_TREES_OPSET},
            )
    except Exception as error:
        raise InexpressibleError(f"skl2onnx: {type(error).__name__}: {error}"[:300]) from error
    _keep_probabilities_only(converted)
    settle_names(converted)
    converted.graph.name = "model"
    converted.producer_name, converted.producer_version = PRODUCER, ""
    converted.ir_version = IR_VERSION
    converted.doc_string = converted.graph.doc_string = ""
    return serialize(converted)


def _keep_probabilities_only(converted: Any) -> None:
    """Leave out the label: the decision belongs to the bundle's threshold."""
    outputs = converted.graph.output
    probabilities = [output for output in outputs if output.name == "probabilities"]
    if probabilities:
        del outputs[:]
        outputs.extend(probabilities)
