"""Whether the server lives and answers, what it counts, and what serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ratchet.serving.http import Answer, Request, Routes

if TYPE_CHECKING:
    from ratchet.serving.residence import Serving
    from ratchet.serving.resident import Resident
    from ratchet.serving.service import Service


class Health:
    """The paths that look at a service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add_to(self, routes: Routes) -> None:
        """Answer ``/healthz``, ``/readyz``, ``/metrics`` and ``/v1/models``."""
        routes.add("GET", "/healthz", self.alive, None)
        routes.add("GET", "/readyz", self.ready, None)
        routes.add("GET", "/metrics", self.metrics, "read")
        routes.add("GET", "/v1/models", self.models, "read")

    async def alive(self, request: Request) -> Answer:
        """200 as long as the process answers at all."""
        return Answer(200, b'{"status":"ok"}')

    async def ready(self, request: Request) -> Answer:
        """200 when predictions are answered; else 503 and why not."""
        problem = self._service.unready
        if problem is not None:
            raise problem
        serving = self._service.desk.serving
        return _json({"status": "ready", "model_version": serving.champion.version})

    async def metrics(self, request: Request) -> Answer:
        """The numbers, as Prometheus or OpenMetrics text."""
        self._service.measure()
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        text, content_type = self._service.metrics.render(accept)
        return Answer(200, text, content_type.encode())

    async def models(self, request: Request) -> Answer:
        """What serves: the arms with their shares, the shadows, and each version's columns."""
        serving = self._service.desk.serving
        traffic = serving.traffic
        return _json(
            {
                "project": self._service.site.project,
                "deployment": traffic.seq,
                "kind": traffic.kind,
                "champion": serving.champion.version,
                "arms": [
                    {"name": arm.name, "model_version": arm.version, "share": arm.share}
                    for arm in traffic.arms
                ],
                "shadow": [each.version for each in serving.shadows],
                "models": _models(serving),
            }
        )


def _models(serving: Serving) -> list[dict[str, Any]]:
    return [_model(each) for _, each in sorted(serving.residents.items())]


def _model(resident: Resident) -> dict[str, Any]:
    model = resident.model
    signature = model.signature
    return {
        "model_version": resident.version,
        "digest": model.digest,
        "task": model.task,
        "classes": list(model.classes),
        "threshold": model.threshold,
        "inputs": [
            {"name": each.name, "kind": each.kind, "example": each.example}
            for each in signature.inputs
        ],
    }


def _json(value: Any) -> Answer:
    return Answer(200, msgspec.json.encode(value))
