"""When a project is looked at: what moved, what is due, and what must rest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loop_project import make_project
from ratchet import clock
from ratchet.loop.beat import Beat, Held, hold, read_beat
from ratchet.loop.look import Look
from ratchet.loop.projects import Opening
from ratchet.loop.wards import Ward

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "monotonic", made)
    return made


def looked_at(root: Path) -> Ward:
    ward = Ward(root)
    assert ward.read(Opening())
    assert ward.watched is not None
    ward.head, ward.signs = 7, ward.watched.signs()
    ward.look_by = clock.monotonic() + 100
    return ward


def test_a_project_is_looked_at_when_it_moved_or_its_time_came(
    tmp_path: Path, passing: Clock
) -> None:
    ward = looked_at(make_project(tmp_path / "p"))
    signs = ward.signs
    assert signs is not None
    assert not ward.wants(NOW, 7, signs)
    assert ward.wants(NOW, 8, signs)
    assert ward.wants(NOW, 7, signs[:-1])
    ward.wake = NOW + timedelta(minutes=1)
    assert not ward.wants(NOW, 7, signs)
    assert ward.wants(NOW + timedelta(minutes=1), 7, signs)
    ward.wake = None
    passing.at += 101
    assert ward.wants(NOW, 7, signs)


def test_what_fails_rests_ever_longer_and_at_most_a_quarter_of_an_hour(
    tmp_path: Path, passing: Clock
) -> None:
    ward = looked_at(make_project(tmp_path / "p"))
    rests = []
    for _ in range(9):
        ward.fail({"what": "no"}, "fault")
        assert not ward.wants(NOW, 8, ())
        rests.append(ward.rests - passing.at)
        passing.at = ward.rests
        assert ward.wants(NOW, 8, ())
    assert rests == [15, 30, 60, 120, 240, 480, 900, 900, 900]


def test_settings_that_cannot_be_read_are_read_again_when_they_change(
    tmp_path: Path, passing: Clock
) -> None:
    root = make_project(tmp_path / "p")
    ward = looked_at(root)
    good = (root / "ratchet.yaml").read_text()
    (root / "ratchet.yaml").write_text("project: [")
    assert ward.read(Opening())
    assert (ward.watched, ward.state) == (None, "unreadable")
    assert ward.fault is not None
    assert ward.fault["code"] == "config"
    assert not ward.read(Opening()), "nothing changed"
    passing.at += 301
    assert ward.read(Opening()), "a secret may have come into the environment"
    (root / "ratchet.yaml").write_text(good)
    assert ward.read(Opening())
    assert ward.watched is not None
    assert (ward.fault, ward.faults) == (None, 0)


def test_one_loop_holds_a_project_and_says_so(tmp_path: Path) -> None:
    first = hold(tmp_path, NOW, 30.0)
    assert isinstance(first, Held)
    first.tick(NOW + timedelta(seconds=30))
    second = hold(tmp_path, NOW, 30.0)
    assert isinstance(second, Beat)
    assert second.alive
    assert second.ticked == NOW + timedelta(seconds=30)
    assert second.describe().startswith("process ")
    first.release()
    left = read_beat(tmp_path)
    assert left is not None
    assert not left.alive
    third = hold(tmp_path, NOW, 30.0)
    assert isinstance(third, Held)
    third.release()
    assert read_beat(tmp_path / "nowhere") is None


def test_a_single_tick_is_no_loop_that_stopped(tmp_path: Path) -> None:
    alone = hold(tmp_path, NOW, 30.0, once=True)
    assert isinstance(alone, Held)
    during = read_beat(tmp_path)
    assert during is not None
    assert during.alive, "while it works it holds the project as any other"
    alone.tick(NOW + timedelta(seconds=1))
    alone.release()
    assert read_beat(tmp_path) is None
    loop = hold(tmp_path, NOW, 30.0)
    assert isinstance(loop, Held)
    loop.release()
    for minutes in (10, 20):
        again = hold(tmp_path, NOW + timedelta(minutes=minutes), 30.0, once=True)
        assert isinstance(again, Held)
        again.release()
    left = read_beat(tmp_path)
    assert left is not None
    assert left.ticked == NOW, "that the loop ended is not hidden by single ticks after it"


def look(now: datetime, memory: dict[str, Any]) -> Look:
    return Look(None, None, now, memory)  # type: ignore[arg-type]


def test_what_is_done_every_so_often_is_not_lost_when_the_clock_is_set(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    memory: dict[str, Any] = {}
    first = look(NOW, memory)
    assert first.due("it", hour)
    first.done("it")
    soon = look(NOW + hour / 2, memory)
    assert not soon.due("it", hour)
    soon.again("it", hour)
    assert soon.wakes == [NOW + hour]
    assert look(NOW + hour, memory).due("it", hour)
    assert look(NOW - 30 * hour, memory).due("it", hour), "the clock was put back"
    assert look(NOW + 900 * hour, memory).due("it", hour), "the machine slept"
    memory["it"] = "no time at all"
    assert look(NOW, memory).due("it", hour)
