"""A small ONNX graph, written node by node, whose bytes depend on the model alone.

Converters name things by counters and sometimes by random ids; here every name is fixed, so that
the same model twice gives the same file and the same digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import RatchetError

INPUT, OUTPUT = "X", "scores"
OPSET, TREES_OPSET, OLD_TREES_OPSET = 18, 5, 3
"""The operators' versions; ``TreeEnsembleRegressor`` exists before version 5 only."""
IR_VERSION = 9
PRODUCER = "ratchet"


class Graph:
    """Collects nodes and constants; ``finish`` gives the file's bytes.

    Args:
        trees_opset: version of the operators of classical models.
    """

    def __init__(self, trees_opset: int = TREES_OPSET) -> None:
        self._trees_opset = trees_opset
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        """Add a constant under ``name`` (or find it again) and return the name."""
        if name not in self._constants:
            from onnx import numpy_helper

            self._constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def add(
        self, op: str, inputs: list[str], output: str, *, domain: str = "", **given: Any
    ) -> str:
        """Add a node with one output and return the output's name.

        Arrays of integers among the attributes become lists, other arrays become tensors.
        """
        from onnx import helper, numpy_helper

        attributes = {
            name: numpy_helper.from_array(value, name)
            if isinstance(value, np.ndarray) and value.dtype != np.int64
            else value
            for name, value in given.items()
        }
        self._nodes.append(
            helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes)
        )
        return output

    def widen(self, values: str, output: str) -> str:
        """Make float32 values float64: every float32 is a float64 exactly."""
        from onnx import TensorProto

        return self.add("Cast", [values], output, to=TensorProto.DOUBLE)

    def wide_input(self) -> str:
        """The input as float64."""
        return self.widen(INPUT, "X64")

    def two_classes(self, positive: str) -> None:
        """Make the output of a positive class's probability (n, 1)."""
        negative = self.add("Sub", [self.constant("one", [1.0]), positive], "negative")
        self.add("Concat", [negative, positive], OUTPUT, axis=1)

    def finish(self, *, features: int, classes: int) -> bytes:
        """The bytes of the model: float32 (n, features) to float64 (n, classes)."""
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self._nodes,
            "model",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, features])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, [None, classes])],
            initializer=list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[
                helper.make_opsetid("", OPSET),
                helper.make_opsetid("ai.onnx.ml", self._trees_opset),
            ],
            ir_version=IR_VERSION,
            producer_name=PRODUCER,
        )
        return serialize(model)


def serialize(model: Any) -> bytes:
    """The bytes of an ONNX model.

    Raises:
        RatchetError: it is larger than the two gigabytes a protobuf file can hold.
    """
    try:
        return bytes(model.SerializeToString(deterministic=True))
    except ValueError as error:
        raise RatchetError(
            "The model is too large for one ONNX file",
            why=str(error),
            fix="train fewer or smaller trees",
            code="model_too_large",
        ) from error


def settle_names(model: Any) -> None:
    """Number all names of a converted model anew, in place, input and output aside.

    Converters count through the life of the process, so that the names, and with them the
    bytes and the digest, depend on what was converted before.
    """
    new = {"": "", model.graph.input[0].name: INPUT, model.graph.output[0].name: OUTPUT}
    _rename(model.graph, new)
    imports = sorted((each.domain, each.version) for each in model.opset_import)
    del model.opset_import[:]
    for domain, version in imports:
        model.opset_import.add(domain=domain, version=version)


def _rename(graph: Any, new: dict[str, str]) -> None:
    def settled(name: str) -> str:
        return new.setdefault(name, f"v{len(new)}")

    for value in (*graph.input, *graph.initializer, *graph.output, *graph.value_info):
        value.name = settled(value.name)
    for place, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{place}"
        node.input[:] = [settled(name) for name in node.input]
        node.output[:] = [settled(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, new)


def spread_classes(content: bytes, known: Sequence[int], classes: int) -> bytes:
    """The same model with a column for every class; classes it does not know score 0."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    output = model.graph.output[0]
    wide = output.type.tensor_type.elem_type == TensorProto.DOUBLE
    place = np.zeros((len(known), classes), np.float64 if wide else np.float32)
    place[np.arange(len(known)), list(known)] = 1.0
    model.graph.initializer.append(numpy_helper.from_array(place, "places"))
    model.graph.node.append(
        helper.make_node("MatMul", [output.name, "places"], ["every_class"], name="every_class")
    )
    kind = TensorProto.DOUBLE if wide else TensorProto.FLOAT
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("every_class", kind, [None, classes]))
    return serialize(model)
