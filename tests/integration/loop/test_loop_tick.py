"""One look at a project: each part does its work, and none keeps the others from theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loop_project import make_project
from ratchet import clock
from ratchet.errors import StorageError
from ratchet.ledger.store import Ledger
from ratchet.loop import tick as ticking
from ratchet.loop.beat import Held, hold
from ratchet.loop.look import FOLDER, Done, Look
from ratchet.loop.tick import FAULT, PARTS, RECOVERED, tick
from ratchet.project import Project, load_project
from ratchet.triggers import decide as deciding
from ratchet.triggers.facts import Facts
from ratchet.triggers.verdicts import Decision, Investigate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALERTS = "alerts: [{url: 'http://127.0.0.1:9/', on: [unhealthy]}]\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(make_project(tmp_path / "p", extra=ALERTS), variables={})


def replace(monkeypatch: pytest.MonkeyPatch, name: str, part: Callable[[Look], object]) -> None:
    parts = tuple((one, part if one == name else kept) for one, kept in PARTS)
    assert parts != PARTS
    monkeypatch.setattr(ticking, "PARTS", parts)
    monkeypatch.setattr(ticking, "LAST", ("alerts", lambda look: None))


@pytest.mark.parametrize(
    "error",
    [StorageError("The lake is away", why="no route"), OSError(28, "No space left"), KeyError("x")],
    ids=["fault", "system", "bug"],
)
def test_a_part_that_fails_is_told_of_and_the_others_work(
    error: Exception, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(look: Look) -> None:
        raise error

    replace(monkeypatch, "log", fail)
    told = []
    for minutes in range(4):
        report = tick(project, NOW + timedelta(minutes=minutes))
        assert set(report.faults) == {"log"}
        assert report.decision is not None
        with project.open_ledger() as ledger:
            told.append(sum("log failed" in one.body["reason"] for one in ledger.outbox()))
    assert told == [0, 0, 1, 1], "people hear of what stays, once"
    replace(monkeypatch, "log", lambda look: None)
    assert not tick(project, NOW + timedelta(hours=1)).faults
    with project.open_ledger() as ledger:
        kinds = [event.kind for event in ledger.events() if event.kind in (FAULT, RECOVERED)]
        assert kinds == [FAULT, RECOVERED]
        occasions = [one.occasion for one in ledger.outbox() if "log" in one.body["reason"]]
        assert occasions == ["unhealthy", "recovered"]
        assert ledger.verify_chain().intact


def test_another_fault_of_a_part_is_another_event(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what in ("one", "one", "two"):

        def fail(look: Look, what: str = what) -> None:
            raise StorageError(what)

        replace(monkeypatch, "collect", fail)
        tick(project, NOW)
    with project.open_ledger() as ledger:
        found = [event.facts["error"]["what"] for event in ledger.events(kind=FAULT)]
    assert found == ["one", "two"]


def test_a_look_wakes_at_the_earliest_of_its_times(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wake(look: Look) -> Done:
        for minutes in (50, 5, 20):
            look.wake(NOW + timedelta(minutes=minutes))
        return Done("woken", {"times": 3})

    replace(monkeypatch, "log", wake)
    report = tick(project, NOW)
    assert report.wake == NOW + timedelta(minutes=5)
    assert report.to_json()["did"]["log"] == {"says": "woken", "times": 3}


@pytest.mark.parametrize(("rule", "occasion"), [("drift", "drift"), ("regret", "performance")])
def test_people_hear_of_what_falls_once(
    rule: str, occasion: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = "alerts: [{url: 'http://127.0.0.1:9/', on: [drift, performance]}]\n"
    project = load_project(make_project(tmp_path / "p", extra=alerts), variables={})

    def decide(policy: object, facts: Facts) -> Decision:
        return Decision(Investigate("tenure moved", f"{rule}:1", rule, True), (), {}, {})

    monkeypatch.setattr(deciding, "decide", decide)
    monkeypatch.setattr(ticking, "LAST", ("alerts", lambda look: None))
    record = Ledger.record

    def die(ledger: Ledger, kind: str, facts: Any, *, run_id: str | None = None) -> int:
        if kind == "trigger_evaluated":
            raise StorageError("as good as killed")
        return record(ledger, kind, facts, run_id=run_id)

    monkeypatch.setattr(Ledger, "record", die)
    tick(project, NOW)
    monkeypatch.setattr(Ledger, "record", record)
    for minutes in (1, 2, 3):
        report = tick(project, NOW + timedelta(minutes=minutes))
    assert report.decision is not None
    assert report.decision["verdict"] == "investigate"
    with project.open_ledger() as ledger:
        (told,) = ledger.outbox()
        assert told.occasion == occasion
        assert len(ledger.events(kind="trigger_evaluated")) == 1


def test_a_look_that_takes_long_is_no_loop_that_hangs(project: Project) -> None:
    now = clock.now()
    held = hold(project.state / FOLDER, now, 30.0)
    assert isinstance(held, Held)
    try:
        # It began ten minutes ago: the parts before the check had much to read.
        done = tick(project, now - timedelta(minutes=10)).did.get("health")
    finally:
        held.release()
    assert done is None or not any("loop" in problem for problem in done.facts["problems"])


def test_looks_at_a_quiet_project_write_nothing(project: Project) -> None:
    tick(project, NOW)
    first = tick(project, NOW + timedelta(minutes=1))
    second = tick(project, NOW + timedelta(minutes=2))
    assert first.position == second.position
    assert second.faults == {}
    assert second.did == {}
