"""The OpenAPI document of what serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ratchet
from ratchet.serving.answers import Answered
from ratchet.serving.openapi_paths import make_paths
from ratchet.serving.openapi_schemas import Served, make_schemas

if TYPE_CHECKING:
    from ratchet.serving.desk import Desk
    from ratchet.serving.service import Service

_EXAMPLE_ID = "0651b2a9c0f1e47d3a90b7c1d2e3f4"


def describe(served: Served) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": served.project,
            "version": str(served.version),
            "summary": f"Model version {served.version}, served by Ratchet {ratchet.__version__}",
            "description": _about(served),
        },
        "tags": [{"name": name, "description": says} for name, says in _TAGS.items()],
        "paths": make_paths(served),
        "components": {
            "schemas": make_schemas(served),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def served_by(service: Service, desk: Desk) -> Served:
    """What there is to describe; the model scores its example once for it."""
    champion = desk.serving.champion
    model, codec, site = champion.model, desk.codec, service.site
    example = {column.name: None for column in codec.columns} | model.signature.example
    given = model.predict([example])
    ends = given.interval
    answered = Answered(
        prediction_id=_EXAMPLE_ID,
        version=champion.version,
        arm=desk.serving.traffic.arms[0].name,
        label=given.labels[0] if given.classes else None,
        scores=given.scores[0].tolist(),
        classes=given.classes,
        interval=None if ends is None else (float(ends[0][0]), float(ends[1][0])),
    )
    return Served(
        project=site.project,
        version=champion.version,
        columns=codec.columns,
        also=codec.names[len(codec.columns) :],
        id=site.id,
        signature=model.signature,
        labels=tuple((desk.labels or {}).values()),
        versions=tuple(sorted(desk.serving.residents)),
        example=example,
        answered=answered,
        most=site.settings.max_rows,
    )


def _about(served: Served) -> str:
    signature = served.signature
    if signature.task == "regression":
        what = "Estimates a number"
    else:
        what = f"Decides between {len(signature.classes)} classes"
    return (
        f"{what} from {len(served.columns)} columns. Every answer is kept in the prediction log "
        "before it is sent. Where there are API keys, a request carries one as "
        "`Authorization: Bearer rk_…` or as `X-API-Key`."
    )


_TAGS = {
    "Ratchet": "Predictions, and the labels that come back.",
    "MLflow": "For clients of `mlflow models serve` and of SageMaker.",
    "Open Inference Protocol": "Version 2, for clients of KServe, Triton, MLServer and Seldon.",
    "Operations": "For those who run it.",
}
