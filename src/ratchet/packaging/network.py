"""The neural network written as ONNX: the very steps of ``NetworkScorer``, in float64.

Encoding, vectors and members are in the graph, so that a bundle needs neither PyTorch nor the
training package to score. The weights are float32 numbers held as float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.graph import INPUT, OUTPUT, Graph
from ratchet.training.algorithms.torch_inputs import BOUND, SMOOTH_BOUND, SMOOTH_REACH, Inputs

if TYPE_CHECKING:
    from ratchet.training.algorithms.torch_network import Network


def convert(network: Network) -> bytes:
    """The network as ONNX: float32 (n, features) to float64 (n, classes), or (n, 1) estimates."""
    graph = Graph()
    values = _add_inputs(graph, network)
    members = _add_layers(graph, network, values)
    path = graph.add("MatMul", [values, _weight(graph, network, "wide")], "wide_path")
    outputs = graph.add("Add", [members, path], "outputs")
    axis = graph.constant("members_axis", np.array([0]))
    if network.classes == 0:
        mean = graph.add("ReduceMean", [outputs, axis], "mean", keepdims=0)
        scale = graph.constant("target_scale", [network.standard.scale])
        center = graph.constant("target_center", [network.standard.center])
        graph.add("Add", [graph.add("Mul", [mean, scale], "scaled_mean"), center], OUTPUT)
    elif network.outputs == 1:
        shares = graph.add("Sigmoid", [outputs], "shares")
        graph.two_classes(graph.add("ReduceMean", [shares, axis], "positive", keepdims=0))
    else:
        shares = graph.add("Softmax", [outputs], "shares", axis=2)
        graph.add("ReduceMean", [shares, axis], OUTPUT, keepdims=0)
    return graph.finish(features=network.inputs.features, classes=max(1, network.classes))


def _add_inputs(graph: Graph, network: Network) -> str:
    """Dense inputs and vectors (n, columns)."""
    inputs = network.inputs
    wide = graph.wide_input()
    absent = graph.add("IsNaN", [INPUT], "absent")
    parts = [*_numbers(graph, inputs, wide, absent), *_categories(graph, inputs, wide, absent)]
    dense = _join(graph, parts, "dense")
    values = [graph.add("Sub", [dense, graph.constant("input_means", inputs.mean)], "centred")]
    if len(inputs.table_column):
        values.append(_vectors(graph, network, wide, absent))
    return _join(graph, values, "values")


def _numbers(graph: Graph, inputs: Inputs, wide: str, absent: str) -> list[str]:
    filled = graph.add("Where", [absent, graph.constant("fill", inputs.fill), wide], "filled")
    held = _clip(graph, filled, "held", BOUND)
    parts = []
    if len(inputs.piece_column):
        column = _columns(graph, held, inputs.piece_column, "piece")
        above = graph.add("Sub", [column, graph.constant("piece_low", inputs.piece_low)], "above")
        share = graph.add("Mul", [above, graph.constant("rate", inputs.piece_rate)], "share")
        bounds = [graph.constant(name, np.float64(name == "one_")) for name in ("zero_", "one_")]
        parts.append(graph.add("Clip", [share, *bounds], "pieces"))
    if len(inputs.smooth_column):
        column = _columns(graph, held, inputs.smooth_column, "smooth")
        middle = graph.constant("middle", inputs.fill[inputs.smooth_column])
        moved = graph.add("Sub", [column, middle], "moved")
        scaled = graph.add("Mul", [moved, graph.constant("smooth_rate", inputs.smooth_rate)], "z")
        scaled = _clip(graph, scaled, "z_held", SMOOTH_BOUND)
        part = graph.add("Div", [scaled, graph.constant("reach", [SMOOTH_REACH])], "z_part")
        square = graph.add("Mul", [part, part], "z_square")
        under = graph.add("Add", [square, graph.constant("one", [1.0])], "z_under")
        parts.append(graph.add("Div", [scaled, graph.add("Sqrt", [under], "z_root")], "smoothed"))
    if len(inputs.absent_column):
        told = _columns(graph, absent, inputs.absent_column, "told")
        parts.append(graph.widen(told, "told_missing"))
    return parts


def _categories(graph: Graph, inputs: Inputs, wide: str, absent: str) -> list[str]:
    if not len(inputs.one_column):
        return []
    codes = graph.add("Where", [absent, graph.constant("none", [-1.0]), wide], "codes")
    column = _columns(graph, codes, inputs.one_column, "code")
    same = graph.add("Equal", [column, graph.constant("one_value", inputs.one_value)], "same")
    return [graph.widen(same, "ones")]


def _vectors(graph: Graph, network: Network, wide: str, absent: str) -> str:
    """The columns' vectors side by side (n, t * vector)."""
    from onnx import TensorProto

    inputs = network.inputs
    size = graph.constant("table_size", inputs.table_size.astype(np.float64))
    codes = _columns(graph, wide, inputs.table_column, "table")
    gone = _columns(graph, absent, inputs.table_column, "table_absent")
    low = graph.add("Less", [codes, graph.constant("zero", [0.0])], "below")
    high = graph.add("GreaterOrEqual", [codes, size], "beyond")
    unknown = graph.add("Or", [graph.add("Or", [low, high], "outside"), gone], "unknown")
    held = graph.add("Where", [unknown, size, codes], "table_codes")
    place = graph.add("Cast", [held], "table_place", to=TensorProto.INT64)
    offsets = graph.constant("offsets", inputs.offsets)
    at = graph.add("Add", [place, offsets], "table_at")
    found = graph.add("Gather", [_weight(graph, network, "vectors"), at], "found", axis=0)
    width = len(inputs.table_column) * network.shape.vector
    return graph.add("Reshape", [found, graph.constant("flat", np.array([0, width]))], "flattened")


def _add_layers(graph: Graph, network: Network, values: str) -> str:
    """What each member puts out (members, n, outputs), the linear path aside."""

    def weight(name: str) -> str:
        return _weight(graph, network, name)

    hidden = graph.add("MatMul", [values, weight("first")], "first_sum")
    hidden = graph.add("Add", [hidden, weight("first_offset")], "first_moved")
    hidden = graph.add("Relu", [hidden], "first_hidden")
    members = graph.add("Mul", [hidden, weight("signs")], "signed")
    for layer in range(1, network.shape.depth):
        name = f"layer{layer}"
        members = graph.add("MatMul", [members, weight(name)], f"{name}_sum")
        members = graph.add("Mul", [members, weight(f"{name}_scale")], f"{name}_scaled")
        members = graph.add("Add", [members, weight(f"{name}_offset")], f"{name}_moved")
        members = graph.add("Relu", [members], f"{name}_hidden")
    heads = graph.add("MatMul", [members, weight("head")], "head_sum")
    return graph.add("Add", [heads, weight("head_offset")], "heads")


def _weight(graph: Graph, network: Network, name: str) -> str:
    return graph.constant(f"{name}_weights", network.weights[name].astype(np.float64))


def _columns(graph: Graph, values: str, columns: npt.NDArray[np.int64], name: str) -> str:
    return graph.add(
        "Gather", [values, graph.constant(f"{name}_columns", columns)], f"{name}_of", axis=1
    )


def _clip(graph: Graph, values: str, output: str, bound: float) -> str:
    low = graph.constant(f"{output}_low", np.float64(-bound))
    return graph.add(
        "Clip", [values, low, graph.constant(f"{output}_high", np.float64(bound))], output
    )


def _join(graph: Graph, parts: list[Any], output: str) -> str:
    return parts[0] if len(parts) == 1 else graph.add("Concat", parts, output, axis=1)
