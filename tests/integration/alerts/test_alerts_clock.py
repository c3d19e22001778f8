"""Alerts do not wait for a clock that was put back, and survive a machine that slept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.messages import compose
from ratchet.alerts.outbox import Delivery, deliver_due
from ratchet.alerts.settings import AlertSettings
from ratchet.ledger.store import Ledger, open_ledger

AT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
WRONG = AT + timedelta(days=400)
ALERTS = (AlertSettings(url="https://example.org/x", name="team", hourly=3),)


class Machine:
    """A ledger, a channel that may be away, and the clock of the machine they are on."""

    def __init__(self, folder: Path) -> None:
        self.at, self.away = AT, False
        self.got: list[str] = []
        url = f"sqlite:///{folder / 'ledger.db'}"
        self.ledger: Ledger = open_ledger(url, project="churn", now=lambda: self.at)

    def send(self, body: Mapping[str, Any], key: str) -> None:
        if self.away:
            raise DeliveryFailed("it is away")
        self.got.append(str(body["reason"]))

    def happens(self, reason: str, occasion: Any = "unhealthy") -> None:
        self.ledger.enqueue(
            compose(ALERTS, occasion, project="churn", reason=reason, at=self.at, topic=reason)
        )

    def deliver(self) -> Delivery:
        return deliver_due(self.ledger, ALERTS, now=self.at, connect=lambda _url, _time: self)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    assert made.ledger.verify_chain().intact
    made.ledger.close()


def test_what_waits_and_what_comes_new_is_sent_although_the_clock_was_put_back(
    machine: Machine,
) -> None:
    machine.at = WRONG
    machine.happens("kept by the wrong clock")
    machine.at = AT
    machine.happens("kept by the right one")
    assert machine.deliver().delivered == 2
    assert machine.deliver() == Delivery()
    assert sorted(machine.got) == ["kept by the right one", "kept by the wrong clock"]


def test_what_was_put_off_by_a_wrong_clock_is_tried_again(machine: Machine) -> None:
    machine.happens("a")
    machine.at, machine.away = WRONG, True
    assert machine.deliver().failed == 1
    machine.at, machine.away = AT + timedelta(minutes=1), False
    assert machine.deliver().delivered == 1


def test_it_is_put_off_by_the_right_clock_after_that(machine: Machine) -> None:
    machine.at, machine.away = WRONG, True
    machine.happens("a")
    machine.at = AT
    tries = []
    for _ in range(6):
        tries.append(machine.deliver().failed)
        machine.at += timedelta(seconds=20)
    assert tries == [1, 0, 1, 0, 0, 0]
    machine.away = False
    machine.at += timedelta(minutes=2)
    assert machine.deliver().delivered == 1


def test_who_died_with_an_alert_in_hand_does_not_hold_it_when_the_clock_is_put_back(
    machine: Machine,
) -> None:
    machine.happens("a")
    machine.at = WRONG
    assert len(machine.ledger.claim_due(WRONG)) == 1
    machine.at = AT + timedelta(minutes=1)
    assert machine.deliver().delivered == 1


def test_what_was_sent_by_a_wrong_clock_counts_for_no_hour_and_no_silence(machine: Machine) -> None:
    machine.at = WRONG
    for reason in ("a", "b"):
        machine.happens(reason)
        assert machine.deliver().delivered == 1
    machine.at = AT
    for reason in ("a", "c"):
        machine.happens(reason)
        assert machine.deliver().delivered == 1, reason
        machine.at += timedelta(seconds=1)
    machine.happens("a")
    assert machine.deliver() == Delivery(), "within the hour it is the same news"
    machine.at += timedelta(hours=1, minutes=1)
    assert machine.deliver().delivered == 1
    assert machine.got == ["a", "b", "a", "c", "a"]


def test_a_limit_of_an_hour_holds_after_the_clock_was_put_back(machine: Machine) -> None:
    machine.at = WRONG
    machine.happens("x")
    machine.deliver()
    machine.at = AT
    sent = []
    for reason in "abcdef":
        machine.happens(reason)
        sent.append(machine.deliver().delivered)
        machine.at += timedelta(seconds=1)
    assert sent == [1, 1, 1, 0, 0, 0], "three an hour"
    machine.at += timedelta(hours=1)
    assert machine.deliver().delivered == 3


def test_a_machine_that_slept_for_weeks_tries_again(machine: Machine) -> None:
    machine.happens("a")
    machine.at, machine.away = AT + timedelta(days=20), True
    assert machine.deliver().failed == 1, "the network is not up yet"
    machine.at, machine.away = machine.at + timedelta(minutes=1), False
    assert machine.deliver().delivered == 1
