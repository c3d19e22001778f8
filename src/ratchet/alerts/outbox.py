"""Delivering what waits in the outbox: tried again until it arrives, never in a run's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from ratchet import clock
from ratchet.alerts.channels import open_channel
from ratchet.alerts.delivery import Channel, DeliveryFailed, send_within
from ratchet.alerts.settings import AlertSettings, name_channels
from ratchet.config.durations import parse_duration
from ratchet.errors import RatchetError

GIVE_UP_AFTER = timedelta(days=7)
BUDGET = timedelta(seconds=20)
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=6)


class Entry(Protocol):
    """A kept alert (``ratchet.ledger.outbox.OutboxEntry`` is one)."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def channel(self) -> str:
        """The channel's name."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The message."""

    @property
    def attempts(self) -> int:
        """How often it was tried."""

    @property
    def created(self) -> datetime:
        """When it was kept."""


class OutboxStore(Protocol):
    """Where alerts are kept (``ratchet.ledger.store.Ledger`` is one)."""

    def claim_due(
        self, now: datetime, *, hold: timedelta = ..., limit: int = ...
    ) -> Sequence[Entry]:
        """Take alerts that are due, so that no other process sends them too."""

    def mark_delivered(self, key: str) -> None:
        """An alert arrived."""

    def mark_failed(self, key: str, error: str, *, due: datetime | None) -> None:
        """An alert did not arrive; to be tried again at ``due``, or never."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one pass over the outbox did.

    Attributes:
        delivered, failed, dropped: numbers of alerts; failed ones are tried again.
        problems: why something did not arrive, one sentence each, without secrets.
    """

    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    problems: tuple[str, ...] = ()


def deliver_due(
    store: OutboxStore,
    alerts: Sequence[AlertSettings],
    *,
    now: datetime,
    resolve: Callable[[str], str] = str,
    connect: Callable[[str, float], Channel] = open_channel,
    budget: timedelta = BUDGET,
) -> Delivery:
    """Deliver every alert that is due.

    Nothing that goes wrong here is raised: an alert tells of a run's outcome and must not change
    it. What does not arrive is kept and tried again, first after half a minute, then ever more
    seldom, for a week.

    Args:
        alerts: the configured channels.
        now: the time.
        resolve: fills the secrets into an address.
        connect: opens the channel behind an address.
        budget: after this long the rest waits for the next pass.
    """
    if not alerts:
        return Delivery()
    channels = name_channels(alerts)
    done, started = Delivery(), clock.monotonic()
    try:
        while clock.monotonic() - started < budget.total_seconds():
            taken = store.claim_due(now, hold=3 * budget, limit=1)
            if not taken:
                break
            done = _deliver(store, channels, taken[0], now, resolve, connect, done)
    except RatchetError as error:
        return _add(done, problem=f"the outbox: {error}")
    return done


def next_attempt(now: datetime, *, attempts: int, created: datetime) -> datetime | None:
    """When to try again after ``attempts`` earlier failures; None when it is time to give up."""
    if now - created >= GIVE_UP_AFTER:
        return None
    longer: int = 4 ** min(attempts, 9)
    return now + min(_FIRST_WAIT * longer, _LONGEST_WAIT)


def _deliver(
    store: OutboxStore,
    channels: Mapping[str, AlertSettings],
    entry: Entry,
    now: datetime,
    resolve: Callable[[str], str],
    connect: Callable[[str, float], Channel],
    done: Delivery,
) -> Delivery:
    try:
        _send(channels, entry, resolve, connect)
    except (DeliveryFailed, RatchetError) as error:
        due = next_attempt(now, attempts=entry.attempts, created=entry.created)
        store.mark_failed(entry.key, str(error), due=due)
        problem = f"{entry.channel}: {error}"
        return _add(done, failed=due is not None, dropped=due is None, problem=problem)
    store.mark_delivered(entry.key)
    return _add(done, delivered=1)


def _send(
    channels: Mapping[str, AlertSettings],
    entry: Entry,
    resolve: Callable[[str], str],
    connect: Callable[[str, float], Channel],
) -> None:
    alert = channels.get(entry.channel)
    if alert is None:
        raise DeliveryFailed("no channel of this name is configured any more")
    timeout = parse_duration(alert.timeout).total_seconds()
    channel = connect(resolve(alert.url), timeout)
    # A mail takes several exchanges, and looking up a host's name knows no timeout of its own.
    send_within(channel, entry.body, entry.key, 2 * timeout)


def _add(
    done: Delivery,
    *,
    delivered: int = 0,
    failed: int = 0,
    dropped: int = 0,
    problem: str | None = None,
) -> Delivery:
    return Delivery(
        done.delivered + delivered,
        done.failed + failed,
        done.dropped + dropped,
        done.problems if problem is None else (*done.problems, problem),
    )
