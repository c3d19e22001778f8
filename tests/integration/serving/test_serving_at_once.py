"""Small requests are answered where they arrive, and nobody can tell: over real connections."""

import asyncio
import json
import logging
import re
import weakref
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ratchet.serving.app import make_app
from ratchet.serving.http import Answer, ProblemError, Request, Route, Routes
from ratchet.serving.limits import ConnectionLimits
from ratchet.serving.listener import HttpServer, bind
from ratchet.serving.metrics import Metrics
from ratchet.serving.settings import ServingSettings

SLOW = b"slow"
"""A body that begins so has to wait for something."""
MANY = 1_000


class Served:
    """An application that counts which way its requests went."""

    def __init__(self) -> None:
        self.site = SimpleNamespace(settings=ServingSettings(max_body="200kB"))
        self.metrics = Metrics()
        self.at_once = self.waited = self.admitted = 0
        self.told: list[tuple[str, int, str | None]] = []
        self.go_on = asyncio.Event()
        self.ended = False
        routes = Routes()
        routes.add("POST", "/echo", self.echo, "predict", at_once=self.echo_at_once)
        routes.add("GET", "/page", self.page, None)
        self.app = make_app(self, routes, guard=self, access=self.note)  # type: ignore[arg-type]

    def admit(self, request: Request, scope: object) -> None:
        self.admitted += 1
        if b"x-wrong-key" in request.headers:
            raise ProblemError(401, "no", "No", headers=((b"www-authenticate", b"Bearer"),))

    def note(self, request: Request, answer: Answer, seconds: float) -> None:
        assert 0 <= seconds < 10
        self.told.append((request.route, answer.status, request.trail))

    def echo_at_once(self, request: Request) -> Answer | None:
        if request.body.startswith(SLOW):
            return None
        self.at_once += 1
        return self.answer(request)

    async def echo(self, request: Request) -> Answer:
        self.waited += 1
        if request.body.startswith(SLOW):
            await self.go_on.wait()
        return self.answer(request)

    async def page(self, request: Request) -> Answer:
        return Answer(200, b"page", b"text/html")

    def counted(self, **labels: str) -> float | None:
        return self.metrics._registry.get_sample_value("ratchet_requests_total", labels)

    @staticmethod
    def answer(request: Request) -> Answer:
        if request.body == b"crash":
            raise ZeroDivisionError
        if request.body == b"refuse":
            raise ProblemError(422, "wrong", "Wrong", field="tenure", retry_after=3)
        return Answer(200, request.body + request.client.encode())


def serve(
    test: Callable[[Served, HttpServer, int], Awaitable[None]],
    limits: ConnectionLimits | None = None,
) -> Served:
    async def body() -> Served:
        served = Served()
        listening = bind("127.0.0.1", 0)
        server = HttpServer(served.app, limits or ConnectionLimits(10.0))
        await server.start(listening)
        try:
            await asyncio.wait_for(test(served, server, listening.getsockname()[1]), 20)
        finally:
            assert served.ended or await server.stop(5.0)
        return served

    return asyncio.run(body())


def post(body: bytes, *headers: bytes, version: bytes = b"1.1", path: bytes = b"/echo") -> bytes:
    told = [b"Host: localhost", b"Content-Length: %d" % len(body), *headers]
    return b"POST %b HTTP/%b\r\n%b\r\n\r\n%b" % (path, version, b"\r\n".join(told), body)


def in_chunks(body: bytes, *headers: bytes) -> bytes:
    """The same request in the form that goes the long way."""
    told = [b"Host: localhost", b"Transfer-Encoding: chunked", *headers]
    parts = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return b"POST /echo HTTP/1.1\r\n%b\r\n\r\n%b" % (b"\r\n".join(told), parts)


async def answer_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length
    return head, await reader.readexactly(int(length[1]))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"a": 1}', ()),
        (b"", ()),
        (b"with an id", (b"X-Request-ID: mine-1",)),
        (b"refuse", ()),
        (b"a wrong key", (b"X-Wrong-Key: 1",)),
        (b"the last", (b"Connection: close",)),
    ],
)
def test_both_ways_answer_with_the_same_bytes(body: bytes, headers: tuple[bytes, ...]) -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        found = []
        for request in (post(body, *headers), in_chunks(body, *headers)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            head, content = await answer_of(reader)
            found.append((sorted(re.sub(rb"date: .*?\r\n", b"", head).split(b"\r\n")), content))
            if b"Connection: close" in headers:
                assert await reader.read() == b""
            writer.close()
        assert found[0] == found[1]

    served = serve(test)
    assert served.told[0] == served.told[1]
    if not any(b"Wrong" in header for header in headers) and body != b"refuse":
        assert (served.at_once, served.waited) == (1, 1)
    status = str(served.told[0][1])
    assert served.counted(route="/echo", status=status, arm="", version="") == 2


def test_a_fault_is_a_problem_document_too(caplog: pytest.LogCaptureFixture) -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"crash") + post(b"go on"))
        head, content = await answer_of(reader)
        assert head.startswith(b"HTTP/1.1 500 ")
        assert json.loads(content)["code"] == "internal"
        assert (await answer_of(reader))[1] == b"go on127.0.0.1"
        writer.close()

    with caplog.at_level(logging.ERROR, logger="ratchet.serving"):
        serve(test)
    assert "ZeroDivisionError" in caplog.text


def test_what_has_to_wait_goes_the_long_way_and_is_admitted_once() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(SLOW))
        while not served.waited:
            await asyncio.sleep(0.001)
        served.go_on.set()
        assert (await answer_of(reader))[1] == SLOW + b"127.0.0.1"
        writer.close()

    served = serve(test)
    assert (served.at_once, served.waited, served.admitted) == (0, 1, 1)


def test_several_on_one_connection_are_answered_in_their_order() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        page = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
        long = b"x" * 150_000
        writer.write(
            post(b"one") + post(SLOW) + post(b"two") + page + post(long) + post(b"three") + page
        )
        assert (await answer_of(reader))[1] == b"one127.0.0.1"
        await asyncio.sleep(0)
        served.go_on.set()
        told = [(await answer_of(reader))[1] for _ in range(6)]
        assert [each.removesuffix(b"127.0.0.1") for each in told] == [
            SLOW, b"two", b"page", long, b"three", b"page",
        ]  # fmt: skip
        writer.close()

    served = serve(test)
    assert served.at_once >= 1
    assert served.at_once + served.waited == 5


def test_whoever_sends_many_at_once_does_not_keep_the_others_waiting() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(100):
            writer.write(post(b"%d" % number))
        for number in range(100):
            assert (await answer_of(reader))[1] == b"%d127.0.0.1" % number
        writer.close()

    served = serve(test)
    assert served.at_once + served.waited == 100
    assert served.waited >= 50


def test_a_body_may_come_in_pieces() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in post(b"piece by piece"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await answer_of(reader))[1] == b"piece by piece127.0.0.1"
        writer.close()

    assert serve(test).at_once == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"x" * 150_000),
        post(b"old", b"Connection: keep-alive", version=b"1.0"),
        in_chunks(b"chunks"),
    ],
    ids=["large", "http/1.0", "chunked"],
)
def test_other_requests_go_the_long_way(request_bytes: bytes) -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes)
        assert (await answer_of(reader))[0].startswith(b"HTTP/1.1 200 ")
        writer.close()

    served = serve(test)
    assert (served.at_once, served.waited) == (0, 1)


def test_a_body_larger_than_allowed_is_refused_before_it_is_read() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        assert (await answer_of(reader))[0].startswith(b"HTTP/1.1 413 ")
        writer.close()

    serve(test)


def test_a_body_that_does_not_come_is_told_so() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"only a half of it")[:-4])
        head, content = await answer_of(reader)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(content)["code"] == "request_timeout"
        assert await reader.read() == b""
        writer.close()

    served = serve(test, ConnectionLimits(0.5))
    assert served.admitted == 0
    assert served.counted(route="none", status="408", arm="", version="") == 1


def test_a_server_that_ends_closes_with_the_next_answer() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"first"))
        await answer_of(reader)
        stopping = asyncio.create_task(server.stop(5.0))
        await asyncio.sleep(0.05)
        writer.write(post(b"last") + post(b"too late"))
        head, content = await answer_of(reader)
        assert (b"connection: close" in head, content) == (True, b"last127.0.0.1")
        assert await reader.read() == b""
        served.ended = await stopping
        assert served.ended
        writer.close()

    assert serve(test).at_once == 2


def test_what_comes_behind_the_last_answer_is_not_begun() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        page = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"
        writer.write(post(b"last", b"Connection: close") + page + in_chunks(b"more"))
        assert (await answer_of(reader))[1] == b"last127.0.0.1"
        assert await reader.read() == b""
        writer.close()

    assert [route for route, _, _ in serve(test).told] == ["/echo"]


def test_what_cannot_be_noted_of_an_answer_adds_none(caplog: pytest.LogCaptureFixture) -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        served.metrics.request = None  # type: ignore[assignment, method-assign]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in (post(b"one"), in_chunks(b"two"), post(b"three")):
            writer.write(request)
            assert (await answer_of(reader))[0].startswith(b"HTTP/1.1 200 ")
        writer.close()
        assert await reader.read() == b""

    with caplog.at_level(logging.ERROR, logger="ratchet.serving"):
        serve(test)
    assert caplog.text.count("was answered and not noted: TypeError at _count") == 3


def test_a_connection_that_rests_holds_no_request() -> None:
    held: list[weakref.ref[Any]] = []

    class Rows:
        """Can be referred to weakly."""

    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        long_way = served.echo

        async def keep(request: Request) -> Answer:
            request.asks = Rows()
            held.append(weakref.ref(request.asks))
            return await long_way(request)

        served.app._routes._plain["POST", "/echo"] = Route(
            "/echo", keep, "predict", at_once=served.echo_at_once
        )
        served.go_on.set()
        writer.write(post(SLOW))
        await answer_of(reader)
        writer.write(post(b"another"))
        await answer_of(reader)
        assert held[0]() is None
        (connection,) = server._connections()
        assert SLOW not in bytes(connection.cycle.body)
        writer.close()

    serve(test)


@pytest.mark.parametrize("rest", [b"", b"\r\n"], ids=["silent", "a stray line"])
@pytest.mark.parametrize("request_bytes", [post(b"once"), in_chunks(b"once")])
def test_a_connection_rests_for_so_long_and_no_longer(request_bytes: bytes, rest: bytes) -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes)
        await answer_of(reader)
        writer.write(rest)
        assert await reader.read() == b""
        writer.close()

    serve(test, ConnectionLimits(10.0, idle=0.5))


def test_a_slow_answer_is_no_rest() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(in_chunks(b"one") + in_chunks(SLOW))
        assert (await answer_of(reader))[1] == b"one127.0.0.1"
        (connection,) = server._connections()
        while connection.rests is None:
            await asyncio.sleep(0.01)
        for later in (1.0, 100.0):
            connection.check(asyncio.get_running_loop().time() + later)
        served.go_on.set()
        assert (await answer_of(reader))[1] == SLOW + b"127.0.0.1"
        writer.close()

    serve(test, ConnectionLimits(10.0, idle=0.5))


def test_what_was_asked_before_is_answered_before_nonsense_ends_the_connection() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(SLOW) + b"no request at all\r\n\r\n")
        while not served.waited:
            await asyncio.sleep(0.001)
        writer.write(post(b"never read"))
        for _ in range(50):  # bytes that nobody took off the socket would reset the connection
            await asyncio.sleep(0)
        served.go_on.set()
        head, content = await answer_of(reader)
        assert (head[:12], content) == (b"HTTP/1.1 200", SLOW + b"127.0.0.1")
        assert await reader.read() == b""
        writer.close()

    assert serve(test).admitted == 1


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_offers_of_another_protocol_are_declined_one_by_one(version: bytes) -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        offer = (b"Connection: Upgrade", b"Upgrade: h2c")
        writer.write(post(b"one", *offer, version=version) + post(b"two", *offer))
        assert (await answer_of(reader))[1] == b"one127.0.0.1"
        if version == b"1.1":
            assert (await answer_of(reader))[1] == b"two127.0.0.1"
            writer.write(b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
            assert (await answer_of(reader))[0].startswith(b"HTTP/1.1 400 ")
        assert await reader.read() == b""
        writer.close()

    serve(test)


def test_a_length_may_have_blanks_behind_it() -> None:
    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in (post(b"blank"), post(b"x" * 150_000)):
            writer.write(re.sub(rb"(Content-Length: \d+)", rb"\1 \t", request))
            assert (await answer_of(reader))[0].startswith(b"HTTP/1.1 200 ")
        writer.close()

    assert serve(test).at_once == 1


def test_an_answer_waits_for_a_client_that_does_not_read() -> None:
    """Unread answers must not pile up: whoever does not read is not answered at once."""

    async def test(served: Served, server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        body = b"x" * 60_000
        total = 0

        async def ask() -> None:
            nonlocal total
            for _ in range(MANY):
                writer.write(post(body))
                await writer.drain()
                total += 1

        asking = asyncio.create_task(ask())
        seen: Any = -1
        while seen != total:  # until nothing moves any more
            seen = total
            await asyncio.sleep(0.3)
        assert total < MANY
        assert served.at_once + served.waited < MANY
        whole = 0
        while whole < MANY * len(body):
            whole += len(await reader.read(1 << 20))
        await asking
        writer.close()

    serve(test)
