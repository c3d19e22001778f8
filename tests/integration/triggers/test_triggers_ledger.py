"""Gathering from a real ledger and writing decisions to it, tick after tick."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.triggers.decide import decide
from ratchet.triggers.facts import (
    Arrivals,
    DriftFacts,
    Facts,
    Measured,
    Observed,
    PerformanceFacts,
)
from ratchet.triggers.gather import gather
from ratchet.triggers.record import Recorded, record_decision, request_run
from ratchet.triggers.settings import TriggersSettings
from ratchet.triggers.verdicts import Decision, Fire

START = datetime(2026, 11, 21, 10, 17, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GATE = GateRecord("minimum", 0.8, 0.7, True, "", "")


class World:
    """A ledger, a clock, and a loop that forgets everything between two ticks."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        self.url = f"sqlite:///{folder / 'ledger.db'}"
        self.arrivals = Arrivals(1000, 0, False, "f1")
        self.observed: Observed | None = None
        self.ledger = self.open()

    def open(self) -> Ledger:
        return open_ledger(self.url, project="p", now=lambda: self.now)

    def facts(self, policy: TriggersSettings) -> Facts:
        return gather(self.ledger, policy, self.arrivals, self.observed, self.now)

    def tick(self, policy: TriggersSettings, before: Recorded | None = None) -> Decision:
        facts = self.facts(policy)
        decision = decide(policy, facts)
        self.recorded = record_decision(self.ledger, facts, decision, before)
        return decision

    def run(
        self, run_id: str, outcome: str = "promoted", fire: Fire | None = None, **given
    ) -> None:
        trigger = {} if fire is None else {"trigger_key": fire.key}
        self.ledger.start_run(run_id, trigger=fire.trigger if fire else "manual", **trigger)
        self.now += MINUTE
        if outcome in ("promoted", "rejected") and given.get("judged", True):
            self.ledger.record_gates(run_id, [GATE])
        summary = {"snapshot": {"rows": 1000}, "cpu_seconds": 1200}
        self.ledger.finish_run(run_id, outcome, "x", summary=summary)

    def events(self) -> int:
        return len(self.ledger.events(kind="trigger_evaluated"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()


def policy(**given: object) -> TriggersSettings:
    return TriggersSettings.model_validate(given)


def test_equal_decisions_are_counted_and_told_once_an_hour(world: World) -> None:
    world.run("r1")
    quiet, kept = policy(), None
    for _ in range(61):
        world.tick(quiet, kept)
        kept = world.recorded
        world.now += MINUTE
    assert world.events() == 2
    last = world.ledger.events(kind="trigger_evaluated")[-1].facts
    assert last["equal_before"] == 59
    assert last["verdict"] == "skip"
    world.arrivals = Arrivals(1600, 600, True, "f2")
    world.now += DAY
    world.tick(quiet, world.recorded)
    assert world.events() == 3
    assert world.recorded.news


def test_a_decision_without_its_run_is_made_again_and_one_with_it_never(world: World) -> None:
    world.run("r1")
    world.now += 2 * DAY
    world.arrivals = Arrivals(1600, 600, True, "f2")
    first = world.tick(policy()).verdict
    assert isinstance(first, Fire)
    # kill -9 before the run began
    assert not isinstance(world.tick(policy()).verdict, Fire)
    world.now += 3 * MINUTE
    again = world.tick(policy()).verdict
    assert isinstance(again, Fire)
    assert again.key == first.key
    assert world.facts(policy()).granted.attempts == 2
    world.run("r2", "failed", again)
    world.now += 5 * MINUTE
    assert not isinstance(world.tick(policy()).verdict, Fire)  # it waits before it tries again
    world.now += 15 * MINUTE
    retry = world.tick(policy()).verdict
    assert isinstance(retry, Fire)
    assert (retry.key, retry.trigger) == ("retry:r2", "new_rows")


def test_a_run_left_open_goes_on_with_the_settings_it_began_with(world: World) -> None:
    weekly = policy(schedule={"cron": "0 2 * * *", "set": {"training.update": "refit"}})
    world.run("r1")
    world.tick(weekly)
    world.now += DAY
    fire = world.tick(weekly).verdict
    assert isinstance(fire, Fire)
    world.ledger.start_run("r2", trigger=fire.trigger, trigger_key=fire.key)
    world.now += MINUTE
    resumed = world.tick(weekly).verdict
    assert isinstance(resumed, Fire)
    assert (resumed.resume, resumed.key) == ("r2", fire.key)
    assert resumed.overrides == {"training.update": "refit"}
    # While its process lives it is left alone.
    with world.ledger.lease("ratchet run"):
        assert "in progress" in decide(weekly, world.facts(weekly)).verdict.reason


def test_a_schedule_is_looked_at_from_the_first_tick_on(world: World) -> None:
    daily = policy(schedule="0 2 * * *", new_rows=None)
    world.run("r1")
    world.now += 5 * DAY
    assert not isinstance(world.tick(daily).verdict, Fire)  # it is new: nothing was missed
    world.now += 4 * DAY  # a laptop that slept
    fire = world.tick(daily).verdict
    assert isinstance(fire, Fire)
    world.run("r2", fire=fire)
    for _ in range(3):
        world.now += HOUR
        assert not isinstance(world.tick(daily).verdict, Fire)
    world.now -= 3 * DAY  # a clock that was put back
    for _ in range(4 * 24):
        verdict = world.tick(daily).verdict
        assert not isinstance(verdict, Fire) or verdict.key != fire.key
        world.now += HOUR


def test_requests_are_answered_once(world: World) -> None:
    world.run("r1")
    request_run(world.ledger, by="ann", reason="new prices")
    request_run(world.ledger, by="bob", reason="newer prices")
    fire = world.tick(policy()).verdict
    assert isinstance(fire, Fire)
    assert fire.reason == "asked for by bob: newer prices"
    world.run("r2", fire=fire)
    assert not isinstance(world.tick(policy()).verdict, Fire)


def test_the_cooldown(world: World) -> None:
    world.run("r1")
    started = START
    assert world.facts(policy()).cooldown_until == started + DAY
    assert world.facts(policy(cooldown="3d")).cooldown_until == started + 3 * DAY
    assert world.facts(policy(cooldown=None)).cooldown_until is None
    # A schedule that comes more often is not held back by it.
    often = policy(schedule="0 */6 * * *")
    assert world.facts(often).cooldown_until == started + 4.5 * HOUR
    world.observed = Observed(
        performance=PerformanceFacts(1, "roc_auc", label_lag=timedelta(days=9))
    )
    assert world.facts(policy()).cooldown_until == started + 9 * DAY
    world.run("r2", "skipped")
    assert world.facts(policy()).cooldown_until == started + 9 * DAY


def test_data_that_its_checks_refuse_is_no_training(world: World) -> None:
    world.run("r1")
    world.now += 9 * DAY
    world.run("r2", "rejected", judged=False)
    facts = world.facts(policy())
    assert facts.trained is not None
    assert facts.trained.run_id == "r1"
    assert facts.rejections == 0
    assert facts.cooldown_until == world.now + 15 * MINUTE


def test_the_budget_is_what_was_used_in_its_period(world: World) -> None:
    for number in range(3):
        world.run(f"r{number}")
        world.now += 10 * DAY
    world.run("r9", "skipped")
    spent = world.facts(policy(budget={"runs": 2, "cpu": "10h"})).spent
    assert (spent.runs, spent.cpu_minutes, spent.next_cpu_minutes) == (2, 40, 20)
    assert world.facts(policy(budget={"runs": 2, "per": "week"})).spent.runs == 0


def test_what_monitoring_found_is_kept_in_the_ledger(world: World) -> None:
    world.run("r1")
    measured = Measured(0.8, 0.01, 500, START, 1)
    seen = Observed(
        DriftFacts("w1", 0.2, 0.3, ("tenure",), True, 2, True, "tenure drifted"),
        PerformanceFacts(
            1, "roc_auc", {"roc_auc": (measured,)}, {"roc_auc": (measured, measured)},
            {"roc_auc": (measured,)}, {"roc_auc": 0.01}, 0.001, timedelta(days=2),
        ),
    )  # fmt: skip
    world.ledger.record("monitored", {**seen.to_json(), "champion": None, "notes": []})
    facts = world.facts(policy())
    assert (facts.drift, facts.performance) == (seen.drift, seen.performance)
    # Of a version that serves no longer nothing is heard.
    bundle = world.ledger.add_version("r1", "d" * 64, "bundles/x")
    world.ledger.deploy(bundle.version, expected_previous=None, by="t", reason="t", forced=True)
    assert world.facts(policy()).performance == seen.performance
    other = replace(seen, champion=7)
    world.ledger.record("monitored", other.to_json())
    facts = world.facts(policy())
    assert (facts.drift, facts.performance) == (None, None)


def test_a_cohort_whose_error_nobody_knows_says_nothing(world: World) -> None:
    told = {"value": 0.8, "se": float("nan"), "rows": 500, "until": START, "version": None}
    body = {
        "version": 1, "metric": "roc_auc", "cohorts": {"roc_auc": [told]}, "baselines": {},
        "estimated": {}, "estimator_error": {}, "growth": None, "label_lag": 86400.0,
    }  # fmt: skip
    world.run("r1")
    world.ledger.record("monitored", {"champion": None, "drift": None, "performance": body})
    seen = world.facts(policy()).performance
    assert seen is not None
    assert seen.cohorts == {"roc_auc": ()}
    assert seen.label_lag == DAY


def test_every_tick_survives_a_new_process(world: World) -> None:
    """The same story, the ledger opened anew for each tick: nothing is kept in memory."""
    story = policy(new_rows=100)
    world.run("r1")
    world.now += 2 * DAY
    world.arrivals = Arrivals(1200, 200, True, "f2")
    verdicts = []
    for _ in range(4):
        world.ledger.close()
        world.ledger = world.open()
        verdicts.append(world.tick(story).verdict)
        world.now += 30 * timedelta(seconds=1)
    assert [isinstance(verdict, Fire) for verdict in verdicts] == [True, False, False, False]
    assert world.ledger.verify_chain().intact
