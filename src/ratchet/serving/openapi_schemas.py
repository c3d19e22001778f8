"""JSON Schemas of what is sent and answered, made for the model that serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratchet.packaging.predictions import class_name
from ratchet.serving.inspection import LONGEST_ID
from ratchet.serving.protocols.outputs import output_tensors
from ratchet.serving.protocols.tensors import DATATYPES, KNOWN

if TYPE_CHECKING:
    from ratchet.data.schema import Kind
    from ratchet.data.task import Label
    from ratchet.packaging.signature import Signature
    from ratchet.serving.answers import Answered
    from ratchet.serving.codec import Expected

Schema = dict[str, Any]

# A month's days; that not every February has 29 is beyond a pattern.
_DAY = (
    "[1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = f"^{_DAY}([T ]{_CLOCK}(:[0-5][0-9](\\.[0-9]{{1,6}})?)?(Z|[+-]{_CLOCK})?)?$"
_MOMENT: Schema = {
    "type": "string",
    "description": "ISO 8601; without a zone it is UTC.",
    "pattern": _TIME,
    "examples": ["2026-11-21T02:49:00Z"],
}
_KINDS: dict[Kind, Schema] = {
    "integer": {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1},
    "number": {"type": ["number", "null"]},
    "string": {"type": ["string", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "date": {**_MOMENT, "type": ["string", "null"], "description": "A day; a time is its day."},
    "datetime": {**_MOMENT, "type": ["string", "null"]},
}
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 500}
_KEY: Schema = {"anyOf": [_TEXT, {"type": "integer"}]}


@dataclass(frozen=True, slots=True)
class Served:
    """What is described: the model that serves, as its callers see it.

    Attributes:
        columns: what a row holds.
        also: the columns that may come along: id and time.
        id: the column by which stored features are found; None where there are none.
        signature: of the champion.
        labels: what feedback may say; empty: any number.
        versions: those that can be asked for.
        example: a typical row.
        answered: what is answered to it.
        most: rows of one request.
    """

    project: str
    version: int
    columns: tuple[Expected, ...]
    also: tuple[str, ...]
    id: str | None
    signature: Signature
    labels: tuple[Label, ...]
    versions: tuple[int, ...]
    example: Mapping[str, Any]
    answered: Answered
    most: int


def make_schemas(served: Served) -> dict[str, Schema]:
    """The named schemas."""
    row = _row(served)
    return {
        "Record": row,
        "PartialRecord": _partial(row, served.id),
        "Prediction": _prediction(served),
        "PredictRequest": _predict_request(served),
        "Feedback": _feedback(served.labels),
        "FeedbackRequest": {"anyOf": [ref("Feedback"), _object({"feedback": _list("Feedback")})]},
        "Invocation": _invocation(row, [column.name for column in served.columns]),
        "InvocationAnswer": _invocation_answer(served.signature),
        "InferenceRequest": _inference_request(served.columns, served.signature),
        "InferenceAnswer": _inference_answer(),
        "Problem": _PROBLEM,
        "MlflowError": _object({"error_code": _STRING, "message": _STRING}, closed=False),
        "InferenceError": _object({"error": _STRING}, closed=False),
    }


def ref(name: str) -> Schema:
    """A named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


_STRING: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_PARTIAL = "What the request itself knows of the row; the rest is looked up."
_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457. `field` names what is wrong, such as records[3].tenure.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        **dict.fromkeys(("type", "title", "detail", "code", "field", "fix"), _STRING),
        "status": {"type": "integer"},
        "request_id": _STRING,
    },
}


def _object(properties: Schema, *, optional: Sequence[str] = (), closed: bool = True) -> Schema:
    schema: Schema = {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }
    return {**schema, "additionalProperties": False} if closed else schema


def _list(name: str, most: int | None = None) -> Schema:
    schema: Schema = {"type": "array", "items": ref(name)}
    return schema if most is None else {**schema, "maxItems": most}


def _row(served: Served) -> Schema:
    typical = served.example
    properties: Schema = {}
    for column in served.columns:
        schema = {**_KINDS[column.kind], "x-kind": column.kind}
        value = typical.get(column.name)
        properties[column.name] = schema if value is None else {**schema, "examples": [value]}
    for name in served.also:
        kinds = ["string", "integer", "null"] if name == served.id else ["string", "number", "null"]
        properties[name] = {"type": kinds, "description": _ALSO[name == served.id]}
        if name == served.id:
            properties[name]["maxLength"] = LONGEST_ID
    optional = [column.name for column in served.columns if not column.required]
    row = _object(properties, optional=[*optional, *served.also])
    return {**row, "description": "null says that a value is missing."}


def _partial(row: Schema, name: str | None) -> Schema:
    """What a request itself knows of a row whose id stands beside it."""
    told = {**row, "required": [], "description": _PARTIAL}
    if name is not None:
        told["properties"] = {**row["properties"], name: {"description": "Not looked at."}}
    return told


_ALSO = (
    "When the row was; logged, and not read by the model.",
    "Whom the row is about; logged, keeps to one arm, and is not read by the model.",
)


def _predict_request(served: Served) -> Schema:
    forms = [
        _object({"record": ref("Record")}),
        _object({"records": _list("Record", served.most)}),
    ]
    if served.id is not None:
        partial = {"record": ref("PartialRecord")}
        forms.append(_object({"id": _KEY, **partial}, optional=["record"]))
        ids = {"type": "array", "items": _KEY, "maxItems": served.most}
        several = {"ids": ids, "records": _list("PartialRecord", served.most)}
        forms.append(_object(several, optional=["records"]))
    return {"oneOf": forms}


def _prediction(served: Served) -> Schema:
    told: Schema = {"prediction_id": _STRING}
    optional: list[str] = []
    if served.signature.classes:
        names = [class_name(label) for label in served.signature.classes]
        share = {"type": "number", "minimum": 0, "maximum": 1}
        told["label"] = {"enum": list(served.labels)} if served.labels else {}
        told["probabilities"] = {
            "type": "object",
            "properties": dict.fromkeys(names, share),
            "additionalProperties": share,
        }
    else:
        told["prediction"] = _NUMBER
        told["interval"] = _object({"low": _NUMBER, "high": _NUMBER})
        optional = ["interval"]
    told["model_version"] = {"type": "integer"}
    told["arm"] = _STRING
    return _object(told, optional=optional)


def _feedback(labels: Sequence[Label]) -> Schema:
    label = {"enum": list(labels)} if labels else _NUMBER
    more = {
        "label": label,
        "key": {**_TEXT, "description": "Said twice under one key it counts once."},
        "observed_at": {**_MOMENT, "description": "When the outcome became known; default now."},
    }
    optional = ("key", "observed_at")
    by_id = _object({"prediction_id": _TEXT, **more}, optional=optional)
    by_entity = _object({"entity": _KEY, "time": _MOMENT, **more}, optional=optional)
    return {"oneOf": [by_id, by_entity]}


def _invocation(row: Schema, names: Sequence[str]) -> Schema:
    loose = {**row, "additionalProperties": True}
    rows = {"type": "array", "items": loose, "minItems": 1}
    split = _object(
        {
            "columns": {"type": "array", "examples": [list(names)]},
            "data": {"type": "array", "items": {"type": "array"}},
            "index": {},
        },
        optional=["index"],
    )
    columns = {
        "type": "object",
        "required": row["required"],
        "properties": {name: {"type": "array"} for name in row["required"]},
    }
    either = {"anyOf": [rows, columns]}
    forms = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "inputs": either,
        "instances": either,
    }
    told = {**forms, "params": {"description": "Ignored, as the model has no parameters."}}
    return {
        "type": "object",
        "properties": told,
        "oneOf": [{"required": [name]} for name in forms],
        "description": "One of the four forms; unknown columns and fields are ignored.",
    }


def _invocation_answer(signature: Signature) -> Schema:
    if signature.classes:
        names = [f"probability_{class_name(label)}" for label in signature.classes]
        row = _object({"prediction": {}, **dict.fromkeys(names, _NUMBER)}, closed=False)
    else:
        row = _object({"prediction": _NUMBER}, closed=False)
    return _object({"predictions": {"type": "array", "items": row}}, closed=False)


def _tensor(*, needs_data: bool = True) -> Schema:
    told = {
        "name": _STRING,
        "datatype": {"enum": list(KNOWN)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "data": {"type": "array"},
        "parameters": {"type": ["object", "null"]},
    }
    optional = ["parameters"] if needs_data else ["parameters", "data"]
    return _object(told, optional=optional, closed=False)


def _inference_request(columns: Sequence[Expected], signature: Signature) -> Schema:
    told = ", ".join(f"{column.name} {DATATYPES[column.kind]}" for column in columns[:50])
    outputs = {"enum": [tensor["name"] for tensor in output_tensors(signature)]}
    wanted = _object({"name": outputs, "parameters": {"type": ["object", "null"]}}, closed=False)
    return _object(
        {
            "inputs": {
                "type": "array",
                "items": _tensor(needs_data=False),
                "minItems": 1,
                "description": f"One tensor for each column: {told}.",
            },
            "id": {"type": "string", "description": "Sent back."},
            "parameters": {"type": ["object", "null"]},
            "outputs": {"type": ["array", "null"], "items": {**wanted, "required": ["name"]}},
        },
        optional=["id", "parameters", "outputs"],
        closed=False,
    )


def _inference_answer() -> Schema:
    return _object(
        {
            "model_name": _STRING,
            "model_version": _STRING,
            "id": _STRING,
            "parameters": {"type": "object"},
            "outputs": {"type": "array", "items": _tensor()},
        },
        optional=["model_version", "id", "parameters"],
        closed=False,
    )
