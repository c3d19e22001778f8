"""The HTTP server in this process: its limit of connections, and certificates that are renewed."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ratchet.serving.app import App
from ratchet.serving.limits import ConnectionLimits
from ratchet.serving.listener import HttpServer, bind, load_certificate
from ratchet.serving.settings import TlsSettings

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


def run(
    test: Callable[[HttpServer, int], Awaitable[None]],
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None = None,
    answers: App = app,
) -> None:
    async def body() -> None:
        listening = bind("127.0.0.1", 0)
        server = HttpServer(answers, limits, tls)
        await server.start(listening)
        try:
            await asyncio.wait_for(test(server, listening.getsockname()[1]), 10)
        finally:
            assert await server.stop(5.0)

    asyncio.run(body())


def test_one_connection_too_many_is_told_so_and_sent_away() -> None:
    async def test(server: HttpServer, port: int) -> None:
        some = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in some[:2]:
            writer.write(GET)
            assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        reader, writer = some[2]
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too_many_connections"
        writer.close()
        # When one has gone there is room again.
        some[0][1].close()
        while server.connections > 1:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        for _, each in (*some[1:], (reader, writer)):
            each.close()

    run(test, ConnectionLimits(10.0, connections=2))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Sends a body back; ``/fails`` ends behind the head of its answer."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    body += scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/fails":
        raise RuntimeError
    sent = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": sent})


def test_every_kind_of_answer_arrives_whole() -> None:
    async def test(server: HttpServer, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def head() -> bytes:
            return await reader.readuntil(b"\r\n\r\n")

        writer.write(GET.replace(b"GET /", b"HEAD /head"))
        assert b"content-length: 5" in await head()
        # Several at once, and an answer of many bytes between two of few.
        long = b"x" * 300_000
        post = b"POST /%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
        for content in (b"one", long, b"two"):
            writer.write(post % (b"p", len(content), content))
        for content in (b"one", b"two"):
            if content == b"two":
                told = await head()
                size = int(told.partition(b"content-length: ")[2].split()[0])
                assert (await reader.readexactly(size)).endswith(b"x/p")
            assert b"content-length: 5" in await head()
            assert await reader.readexactly(5) == content + b"/p"
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n")
        writer.write(b"Content-Length: 4\r\n\r\n")
        assert await head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"more")
        assert b"content-length: 5" in await head()
        assert await reader.readexactly(5) == b"more/"
        writer.write(GET.replace(b"GET /", b"GET /fails"))
        assert b"content-length: 6" in await head()
        assert await reader.read() == b""
        writer.close()

    run(test, ConnectionLimits(10.0), answers=echo)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_renewed_certificate_files_are_used_without_a_restart(tmp_path: Path) -> None:
    def renew(name: str) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"),
            ],
            check=True,
            capture_output=True,
        )

    renew("before")
    settings = TlsSettings(certificate="certificate.pem", key="key.pem")
    unchecked = ssl.create_default_context()
    unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE

    async def shown(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=unchecked)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(GET)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        return bytes(certificate)

    async def test(server: HttpServer, port: int) -> None:
        assert b"before" in await shown(port)
        renew("after")
        server.reload(settings, tmp_path)
        assert b"after" in await shown(port)

    run(test, ConnectionLimits(10.0), load_certificate(settings, tmp_path))
