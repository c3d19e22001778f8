"""What is wrong with a pipeline is found, with the day it began and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ratchet.ledger.results import GateRecord
from ratchet.ledger.runs import RunInputs
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.monitoring.health import arrival_limit, assess
from ratchet.monitoring.vitals import CODES, Backlog, Code, Problem, Pulse, Signs, show_span

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Clock:
    at: datetime = START

    def __call__(self) -> datetime:
        return self.at


@dataclass
class Past:
    """A ledger, and runs that take a while."""

    ledger: Ledger
    clock: Clock
    runs: int = 0

    def run(self, outcome: Any = "promoted", *, seconds: float = 60.0, **more: Any) -> str:
        self.runs += 1
        run_id = f"r{self.runs}"
        self.ledger.start_run(run_id, trigger="schedule", inputs=more.get("inputs"))
        for gate in more.get("gates", ()):
            self.ledger.record_gates(run_id, [gate])
        self.clock.at += timedelta(seconds=seconds)
        self.ledger.finish_run(run_id, outcome, more.get("reason", "because"))
        return run_id

    def problems(self, **signs: Any) -> dict[Code, Problem]:
        past = self.ledger.history(since=START - HOUR, now=self.clock.at)
        found = assess(past, Signs(**signs))
        assert {problem.code for problem in found.problems} <= set(found.looked_at)
        assert set(found.looked_at) | set(found.not_judged) == set(CODES)
        return {problem.code: problem for problem in found.problems}


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    clock = Clock()
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with open_ledger(url, project="churn", now=clock) as ledger:
        yield Past(ledger, clock)


def test_of_a_project_in_which_nothing_happened_nothing_is_claimed(past: Past) -> None:
    found = assess(past.ledger.history(since=START, now=START), Signs())
    assert found.healthy
    assert found.looked_at == ("stuck",)
    assert "no run has ended" in found.not_judged["failed"]
    assert found.to_json()["healthy"] is True


def test_failed_runs_in_a_row_are_counted_from_the_first(past: Past) -> None:
    past.run()
    assert "failed" not in past.problems()
    past.run("failed", reason="no rows")
    began = past.clock.at
    past.clock.at += HOUR
    past.run("failed", reason="disk full")
    found = past.problems()["failed"]
    assert found.what == "The last 2 runs failed: disk full"
    assert (found.since, found.evidence["in_a_row"]) == (began, 2)
    assert "ratchet show r3" in found.fix
    past.run("rejected")
    assert "failed" not in past.problems(), "a model that is rejected is no failure"


def test_a_slow_run_is_told_against_its_own_history(past: Past) -> None:
    for seconds in (60, 62, 58, 61, 300):
        past.run(seconds=seconds)
    past.run("skipped", seconds=0.1)
    past.run(seconds=500)
    assert "slow" not in past.problems(), "below twice the slowest so far"
    past.run(seconds=1001)
    found = past.problems()["slow"]
    assert found.what == "The run r8 took 16.7 min; 16.7 min is what runs like it suggest at most"
    assert found.evidence["limit"] == 1000
    past.run(seconds=60)
    assert "slow" not in past.problems()
    past.ledger.start_run("now", trigger="manual")
    past.clock.at += timedelta(hours=2)
    assert "has been running for 2 h" in past.problems()["slow"].what


def test_small_runs_may_vary(past: Past) -> None:
    for _ in range(6):
        past.run(seconds=1)
    past.run(seconds=59)
    assert "slow" not in past.problems()


def test_a_run_that_nobody_works_on_is_stuck(past: Past) -> None:
    with past.ledger.lease("ratchet run", ttl=2 * HOUR):
        past.ledger.start_run("left", trigger="manual")
        past.clock.at += HOUR
        assert past.problems() == {}
    found = past.problems()["stuck"]
    assert "left was left in the middle" in found.what
    assert found.fix == "go on with it: ratchet run --resume left"
    assert found.since == START


def test_below_minimum_in_the_gate_and_in_production(past: Past) -> None:
    gate = GateRecord("minimum.roc_auc", False, 0.71, 0.75, "roc_auc is 0.71, at least 0.75")
    past.run("rejected", gates=[gate])
    found = past.problems()["below_minimum"]
    assert found.what.endswith("roc_auc is 0.71, at least 0.75")
    past.run(gates=[GateRecord("minimum.roc_auc", True, 0.8, 0.75)])
    assert "below_minimum" not in past.problems()
    until = START + HOUR
    cohort = {"value": 0.7, "se": 0.01, "rows": 900, "until": until.isoformat(), "version": None}
    loss = cohort | {"value": 0.5}
    observed = {"performance": {"cohorts": {"roc_auc": [cohort], "log_loss": [loss]}}}
    past.ledger.record("monitored", observed)
    minimum = {"roc_auc": (0.75, True), "log_loss": (0.6, False)}
    found = past.problems(minimum=minimum)["below_minimum"]
    assert "roc_auc is 0.7 on the newest labelled predictions" in found.what
    assert found.since == until
    assert "below_minimum" not in past.problems(minimum={"log_loss": (0.6, False)})
    assert "below_minimum" in past.problems(minimum={"log_loss": (0.4, False)})


def test_data_that_stays_away(past: Past) -> None:
    arrivals = tuple(START + HOUR * number for number in (0, 24, 49, 72, 96))
    past.clock.at = arrivals[-1] + 70 * HOUR
    assert "no_data" not in past.problems(arrivals=arrivals)
    past.clock.at = arrivals[-1] + 73 * HOUR
    found = past.problems(arrivals=arrivals)["no_data"]
    assert found.what == "No new data for 3.04 days; 3 days is the most by what is usual here"
    assert found.since == arrivals[-1] + 72 * HOUR
    late = past.problems(arrivals=arrivals[:1], max_age=150 * HOUR)["no_data"]
    assert late.what.endswith("by checks.max_age")
    # A week without news is usual where it happened before.
    rare = (START - 200 * HOUR, *arrivals)
    assert arrival_limit(rare) == 200 * HOUR + timedelta(minutes=1)
    assert arrival_limit(arrivals[:3]) is None


def test_without_the_lake_the_runs_tell_when_data_came(past: Past) -> None:
    for version in (0, 1, 1, 2, 3):
        past.run(inputs=RunInputs(snapshot_version=version))
        past.clock.at += 24 * HOUR
    assert past.problems() == {}
    past.clock.at += 200 * HOUR
    assert set(past.problems()) == {"no_data"}


def test_a_loop_that_is_gone_or_hangs(past: Past) -> None:
    every = timedelta(minutes=1)
    alive = Pulse(START, every, alive=True)
    past.clock.at = START + timedelta(minutes=4)
    assert past.problems(loop=alive) == {}
    past.clock.at = START + timedelta(minutes=10)
    assert "is hanging: its last tick was 10 min ago" in past.problems(loop=alive)["loop"].what
    gone = Pulse(START, every, alive=False)
    assert past.problems(loop=gone)["loop"].fix == "start it: ratchet loop"


def test_a_log_that_is_not_moved(past: Past) -> None:
    past.clock.at = START + HOUR

    def log(size: int, age: float) -> Backlog:
        return Backlog(size, past.clock.at - age * HOUR, timedelta(minutes=1), 1000)

    assert past.problems(log=log(100, 0.2)) == {}
    assert "waiting for the lake for 60 min" in past.problems(log=log(100, 1))["compaction"].what
    assert "log is 90% full" in past.problems(log=log(900, 0))["compaction"].what
    assert past.problems(log=Backlog(100, None, HOUR, 1000)) == {}


def test_a_server_that_is_not_ready(past: Past) -> None:
    assert past.problems(server="") == {}
    assert "it answers 503" in past.problems(server="it answers 503")["server"].what
    run_id = past.run(gates=[GateRecord("minimum.f1", True)])
    past.ledger.add_version(run_id, "digest", "bundles/1")
    record = past.ledger.deploy(1, expected_previous=None, by="a", reason="b", run_id=run_id).seq
    past.ledger.note_serving(record, 1, "recipe.json is missing")
    assert "Version 1 does not load" in past.problems()["server"].what
    past.ledger.note_serving(record, 1, "")
    assert past.problems() == {}


@dataclass(frozen=True)
class Told:
    key: str
    channel: str = "team"
    occasion: str = "failed"
    run_id: str | None = None
    body: Any = None
    topic: str = ""
    quiet: timedelta = timedelta(0)


def test_alerts_that_do_not_arrive(past: Past) -> None:
    past.ledger.enqueue([Told("k1", body={}), Told("k2", body={})])
    past.ledger.mark_failed("k1", "h answered 500", due=START + HOUR)
    past.clock.at = START + timedelta(minutes=20)
    assert past.problems() == {}
    past.clock.at = START + timedelta(minutes=40)
    found = past.problems()["alerts"]
    assert found.what == "Alerts do not arrive (2 waiting, 0 given up): h answered 500"
    past.ledger.mark_delivered("k1")
    assert past.problems() == {}


def test_what_changes_is_told_once(past: Past) -> None:
    heard: list[tuple[list[str], list[str]]] = []

    def note(*codes: str) -> bool:
        def notices(seq: int, new: Any, gone: Any) -> tuple[()]:
            heard.append((list(new), list(gone)))
            return ()

        return past.ledger.note_problems({code: f"{code}!" for code in codes}, notices)

    assert [note(), note("slow"), note("slow"), note("slow", "loop"), note("loop"), note()] == [
        False,
        True,
        False,
        True,
        True,
        True,
    ]
    assert heard == [(["slow"], []), (["loop"], []), ([], ["slow"]), ([], ["loop"])]
    past_ = past.ledger.history(since=START, now=past.clock.at)
    assert [event.facts["problems"] for event in past_.episodes][-1] == {}


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.5, "0.5 s"), (90, "90 s"), (600, "10 min"), (2e5, "2.31 days")]
)
def test_a_span_is_said_as_people_do(seconds: float, said: str) -> None:
    assert show_span(timedelta(seconds=seconds)) == said
