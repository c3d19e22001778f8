"""When a schedule is due: cron in a time zone, read by CronSim, which does what Debian's cron does.

A schedule that names its hours keeps to the clock on the wall: where the clock is put forward over
its time it fires at the first minute after the gap, and where an hour comes twice it fires in the
first of the two. A schedule of every hour keeps to real time: it fires in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_RANGES = ("0-59", "0-23")
# No clock was ever put back by more.
_SHIFT = timedelta(hours=3)
_MINUTE = timedelta(minutes=1)


def check_cron(text: str) -> str:
    """``text`` as it is, if it is five fields or a word such as ``@daily``.

    Raises:
        ValueError: it is not, or no day ever matches.
    """
    try:
        next(CronSim(_fields(text), datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(
            f"{text!r} is no schedule ({str(error).lower()}): write minute, hour, day of month, "
            "month and day of week, such as '0 2 * * 0' for Sundays at 02:00, or @daily"
        ) from None
    except (StopIteration, RuntimeError):
        raise ValueError(f"{text!r} is no schedule: no such day ever comes") from None
    return text


def check_zone(name: str) -> str:
    """``name`` as it is, if it is a time zone.

    Raises:
        ValueError: nobody knows it.
    """
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone: write one such as Europe/Berlin") from None
    return name


@lru_cache(maxsize=4096)
def newest_due(cron: str, zone: str, at: datetime) -> datetime | None:
    """The last time at or before ``at``, UTC; None in the fifty years before it."""
    where = _zone(zone)
    limit = at + _SHIFT if _shifts(where, at) else at
    # CronSim looks for times before the one it is given, and a due minute counts at once.
    times = CronSim(_fields(cron), (limit + _MINUTE).astimezone(where), reverse=True)
    return next((due for due in _utc(times) if due <= at), None)


@lru_cache(maxsize=4096)
def next_due(cron: str, zone: str, at: datetime) -> datetime | None:
    """The first time after ``at``, UTC; None in the fifty years after it."""
    where = _zone(zone)
    start = at - _SHIFT if _shifts(where, at) else at
    times = CronSim(_fields(cron), start.astimezone(where))
    return next((due for due in _utc(times) if due > at), None)


def shortest_gap(schedules: Sequence[tuple[str, str]], at: datetime) -> timedelta | None:
    """The least time between two of the next times of the same schedule; None without one.

    Args:
        schedules: cron and time zone of each.
    """
    gaps = []
    for cron, zone in schedules:
        # Counted from the start of a day, so that asking again within it gives the same.
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        gaps.append(_gap(cron, zone, day))
    return min((gap for gap in gaps if gap is not None), default=None)


@lru_cache(maxsize=1024)
def _gap(cron: str, zone: str, at: datetime) -> timedelta | None:
    times = _utc(CronSim(_fields(cron), at.astimezone(_zone(zone))))
    first = list(islice(times, 9))
    return min((b - a for a, b in pairwise(first) if b > a), default=None)


def _fields(text: str) -> str:
    """Five fields; what names hours is written out, so that it keeps to the wall's clock."""
    fields = _WORDS.get(text.strip().lower(), text).split()
    if len(fields) != len(_WORDS["@daily"].split()):
        raise CronSimError("Wrong number of fields")
    if fields[1] != "*":
        for place, full in enumerate(_RANGES):
            parts = fields[place].split(",")
            fields[place] = ",".join(
                full + part[1:] if part.startswith("*") else part for part in parts
            )
    return " ".join(fields)


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _shifts(zone: tzinfo, at: datetime) -> bool:
    """Whether the zone's clock is put forward or back around ``at``."""
    before, after = (at - _SHIFT).astimezone(zone), (at + _SHIFT).astimezone(zone)
    return before.utcoffset() != after.utcoffset()


def _utc(times: CronSim) -> Iterator[datetime]:
    for due in times:
        yield due.astimezone(UTC)
