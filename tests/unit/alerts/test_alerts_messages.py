"""Who is told what, how often it is tried again, and that no address is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ratchet.alerts.channels import open_channel
from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.mail import Mail, open_mail
from ratchet.alerts.messages import HEADLINES, compose
from ratchet.alerts.outbox import Delivery, deliver_due, next_attempt
from ratchet.alerts.settings import AlertSettings, host_of, name_channels
from ratchet.alerts.webhook import Webhook
from ratchet.errors import ConfigError, StorageError

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
HOOK = "https://hooks.example.org/services/T0/B0/hush-hush"


@dataclass
class Kept:
    key: str
    channel: str
    body: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0
    created: datetime = AT


@dataclass
class Store:
    """An outbox in memory."""

    waiting: list[Kept]
    delivered: list[str] = field(default_factory=list)
    failed: list[tuple[str, str, datetime | None]] = field(default_factory=list)

    def claim_due(self, now: datetime, *, hold: timedelta = AT - AT, limit: int = 1) -> list[Kept]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def mark_delivered(self, key: str) -> None:
        self.delivered.append(key)

    def mark_failed(self, key: str, error: str, *, due: datetime | None) -> None:
        self.failed.append((key, error, due))


class Good:
    def __init__(self) -> None:
        self.got: list[tuple[dict[str, Any], str]] = []

    def send(self, body: Any, key: str) -> None:
        self.got.append((dict(body), key))


class Bad:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def send(self, body: Any, key: str) -> None:
        raise self.error


def test_only_who_listens_is_told() -> None:
    alerts = (
        AlertSettings(url="${SLACK}", on=("failed", "promoted")),
        AlertSettings(url="smtp://mail.example.org?to=a@b.c"),
        AlertSettings(url=HOOK, on=("promoted",)),
    )
    told = compose(alerts, "failed", project="churn", reason="disk full", at=AT, run_id="r1")
    assert [message.channel for message in told] == ["SLACK", "mail.example.org"]
    assert told[0].body == {
        "text": "churn: the run failed, the old model stays (run r1). disk full",
        "project": "churn",
        "occasion": "failed",
        "run_id": "r1",
        "reason": "disk full",
        "at": "2026-11-21T02:00:00Z",
        "facts": {},
    }
    assert compose(alerts, "skipped", project="churn", reason="same data", at=AT) == ()
    assert set(HEADLINES) == set(AlertSettings.model_fields["on"].annotation.__args__[0].__args__)  # type: ignore[union-attr]


def test_the_same_news_has_the_same_key() -> None:
    alerts = (AlertSettings(url=HOOK),)

    def keys(occasion: Any, minutes: int = 0, run_id: str | None = "r1") -> list[str]:
        at = AT + timedelta(minutes=minutes)
        told = compose(alerts, occasion, project="p", reason="x", at=at, run_id=run_id)
        return [message.key for message in told]

    assert keys("failed") == keys("failed", minutes=5)
    assert keys("failed") != keys("rejected")
    assert keys("failed") != keys("failed", run_id="r2")
    assert keys("unhealthy", run_id=None) != keys("unhealthy", minutes=5, run_id=None)


def test_a_long_reason_is_cut() -> None:
    told = compose((AlertSettings(url=HOOK),), "failed", project="p", reason="x" * 9999, at=AT)
    assert len(told[0].body["text"]) < 2100
    assert told[0].body["text"].endswith("…")


def test_channels_have_names_that_tell_nothing() -> None:
    alerts = (
        AlertSettings(url=HOOK),
        AlertSettings(url=HOOK + "2"),
        AlertSettings(url="${SLACK_URL}"),
        AlertSettings(url="smtp://anna:hush@mail.example.org:587?to=a@b.c"),
        AlertSettings(url=HOOK, name="team"),
    )
    assert list(name_channels(alerts)) == [
        "hooks.example.org",
        "hooks.example.org#2",
        "SLACK_URL",
        "mail.example.org:587",
        "team",
    ]
    assert host_of("https://h:port/x") == ""


def test_an_address_is_never_shown() -> None:
    alert = AlertSettings(url=HOOK)
    assert "hush" not in repr(alert)
    assert "hush" not in repr(Webhook(HOOK))
    assert "hush" not in repr(open_mail("smtp://anna:hush@h?to=a@b.c", 1.0))
    with pytest.raises(ValidationError) as caught:
        AlertSettings(url="ftp://hush")
    assert "hush" not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("field", [{"timeout": "soon"}, {"on": ("sometimes",)}, {"uri": "x"}])
def test_a_wrong_setting_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AlertSettings(url=HOOK, **field)


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [(0, 30), (1, 120), (2, 480), (3, 1920), (4, 7680), (5, 21600), (60, 21600)],
)
def test_it_is_tried_again_ever_more_seldom(attempts: int, wait: int) -> None:
    due = next_attempt(AT, attempts=attempts, created=AT)
    assert due == AT + timedelta(seconds=wait)


def test_after_a_week_it_is_given_up() -> None:
    assert next_attempt(AT + timedelta(days=7), attempts=30, created=AT) is None


def deliver(store: Store, *channels: Any, resolve: Any = str, now: datetime = AT) -> Delivery:
    opened = iter(channels)
    alerts = (AlertSettings(url=HOOK, name="team"),)
    return deliver_due(
        store, alerts, now=now, resolve=resolve, connect=lambda _url, _timeout: next(opened)
    )


def test_what_waits_is_delivered_once() -> None:
    good = Good()
    store = Store([Kept("k1", "team", {"text": "a"}), Kept("k2", "team", {"text": "b"})])
    assert deliver(store, good, good) == Delivery(delivered=2)
    assert good.got == [({"text": "a"}, "k1"), ({"text": "b"}, "k2")]
    assert store.delivered == ["k1", "k2"]


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (Bad(DeliveryFailed("h answered 500")), "h answered 500"),
        (Bad(KeyError("hush")), "unexpected KeyError"),
    ],
)
def test_what_fails_is_kept_and_the_rest_goes_out(channel: Bad, said: str) -> None:
    good = Good()
    store = Store([Kept("k1", "team"), Kept("k2", "gone"), Kept("k3", "team")])
    done = deliver(store, channel, good)
    assert (done.delivered, done.failed, done.dropped) == (1, 2, 0)
    assert done.problems == (
        f"team: {said}",
        "gone: no channel of this name is configured any more",
    )
    assert store.failed[0] == ("k1", said, AT + timedelta(seconds=30))
    assert store.delivered == ["k3"]


def test_a_secret_that_is_not_set_waits_too() -> None:
    def unset(_: str) -> str:
        raise ConfigError("The environment variable SLACK is not set")

    store = Store([Kept("k1", "team")])
    done = deliver(store, resolve=unset)
    assert done.failed == 1
    assert "SLACK is not set" in done.problems[0]


def test_an_old_one_is_dropped_and_told() -> None:
    store = Store([Kept("k1", "team")])
    done = deliver(store, Bad(DeliveryFailed("h answered 500")), now=AT + timedelta(days=8))
    assert (done.failed, done.dropped) == (0, 1)
    assert store.failed[0][2] is None


def test_a_broken_outbox_does_not_end_the_run() -> None:
    class Broken(Store):
        def mark_delivered(self, key: str) -> None:
            raise StorageError("the disk is full")

    done = deliver(Broken([Kept("k1", "team")]), Good())
    assert done.problems == ("the outbox: the disk is full.",)


def test_a_slow_channel_is_left_behind() -> None:
    import threading

    release = threading.Event()

    class Slow:
        def send(self, body: Any, key: str) -> None:
            release.wait(10)

    alerts = (AlertSettings(url=HOOK, name="team", timeout="10ms"),)
    store = Store([Kept("k1", "team")])
    done = deliver_due(store, alerts, now=AT, connect=lambda _url, _timeout: Slow())
    release.set()
    assert done.problems == ("team: no answer within 0.02 s",)


def test_a_spent_budget_leaves_the_rest_for_later() -> None:
    store = Store([Kept("k1", "team")])
    alerts = (AlertSettings(url=HOOK, name="team"),)
    assert deliver_due(store, alerts, now=AT, budget=timedelta(0)) == Delivery()
    assert len(store.waiting) == 1


def test_the_address_chooses_the_channel() -> None:
    assert isinstance(open_channel(HOOK, 1.0), Webhook)
    assert isinstance(open_channel("smtps://h?to=a@b.c", 1.0), Mail)
    with pytest.raises(DeliveryFailed, match="neither"):
        open_channel("ftp://hush", 1.0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://h?to=a@b.c", {"port": 587, "direct": False, "tls": "auto", "sender": "a@b.c"}),
        ("smtps://h?to=a@b.c", {"port": 465, "direct": True}),
        (
            "smtp://x%40y.z:p%2Fw@h:2525?to=a@b.c,d@e.f",
            {
                "port": 2525,
                "user": "x@y.z",
                "password": "p/w",
                "tls": "required",
                "sender": "x@y.z",
                "to": ("a@b.c", "d@e.f"),
            },
        ),
        ("smtp://u:p@h?to=a@b.c&tls=auto&from=r@s.t", {"tls": "auto", "sender": "r@s.t"}),
        ("smtp://u:p@h?to=a@b.c&tls=off", {"tls": "off"}),
        ("smtp://h?to=a@b.c&tls=required", {"tls": "required"}),
    ],
)
def test_a_mail_address_is_read(url: str, expected: dict[str, Any]) -> None:
    mail = open_mail(url, 1.0)
    assert {name: getattr(mail, name) for name in expected} == expected


@pytest.mark.parametrize("url", ["smtp://h", "smtp://?to=a@b.c", "smtp://hush:x@h:port?to=a@b.c"])
def test_a_mail_address_without_a_server_or_a_reader(url: str) -> None:
    with pytest.raises(DeliveryFailed) as caught:
        open_mail(url, 1.0)
    assert "hush" not in str(caught.value)
