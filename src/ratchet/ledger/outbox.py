"""Alerts that wait to be delivered: written with what they tell of, kept until they arrive.

What an alert says and how it travels is the concern of ``ratchet.alerts``; here it is only kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from ratchet.ledger.events import Transaction
from ratchet.ledger.tables import outbox

OutboxStatus = Literal["waiting", "delivered", "dropped"]

# Nobody waits longer than this for the next attempt, or holds an alert; and the clocks of machines
# that share a ledger differ by less. A time further ahead was written before a clock was put back.
_LONGEST_PAUSE = timedelta(hours=12)
_LONGEST_HOLD = timedelta(hours=1)
_APART = timedelta(minutes=5)


class Notice(Protocol):
    """Something to tell somebody (``ratchet.alerts.outbox.Message`` is one)."""

    @property
    def key(self) -> str:
        """The same for the same news on the same channel: it is told once."""

    @property
    def channel(self) -> str:
        """The channel's name; never its address, which is a secret."""

    @property
    def occasion(self) -> str:
        """What it is about."""

    @property
    def run_id(self) -> str | None:
        """The run it is about."""

    @property
    def body(self) -> Mapping[str, Any]:
        """What is told, as JSON values."""

    @property
    def topic(self) -> str:
        """What it is about; empty: nothing that comes again."""

    @property
    def quiet(self) -> timedelta:
        """How long the same topic is not told again."""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An alert and how its delivery stands.

    Attributes:
        due: when it is to be tried next.
        attempts: how often it was tried.
        last_error: why the last attempt failed.
        delivered: when it arrived.
    """

    key: str
    channel: str
    occasion: str
    run_id: str | None
    body: Mapping[str, Any]
    status: OutboxStatus
    attempts: int
    created: datetime
    due: datetime
    last_error: str
    delivered: datetime | None = None


def enqueue(tx: Transaction, notices: Sequence[Notice]) -> int:
    """Keep alerts for delivery.

    The same news within its quiet time makes no second message: it is counted in the one that
    waits, or in one that is sent when the time is over.

    Returns:
        How many messages were new.
    """
    return sum(_row(tx, notice.key) is None and _keep(tx, notice) for notice in notices)


def _keep(tx: Transaction, notice: Notice) -> bool:
    body, due = dict(notice.body), tx.now
    if notice.topic:
        body["topic"] = notice.topic
        told = _told_lately(tx, notice)
        if told is not None:
            if told["status"] == "waiting" and told["claimed_until"] is None:
                _count(tx, told, notice)
                return False
            due = min(max(told["due"], told["created"]), tx.now) + notice.quiet
    tx.connection.execute(
        insert(outbox).values(
            project=tx.project,
            key=notice.key,
            channel=notice.channel,
            occasion=notice.occasion,
            run_id=notice.run_id,
            body=body,
            status="waiting",
            attempts=0,
            created=tx.now,
            due=due,
            last_error="",
        )
    )
    facts = {"channel": notice.channel, "occasion": notice.occasion, "key": notice.key}
    tx.append("alert_queued", facts, run_id=notice.run_id)
    return True


def _told_lately(tx: Transaction, notice: Notice) -> Mapping[str, Any] | None:
    """The newest message of the topic, if it is the same news and not told long ago."""
    place = and_(
        outbox.c.project == tx.project,
        outbox.c.channel == notice.channel,
        outbox.c.status != "dropped",
        or_(
            outbox.c.status == "waiting",
            outbox.c.due.between(tx.now - notice.quiet, tx.now + _APART),
        ),
    )
    newest = select(outbox).where(place).order_by(outbox.c.created.desc(), outbox.c.due.desc())
    for row in tx.connection.execute(newest).all():
        if row.body.get("topic") == notice.topic:
            # Healthy again in between: it is news once more.
            return dict(row._mapping) if row.occasion == notice.occasion else None
    return None


def _count(tx: Transaction, told: Mapping[str, Any], notice: Notice) -> None:
    before = told["body"]
    body = {
        **notice.body,
        "topic": notice.topic,
        "count": before.get("count", 1) + 1,
        "first": before.get("first") or before.get("at", ""),
    }
    _change(tx, told["key"], body=body, run_id=notice.run_id)


def has_due(connection: Connection, project: str, now: datetime) -> bool:
    """Whether any alert is to be tried now."""
    found = select(outbox.c.key).where(_is_due(project, now)).limit(1)
    return connection.execute(found).one_or_none() is not None


def claim_due(
    tx: Transaction, now: datetime, *, hold: timedelta, limit: int, channel: str | None = None
) -> tuple[OutboxEntry, ...]:
    """Take the alerts that are due, oldest first, so that no other process sends them too.

    Args:
        hold: how long they stay taken when nothing more is heard, as after a crash.
        channel: only those of this channel.
    """
    query = select(outbox).where(_is_due(tx.project, now)).order_by(outbox.c.due, outbox.c.key)
    if channel is not None:
        query = query.where(outbox.c.channel == channel)
    rows = tx.connection.execute(query.limit(limit)).all()
    for row in rows:
        _change(tx, row.key, claimed_until=now + hold, created=min(row.created, now))
    return tuple(_entry(row._mapping) for row in rows)


def mark_delivered(tx: Transaction, key: str) -> None:
    """An alert arrived."""
    _change(tx, key, status="delivered", delivered=tx.now, claimed_until=None)
    row = _row(tx, key)
    count = 1 if row is None else row["body"].get("count", 1)
    _tell(tx, key, "alert_delivered", {"count": count} if count > 1 else {})


def mark_failed(tx: Transaction, key: str, error: str, *, due: datetime | None) -> None:
    """An alert did not arrive; it is tried again at ``due``, or never (None)."""
    row = _row(tx, key)
    if row is None:
        return
    status = "waiting" if due is not None else "dropped"
    _change(
        tx,
        key,
        status=status,
        attempts=row["attempts"] + 1,
        due=due or row["due"],
        claimed_until=None,
        last_error=error,
    )
    kind = "alert_failed" if due is not None else "alert_dropped"
    _tell(tx, key, kind, {"attempt": row["attempts"] + 1, "error": error})


def postpone(tx: Transaction, key: str, due: datetime) -> None:
    """Give an alert back that could not be tried: its channel takes no more for now."""
    _change(tx, key, due=due, claimed_until=None)


def sent_since(
    connection: Connection, project: str, channel: str, since: datetime
) -> tuple[datetime, ...]:
    """When alerts arrived on a channel after a time, oldest first; what came together is one."""
    place = and_(
        outbox.c.project == project, outbox.c.channel == channel, outbox.c.delivered > since
    )
    found = select(outbox.c.delivered).where(place).distinct().order_by(outbox.c.delivered)
    return tuple(connection.scalars(found))


def list_outbox(
    connection: Connection, project: str, status: OutboxStatus | None = None
) -> tuple[OutboxEntry, ...]:
    """The alerts, oldest first."""
    query = select(outbox).where(outbox.c.project == project)
    if status is not None:
        query = query.where(outbox.c.status == status)
    rows = connection.execute(query.order_by(outbox.c.created, outbox.c.key))
    return tuple(_entry(row._mapping) for row in rows)


def _is_due(project: str, now: datetime) -> ColumnElement[bool]:
    held = outbox.c.claimed_until
    free = or_(held.is_(None), held < now, held > now + _LONGEST_HOLD)
    due = or_(
        outbox.c.due <= now,
        outbox.c.created > now + _APART,
        and_(outbox.c.attempts > 0, outbox.c.due > now + _LONGEST_PAUSE),
    )
    return and_(outbox.c.project == project, outbox.c.status == "waiting", due, free)


def _row(tx: Transaction, key: str) -> Mapping[str, Any] | None:
    query = select(outbox).where(outbox.c.project == tx.project, outbox.c.key == key)
    row = tx.connection.execute(query).one_or_none()
    return None if row is None else dict(row._mapping)


def _change(tx: Transaction, key: str, **values: Any) -> None:
    place = (outbox.c.project == tx.project) & (outbox.c.key == key)
    tx.connection.execute(update(outbox).where(place).values(**values))


def _tell(tx: Transaction, key: str, kind: str, facts: Mapping[str, Any]) -> None:
    row = _row(tx, key)
    if row is not None:
        told = {"channel": row["channel"], "key": key, **facts}
        tx.append(kind, told, run_id=row["run_id"])


def _entry(row: Mapping[Any, Any]) -> OutboxEntry:
    return OutboxEntry(**{name: row[name] for name in OutboxEntry.__slots__})
