"""One HTTP connection: uvicorn's, with the limits that uvicorn leaves to a proxy in front of it.

Bounded here are the size of a request's head, the time a request takes to arrive, the time an
answer waits for a client that does not read, and the number of connections. The size of a body is
the application's matter.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ratchet.serving.sending import CLOSE, Whole, head_of, problem

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from ratchet.serving.app import Application
    from ratchet.serving.limits import ConnectionLimits


_IN_A_ROW = 8
"""Requests of one connection that are answered at once before the others get a turn."""


class Connection(HttpToolsProtocol):
    """A client's connection.

    Args:
        application: is offered small requests when they are whole; what it does not answer at
            once, and everything else, goes to the configured application as ASGI says.

    Attributes:
        since: when the request that is arriving began; None while none is.
        rests: since when nothing is asked, after an answer; None while something is.
        stuck: since when the client does not read; None while it does.
        head: bytes of the head that arrived so far; -1 behind the head.
        draining: whether the server ends and this connection with its next answer.
        asked: whether there was a request, at least its head.
        deaf: whether nothing that comes is read any more.
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
        self.deaf = False
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
        if self.deaf:
            return
        self._turns = _IN_A_ROW
        in_head = self.head >= 0
        self._parse(data)
        # A head that begins in the middle of these bytes is counted from the next ones on.
        if in_head and self.head >= 0:
            self.head += len(data)
            if self.head > self.limits.head:
                self.refuse(431, "headers_too_large", "The request's headers are too large")

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as ended:
                if self.parser.get_method() == b"CONNECT":  # which is nothing but such an offer
                    self.refuse(400, "invalid_http", "This is no request that is answered here")
                    return
                data = self._decline_upgrade(data[ended.args[0] :])
            except HttpParserError:
                self.refuse(400, "invalid_http", "This is no HTTP request")
                return

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """What is to be parsed to go on, as is due to who offers another protocol with a request.

        Java's client offers HTTP/2 with its first request, whatever that is. The parser takes
        what follows the head for the other protocol, so it gets the head again without the offer.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b\r\n" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                offered = (b"upgrade", b"http2-settings")
                tokens = [token.strip() for token in value.split(b",")]
                value = b", ".join(each for each in tokens if each.lower() not in offered)
            if name not in (b"upgrade", b"http2-settings"):
                lines.append(b"%b: %b\r\n" % (name, value))
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"".join([*lines, b"\r\n", rest])

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.since = self.loop.time()
        self.rests = None
        self.head = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came; those behind a body say nothing."""
        if self.head >= 0:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        if self.parser.should_upgrade():
            return  # the parser stops here, see ``_decline_upgrade``
        self.head = -1
        if self.transport.is_closing():
            return
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
            answered = self._answered_at_once(body)
            if answered:
                return
            self._begin()
            if answered is None:
                super().on_body(body)
        elif not self.answering:  # the rest of a body that was refused
            self.rests = self.loop.time()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered; from here on ``check`` knows how long nothing is asked."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.since is None:
            self.rests = self.loop.time()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        self.stuck = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.stuck = None
        super().resume_writing()

    def refuse(self, status: int, code: str, what: str) -> None:
        """Answer with a problem document and close; bytes that are still to come are not read.

        What was asked before and is whole is answered first, and then the connection ends.
        """
        if self.transport.is_closing():
            return
        if self.answering and not self.cycle.more_body:
            self.cycle.keep_alive, self.deaf = False, True
            return
        if not self.answering or not self.cycle.response_started:
            self.transport.write(problem(status, code, what, self.server_state.default_headers))
            if self.application is not None:
                self.application.refused(status)
        self.transport.close()

    def check(self, now: float) -> None:
        """Close a connection whose request does not arrive, or whose client does not read."""
        if self.stuck is not None and now - self.stuck > self.limits.arrival:
            self.transport.abort()
        elif self.rests is not None and now - self.rests > self.limits.idle and not self.answering:
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
            self.cycle.transport = Whole(self.cycle, self.transport)  # type: ignore[assignment]
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

    def _answered_at_once(self, body: bytes) -> bool | None:
        """Offer a whole request to the application; whether it answered, see there."""
        if self.application is None or self.flow.write_paused:
            return None
        self._turns -= 1
        scope: Any = self.scope
        return self.application.answer_at_once(scope, self.url, body, self._write)

    def _write(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send an answer, in one call of the system."""
        headers = [*self.server_state.default_headers, *headers]
        ends = self.draining or not self.parser.should_keep_alive()
        if ends and CLOSE not in headers:
            headers.append(CLOSE)
        self.transport.write(head_of(status, headers) + body)
        self.server_state.total_requests += 1
        if CLOSE in headers:
            self.transport.close()
        else:
            self.rests = self.loop.time()
