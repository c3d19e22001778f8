"""Answers as tensors: what the Open Inference Protocol gives for rows, and says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ratchet.packaging.predictions import class_name
from ratchet.serving.protocols.tensors import BOOL, BYTES, Parameters

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.packaging.signature import Signature
    from ratchet.serving.answers import AnsweredTable


class Output(msgspec.Struct):
    """A tensor of an answer; ``values`` are flat."""

    name: str
    datatype: str
    shape: list[int]
    values: Sequence[Any]
    parameters: Parameters = {}


def no_outputs(signature: Signature) -> list[Output]:
    """The tensors of an answer to no rows: they look as they would with some."""
    return [
        Output(
            tensor["name"],
            tensor["datatype"],
            [max(size, 0) for size in tensor["shape"]],
            [],
            tensor.get("parameters", {}),
        )
        for tensor in output_tensors(signature)
    ]


def outputs_of(answered: AnsweredTable) -> list[Output]:
    """Answers as tensors; at least one answer, see ``no_outputs``."""
    rows, classes = len(answered.ids), answered.classes
    ids = Output("prediction_id", BYTES, [rows], answered.ids)
    if not classes:
        made = [Output("prediction", "FP64", [rows], answered.scores)]
        if answered.ends is not None:
            made += [
                Output(f"prediction_{end}", "FP64", [rows], values)
                for end, values in zip(("low", "high"), answered.ends, strict=True)
            ]
        return [*made, ids]
    datatype = label_type(classes)
    labels: Sequence[Any] = answered.labels
    if datatype == BYTES and any(type(label) is not str for label in classes):
        labels = [class_name(label) for label in answered.labels if label is not None]
    shape = [rows, len(classes)]
    told = {"classes": _class_list(classes)}
    return [
        Output("label", datatype, [rows], labels),
        Output("probabilities", "FP64", shape, answered.scores, told),
        ids,
    ]


def output_tensors(signature: Signature) -> list[dict[str, Any]]:
    """The tensors of an answer, as metadata tells of them."""
    ids = {"name": "prediction_id", "datatype": BYTES, "shape": [-1]}
    if not signature.classes:
        names = ["prediction"]
        if signature.coverage is not None:
            names += ["prediction_low", "prediction_high"]
        return [*({"name": name, "datatype": "FP64", "shape": [-1]} for name in names), ids]
    probabilities = {
        "name": "probabilities",
        "datatype": "FP64",
        "shape": [-1, len(signature.classes)],
        "parameters": {"classes": _class_list(signature.classes)},
    }
    label = {"name": "label", "datatype": label_type(signature.classes), "shape": [-1]}
    return [label, probabilities, ids]


def label_type(classes: Sequence[Label]) -> str:
    """The datatype of labels; classes of several types are told as text."""
    kinds = {type(label) for label in classes}
    if len(kinds) > 1:
        return BYTES
    return {bool: BOOL, int: "INT64", float: "FP64"}.get(kinds.pop(), BYTES)


def _class_list(classes: Sequence[Label]) -> str:
    # Parameters are texts, numbers or truth values in this protocol, never lists.
    return json.dumps(list(classes), ensure_ascii=False)
