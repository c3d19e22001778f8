"""The server's process: its limits, TLS, and every way of ending."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from bare_server import Served, alive, bare, wait_until
from ratchet.errors import ConfigError, ConflictError
from ratchet.ledger.store import open_ledger
from ratchet.serving.listener import address_of, bind, load_certificate
from ratchet.serving.settings import TlsSettings
from ratchet_cli import environment


def connect(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def read_all(client: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def problem_of(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head
    told: dict[str, object] = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % told["status"])
    return told


def refused_start(folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """A server that does not start."""
    from bare_server import __file__ as program

    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, program, folder, json.dumps({"port": 0, **settings})],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_it_answers_and_ends_with_0(tmp_path: Path, workers: int) -> None:
    with bare(tmp_path, workers=workers) as server:
        assert len(server.ready["workers"]) == workers
        assert (server.ready["pid"] in server.ready["workers"]) == (workers == 1)
        pids = set()
        for _ in range(20):
            with httpx.Client() as client:
                found = [client.post(server.url, content=b"x" * size) for size in (0, 70_000)]
                assert [each.json()["size"] for each in found] == [0, 70_000]
                pids.add(found[0].json()["pid"])
        assert pids <= set(server.ready["workers"])
        assert server.stop() == 0
        for pid in server.ready["workers"]:
            assert (tmp_path / f"drained-{pid}").exists()
            assert (tmp_path / f"stopped-{pid}").exists()
            assert not alive(pid)


def test_an_offer_of_another_protocol_is_declined_without_losing_the_body(tmp_path: Path) -> None:
    with bare(tmp_path) as server, connect(server) as client:
        # As Java's client sends its first request.
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\nContent-Length: 10\r\n\r\n01234"
        )
        time.sleep(0.05)
        client.sendall(b"56789GET /again HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = read_all(client)
    assert answers.count(b"HTTP/1.1 200 OK") == 2
    assert b'"size": 10' in answers
    assert b'"path": "/again"' in answers


def test_what_arrives_too_slowly_or_is_too_large_is_refused(tmp_path: Path) -> None:
    post = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
    with bare(tmp_path, timeout="1s") as server:
        slow = {
            b"POST / HTTP/1.1\r\nHost: loc": 408,
            post + b"Content-Length: 100\r\n\r\nabc": 408,
            b"": None,
        }
        clients = {part: connect(server) for part in slow}
        for part, client in clients.items():
            client.sendall(part)
        dripping = connect(server)
        dripping.sendall(post)
        started = time.monotonic()
        ended = threading.Event()
        threading.Thread(target=drip, args=(dripping, ended), daemon=True).start()
        for part, client in clients.items():
            answer = read_all(client)
            if slow[part] is None:
                assert answer == b""
            else:
                assert problem_of(answer)["code"] == "request_timeout"
            client.close()
        assert problem_of(read_all(dripping))["status"] == 408
        ended.set()
        dripping.close()
        assert 1.0 <= time.monotonic() - started < 5.0
        for request, code in (
            (post + b"X: " + b"x" * 40_000, "headers_too_large"),
            (post + b"X: y\r\n" * 200 + b"\r\n", "headers_too_large"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "invalid_http"),
            (b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", "invalid_http"),
        ):
            with connect(server) as client:
                client.sendall(request)
                answer = read_all(client)
                problem = problem_of(answer)
                assert problem["code"] == code, request[:60]
                assert problem["title"] != problem["detail"]
                assert b"x-content-type-options: nosniff\r\n" in answer
        # None of this has harmed anybody else.
        assert httpx.post(server.url, content=b"abc").json()["size"] == 3


def drip(client: socket.socket, ended: threading.Event) -> None:
    """A header byte now and then: always a sign of life, never a request."""
    while not ended.wait(0.1):
        try:
            client.sendall(b"X")
        except OSError:
            return


def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    with bare(tmp_path, timeout="1s") as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.settimeout(10)
        client.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(2.6)
        assert len(read_all(client)) < 20_000_000


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_no_request(tmp_path: Path, workers: int) -> None:
    lost: list[str] = []
    counts = [0] * 8
    with bare(tmp_path, workers=workers) as server:

        def ask(number: int) -> None:
            """One request after the other on a connection, until nobody listens any more."""
            with httpx.Client(base_url=server.url) as client:
                while True:
                    try:
                        answer = client.post(f"/{number}", content=b"x" * 100)
                    except httpx.ConnectError:
                        return
                    except httpx.HTTPError as error:
                        lost.append(repr(error))
                        return
                    if answer.status_code != 200 or answer.json()["size"] != 100:
                        lost.append(answer.text)
                    counts[number] += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: min(counts) > 5)
        assert server.stop() == 0
        for thread in threads:
            thread.join(10)
    assert lost == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_being_answered_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    with bare(tmp_path) as server, connect(server) as client, connect(server) as idle:
        client.sendall(b"GET /700 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
        assert server.stop(number) == 0
        answer = read_all(client)
        assert b"HTTP/1.1 200 OK" in answer
        assert b"connection: close" in answer
        assert answer.endswith(b"}")
        assert read_all(idle) == b""


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_finished_in_time_is_dropped(tmp_path: Path, workers: int) -> None:
    with bare(tmp_path, workers=workers, timeout="1s") as server, connect(server) as client:
        client.sendall(b"GET /60000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 4
        assert "not finished in time" in (tmp_path / "errors.txt").read_text()
        assert list(tmp_path.glob("stopped-*"))


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with bare(tmp_path, workers=2, timeout="30s") as server, connect(server) as client:
        client.sendall(b"GET /60000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGINT)
        wait_until(lambda: list(tmp_path.glob("drained-*")))
        assert server.stop(signal.SIGINT, within=5) == 0
        assert not any(alive(pid) for pid in server.ready["workers"])


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    with bare(tmp_path, workers=2) as server:
        first, other = server.ready["workers"]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(list(tmp_path.glob("started-*"))) == 3)
        for _ in range(10):
            answer = httpx.get(server.url).json()
            assert answer["pid"] != first
        assert answer["restarts"] == 1
        told = (tmp_path / "errors.txt").read_text()
        assert f"Worker {first} ended" in told
        assert "SIGKILL" in told
        assert alive(other)
        assert server.stop() == 0


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    with bare(tmp_path, workers=2) as server:
        server.process.kill()
        server.process.wait(10)
        workers = server.ready["workers"]
        wait_until(lambda: not any(alive(pid) for pid in workers))
        for pid in workers:
            assert (tmp_path / f"stopped-{pid}").exists()
    # What the killed one left behind is cleared away by the next.
    metrics = tmp_path / ".ratchet" / "serving" / "metrics"
    (left,) = metrics.iterdir()
    with bare(tmp_path, workers=2) as server:
        assert not left.exists()
        assert server.stop() == 0
    assert list(metrics.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_cannot_start_says_why(tmp_path: Path, workers: int) -> None:
    (tmp_path / "broken").touch()
    ended = refused_start(tmp_path, workers=workers)
    assert ended.returncode == 6
    assert ended.stderr == "storage: The log cannot be written. To fix it: make room.\n"
    assert ended.stdout == ""


def test_a_taken_port_and_an_address_of_nobody_are_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConflictError, match=f"Port {port} of 127.0.0.1 is taken"):
            bind("127.0.0.1", port)
    for host in ("127.300.0.1", "192.0.2.1", "no such host", "x" * 300):
        with pytest.raises(ConfigError, match="no address"):
            bind(host, 0)
    with bind("::1", 0) as listening:
        assert address_of(listening, tls=True).startswith("https://[::1]:")


def certificate(folder: Path, name: str) -> dict[str, str]:
    """A certificate that signs itself, and its key."""
    made = {"certificate": f"{name}.pem", "key": f"{name}.key"}
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", folder / made["key"], "-out", folder / made["certificate"]),
        ],
        check=True,
        capture_output=True,
    )
    return made


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")


@needs_openssl
def test_tls_by_certificate_files(tmp_path: Path) -> None:
    tls = certificate(tmp_path, "server")
    trusted = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
    for workers in (1, 2):
        with bare(tmp_path, workers=workers, tls=tls) as server:
            assert server.url.startswith("https://127.0.0.1:")
            with httpx.Client(verify=trusted) as client:
                for _ in range(2):
                    answer = client.post(server.url, content=b"x" * 100_000)
                    assert answer.json()["size"] == 100_000
            with connect(server) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"200" not in read_all(plain)
            assert server.stop() == 0


@needs_openssl
def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    one, two = certificate(tmp_path, "one"), certificate(tmp_path, "two")
    (tmp_path / "text.pem").write_text("no certificate")
    for files, told in (
        ({**one, "key": two["key"]}, "belong together"),
        ({**one, "certificate": "nowhere.pem"}, r"nowhere\.pem"),
        ({**one, "certificate": "text.pem"}, "cannot be used"),
    ):
        with pytest.raises(ConfigError, match=told) as caught:
            load_certificate(TlsSettings(**files), tmp_path)
        assert caught.value.where.startswith("serving.tls")


MOVES = """
import pathlib, sys
log = pathlib.Path(sys.argv[1])
for file in log.glob("*/*.seg"):
    file.unlink()
with open(log.parent / "moved", "a") as told:
    told.write("x")
"""
FAILS = """
import json, sys
print(json.dumps({"ok": False, "error": {"what": "The lake is away", "why": "no route"}}))
sys.exit(6)
"""


def segment(folder: Path, name: str = "000000.seg") -> Path:
    stream = folder / ".ratchet" / "serving" / "log" / "stream"
    stream.mkdir(parents=True, exist_ok=True)
    (stream / name).write_bytes(b"RATCHET1" + b"x" * 100)
    return stream / name


@pytest.mark.parametrize("workers", [1, 2])
def test_the_log_is_moved_at_the_start_now_and_then_and_at_the_end(
    tmp_path: Path, workers: int
) -> None:
    command = (sys.executable, "-c", MOVES, tmp_path / ".ratchet" / "serving" / "log")
    first = segment(tmp_path)
    with bare(tmp_path, *command, workers=workers, log={"compact": "300ms"}) as server:
        wait_until(lambda: not first.exists())
        second = segment(tmp_path, "000001.seg")
        wait_until(lambda: not second.exists())
        wait_until(lambda: httpx.get(server.url).json()["moved"] == 2)
        time.sleep(0.7)  # with nothing to move no process is started
        assert httpx.get(server.url).json()["moved"] == 2
        server.process.send_signal(signal.SIGSTOP)
        third = segment(tmp_path, "000002.seg")
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        assert server.process.wait(20) == 0
        assert not third.exists()
    assert (tmp_path / ".ratchet" / "serving" / "moved").read_text() == "xxx"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_move_that_fails_is_told_and_stops_nothing(tmp_path: Path, workers: int) -> None:
    segment(tmp_path)
    command = (sys.executable, "-c", FAILS)
    with bare(tmp_path, *command, workers=workers, log={"compact": "20ms"}) as server:
        wait_until(lambda: httpx.get(server.url).json()["failed"] >= 3)
        errors = tmp_path / "errors.txt"
        wait_until(lambda: "3 times in a row" in errors.read_text())
        assert "The lake is away: no route" in errors.read_text()

        def alerts() -> list[str]:
            url = f"sqlite:///{tmp_path / '.ratchet' / 'ledger.db'}"
            with open_ledger(url, project="bare") as ledger:
                return [entry.body["reason"] for entry in ledger.outbox()]

        wait_until(alerts)
        assert ["The lake is away" in reason for reason in alerts()] == [True]
        assert server.stop() == 0
    assert errors.read_text().count("in a row") == 1
