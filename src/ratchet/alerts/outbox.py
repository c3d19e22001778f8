"""Delivering what waits in the outbox: tried again until it arrives, never in a run's way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from ratchet import clock
from ratchet.alerts.channels import open_channel
from ratchet.alerts.delivery import Channel, DeliveryFailed, send_within
from ratchet.alerts.messages import gather
from ratchet.alerts.rendering import render_text
from ratchet.alerts.settings import AlertSettings, name_channels
from ratchet.config.durations import parse_duration
from ratchet.errors import RatchetError

GIVE_UP_AFTER = timedelta(days=7)
_FEWEST_ATTEMPTS = 12
"""Made in any case: a machine that slept for a week, or whose clock was wrong, gives nothing up at
the first one."""
BUDGET = timedelta(seconds=20)
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=6)
_HOUR = timedelta(hours=1)
_MOST_TOGETHER = 500

_Send = Callable[[AlertSettings, Mapping[str, Any], str], None]


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
        self,
        now: datetime,
        *,
        hold: timedelta = ...,
        limit: int = ...,
        channel: str | None = ...,
    ) -> Sequence[Entry]:
        """Take alerts that are due, so that no other process sends them too."""

    def sent_since(self, channel: str, since: datetime) -> Sequence[datetime]:
        """When messages arrived on a channel after a time, oldest first."""

    def postpone(self, key: str, due: datetime) -> None:
        """An alert could not be tried, as its channel takes no more for now."""

    def mark_delivered(self, *keys: str) -> None:
        """Alerts arrived, in one message."""

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
    seldom, for a week. That it arrived is noted after it did: who is killed in between sends it
    again, with the same key. A channel takes at most ``hourly`` messages an hour; the last of them
    tells all that waits.

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
    send = partial(send_now, resolve=resolve, connect=connect)
    done, started = Delivery(), clock.monotonic()
    try:
        while clock.monotonic() - started < budget.total_seconds():
            taken = store.claim_due(now, hold=3 * budget, limit=1)
            if not taken:
                break
            done = _deliver(store, channels, taken[0], now, send, done)
    except RatchetError as error:
        return _add(done, problem=f"the outbox: {error}")
    return done


def next_attempt(now: datetime, *, attempts: int, created: datetime) -> datetime | None:
    """When to try again after ``attempts`` earlier failures; None when it is time to give up."""
    if now - created >= GIVE_UP_AFTER and attempts >= _FEWEST_ATTEMPTS:
        return None
    longer: int = 4 ** min(attempts, 9)
    return now + min(_FIRST_WAIT * longer, _LONGEST_WAIT)


def _deliver(
    store: OutboxStore,
    channels: Mapping[str, AlertSettings],
    entry: Entry,
    now: datetime,
    send: _Send,
    done: Delivery,
) -> Delivery:
    alert, together = channels.get(entry.channel), [entry]
    try:
        if alert is None:
            raise DeliveryFailed("no channel of this name is configured any more")
        # What seems to have been sent much later than now was noted before the clock was put back.
        since = store.sent_since(entry.channel, now - _HOUR)
        sent = [at for at in since if at <= now + _HOUR]
        if len(sent) >= alert.hourly:
            store.postpone(entry.key, sent[-alert.hourly] + _HOUR)
            return done
        if len(sent) == alert.hourly - 1:
            # The last message of the hour tells everything that waits.
            together += store.claim_due(
                now, hold=3 * BUDGET, limit=_MOST_TOGETHER, channel=entry.channel
            )
        send(alert, _present(together), entry.key)
    except (DeliveryFailed, RatchetError) as error:
        problem = f"{entry.channel}: {error}"
        for each in together:
            due = next_attempt(now, attempts=each.attempts, created=each.created)
            store.mark_failed(each.key, str(error), due=due)
            done = _add(done, failed=due is not None, dropped=due is None)
        return _add(done, problem=problem)
    store.mark_delivered(*(each.key for each in together))
    return _add(done, delivered=len(together))


def _present(entries: Sequence[Entry]) -> Mapping[str, Any]:
    """The body to send: of one alert, with how often it happened; of several, a list."""
    if len(entries) > 1:
        return gather([entry.body for entry in entries])
    body = entries[0].body
    return {**body, "text": render_text(body)} if body.get("count", 1) > 1 else body


def send_now(
    alert: AlertSettings,
    body: Mapping[str, Any],
    key: str,
    *,
    resolve: Callable[[str], str] = str,
    connect: Callable[[str, float], Channel] = open_channel,
) -> None:
    """Send one message on a channel, now.

    Raises:
        DeliveryFailed: it did not arrive.
        RatchetError: its address has a secret that is not set, or needs a library that is missing.
    """
    timeout = parse_duration(alert.timeout).total_seconds()
    channel = connect(resolve(alert.url), timeout)
    # A mail takes several exchanges, and looking up a host's name knows no timeout of its own.
    send_within(channel, body, key, 2 * timeout)


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
