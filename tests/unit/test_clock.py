from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ratchet import clock

MARCH = datetime(2025, 3, 1, 9, tzinfo=UTC)
SOON = timedelta(seconds=60)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "clock"
    monkeypatch.setenv(clock.VARIABLE, f"@{made}")
    return made


def test_a_file_holds_the_clock_and_lets_it_jump(file: Path) -> None:
    clock.turn(file, MARCH, 0)
    assert clock.now() == clock.now() == MARCH
    assert clock.speed() == 0
    assert clock.micros() == round(MARCH.timestamp() * 1e6)
    april = MARCH + timedelta(days=31)
    clock.turn(file, april, 1)
    # The machine's own clock may be set back a little in between.
    assert april - SOON < clock.now() < april + SOON
    assert clock.now() < clock.now() + timedelta(microseconds=1)


def test_another_process_sees_the_same_time(file: Path) -> None:
    clock.turn(file, MARCH, 0)
    said = subprocess.run(
        [sys.executable, "-c", "from ratchet import clock; print(clock.now().isoformat())"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert datetime.fromisoformat(said.stdout.strip()) == MARCH


def test_a_file_that_is_gone_leaves_the_time_it_told(file: Path) -> None:
    clock.turn(file, MARCH, 0)
    assert clock.now() == MARCH
    file.unlink()
    assert clock.now() == MARCH


def test_a_file_that_was_never_there_is_told_of(file: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        clock.now()


def test_a_file_without_a_time_is_told_of(file: Path) -> None:
    file.write_text("noon")
    with pytest.raises(ValueError, match=r"START@REAL\*SPEED"):
        clock.now()


def test_time_that_runs_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(clock.VARIABLE, clock.describe(MARCH, 3600))
    first = clock.now()
    assert MARCH - SOON <= first < MARCH + timedelta(days=2)
    assert clock.now() > first
    monkeypatch.delenv(clock.VARIABLE)
    assert clock.speed() == 1
    assert clock.now() > datetime(2026, 1, 1, tzinfo=UTC)
