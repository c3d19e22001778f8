"""The ASGI application: bytes to a request, a request to its handler, an answer to bytes."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ratchet import clock
from ratchet.config.durations import parse_duration, parse_size
from ratchet.errors import EnvironmentFault, RatchetError
from ratchet.serving.http import (
    SECURITY_HEADERS,
    Answer,
    ProblemError,
    Request,
    Route,
    Routes,
    Scope,
)

if TYPE_CHECKING:
    from ratchet.serving.service import Service

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
Write: TypeAlias = Callable[[int, list[tuple[bytes, bytes]], bytes], None]
Access: TypeAlias = Callable[[Request, Answer, float], None]
"""Told of every answer after it was sent, with the seconds it took."""

_log = logging.getLogger("ratchet.serving")
_TRAIL = re.compile(rb"[A-Za-z0-9_.:+/=-]{1,128}")


class Guard(Protocol):
    """Lets requests in."""

    def admit(self, request: Request, scope: Scope | None) -> None:
        """Note who asks; ProblemError 401, 403 or 429 where they may not."""


class OpenGuard:
    """Lets everybody in."""

    def admit(self, request: Request, scope: Scope | None) -> None:
        """Nothing is asked."""


open_guard = OpenGuard()


class _GoneError(Exception):
    """The client left before its request was whole."""


def make_app(
    service: Service,
    routes: Routes,
    guard: Guard = open_guard,
    *,
    access: Access | None = None,
) -> Application:
    """The application.

    Its lifespan starts and drains the service. Whatever the request, the answer is the
    handler's or a problem document; none holds a feature's value.

    Args:
        service: its site's settings bound bodies and waiting for them.
        guard: asked before the body is read.
        access: for an access log.
    """
    return Application(service, routes, guard, access)


class Application:
    """An ASGI application; see ``make_app``.

    A server that has a whole request may offer it to ``answer_at_once`` first: most are answered
    there, without the task, the events and the messages that ASGI asks for.
    """

    def __init__(
        self, service: Service, routes: Routes, guard: Guard, access: Access | None
    ) -> None:
        settings = service.site.settings
        self._service, self._routes, self._guard, self._access = service, routes, guard, access
        self._metrics = service.metrics
        self._most = parse_size(settings.max_body)
        self._patience = parse_duration(settings.timeout).total_seconds()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """What ASGI asks for."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def may_answer_at_once(self, path: bytes, length: bytes) -> bool:
        """Whether a ``POST`` to a path is worth offering, its body being as long as it says."""
        small = length.isdigit() and len(length) < _DIGITS and int(length) <= self._most
        return small and self._routes.find_at_once(path) is not None

    def answer_at_once(self, scope: Message, path: bytes, body: bytes, write: Write) -> bool | None:
        """Answer a whole ``POST``, where nothing is to be waited for.

        Args:
            scope: what ASGI tells of the request; where it is not answered it must be given to
                the application, which then does not begin anew.
            write: is given the answer's status, headers and body.

        Returns:
            Whether it was answered. None where it was not even looked at: then its body is asked
            for as ever.
        """
        route = self._routes.find_at_once(path)
        if route is None or route.at_once is None:
            return None
        headers, client = dict(scope["headers"]), scope["client"]
        request = Request(
            method="POST",
            path=route.path,
            headers=headers,
            body=body,
            client=client[0] if client else "",
            route=route.path,
            trail=_trail(headers),
            began=clock.monotonic(),
        )
        try:
            self._guard.admit(request, route.scope)
            answer = route.at_once(request)
            if answer is None:
                scope[_BEGUN] = request
                return False
        except ProblemError as problem:
            answer = _told(problem, request, route)
        except Exception as error:  # noqa: BLE001 - the process's edge: a bug becomes a 500
            answer = _told(self._unforeseen(error, request), request, route)
        write(answer.status, _headers(answer, request), answer.body)
        self._count(request, answer)
        return True

    def refused(self, status: int) -> None:
        """Count a request that the server in front refused by itself."""
        self._metrics.refused(status)

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        # Taken out, so that a connection which rests does not hold what it was asked last.
        request = scope.pop(_BEGUN, None)
        begun = request is not None
        if request is None:
            request = _request(scope, clock.monotonic())
        route = None
        try:
            route = self._routes.find(request)
            if not begun:
                request.route = route.path
                self._guard.admit(request, route.scope)
                if request.method not in _BODILESS:
                    request.body = await self._body(request.headers, receive)
            answer = await route.handler(request)
        except _GoneError:
            return
        except ProblemError as problem:
            answer = _told(problem, request, route)
        except Exception as error:  # noqa: BLE001 - the process's edge: a bug becomes a 500
            answer = _told(self._unforeseen(error, request), request, route)
        headers = _headers(answer, request)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if request.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
        self._count(request, answer)

    def _count(self, request: Request, answer: Answer) -> None:
        """Note a request that was answered."""
        seconds = clock.monotonic() - request.began
        route, status = request.route, answer.status
        try:
            self._metrics.request(route, status, request.arm, request.version, seconds)
            if self._access is not None:
                self._access(request, answer, seconds)
        except Exception as error:  # noqa: BLE001 - the answer is out, and must stay the only one
            _log.error(
                "a request to %s was answered and not noted: %s at %s",
                route,
                type(error).__name__,
                _places(error),
            )

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body.

        Raises:
            ProblemError: 413 too large, 408 too slow.
        """
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length[:20]) > self._most):
            raise self._too_large()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        body: bytes = message.get("body", b"")
        if message.get("more_body", False):
            try:
                async with asyncio.timeout(self._patience):
                    return await self._rest(body, receive)
            except TimeoutError:
                raise ProblemError(
                    408, "request_timeout", "The request did not arrive in time"
                ) from None
        if len(body) > self._most:
            raise self._too_large()
        return body

    async def _rest(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        while True:
            if size > self._most:
                raise self._too_large()
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _GoneError
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if not message.get("more_body", False):
                break
        if size > self._most:
            raise self._too_large()
        return b"".join(parts)

    def _too_large(self) -> ProblemError:
        return ProblemError(
            413,
            "body_too_large",
            f"The body holds more than {self._most} bytes",
            fix="send several requests, or raise serving.max_body",
            headers=((b"connection", b"close"),),
        )

    def _unforeseen(self, error: Exception, request: Request) -> ProblemError:
        """What is told of a fault; what is logged of it holds names and lines, and no values."""
        trail = request.trail or secrets.token_hex(8)
        request.trail = trail
        self._metrics.crashed()
        away = isinstance(error, EnvironmentFault)
        _log.error(
            "request %s to %s ended in %s at %s",
            trail,
            request.route,
            f"{type(error).__name__} {error.name}"
            if isinstance(error, RatchetError)
            else type(error).__name__,
            _places(error),
        )
        return ProblemError(
            503 if away else 500,
            error.name if isinstance(error, EnvironmentFault) else "internal",
            "Something the server needs does not answer"
            if away
            else "The server has a fault of its own",
            fix=f"the server's log tells more under {trail}",
            retry_after=5 if away else None,
        )

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._service.start()
        except RatchetError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._service.stop()
        await send({"type": "lifespan.shutdown.complete"})


_BODILESS = frozenset({"GET", "HEAD"})
_DIGITS = 6
"""Of the length of a body that takes longer to read than a task takes to begin."""
_BEGUN = "ratchet.request"
"""Where a scope holds a request that was admitted and read, and not answered at once."""


def _request(scope: Message, began: float) -> Request:
    headers = dict(scope["headers"])
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        client=client[0] if client else "",
        trail=_trail(headers),
        began=began,
    )


def _trail(headers: dict[bytes, bytes]) -> str | None:
    """The id that the caller gave the request."""
    told = headers.get(b"x-request-id")
    return told.decode() if told is not None and _TRAIL.fullmatch(told) else None


def _told(problem: ProblemError, request: Request, route: Route | None) -> Answer:
    if not request.route:
        request.route = "none"
    if route is not None and route.refuse is not None:
        return route.refuse(problem)
    return problem.answer(request.trail)


def _places(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))


def _headers(answer: Answer, request: Request) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", answer.type),
        (b"content-length", str(len(answer.body)).encode()),
        *SECURITY_HEADERS,
    ]
    if answer.headers:
        own = {name for name, _ in answer.headers}
        headers = [each for each in headers if each[0] not in own]
        headers += answer.headers
    if request.trail is not None:
        headers.append((b"x-request-id", request.trail.encode()))
    return headers
