"""Incidents that people record: what only users see is in no other event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ratchet import ids
from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.events import Event
from ratchet.ledger.tables import moment

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger

OPENED: Final = "incident_opened"
CLOSED: Final = "incident_closed"


@dataclass(frozen=True, slots=True)
class Report:
    """An incident as somebody recorded it.

    Attributes:
        version: which served when it began; None where none did.
        since: when users were hit first.
        recorded: when somebody said so.
        until: when users were hit no more; None while it is open.
    """

    incident: str
    version: int | None
    since: datetime
    recorded: datetime
    by: str
    reason: str
    until: datetime | None = None


def list_reports(told: Iterable[Event]) -> tuple[Report, ...]:
    """The incidents of events ``OPENED`` and ``CLOSED`` (of any order), oldest first."""
    events = sorted(told, key=lambda event: event.seq)
    ends: Mapping[str, Any] = {
        event.facts["incident"]: event.facts["until"] for event in events if event.kind == CLOSED
    }
    found = []
    for event in events:
        if event.kind == OPENED:
            facts = event.facts
            until = ends.get(facts["incident"])
            found.append(
                Report(
                    facts["incident"],
                    facts["version"],
                    moment(facts["since"]),
                    event.at,
                    facts["by"],
                    facts["reason"],
                    None if until is None else moment(until),
                )
            )
    return tuple(found)


def open_incident(ledger: Ledger, *, by: str, reason: str, since: datetime) -> Report:
    """Record that users are hit, since when, and why.

    Raises:
        UsageError: without a reason.
        ConflictError: another one is open.
    """
    _require_reason(reason)
    opened = _open_one(ledger)
    if opened is not None:
        raise ConflictError(
            f"An incident is open already: {opened.reason}",
            why=f"since {opened.since:%Y-%m-%d %H:%M} UTC",
            fix="close it first: ratchet incident close --reason WHY",
            code="incident_open",
        )
    served = ledger.who_served(since)
    version = None if served is None else served.version
    facts = {"incident": ids.token(), "version": version, "since": since}
    ledger.record(OPENED, {**facts, "by": by, "reason": reason})
    return _reports(ledger)[-1]


def close_incident(ledger: Ledger, *, by: str, reason: str, until: datetime) -> Report:
    """Record that users are hit no more.

    Raises:
        UsageError: none is open, it ends before it began, or without a reason.
    """
    _require_reason(reason)
    opened = _open_one(ledger)
    if opened is None:
        raise UsageError(
            "No incident is open",
            fix="record one with: ratchet incident open --reason WHAT",
            code="no_incident",
        )
    if until < opened.since:
        raise UsageError(
            "An incident cannot end before it began",
            why=f"it began at {opened.since:%Y-%m-%d %H:%M} UTC",
            fix="give a later time with --at",
            code="ends_early",
        )
    facts = {"incident": opened.incident, "version": opened.version, "until": until}
    ledger.record(CLOSED, {**facts, "by": by, "reason": reason})
    return next(one for one in _reports(ledger) if one.incident == opened.incident)


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError(
            "An incident is recorded with a reason", fix="say it: --reason", code="no_reason"
        )


def _reports(ledger: Ledger) -> tuple[Report, ...]:
    return list_reports((*ledger.events(kind=OPENED), *ledger.events(kind=CLOSED)))


def _open_one(ledger: Ledger) -> Report | None:
    return next((one for one in _reports(ledger) if one.until is None), None)
