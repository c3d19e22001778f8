"""What a handler is given and gives, whatever server stands in front."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from ratchet.errors import RatchetError

if TYPE_CHECKING:
    from ratchet.serving.auth import Caller

Scope: TypeAlias = Literal["predict", "feedback", "read", "admin"]
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]

JSON = b"application/json"
PROBLEM = b"application/problem+json"


class Request(msgspec.Struct, gc=False):
    """A request, whole.

    Attributes:
        path: decoded, as ASGI gives it.
        query: the text after ``?``, still encoded.
        headers: by name in lower case; of several of one name the last.
        client: the address it came from; empty where there is none.
        caller: who asks, once the guard knows.
        route: the path as it was added to ``Routes``; what metrics call it.
        params: the parts of the path that its route names.
        arm, version: what answered, once the service knows; ``mixed`` where several did.
        trail: its id, as the caller gave it in ``X-Request-ID``; else None.
        began: when it came, by ``clock.monotonic``.
        rows: how many rows it asked for.
        asks: what its body says, where somebody has read it already.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[bytes, bytes] = {}
    body: bytes = b""
    client: str = ""
    caller: Caller | None = None
    route: str = ""
    params: dict[str, str] = {}
    arm: str = ""
    version: str = ""
    trail: str | None = None
    began: float = 0.0
    rows: int = 0
    asks: Any = None


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What is sent back; ``type`` is the content's."""

    status: int
    body: bytes = b""
    type: bytes = JSON
    headers: Headers = ()


Handler: TypeAlias = Callable[[Request], Awaitable[Answer]]
AtOnce: TypeAlias = "Callable[[Request], Answer | None]"
"""Answers a request without waiting for anything. Where that cannot be it gives None and has done
nothing; else it gives or raises what the handler would."""


class ProblemError(RatchetError):
    """A request that gets no answer; sent as a problem document (RFC 9457).

    Holds names of columns, never values.

    Args:
        status: the HTTP status.
        code: a stable name for programs.
        what: one sentence.
        why, fix: as in every Ratchet error.
        field: where in the body it is, such as ``records[3].tenure``.
        retry_after: seconds after which it is worth another try; sent as ``Retry-After``.
        headers: more headers to send.
    """

    def __init__(
        self,
        status: int,
        code: str,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        field: str = "",
        retry_after: int | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(what, why=why, fix=fix, where=field, code=code)
        self.status, self.field = status, field
        self.headers = headers
        if retry_after is not None:
            self.headers = (*headers, (b"retry-after", str(retry_after).encode()))

    def document(self, request_id: str | None = None) -> dict[str, Any]:
        """The members of the problem document; empty ones are left out."""
        told = {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Refused"),
            "status": self.status,
            "detail": self.what if not self.why else f"{self.what}: {self.why}",
            "code": self.name,
            "field": self.field,
            "fix": self.fix,
            "request_id": request_id,
        }
        return {name: value for name, value in told.items() if value not in ("", None)}

    def answer(self, request_id: str | None = None) -> Answer:
        """The problem as it is sent."""
        body = msgspec.json.encode(self.document(request_id))
        return Answer(self.status, body, PROBLEM, self.headers)


Refusal: TypeAlias = Callable[[ProblemError], Answer]

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Sent with every answer; a page sets its own ``content-security-policy``."""


class Route(msgspec.Struct, frozen=True):
    """A path's handler.

    Attributes:
        scope: what a caller must be allowed; None is everybody.
        refuse: writes a problem as the path's protocol does; None: as a problem document.
        at_once: is tried before the handler.
    """

    path: str
    handler: Handler
    scope: Scope | None
    refuse: Refusal | None = None
    at_once: AtOnce | None = None


class Routes:
    """Which handler answers which method and path.

    Example:
        >>> routes = Routes()
        >>> routes.add("GET", "/v2/models/{name}/ready", handler, "read")  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._plain: dict[tuple[str, str], Route] = {}
        self._named: list[tuple[str, list[str], Route]] = []
        self._at_once: dict[bytes, Route] = {}

    def add(
        self,
        method: str,
        path: str,
        handler: Handler,
        scope: Scope | None,
        refuse: Refusal | None = None,
        at_once: AtOnce | None = None,
    ) -> None:
        """Let ``handler`` answer ``method`` on ``path``.

        Args:
            method: ``GET`` (which answers ``HEAD`` too), ``POST`` and so on.
            path: where ``{name}`` stands for one part; ``Request.params`` holds it.
            handler: gives the answer, or raises ``ProblemError``.
            scope: what a caller must be allowed to do; None lets everybody in.
            refuse: writes problems in a form of its own, those of the guard too.
            at_once: answers small requests without a task of their own, see ``AtOnce``; only
                for a path without named parts.
        """
        route = Route(path, handler, scope, refuse, at_once)
        for each in ("GET", "HEAD") if method == "GET" else (method,):
            if "{" in path:
                self._named.append((each, path.split("/"), route))
            else:
                self._plain[each, path] = route
        if at_once is not None:
            self._at_once[path.encode()] = route

    def find(self, request: Request) -> Route:
        """The route of a request; its parts go into ``request.params``.

        Raises:
            ProblemError: 404 where nobody answers the path, 405 where not this method.
        """
        route = self._plain.get((request.method, request.path))
        return route if route is not None else self._search(request)

    def find_at_once(self, path: bytes) -> Route | None:
        """The route that may answer a ``POST`` to a path without waiting."""
        return self._at_once.get(path)

    def listing(self) -> list[tuple[str, str, Scope | None]]:
        """Method, path and scope of everything there is, without ``HEAD``."""
        plain = [(method, route.path, route.scope) for (method, _), route in self._plain.items()]
        named = [(method, route.path, route.scope) for method, _, route in self._named]
        return sorted(each for each in plain + named if each[0] != "HEAD")

    def _search(self, request: Request) -> Route:
        parts = request.path.split("/")
        allowed = {method for method, path in self._plain if path == request.path}
        for method, wanted, route in self._named:
            params = _match(wanted, parts)
            if params is None:
                continue
            if method == request.method:
                request.params = params
                return route
            allowed.add(method)
        if not allowed:
            raise ProblemError(404, "no_such_path", "Nothing answers at this path")
        methods = ", ".join(sorted(allowed))
        raise ProblemError(
            405,
            "wrong_method",
            f"This path answers {methods}",
            headers=((b"allow", methods.encode()),),
        )


def _match(wanted: list[str], parts: list[str]) -> dict[str, str] | None:
    """The named parts of a path, when it is of this form."""
    if len(wanted) != len(parts):
        return None
    found: dict[str, str] = {}
    for want, part in zip(wanted, parts, strict=True):
        if want.startswith("{"):
            if not part:
                return None
            found[want[1:-1]] = part
        elif want != part:
            return None
    return found
