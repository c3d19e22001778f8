"""Alerts reach a real web server and a real mail server, also when these were down at first."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ratchet import clock
from ratchet.alerts.channels import open_channel
from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.mail import open_mail
from ratchet.alerts.messages import compose
from ratchet.alerts.outbox import Delivery, deliver_due
from ratchet.alerts.settings import AlertSettings
from ratchet.alerts.webhook import Webhook
from ratchet.ledger.store import Ledger, open_ledger

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Hook(BaseHTTPRequestHandler):
    """A webhook that answers what the test wants."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), json.loads(body)))  # type: ignore[attr-defined]
        code = self.server.answer  # type: ignore[attr-defined]
        self.send_response(code)
        if code in (301, 302, 307):
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Stay quiet."""


@contextmanager
def web_server(port: int = 0, answer: int = 200) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", port), Hook)
    server.got, server.answer = [], answer  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Smtp(socketserver.StreamRequestHandler):
    """Just enough of a mail server: EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA."""

    secure: ssl.SSLSocket | None = None

    def handle(self) -> None:
        with suppress(ssl.SSLError):  # a client that does not trust us goes away
            self.talk()

    def finish(self) -> None:
        super().finish()
        if self.secure is not None:
            self.secure.close()

    def talk(self) -> None:
        self.say("220 sink")
        while line := self.rfile.readline().decode().strip():
            verb = line.split(" ", 1)[0].upper()
            if verb == "QUIT":
                self.say("221 bye")
                return
            self.answer(verb, line)

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def answer(self, verb: str, line: str) -> None:
        sink: Any = self.server
        sink.said.append(line)
        if verb == "EHLO":
            lines = ["sink", *(["STARTTLS"] if sink.context else []), "AUTH PLAIN"]
            for number, item in enumerate(lines):
                self.say(f"250{' ' if number == len(lines) - 1 else '-'}{item}")
        elif verb == "STARTTLS":
            self.say("220 go on")
            self.secure = sink.context.wrap_socket(self.request, server_side=True)
            self.rfile.close()
            self.rfile, self.wfile = self.secure.makefile("rb"), self.secure.makefile("wb", 0)
        elif verb == "AUTH":
            known = base64.b64encode(b"\0anna\0hush").decode()
            self.say("235 welcome" if line.endswith(known) else "535 no")
        elif verb == "RCPT":
            self.say("550 who" if "nobody" in line else "250 ok")
        elif verb == "DATA":
            self.say("354 go on")
            lines = iter(self.rfile.readline, b".\r\n")
            sink.mails.append(b"".join(lines).decode())
            self.say("250 kept")
        else:
            self.say("250 ok")


@contextmanager
def mail_server(port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[Any]:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", port), Smtp)
    server.mails, server.said, server.context = [], [], context
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}", project="churn") as opened:
        yield opened


def fail_a_run(ledger: Ledger, alerts: tuple[AlertSettings, ...]) -> datetime:
    """A run that fails, its alerts kept with its outcome."""
    ledger.start_run("r1", trigger="manual")
    notices = compose(alerts, "failed", project="churn", reason="no rows", at=AT, run_id="r1")
    finished = ledger.finish_run("r1", "failed", "no rows", notices=notices).finished
    assert finished is not None
    return finished


def test_down_at_first_then_delivered_once(ledger: Ledger) -> None:
    web, mail = free_port(), free_port()
    alerts = (
        AlertSettings(url="${HOOK}", name="slack"),
        AlertSettings(url=f"smtp://127.0.0.1:{mail}?to=team@example.org"),
    )
    address = f"http://127.0.0.1:{web}/services/hush"

    def deliver(at: datetime) -> Delivery:
        return deliver_due(
            ledger, alerts, now=at, resolve=lambda text: text.replace("${HOOK}", address)
        )

    at = fail_a_run(ledger, alerts)
    first = deliver(at)
    assert (first.delivered, first.failed) == (0, 2)
    assert all("refused" in problem for problem in first.problems)
    with web_server(web) as hook, mail_server(mail) as sink:
        assert deliver(at + timedelta(seconds=29)) == Delivery(), "not yet"
        second = deliver(at + timedelta(seconds=31))
        assert (second.delivered, second.problems) == (2, ())
        assert deliver(at + timedelta(days=1)) == Delivery()
    (path, headers, body) = hook.got[0]
    assert len(hook.got) == 1
    assert path == "/services/hush"
    entry = next(entry for entry in ledger.outbox() if entry.channel == "slack")
    assert headers["Idempotency-Key"] == entry.key
    assert headers["Content-Type"].startswith("application/json")
    assert body["title"] == "churn: the run failed, the old model stays (run r1)"
    assert body["text"].startswith(body["title"] + "\nno rows\n")
    assert "Ratchet did: " in body["text"]
    assert "You should: See the step and the error with `ratchet show r1`" in body["text"]
    assert (body["occasion"], body["run_id"], body["reason"]) == ("failed", "r1", "no rows")
    assert len(sink.mails) == 1
    assert "To: team@example.org" in sink.mails[0]
    assert "Subject: churn: the run failed" in sink.mails[0]
    assert {entry.status for entry in ledger.outbox()} == {"delivered"}
    kept = json.dumps([dict(event.facts) for event in ledger.events()])
    assert "hush" not in kept, "no address in the ledger"
    assert ledger.verify_chain().intact


@pytest.mark.parametrize("answer", [500, 404, 302, 307])
def test_only_a_200_counts(answer: int) -> None:
    with web_server(answer=answer) as server:
        hook = Webhook(f"http://127.0.0.1:{server.server_port}/hush", 5.0)
        with pytest.raises(DeliveryFailed, match=f"answered {answer}") as caught:
            hook.send({"text": "hi"}, "k")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/hush me", "http://[hush/x", "https://\ud800/hush"]
)
def test_an_impossible_address_is_not_quoted(url: str) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        Webhook(url, 1.0).send({"text": "hi"}, "k")
    assert "hush me" not in str(caught.value)
    assert "/" not in str(caught.value)


def test_a_server_that_says_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DeliveryFailed, match=r"timed out|TimeoutError"):
            Webhook(f"http://127.0.0.1:{port}/", 0.05).send({"text": "hi"}, "k")
        with pytest.raises(DeliveryFailed):
            open_mail(f"smtp://127.0.0.1:{port}?to=a@b.c", 0.05).send({"text": "hi"}, "k")


def test_no_password_without_tls() -> None:
    with mail_server() as sink:
        port = sink.server_address[1]
        mail = open_mail(f"smtp://anna:hush@127.0.0.1:{port}?to=a@b.c", 5.0)
        with pytest.raises(DeliveryFailed, match="offers no TLS") as caught:
            mail.send({"text": "hi"}, "k")
        assert not any(line.startswith("AUTH") for line in sink.said)
        assert "hush" not in str(caught.value)
        open_mail(f"smtp://anna:hush@127.0.0.1:{port}?to=a@b.c&tls=off", 5.0).send(
            {"text": "hi\r\nBcc: all@example.org", "facts": {"roc_auc": 0.84}}, "k"
        )
    head, _, text = sink.mails[0].partition("\r\n\r\n")
    assert "Subject: hi Bcc: all@example.org" in head
    assert "\r\nBcc:" not in head
    assert "Message-ID: <k@ratchet>" in head
    assert "roc_auc: 0.84" in text


def test_a_wrong_password_and_an_unknown_reader_are_failures() -> None:
    with mail_server() as sink:
        at = f"127.0.0.1:{sink.server_address[1]}"
        with pytest.raises(DeliveryFailed, match="answered 535"):
            open_mail(f"smtp://anna:wrong@{at}?to=a@b.c&tls=off", 5.0).send({"text": "hi"}, "k")
        with pytest.raises(DeliveryFailed, match="Recipients"):
            open_mail(f"smtp://{at}?to=nobody@b.c", 5.0).send({"text": "hi"}, "k")
        with pytest.raises(DeliveryFailed, match="1 of 2 recipients"):
            open_mail(f"smtp://{at}?to=a@b.c,nobody@b.c", 5.0).send({"text": "hi"}, "k")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "both.pem"
    command = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [
            *("openssl", *command.split()),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    made.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return made


def test_starttls_keeps_the_password_secret(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with mail_server(context=context) as sink:
        url = f"smtp://anna:hush@127.0.0.1:{sink.server_address[1]}?to=a@b.c"
        with pytest.raises(DeliveryFailed):
            open_mail(url, 5.0).send({"text": "hi"}, "k")
        assert not any(line.startswith("AUTH") for line in sink.said), "who is this server?"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        open_mail(url, 5.0).send({"text": "hi"}, "k")
    verbs = [line.split()[0].upper() for line in sink.said]
    assert verbs.index("STARTTLS") < verbs.index("AUTH")
    assert len(sink.mails) == 1


class _Inbox:
    """What a mail server took, for aiosmtpd."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((session.auth_data, envelope))
        return "250 kept"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_real_mail_server_takes_it_with_starttls_and_login(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    controllers = pytest.importorskip("aiosmtpd.controller")
    from aiosmtpd.smtp import AuthResult

    def check(server: Any, session: Any, envelope: Any, how: str, given: Any) -> Any:
        return AuthResult(success=(given.login, given.password) == (b"anna", b"hu sh"))

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    inbox = _Inbox()
    server = controllers.Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=check,
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server.start()
    try:
        place = f"127.0.0.1:{server.port}?to=team@example.org&from=ratchet@example.org"
        facts = {"failed_checks": ["tenure < 0 in 12 rows"]}
        alert = (AlertSettings(url="smtp://h?to=a@b.c"),)
        (told,) = compose(
            alert, "failed", project="churn", reason="bad data", at=AT, run_id="r1", facts=facts
        )
        with pytest.raises(DeliveryFailed, match="hung up at the login"):
            open_mail(f"smtp://anna:wrong@{place}", 5.0).send(told.body, told.key)
        open_mail(f"smtp://anna:hu%20sh@{place}", 5.0).send(told.body, told.key)
    finally:
        server.stop()
    ((_, envelope),) = inbox.mails
    mail = message_from_bytes(envelope.content, policy=default)
    assert envelope.rcpt_tos == ["team@example.org"]
    assert mail["Subject"] == "churn: the run failed, the old model stays (run r1)"
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, page = mail.iter_parts()
    assert plain.get_content_type() == "text/plain"
    assert "failed checks: tenure < 0 in 12 rows" in plain.get_content()
    assert "tenure &lt; 0 in 12 rows" in page.get_content()
    assert "You should:" in page.get_content()


def test_apprise_carries_it_and_a_dead_service_is_a_failure() -> None:
    pytest.importorskip("apprise")
    alerts = (AlertSettings(url="jsons://h", name="ops"),)
    (told,) = compose(alerts, "failed", project="churn", reason="no rows", at=AT, run_id="r1")
    with web_server() as hook:
        port = hook.server_port
        open_channel(f"json://anna:hush@127.0.0.1:{port}/x", 5.0).send(told.body, told.key)
        hook.answer = 503
        with pytest.raises(DeliveryFailed, match="json: the service answered 503") as caught:
            open_channel(f"json://anna:hush@127.0.0.1:{port}/x", 5.0).send(told.body, told.key)
        assert "hush" not in str(caught.value)
    with pytest.raises(DeliveryFailed, match="does not answer"):
        open_channel(f"json://127.0.0.1:{port}/x", 0.5).send(told.body, told.key)
    with pytest.raises(DeliveryFailed, match="cannot read the address") as caught:
        open_channel("slack://hush", 0.5).send(told.body, told.key)
    assert "hush" not in str(caught.value)
    _, headers, body = hook.got[0]
    assert headers["Idempotency-Key"] == told.key
    assert (body["title"], body["type"]) == (told.body["title"], "failure")
    assert body["message"].startswith("no rows")
    assert "You should:" in body["message"]


def test_an_outage_ends_in_one_message_with_a_count_and_one_of_recovery(ledger: Ledger) -> None:
    port = free_port()
    alerts = (AlertSettings(url=f"http://127.0.0.1:{port}/", name="team"),)

    def happens(occasion: Any, minutes: int) -> None:
        at = AT + timedelta(minutes=minutes)
        ledger.enqueue(
            compose(alerts, occasion, project="churn", reason="lake", at=at, topic="lake")
        )

    for minutes in range(30):
        happens("unhealthy", minutes)
        if minutes == 0:
            assert deliver_due(ledger, alerts, now=clock.now()).failed == 1
    happens("recovered", 30)
    with web_server(port) as hook:
        done = deliver_due(ledger, alerts, now=clock.now() + timedelta(minutes=31))
    assert (done.delivered, done.problems) == (2, ())
    assert [got[2]["occasion"] for got in sorted(hook.got, key=lambda got: got[2]["at"])] == [
        "unhealthy",
        "recovered",
    ]
    assert sorted(got[2].get("count", 1) for got in hook.got) == [1, 30]
