"""Who is told what, how often it is tried again, and that no address is shown."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from ratchet.alerts.channels import open_channel
from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.mail import Mail, open_mail
from ratchet.alerts.messages import compose, gather
from ratchet.alerts.outbox import Delivery, deliver_due, next_attempt
from ratchet.alerts.rendering import render_html, render_text, render_title
from ratchet.alerts.schemes import APPRISE, spoken
from ratchet.alerts.settings import AlertSettings, Occasion, host_of, name_channels
from ratchet.alerts.templates import TEMPLATES
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
    sent: list[datetime] = field(default_factory=list)
    postponed: list[tuple[str, datetime]] = field(default_factory=list)

    def claim_due(
        self,
        now: datetime,
        *,
        hold: timedelta = AT - AT,
        limit: int = 1,
        channel: str | None = None,
    ) -> list[Kept]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    def sent_since(self, channel: str, since: datetime) -> list[datetime]:
        return [at for at in self.sent if at > since]

    def postpone(self, key: str, due: datetime) -> None:
        self.postponed.append((key, due))

    def mark_delivered(self, *keys: str) -> None:
        self.delivered += keys

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
    body = dict(told[0].body)
    assert body.pop("text") == (
        "churn: the run failed, the old model stays (run r1)\n"
        "disk full\n\n"
        "Ratchet did: The run was stopped; nothing that serves was changed.\n\n"
        "You should: See the step and the error with `ratchet show r1`; when it is mended, "
        "`ratchet run --resume r1` goes on where it stopped."
    )
    assert {key: body[key] for key in ("project", "occasion", "run_id", "reason", "at")} == {
        "project": "churn",
        "occasion": "failed",
        "run_id": "r1",
        "reason": "disk full",
        "at": "2026-11-21T02:00:00Z",
    }
    assert compose(alerts, "skipped", project="churn", reason="same data", at=AT) == ()


def test_every_occasion_has_its_words() -> None:
    assert set(TEMPLATES) == set(get_args(Occasion))
    assert all(each.headline and each.did and each.advice for each in TEMPLATES.values())


def test_who_hears_of_an_illness_hears_of_the_recovery() -> None:
    alerts = (AlertSettings(url=HOOK, on=("unhealthy",)), AlertSettings(url=HOOK, on=("failed",)))
    told = compose(alerts, "recovered", project="churn", reason="it loads", at=AT)
    assert [message.channel for message in told] == ["hooks.example.org"]


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
    assert len(told[0].body["text"]) < 2500
    assert told[0].body["reason"].endswith("…")


def test_the_topic_is_the_news_without_its_numbers() -> None:
    alerts = (AlertSettings(url=HOOK),)

    def topic(reason: str, **more: Any) -> str:
        told = compose(alerts, "failed", project="p", reason=reason, at=AT, **more)
        return told[0].topic

    assert topic("0.71 is below 0.75 (20261121-0200)") == topic("0.7 is below 0.75 (20261121-0300)")
    assert topic("version 2 does not load") != topic("version 3 does not load")
    assert topic("disk full") != topic("no rows")
    assert topic("a", topic="x") == topic("b", topic="x")
    promoted = (AlertSettings(url=HOOK, on=("promoted",)),)
    assert compose(promoted, "promoted", project="p", reason="x", at=AT)[0].topic == ""


def test_the_evidence_is_told_and_nothing_in_it_is_markup() -> None:
    facts = {
        "failed_checks": ["<b>tenure</b> has 12 values below 0", "no rows of class `Yes`"],
        "metrics": {"roc_auc": 0.71234567, "f1": 0.5, "curve": [1, 2]},
        "champion": 3,
        "model": None,
        "many": [f"line {number}" for number in range(40)],
    }
    told = compose(
        (AlertSettings(url=HOOK),), "failed", project="p", reason="<i>", at=AT, facts=facts
    )
    text, page = render_text(told[0].body), render_html(told[0].body)
    assert "  - failed checks: <b>tenure</b> has 12 values below 0\n" in text
    assert "  - metrics: roc_auc 0.7123, f1 0.5\n" in text
    assert "  - champion: 3\n" in text
    assert "  - and 25 more" in text
    assert "model" not in text.partition("Evidence:")[2].partition("Ratchet did")[0]
    assert "&lt;b&gt;tenure&lt;/b&gt;" in page
    assert "<i></p>" not in page
    assert "<b>You should:</b>" in page


def test_a_repeated_message_says_how_often_and_since_when() -> None:
    told = compose((AlertSettings(url=HOOK),), "failed", project="p", reason="disk full", at=AT)
    body = {**told[0].body, "count": 12, "first": "2026-11-21T01:00:00Z"}
    assert render_title(body) == "p: the run failed, the old model stays (12 times)"
    assert "12 times since 2026-11-21T01:00:00Z" in render_text(body)
    assert "12 times since" in render_html(body)
    store, good = Store([Kept("k1", "team", body)]), Good()
    assert deliver(store, good).delivered == 1
    assert "12 times since" in good.got[0][0]["text"]


def test_the_last_message_of_the_hour_tells_all_that_waits() -> None:
    def body(number: int) -> dict[str, Any]:
        alert = AlertSettings(url=HOOK)
        told = compose([alert], "failed", project="p", reason="x", at=AT, run_id=f"r{number}")
        return dict(told[0].body)

    alerts = (AlertSettings(url=HOOK, name="team", hourly=3),)
    store, good = Store([Kept(f"k{n}", "team", body(n)) for n in range(6)]), Good()
    store.sent = [AT - timedelta(minutes=50), AT - timedelta(minutes=70)]

    def pass_over() -> Delivery:
        return deliver_due(store, alerts, now=AT, connect=lambda _url, _timeout: good)

    store.waiting, rest = store.waiting[:1], store.waiting[1:]
    assert pass_over() == Delivery(delivered=1)
    store.sent.append(AT)
    store.waiting = rest
    assert pass_over() == Delivery(delivered=5)
    assert store.delivered == [f"k{n}" for n in range(6)]
    assert [len(got[0]["facts"]) for got in good.got] == [0, 1]
    assert good.got[1][0]["title"] == "p: 5 more alerts"
    assert "(run r5)" in good.got[1][0]["text"]
    store.sent.append(AT)
    store.waiting = [Kept("k9", "team", body(9))]
    assert pass_over() == Delivery()
    assert store.postponed == [("k9", AT + timedelta(minutes=10))]


def test_gathered_messages_keep_their_counts() -> None:
    bodies = [{"project": "p", "title": "a", "count": 4}, {"project": "p", "text": "old"}]
    assert gather(bodies)["title"] == "p: 5 more alerts"


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
    # The host of such an address may be the token itself.
    assert AlertSettings(url="tgram://123456:hush/chat").label == "tgram"


def test_the_schemes_of_apprise_are_known_without_it() -> None:
    pytest.importorskip("apprise")
    assert spoken() <= APPRISE
    for scheme in ("slack", "mailto", "json", "msteams" if "msteams" in APPRISE else "workflows"):
        assert AlertSettings(url=f"{scheme}://a/b/c").label == scheme
    with pytest.raises(ValidationError, match="did you mean slack://"):
        AlertSettings(url="slakc://a/b/c")


def test_without_apprise_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    store = Store([Kept("k1", "slack")])
    alerts = (AlertSettings(url="slack://T0/B0/hush"),)
    done = deliver_due(store, alerts, now=AT)
    assert done.failed == 1
    assert "ratchet-ml[alerts]" in done.problems[0]
    assert "hush" not in done.problems[0]


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
    late = AT + timedelta(days=7)
    assert next_attempt(late, attempts=30, created=AT) is None
    assert next_attempt(late, attempts=1, created=AT) is not None, "a machine that slept"


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
    failing = Bad(DeliveryFailed("h answered 500"))
    store = Store([Kept("k1", "team", attempts=12)])
    done = deliver(store, failing, now=AT + timedelta(days=8))
    assert (done.failed, done.dropped) == (0, 1)
    assert store.failed[0][2] is None


def test_a_broken_outbox_does_not_end_the_run() -> None:
    class Broken(Store):
        def mark_delivered(self, *keys: str) -> None:
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
