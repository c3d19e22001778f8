"""Times as they are written on a command line."""

from __future__ import annotations

from datetime import UTC, datetime

from ratchet.errors import UsageError


def parse_moment(text: str) -> datetime:
    """An ISO time, in UTC unless it says otherwise.

    Raises:
        UsageError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time", fix="write it like 2026-11-21T03:00 or 2026-11-21T03:00+01:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
