"""A model behind the part of ``Service`` that protocols call, without ledger and log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import msgspec

from ratchet.packaging.model import Model
from ratchet.serving.answers import Answered, AnsweredTable, by_column
from ratchet.serving.codec import Codec
from ratchet.serving.http import Answer, ProblemError, Request, Routes


@dataclass
class ServedModel:
    """Answers by one model; ``asked`` holds the records of the last request."""

    model: Model | None
    version: int = 3
    id: str | None = None

    def __post_init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.pinned: int | None = None
        self.site = SimpleNamespace(project="churn", id=self.id, time=None)

    @property
    def unready(self) -> ProblemError | None:
        return ProblemError(503, "no_model", "Nothing serves") if self.model is None else None

    @property
    def desk(self) -> Any:
        if self.model is None:
            raise ProblemError(503, "no_model", "Nothing serves yet", retry_after=5)
        codec = Codec(self.model.signature, self.id, target="Churn")
        resident = SimpleNamespace(version=self.version, model=self.model)
        serving = SimpleNamespace(champion=resident, residents={self.version: resident})
        return SimpleNamespace(codec=codec, serving=serving, lanes={self.version: None})

    async def predict(self, asked, request=None, *, version=None) -> list[Answered]:
        assert self.model is not None
        self.asked, self.pinned = [each.record for each in asked], version
        given = self.model.predict(self.asked)
        ends = given.interval
        return [
            Answered(
                prediction_id=f"p{place}",
                version=self.version,
                arm="champion",
                label=label if given.classes else None,
                scores=scores,
                classes=given.classes,
                interval=None if ends is None else (float(ends[0][place]), float(ends[1][place])),
            )
            for place, (label, scores) in enumerate(
                zip(given.labels, given.scores.tolist(), strict=True)
            )
        ]

    async def predict_table(self, asked, request=None, *, version=None) -> AnsweredTable:
        return by_column(await self.predict(asked, request, version=version))


def call(
    routes: Routes,
    method: str,
    path: str,
    body: Any = b"",
    headers: dict[bytes, bytes] | None = None,
) -> Answer:
    """The answer of the handler that a request goes to."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    request = Request(method=method, path=path, headers=headers or {}, body=content)
    route = routes.find(request)
    try:
        return asyncio.run(route.handler(request))
    except ProblemError as problem:
        if route.refuse is None:
            raise
        return route.refuse(problem)
