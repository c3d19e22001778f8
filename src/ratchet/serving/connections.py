"""One HTTP connection: uvicorn's, with the limits that uvicorn leaves to a proxy in front of it.

Bounded here are the size of a request's head, the time a request takes to arrive, the time an
answer waits for a client that does not read, and the number of connections. The size of a body is
the application's matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from ratchet.serving.http import SECURITY_HEADERS, ProblemError

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from ratchet.serving.app import Application
    from ratchet.serving.limits import ConnectionLimits


_CLOSE = (b"connection", b"close")
_IN_A_ROW = 8
"""Requests of one connection that are answered at once before the others get a turn."""


class Connection(HttpToolsProtocol):
    """A client's connection.

    Args:
        application: is offered small requests when they are whole; what it does not answer at
            once, and everything else, goes to the configured application as ASGI says.

    Attributes:
        since: when the request that is arriving began; None while none is.
        rests: since when nothing is asked, after an answer that was given at once; else None.
        stuck: since when the client does not read; None while it does.
        head: bytes of the head that arrived so far; -1 behind the head.
        draining: whether the server ends and this connection with its next answer.
        asked: whether there was a request, at least its head.
        whole: what came so far of a body that is answered at once when it is there; else None.
    """

    def __init__(
        self,
        config: Config,
        state: ServerState,
        limits: ConnectionLimits,
        loop: asyncio.AbstractEventLoop,
        application: Application | None = None,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self.limits, self.application = limits, application
        self.since: float | None = None
        self.rests: float | None = None
        self.stuck: float | None = None
        self.head = 0
        self.draining = False
        self.asked = False
        self.whole: bytes | None = None
        self._turns = _IN_A_ROW

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came; one too many is told so and sent away."""
        super().connection_made(transport)
        self.since = self.loop.time()
        if len(self.connections) > self.limits.connections:
            self.refuse(503, "too_many_connections", "The server has too many connections")

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unset_keepalive_if_required()
        self._turns = _IN_A_ROW
        in_head = self.head >= 0
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as ended:
            self._decline_upgrade(data[ended.args[0] :])
        except HttpParserError:
            self.refuse(400, "invalid_http", "This is no HTTP request")
        # A head that begins in the middle of these bytes is counted from the next ones on.
        if in_head and self.head >= 0:
            self.head += len(data)
            if self.head > self.limits.head:
                self.refuse(431, "headers_too_large", "The request's headers are too large")

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on with HTTP/1.1, as is due to who offers another protocol along with a request.

        Java's client offers HTTP/2 with its first request, whatever that is. The parser takes
        what follows the head for the other protocol, so it gets the head again without the offer.
        """
        method = self.parser.get_method()
        lines = [b"%b %b HTTP/1.1\r\n" % (method, self.url)]
        for name, value in self.headers:
            if name == b"connection":
                offered = (b"upgrade", b"http2-settings")
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(each for each in tokens if each.lower() not in offered)
            if name not in (b"upgrade", b"http2-settings"):
                lines.append(b"%b: %b\r\n" % (name, value))
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        try:
            self.parser.feed_data(b"".join([*lines, b"\r\n", rest]))
        except (HttpParserError, HttpParserUpgrade):
            self.refuse(400, "invalid_http", "This is no request that is answered here")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.since = self.loop.time()
        self.rests = None
        self.head = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came; those behind a body say nothing."""
        if self.head >= 0:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        if self.parser.should_upgrade():
            return  # the parser stops here, see ``_decline_upgrade``
        self.head = -1
        if len(self.headers) > self.limits.headers:
            self.refuse(431, "headers_too_large", "The request has too many headers")
            return
        self.asked = True
        if self._may_answer_at_once():
            self.whole = b""
        else:
            self._begin()

    def on_body(self, body: bytes) -> None:
        """A piece of the body came."""
        if self.transport.is_closing():
            return
        if self.whole is None:
            super().on_body(body)
        else:
            self.whole += body

    def on_message_complete(self) -> None:
        """A request is there."""
        if self.parser.should_upgrade():
            return
        self.since = None
        if self.transport.is_closing():
            return
        if self.whole is not None:
            body, self.whole = self.whole, None
            if self._answered_at_once(body):
                return
            self._begin()
            super().on_body(body)
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        self.stuck = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.stuck = None
        super().resume_writing()

    def refuse(self, status: int, code: str, what: str) -> None:
        """Answer with a problem document and close; bytes that are still to come are not read."""
        if self.transport.is_closing():
            return
        if not self.answering or not self.cycle.response_started:
            self.transport.write(_problem(status, code, what, self.server_state.default_headers))
            if self.application is not None:
                self.application.refused(status)
        self.transport.close()

    def check(self, now: float) -> None:
        """Close a connection whose request does not arrive, or whose client does not read."""
        if self.stuck is not None and now - self.stuck > self.limits.arrival:
            self.transport.abort()
        elif self.rests is not None and now - self.rests > self.limits.idle:
            self.transport.close()
        elif self.since is not None and now - self.since > self.limits.arrival:
            if self.head == 0 and not self.asked:
                self.transport.close()  # nobody ever asked for anything
            elif self.head < 0 and not self.answering and self.whole is None:
                self.transport.close()  # the rest of a body that was refused
            else:
                self.refuse(408, "request_timeout", "The request did not arrive in time")

    @property
    def answering(self) -> bool:
        """Whether a request waits for its answer, or for the rest of it."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def idle(self) -> bool:
        """Whether nothing is asked and nothing is being answered."""
        arriving = self.since is not None if self.asked else self.head > 0
        return not arriving and not self.answering

    def drain(self) -> None:
        """Close with the next answer."""
        self.draining = True
        if self.answering:
            self.cycle.keep_alive = False

    def _begin(self) -> None:
        """Have the application answer in a task of its own, as ASGI asks for."""
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answer has nothing behind its head
            self.cycle.transport = _Whole(self.cycle, self.transport)  # type: ignore[assignment]
        if self.draining:
            self.cycle.keep_alive = False

    def _may_answer_at_once(self) -> bool:
        """Whether this request, once it is whole, is worth offering to the application."""
        if (
            self.application is None
            or not self._turns
            or self.answering
            or self.expect_100_continue
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
        ):
            return False
        length = dict(self.headers).get(b"content-length", b"")
        return self.application.may_answer_at_once(self.url, length)

    def _answered_at_once(self, body: bytes) -> bool:
        """Offer a whole request to the application; whether it answered."""
        if self.application is None or self.flow.write_paused:
            return False
        self._turns -= 1
        scope: Any = self.scope
        return self.application.answer_at_once(scope, self.url, body, self._write)

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send an answer, in one call of the system."""
        headers = [*self.server_state.default_headers, *headers]
        ends = self.draining or not self.parser.should_keep_alive()
        if ends and _CLOSE not in headers:
            headers.append(_CLOSE)
        self.transport.write(_head(status, headers) + body)
        self.server_state.total_requests += 1
        if _CLOSE in headers:
            self.transport.close()
        else:
            self.rests = self.loop.time()


class _Whole:
    """Sends the head of an answer along with its body: one call of the system instead of two.

    Measured, answers to single rows: 2 to 3 % of what a request costs.
    """

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle, transport: asyncio.Transport) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """The first bytes of the answer are its head, which waits for the next ones."""
        if self._head:
            self._transport.writelines((self._head, data))
            self._head = b""
        elif self._head is None and self._cycle is not None and self._cycle.response_started:
            self._head = data
            # It holds this: a circle would leave every request to the collector, which then
            # takes tens of milliseconds at a time.
            self._cycle = None
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection ends."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Send what waits, and close."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()


def _problem(status: int, code: str, what: str, more: Iterable[tuple[bytes, bytes]]) -> bytes:
    told = ProblemError(status, code, what).answer()
    headers: list[Any] = [
        *more,
        (b"content-type", told.type),
        (b"content-length", str(len(told.body)).encode()),
        *SECURITY_HEADERS,
        _CLOSE,
    ]
    return _head(status, headers) + told.body


def _head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of an answer; the headers are the server's own, or were looked at."""
    return b"".join([STATUS_LINE[status], *[b"%b: %b\r\n" % each for each in headers], b"\r\n"])
