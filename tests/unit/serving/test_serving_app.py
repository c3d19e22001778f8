"""What the application makes of requests, whoever answers them."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from asgi_client import ask
from ratchet.errors import UnreachableError
from ratchet.serving.app import make_app
from ratchet.serving.http import Answer, ProblemError, Routes
from ratchet.serving.metrics import Metrics
from ratchet.serving.settings import ServingSettings


async def echo(request):
    return Answer(200, request.body)


async def named(request):
    return Answer(200, f"{request.route} {request.params}".encode())


async def crash(request):
    raise ZeroDivisionError("the value was 4711")


async def away(request):
    raise UnreachableError("redis at 10.0.0.7 does not answer", why="4711")


async def page(request):
    return Answer(200, b"<p>", b"text/html", ((b"content-security-policy", b"default-src *"),))


class Served:
    """An application in front of a few handlers."""

    def __init__(self, *, guard=None, access=None, **settings):
        self.started = self.stopped = False
        self.site = SimpleNamespace(settings=ServingSettings(**settings))
        self.metrics = Metrics()
        routes = Routes()
        routes.add("POST", "/echo", echo, "predict")
        routes.add("GET", "/page", page, None)
        routes.add("POST", "/crash", crash, None)
        routes.add("POST", "/away", away, None)
        routes.add("GET", "/v2/models/{name}/versions/{version}", named, "read")
        routes.add("POST", "/v2/models/{name}/infer", named, "predict")
        more = {} if guard is None else {"guard": guard}
        self.app = make_app(self, routes, access=access, **more)

    def start(self):
        self.started = True

    async def stop(self):
        self.stopped = True

    def ask(self, *args, **more):
        return asyncio.run(asyncio.wait_for(ask(self.app, *args, **more), 5))

    def counted(self, name, **labels):
        return self.metrics._registry.get_sample_value(name, labels or None)


def test_an_answer_comes_with_its_length_and_security_headers():
    told = Served().ask("POST", "/echo", b'{"a":1}')
    assert (told.status, told.body) == (200, b'{"a":1}')
    assert told.headers[b"content-length"] == b"7"
    assert told.headers[b"x-content-type-options"] == b"nosniff"
    assert told.headers[b"cache-control"] == b"no-store"
    assert b"frame-ancestors 'none'" in told.headers[b"content-security-policy"]


def test_a_handler_may_set_its_own_headers():
    told = Served().ask("GET", "/page")
    assert told.headers[b"content-security-policy"] == b"default-src *"
    assert told.headers[b"content-type"] == b"text/html"


def test_head_has_the_length_and_no_body():
    told = Served().ask("HEAD", "/page")
    assert (told.status, told.body, told.headers[b"content-length"]) == (200, b"", b"3")


def test_parts_of_the_path_reach_the_handler():
    told = Served().ask("GET", "/v2/models/churn/versions/3")
    route = "/v2/models/{name}/versions/{version}"
    assert told.body.decode() == f"{route} {{'name': 'churn', 'version': '3'}}"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no_such_path"),
        ("GET", "/v2/models//versions/3", 404, "no_such_path"),
        ("GET", "/v2/models/a/b/versions/3", 404, "no_such_path"),
        ("GET", "/echo", 405, "wrong_method"),
        ("DELETE", "/v2/models/churn/infer", 405, "wrong_method"),
    ],
)
def test_where_nobody_answers(method, path, status, code):
    served = Served()
    told = served.ask(method, path)
    assert (told.status, told.json["code"], told.json["status"]) == (status, code, status)
    assert told.headers[b"content-type"] == b"application/problem+json"
    if status == 405:
        assert told.headers[b"allow"] == b"POST"
    # What a caller makes up must not become a metric's label.
    labels = {"route": "none", "status": str(status), "arm": "", "version": ""}
    assert served.counted("ratchet_requests_total", **labels) == 1


def test_a_body_in_pieces_is_whole():
    told = Served().ask("POST", "/echo", parts=[b"ab", b"", b"cd"])
    assert told.body == b"abcd"


@pytest.mark.parametrize(
    "how",
    [
        {"body": b"x" * 101},
        {"parts": [b"x" * 60, b"x" * 60]},
        {"parts": [b"x" * 101]},
        {"body": b"x", "headers": {b"content-length": b"9" * 30}},
        {"body": b"x", "headers": {b"content-length": b"-1"}},
    ],
)
def test_a_body_that_is_too_large(how):
    told = Served(max_body="100B").ask("POST", "/echo", **how)
    assert (told.status, told.json["code"]) == (413, "body_too_large")


def test_a_body_that_does_not_come():
    served = Served(timeout="20ms")

    async def slow():
        silent = [{"type": "http.request", "body": b"a", "more_body": True}]
        sent = []

        async def receive():
            if not silent:
                await asyncio.Event().wait()
            return silent.pop()

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/echo",
            "query_string": b"",
            "headers": [],
            "client": None,
        }
        await served.app(scope, receive, send)
        return sent

    sent = asyncio.run(asyncio.wait_for(slow(), 5))
    assert sent[0]["status"] == 408


def test_a_client_that_leaves_gets_nothing():
    served, sent = Served(), []

    async def gone():
        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/echo",
            "query_string": b"",
            "headers": [],
            "client": None,
        }
        await served.app(scope, receive, send)

    asyncio.run(gone())
    assert sent == []


def test_an_unforeseen_error_is_a_500_without_values(caplog):
    served = Served()
    with caplog.at_level(logging.ERROR, "ratchet.serving"):
        told = served.ask("POST", "/crash", b"{}", headers={b"x-request-id": b"trail-1"})
    assert (told.status, told.json["code"]) == (500, "internal")
    assert told.json["request_id"] == "trail-1"
    assert "4711" not in told.body.decode() + caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "crash:" in caplog.text
    assert "trail-1" in caplog.text
    assert served.counted("ratchet_crashes_total") == 1


def test_something_outside_that_is_away_is_a_503(caplog):
    with caplog.at_level(logging.ERROR, "ratchet.serving"):
        told = Served().ask("POST", "/away", b"{}")
    assert (told.status, told.json["code"]) == (503, "unreachable")
    assert told.headers[b"retry-after"] == b"5"
    assert "10.0.0.7" not in told.body.decode() + caplog.text


def test_the_request_id_comes_back_when_it_is_plain():
    served = Served()
    told = served.ask("POST", "/echo", b"", headers={b"x-request-id": b"a-1"})
    assert told.headers[b"x-request-id"] == b"a-1"
    told = served.ask("POST", "/echo", b"", headers={b"x-request-id": b"a\x01<b>"})
    assert b"x-request-id" not in told.headers


def test_the_guard_is_asked_before_the_body_is_read():
    asked = []

    class Guard:
        def admit(self, request, scope):
            asked.append((request.body, scope))
            raise ProblemError(401, "key_missing", "No key")

    told = Served(guard=Guard()).ask("POST", "/echo", b"x" * 50)
    assert (told.status, asked) == (401, [(b"", "predict")])


def test_every_request_is_counted_and_told_of():
    seen = []
    served = Served(access=lambda request, answer, seconds: seen.append((answer.status, seconds)))
    served.ask("POST", "/echo", b"")
    served.ask("GET", "/nothing")
    assert [status for status, _ in seen] == [200, 404]
    assert all(0 <= seconds < 5 for _, seconds in seen)
    labels = {"route": "/echo", "status": "200", "arm": "", "version": ""}
    assert served.counted("ratchet_requests_total", **labels) == 1
    count = "ratchet_request_seconds_count"
    assert served.counted(count, route="/echo", version="") == 1


def test_the_lifespan_starts_and_stops_the_service():
    served, sent = Served(), []

    async def live():
        given = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            return given.pop(0)

        async def send(message):
            sent.append(message["type"])
            assert (served.started, served.stopped) == (True, len(sent) == 2)

        await served.app({"type": "lifespan"}, receive, send)

    asyncio.run(live())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
