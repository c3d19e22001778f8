"""Asks an ASGI application, in process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True)
class Told:
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def ask(
    app: Any,
    method: str,
    path: str,
    body: Any = b"",
    headers: dict[bytes, bytes] | None = None,
    *,
    parts: list[bytes] | None = None,
) -> Told:
    """Send one request; ``parts`` sends the body in pieces."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    pieces = [content] if parts is None else list(parts)
    own = {b"host": b"127.0.0.1:8000"} | (headers or {})
    if parts is None:
        own.setdefault(b"content-length", str(len(content)).encode())
    scope = {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "query_string": path.partition("?")[2].encode(),
        "headers": list(own.items()),
        "client": ("127.0.0.1", 5000),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.Event().wait()  # the client is silent
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    assert start["type"] == "http.response.start"
    whole = b"".join(message["body"] for message in rest)
    return Told(start["status"], dict(start["headers"]), whole)
