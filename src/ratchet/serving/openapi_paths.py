"""Every path that is answered: what it is for, what it takes, and real examples of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ratchet.packaging.predictions import class_name
from ratchet.serving.answers import by_column
from ratchet.serving.openapi_operation import Operation, content, text
from ratchet.serving.openapi_schemas import Schema, Served, ref
from ratchet.serving.protocols import mlflow
from ratchet.serving.protocols.open_inference import describe, write_answer
from ratchet.serving.protocols.tensor_table import Envelope
from ratchet.serving.protocols.tensors import DATATYPES

Paths = dict[str, dict[str, Operation]]

_ENTITY = "7590-VHVEG"
_TIME = "2026-11-21T02:49:00Z"
_ANY: Schema = {"type": "object"}


def make_paths(served: Served) -> dict[str, dict[str, Any]]:
    """The paths with their operations by method."""
    paths = _ratchet(served) | _mlflow(served) | _open_inference(served) | _operations(served)
    return {
        path: {method: operation.to_json() for method, operation in methods.items()}
        for path, methods in paths.items()
    }


def prediction_of(served: Served) -> dict[str, Any]:
    """The answer of ``/v1/predict`` to the example."""
    answered = served.answered
    told: dict[str, Any] = {"prediction_id": answered.prediction_id}
    if answered.classes:
        names = map(class_name, answered.classes)
        told["label"] = answered.label
        told["probabilities"] = dict(zip(names, answered.scores, strict=True))
    else:
        told["prediction"] = answered.scores[0]
    told |= {"model_version": answered.version, "arm": answered.arm}
    if answered.interval is not None:
        told["interval"] = dict(zip(("low", "high"), answered.interval, strict=True))
    return told


def _ratchet(served: Served) -> Paths:
    models = Operation(
        "Ratchet",
        "What serves",
        "Arms with their shares, shadows, and the columns of every version.",
        scope="read",
        answer=content(_ANY),
        refused=(503,),
    )
    return {
        "/v1/predict": {"post": _predict(served)},
        "/v1/feedback": {"post": _feedback(served)},
        "/v1/models": {"get": models},
    }


def _predict(served: Served) -> Operation:
    record, told = dict(served.example), prediction_of(served)
    bodies: dict[str, Any] = {
        "one row": {"record": record},
        "several rows": {"records": [record, record]},
    }
    if served.id is not None:
        bodies["stored rows by id"] = {"ids": [_ENTITY]}
        newer = dict(list(record.items())[:1])
        bodies["a stored row, and what is newer"] = {"id": _ENTITY, "record": newer}
    several = {"type": "array", "items": ref("Prediction")}
    many = {"type": "object", "required": ["predictions"], "properties": {"predictions": several}}
    answers = {"one row": told, "several rows": {"predictions": [told, told]}}
    return Operation(
        "Ratchet",
        "Predict",
        "Rows, or ids of stored rows, to predictions. Each answer is in the prediction log before "
        "it is sent; its id is what feedback refers to.",
        scope="predict",
        body=content(ref("PredictRequest"), bodies),
        answer=content({"anyOf": [ref("Prediction"), many]}, answers),
        refused=(400, 404, 408, 409, 413, 422, 503),
    )


def _feedback(served: Served) -> Operation:
    told = served.answered
    label = served.labels[-1] if served.labels else told.scores[0]
    by_id = {"prediction_id": told.prediction_id, "label": label}
    by_entity = {"entity": _ENTITY, "time": _TIME, "label": label}
    bodies = {
        "by prediction": by_id,
        "by entity and time": by_entity,
        "several": {"feedback": [by_id, by_entity]},
    }
    accepted = {"type": "integer", "minimum": 0}
    answer = {"type": "object", "required": ["accepted"], "properties": {"accepted": accepted}}
    return Operation(
        "Ratchet",
        "Say what came of a prediction",
        "The true label, by prediction id or by entity and time. Sent twice it counts once; a "
        "later one corrects an earlier one.",
        scope="feedback",
        body=content(ref("FeedbackRequest"), bodies),
        answer=content(answer, {"one": {"accepted": 1}}),
        refused=(400, 408, 413, 422, 503),
    )


def _mlflow(served: Served) -> Paths:
    ping = Operation(
        "MLflow",
        "Whether a model serves",
        answer=text("application/json"),
        refused=(404,),
        error="Nothing",
    )
    version = Operation(
        "MLflow",
        "MLflow's version",
        "The one whose protocol is spoken.",
        answer=text("application/json"),
    )
    return {
        "/invocations": {"post": _invocations(served)},
        "/ping": {"get": ping},
        "/health": {"get": ping},
        "/version": {"get": version},
    }


def _invocations(served: Served) -> Operation:
    record = dict(served.example)
    names = list(record)
    bodies = {
        "dataframe_split": {"dataframe_split": {"columns": names, "data": [list(record.values())]}},
        "dataframe_records": {"dataframe_records": [record]},
        "inputs": {"inputs": {name: [value] for name, value in record.items()}},
        "instances": {"instances": [record]},
    }
    table = {"CSV": {"value": _csv(record)}}
    told = msgspec.json.decode(mlflow.write([served.answered]))
    return Operation(
        "MLflow",
        "Predict, as MLflow's model server does",
        "Takes what clients of `mlflow models serve` and of SageMaker send, and answers the same. "
        "Headers tell what MLflow has no place for: `X-Model-Version`, and for up to "
        f"{mlflow.MOST_IDS} rows `X-Prediction-Id` with their ids for feedback.",
        scope="predict",
        body={
            **content(ref("Invocation"), bodies),
            mlflow.CSV: {"schema": {"type": "string"}, "examples": table},
        },
        answer=content(ref("InvocationAnswer"), {"one row": told}),
        refused=(400, 408, 413, 415, 503),
        error="MlflowError",
    )


def _open_inference(served: Served) -> Paths:
    one = {"model": [served.project]}
    versions = {**one, "version": [str(number) for number in served.versions]}
    paths: Paths = {
        "/v2": {"get": _look("The server", {"name": "ratchet"})},
        "/v2/health/live": {"get": _look("Whether the server answers", {"live": True})},
        "/v2/health/ready": {"get": _look("Whether a model serves", {"ready": True})},
    }
    told = describe(served.project, served.versions, served.signature)
    ready = {"name": served.project, "ready": True}
    for path, known, suffix in (
        ("/v2/models/{model}", one, ""),
        ("/v2/models/{model}/versions/{version}", versions, " of a version"),
    ):
        paths[path] = {"get": _look(f"Tensors{suffix}", told, known, scope="read")}
        paths[f"{path}/ready"] = {"get": _look(f"Readiness{suffix}", ready, known)}
        paths[f"{path}/infer"] = {"post": _infer(served, suffix, known)}
    return paths


def _infer(served: Served, suffix: str, known: Mapping[str, Sequence[str]]) -> Operation:
    tensors = [
        {
            "name": column.name,
            "datatype": DATATYPES[column.kind],
            "shape": [1],
            "data": [served.example.get(column.name)],
        }
        for column in served.columns
    ]
    answer = write_answer(Envelope(id="42"), by_column([served.answered]), served.project)
    told = msgspec.json.decode(answer.body)
    return Operation(
        "Open Inference Protocol",
        f"Predict, as KServe and Triton do{suffix}",
        "One tensor for each column, shape [n] or [n, 1]; texts and times are BYTES; a missing "
        "value is null, in floats NaN. A model of numbers only also takes one tensor [n, columns]. "
        "Binary tensors are taken, and given where they are asked for.",
        scope="predict",
        body=content(ref("InferenceRequest"), {"one row": {"id": "42", "inputs": tensors}}),
        answer=content(ref("InferenceAnswer"), {"one row": told}),
        refused=(400, 404, 408, 413, 503),
        error="InferenceError",
        known=known,
    )


def _look(
    says: str,
    told: Any,
    known: Mapping[str, Sequence[str]] | None = None,
    scope: str | None = None,
) -> Operation:
    return Operation(
        "Open Inference Protocol",
        says,
        scope=scope,
        answer=content(_ANY, {"answer": told}),
        refused=(404, 503) if known else (503,),
        error="InferenceError" if known else "Nothing",
        known=known or {},
    )


def _operations(served: Served) -> Paths:
    ready = {"status": "ready", "model_version": served.version}
    operations = {
        "/healthz": Operation(
            "Operations",
            "Whether the server answers",
            answer=content(_ANY, {"answer": {"status": "ok"}}),
        ),
        "/readyz": Operation(
            "Operations",
            "Whether predictions are answered",
            "503 and why not, when they are not.",
            answer=content(_ANY, {"answer": ready}),
            refused=(503,),
        ),
        "/metrics": Operation(
            "Operations",
            "Numbers for Prometheus",
            scope="read",
            answer=text("text/plain", "application/openmetrics-text"),
        ),
        "/openapi.json": Operation(
            "Operations",
            "This description",
            "OpenAPI 3.1, with examples of the version that serves.",
            scope="read",
            answer=content(_ANY),
            refused=(503,),
        ),
        "/docs": Operation("Operations", "A page to read and to try", answer=text("text/html")),
    }
    return {path: {"get": operation} for path, operation in operations.items()}


def _csv(record: Mapping[str, Any]) -> str:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(record)
    writer.writerow("" if value is None else class_name(value) for value in record.values())
    return lines.getvalue()
