from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ratchet.triggers.schedule import newest_due, next_due, shortest_gap

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_time_that_the_clock_jumps_over_comes_in_the_minute_after() -> None:
    # 2026-03-29: 02:00 becomes 03:00 in Berlin, at 01:00 UTC.
    assert next_due("30 2 * * *", BERLIN, at("2026-03-29T00:00")) == at("2026-03-29T01:00")
    assert newest_due("30 2 * * *", BERLIN, at("2026-03-29T01:05")) == at("2026-03-29T01:00")
    assert next_due("*/20 2 * * *", BERLIN, at("2026-03-28T02:00")) == at("2026-03-29T01:00")
    assert next_due("30 2 * * *", BERLIN, at("2026-03-29T01:00")) == at("2026-03-30T00:30")


def test_a_time_that_comes_twice_counts_once() -> None:
    # 2026-10-25: 03:00 becomes 02:00 in Berlin, at 01:00 UTC.
    first = at("2026-10-25T00:30")
    assert next_due("30 2 * * *", BERLIN, at("2026-10-25T00:00")) == first
    for later in ("2026-10-25T01:10", "2026-10-25T01:30", "2026-10-25T12:00"):
        assert newest_due("30 2 * * *", BERLIN, at(later)) == first
    assert next_due("30 2 * * *", BERLIN, first) == at("2026-10-26T01:30")


def test_every_hour_is_every_hour() -> None:
    due, found = at("2026-10-24T23:30"), []
    for _ in range(4):
        due = next_due("0 * * * *", BERLIN, due)
        assert due is not None
        found.append(due.hour)
    assert found == [0, 1, 2, 3]


def test_words_and_names() -> None:
    assert next_due("@weekly", "UTC", at("2026-11-21T10:00")) == at("2026-11-22T00:00")
    assert next_due("0 9 * * mon-fri", "UTC", at("2026-11-21T10:00")) == at("2026-11-23T09:00")
    assert next_due("0 0 29 feb *", "UTC", at("2026-01-01T00:00")) == at("2028-02-29T00:00")


def test_the_shortest_pause() -> None:
    pairs = [("0 2 * * 0", "UTC"), ("0 */6 * * *", "UTC")]
    assert shortest_gap(pairs, at("2026-11-21T10:17")) == timedelta(hours=6)
    assert shortest_gap([], at("2026-11-21T10:17")) is None
