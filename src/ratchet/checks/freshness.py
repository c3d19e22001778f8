"""Built-in checks of time: how old the newest row is, and whether it is still to come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ratchet.checks.report import CheckResult
from ratchet.checks.subject import Probe, Subject, finding, severity_of
from ratchet.config.durations import parse_duration

_TIMES = ("date", "datetime")


def probe_time(subject: Subject, now: datetime, modified: datetime | None) -> Probe:
    """The newest row is young enough, and not from the future.

    Args:
        subject: the data under test.
        now: the time of the check.
        modified: when the source's newest file was written; used where no time column is.
    """
    table, name = subject.table, subject.data.time
    timed = name is not None and name in table.types and table.kind(name) in _TIMES
    if not timed:
        return Probe({}, lambda _: _untimed(subject, _naive(now), modified))
    assert name is not None

    def judge(values: Mapping[str, Any]) -> Iterable[CheckResult]:
        newest = values["newest"]
        latest = None if newest is None else _moment(newest)
        if subject.settings.max_age is not None:
            yield _fresh(subject, _naive(now), latest, f"the newest row by `{name}`")
        if subject.settings.future.severity != "off" and latest is not None:
            yield _future(subject, _naive(now), newest)

    return Probe({"newest": table.value(name).max()}, judge)


def _untimed(subject: Subject, now: datetime, modified: datetime | None) -> Iterable[CheckResult]:
    if subject.settings.max_age is None:
        return
    latest = None if modified is None else _naive(modified)
    yield _fresh(subject, now, latest, "the source's newest file")


def _fresh(subject: Subject, now: datetime, latest: datetime | None, noun: str) -> CheckResult:
    limit = subject.settings.max_age
    assert limit is not None
    expected = f"not older than {limit}"
    if latest is None:
        message = (
            "how old the data is cannot be told: there is no time column of dates (data.time) "
            "with values, and no file with a date; set checks.max_age to null to go without"
        )
        return finding("freshness", "error", False, message, rows=subject.rows, expected=expected)
    age = max(now - latest, timedelta(0))
    fresh = age <= parse_duration(limit)
    message = f"{noun} is {_words(age)} old"
    if not fresh:
        message += f", more than checks.max_age ({limit}); look whether the ingest still works"
    return finding(
        "freshness", "error", fresh, message, rows=subject.rows, column=subject.data.time,
        observed=latest.isoformat(), expected=expected,
    )  # fmt: skip


def _future(subject: Subject, now: datetime, newest: date) -> CheckResult:
    check, name = subject.settings.future, subject.data.time
    assert name is not None
    start = newest if isinstance(newest, datetime) else datetime.combine(newest, time())
    limit = now + parse_duration(check.tolerance)
    early = start <= limit
    message = f"`{name}` holds no time that is still to come"
    examples: tuple[str | int, ...] = ()
    if not early:
        bound = limit if isinstance(newest, datetime) else limit.date()
        examples = subject.examples(subject.table.value(name) > bound)
        message = f"`{name}` reaches into the future, up to {newest}; look at clocks and formats"
    return finding(
        "future", severity_of(check), early, message, rows=subject.rows, column=name,
        observed=newest.isoformat(), expected=f"at most {check.tolerance} ahead of now",
        examples=examples,
    )  # fmt: skip


def _moment(newest: date) -> datetime:
    """The newest row's time; a date stands for any time of its day, so its end is taken."""
    if isinstance(newest, datetime):
        return newest
    return datetime.combine(newest + timedelta(days=1), time())


def _naive(at: datetime) -> datetime:
    """A time as the lake holds it: UTC, without a zone."""
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def _words(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{int(age.total_seconds() // 60)} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{age.days:,} days"
