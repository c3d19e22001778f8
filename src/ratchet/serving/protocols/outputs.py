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
    from ratchet.serving.answers import Answered


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


def outputs_of(answered: Sequence[Answered]) -> list[Output]:
    """Answers as tensors; at least one answer, see ``no_outputs``."""
    rows = len(answered)
    classes = _all_classes(answered)
    ids = Output("prediction_id", BYTES, [rows], [each.prediction_id for each in answered])
    if not classes:
        made = [Output("prediction", "FP64", [rows], [each.scores[0] for each in answered])]
        intervals = [each.interval for each in answered if each.interval is not None]
        if len(intervals) == rows:
            made += [
                Output(f"prediction_{end}", "FP64", [rows], [pair[place] for pair in intervals])
                for place, end in enumerate(("low", "high"))
            ]
        return [*made, ids]
    datatype = label_type(classes)
    labels: list[Any] = [each.label for each in answered]
    if datatype == BYTES:
        labels = [class_name(label) for label in labels]
    flat = [score for each in answered for score in _scores(each, classes)]
    shape = [rows, len(classes)]
    told = {"classes": _class_list(classes)}
    return [
        Output("label", datatype, [rows], labels),
        Output("probabilities", "FP64", shape, flat, told),
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


def _all_classes(answered: Sequence[Answered]) -> tuple[Label, ...]:
    """The classes of all versions that answered, in the order of the first."""
    first = tuple(answered[0].classes)
    if all(each.classes is answered[0].classes for each in answered):
        return first
    return tuple(dict.fromkeys(label for each in answered for label in each.classes))


def _scores(answered: Answered, classes: tuple[Label, ...]) -> Sequence[float]:
    """The scores of ``classes``; 0 for one that this version does not know."""
    if len(answered.classes) == len(classes) and tuple(answered.classes) == classes:
        return answered.scores
    known = dict(zip(answered.classes, answered.scores, strict=True))
    return [known.get(label, 0.0) for label in classes]


def _class_list(classes: Sequence[Label]) -> str:
    # Parameters are texts, numbers or truth values in this protocol, never lists.
    return json.dumps(list(classes), ensure_ascii=False)
