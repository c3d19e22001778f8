"""One operation of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ratchet.serving.openapi_schemas import Schema, ref

JSON = "application/json"

Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method of a path does.

    Attributes:
        tag: the group it belongs to.
        says: what it does, in a few words.
        more: what else there is to know.
        scope: what a caller's key must allow; None: anybody may.
        body: what it takes, by content type; None: nothing.
        answer: what it gives, by content type.
        refused: the statuses of its refusals, beside those of every operation with a scope.
        error: the schema of its own errors, or ``Nothing``; those of the server are problems.
        known: the values of the parameters in its path.
    """

    tag: str
    says: str
    more: str = ""
    scope: str | None = None
    body: Content | None = None
    answer: Content = field(default_factory=dict)
    refused: Sequence[int] = ()
    error: str = "Problem"
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The operation object of OpenAPI 3.1."""
        told: dict[str, Any] = {"tags": [self.tag], "summary": self.says}
        if self.more:
            told["description"] = self.more
        if self.known:
            told["parameters"] = [_parameter(*each) for each in self.known.items()]
        if self.body is not None:
            told["requestBody"] = {"required": True, "content": self.body}
        told["responses"] = {"200": {"description": "The answer", "content": self.answer}}
        for status in self.refused:
            told["responses"][str(status)] = _refusal(status, self.error)
        if self.scope is None:
            return {**told, "security": []}
        for status in (401, 403, 429):
            told["responses"][str(status)] = _refusal(status, self.error)
        # Keys are asked for where there are any.
        return {**told, "security": [{"bearer": []}, {"key": []}, {}], "x-scope": self.scope}


def content(schema: Schema, examples: Mapping[str, Any] | None = None) -> Content:
    """JSON of a schema, with examples by name."""
    told: dict[str, Any] = {"schema": schema}
    if examples:
        told["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {JSON: told}


def text(*types: str) -> Content:
    """Text of each of the content types."""
    return {name: {"schema": {"type": "string"}} for name in types}


def _parameter(name: str, known: Sequence[str]) -> dict[str, Any]:
    schema = {"type": "string", "enum": list(known)}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _refusal(status: int, error: str) -> dict[str, Any]:
    if status == 415:
        return {"description": _SAYS[status], "content": text("text/plain")}
    if error == "Nothing":
        return {"description": _SAYS[status], "content": {JSON: {}}}
    told = {"application/problem+json": {"schema": ref("Problem")}}
    if error != "Problem":
        told[JSON] = {"schema": ref(error)}
    return {"description": _SAYS[status], "content": told}


_SAYS = {
    400: "The request cannot be read",
    401: "An API key is needed",
    403: "The key is not for this",
    404: "There is no such thing",
    408: "The request did not arrive in time",
    409: "The stored features are too old",
    413: "Too many rows or bytes",
    415: "The content type is not taken",
    422: "A value is wrong; `field` names it",
    429: "Too many requests",
    503: "Not now; Retry-After says when",
}
