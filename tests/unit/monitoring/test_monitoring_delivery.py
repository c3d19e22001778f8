"""DORA's measures of a past whose numbers are known by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from ratchet.errors import ConflictError, StorageError, UsageError
from ratchet.ledger.history import SOURCE, History
from ratchet.ledger.incidents import close_incident, open_incident
from ratchet.ledger.results import GateRecord
from ratchet.ledger.rollouts import Begin, Move
from ratchet.ledger.runs import RunInputs
from ratchet.ledger.steps import Step
from ratchet.ledger.store import Ledger, open_ledger
from ratchet.monitoring.delivery import UNPLANNED, WINDOW, Rate, measure_delivery, spread_of
from ratchet.monitoring.telemetry import LedgerMetrics, tell
from ratchet.monitoring.vitals import Pulse, Signs
from ratchet.triggers.settings import RULES

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    at: datetime = START

    def __call__(self) -> datetime:
        return self.at


@dataclass
class World:
    """A project whose runs and deployments happen at known times."""

    ledger: Ledger
    clock: Clock
    versions: list[int] = field(default_factory=list)

    def train(self, trigger: str = "schedule", *, queue: timedelta = HOUR) -> int:
        """Decide, wait ``queue``, train for 2 h, judge for 1 h; the new version."""
        number = len(self.versions) + 1
        key, run_id = f"key{number}", f"r{number}"
        granted = {"key": key, "at": self.clock.at.isoformat()}
        self.ledger.record("trigger_evaluated", {"verdict": "fire", "granted": granted})
        self.clock.at += queue
        inputs = RunInputs(snapshot_version=number)
        self.ledger.start_run(run_id, trigger=trigger, trigger_key=key, inputs=inputs)
        for name, hours in (("train", 2.0), ("gate", 1.0)):
            self.clock.at += hours * HOUR
            self.ledger.record_step(Step(run_id, name, "done", seconds=hours * 3600.0))
        self.ledger.record_gates(run_id, [GateRecord("minimum.f1", True)])
        version = self.ledger.add_version(run_id, f"digest{number}", "bundles").version
        self.ledger.finish_run(run_id, "candidate", "good")
        self.versions.append(version)
        return version

    def promote(self, version: int) -> None:
        champion = self.ledger.champion()
        before = None if champion is None else champion.version
        self.ledger.deploy(
            version, expected_previous=before, by="rollout", reason="better", run_id=f"r{version}"
        )

    def roll_back(self) -> None:
        champion = self.ledger.champion()
        assert champion is not None
        self.ledger.deploy(
            self.ledger.previous_champion(),
            expected_previous=champion.version,
            by="anna",
            reason="complaints",
            action="rollback",
        )

    def past(self) -> History:
        return self.ledger.history(since=self.clock.at - WINDOW, now=self.clock.at)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with open_ledger(url, project="churn", now=clock) as ledger:
        yield World(ledger, clock)


def test_an_empty_ledger_has_no_measures(world: World) -> None:
    found = measure_delivery(world.past())
    assert (found.deployments, found.per_week, found.change_failure.share) == (0, 0.0, None)
    assert (found.lead_time.count, found.recovery.median) == (0, None)


def test_lead_time_and_its_parts(world: World) -> None:
    for queue, rollout in ((1, 2), (3, 4)):
        arrived = {len(world.versions) + 1: world.clock.at - 5 * HOUR}
        version = world.train(queue=queue * HOUR)
        world.clock.at += rollout * HOUR
        world.promote(version)
        found = measure_delivery(world.past(), arrived)
    assert found.lead_time.median == (6 + 10) / 2 * 3600
    assert found.lead_time.p90 == 10 * 3600
    medians = {name: (spread.median or 0.0) / 3600 for name, spread in found.parts.items()}
    assert medians == {"queue": 2, "train": 2, "gate": 1, "rollout": 3}
    assert found.data_age.median == 15 * 3600
    # Promoted again by hand, a version takes no time to make.
    world.ledger.deploy(1, expected_previous=2, by="anna", reason="again", forced=True)
    again = measure_delivery(world.past())
    assert (again.deployments, again.lead_time.count) == (3, 2)


def test_a_model_that_its_run_promotes_is_not_rolled_out(world: World) -> None:
    version = world.train()
    world.clock.at += timedelta(seconds=11)
    world.ledger.deploy(
        version, expected_previous=None, by="run", reason="better", run_id=f"r{version}"
    )
    found = measure_delivery(world.past())
    assert found.parts["rollout"].count == 0
    assert found.parts["gate"].median == 3600 + 11


def test_a_run_that_a_person_asked_for_waits_for_nobody(world: World) -> None:
    world.ledger.start_run("r1", trigger="manual")
    world.ledger.record_gates("r1", [GateRecord("minimum.f1", True)])
    version = world.ledger.add_version("r1", "digest", "bundles").version
    world.versions.append(version)
    world.clock.at += HOUR
    world.ledger.finish_run("r1", "promoted", "good")
    world.promote(version)
    found = measure_delivery(world.past())
    assert found.lead_time.median == 3600
    assert found.parts["queue"].median == 0


@pytest.mark.parametrize(
    ("trigger", "part"),
    [("new_rows+max_age", 0), ("performance+new_rows", 1), ("new_rows+estimated", 1), ("drift", 0)],
)
def test_a_run_that_several_rules_set_off_is_rework_if_one_of_them_is_unplanned(
    world: World, trigger: str, part: int
) -> None:
    world.promote(world.train(trigger))
    assert measure_delivery(world.past()).rework == Rate(part, 1)


def test_the_unplanned_triggers_are_rules_that_there_are() -> None:
    assert set(RULES) >= UNPLANNED


def test_failures_recovery_and_rework(world: World) -> None:
    world.promote(world.train())  # 1, good
    world.clock.at += 10 * DAY
    world.promote(world.train())  # 2, taken back after 3 h
    world.clock.at += 3 * HOUR
    world.roll_back()
    world.clock.at += DAY
    world.promote(world.train("performance"))  # 3, answers the incident
    world.clock.at += 40 * DAY
    world.promote(world.train())  # 4, taken back after 31 days: that is no failed change
    world.clock.at += 31 * DAY
    world.roll_back()
    found = measure_delivery(world.past())
    assert found.change_failure == Rate(1, 4)
    assert found.pending == 0
    (incident,) = found.incidents
    assert (incident.version, incident.by, incident.reason) == (2, "anna", "complaints")
    assert found.recovery.median == 3 * 3600
    assert found.rework == Rate(1, 4)
    assert found.per_week == pytest.approx(4 / found.days * 7)
    world.clock.at += DAY
    world.promote(world.train())
    again = measure_delivery(world.past())
    assert (again.rework.part, again.pending) == (2, 1), "the first after a rollback is rework too"
    # Ninety days after the first, it counts no more.
    world.clock.at += 10 * DAY
    assert measure_delivery(world.past()).change_failure.whole == 4


def rollout_of(world: World, version: int, *, promoted: bool) -> None:
    """A canary that is taken back, before or after its promotion."""
    begun = world.ledger.begin_rollout(
        Begin(version, "canary", "running", {"steps": [10, 100]}, "rollout", "canary",
              stage=0, share=10.0, serves="canary", run_id=f"r{version}")
    )  # fmt: skip
    world.clock.at += HOUR
    if promoted:
        begun = world.ledger.move_rollout(
            Move(begun.rollout_id, begun.seq, "rollout", "good so far", status="promoted",
                 stage=1, share=100.0, watch="on", serves="promote")
        )  # fmt: skip
        world.clock.at += 2 * HOUR
        world.ledger.move_rollout(
            Move(begun.rollout_id, begun.seq, "rollout", "labels say worse", watch="worse",
                 status="rolled_back", serves="back")
        )  # fmt: skip
    else:
        world.ledger.move_rollout(
            Move(begun.rollout_id, begun.seq, "rollout", "errors", status="rolled_back",
                 serves="clear")
        )  # fmt: skip


def test_a_canary_taken_back_early_is_no_failed_deployment(world: World) -> None:
    world.promote(world.train())
    rollout_of(world, world.train(), promoted=False)
    found = measure_delivery(world.past())
    assert (found.prevented, found.change_failure) == (1, Rate(0, 1))
    rollout_of(world, world.train(), promoted=True)
    again = measure_delivery(world.past())
    assert (again.prevented, again.change_failure) == (1, Rate(1, 2))
    (incident,) = again.incidents
    assert (incident.version, incident.by) == (3, "rollout")
    assert again.recovery.median == 2 * 3600


def test_what_somebody_records_counts_for_the_version_that_answered(world: World) -> None:
    world.promote(world.train())
    world.clock.at += 2 * DAY
    begin = world.clock.at
    world.clock.at += HOUR
    opened = open_incident(world.ledger, by="anna", reason="calls", since=begin)
    assert (opened.version, opened.until) == (1, None)
    found = measure_delivery(world.past())
    assert found.change_failure == Rate(1, 1)
    assert found.recovery.count == 0
    with pytest.raises(ConflictError, match="open already: calls"):
        open_incident(world.ledger, by="anna", reason="more", since=begin)
    with pytest.raises(UsageError, match="before it began"):
        close_incident(world.ledger, by="anna", reason="x", until=begin - HOUR)
    world.clock.at += 4 * HOUR
    close_incident(world.ledger, by="bert", reason="mended", until=world.clock.at)
    found = measure_delivery(world.past())
    assert found.recovery.median == 5 * 3600
    (told,) = found.to_json()["incidents"]
    assert (told["by"], told["version"]) == ("anna", 1)
    with pytest.raises(UsageError, match="No incident is open"):
        close_incident(world.ledger, by="bert", reason="again", until=world.clock.at)
    # Long after it was deployed, no change is blamed; the time to mend it counts all the same.
    world.clock.at += 40 * DAY
    open_incident(world.ledger, by="anna", reason="calls", since=world.clock.at)
    world.clock.at += 7 * HOUR
    close_incident(world.ledger, by="anna", reason="mended", until=world.clock.at)
    again = measure_delivery(world.past())
    assert again.change_failure == Rate(1, 1)
    assert again.recovery.count == 2
    assert world.ledger.verify_chain().intact


def test_a_rollback_that_somebody_recorded_too_is_one_incident(world: World) -> None:
    world.promote(world.train())
    world.clock.at += DAY
    world.promote(world.train())
    world.clock.at += 3 * HOUR
    hit = world.clock.at
    open_incident(world.ledger, by="anna", reason="calls", since=hit)
    world.clock.at += HOUR
    world.roll_back()
    found = measure_delivery(world.past())
    (incident,) = found.incidents
    assert (incident.started, incident.resolved) == (hit, world.clock.at)
    assert found.change_failure == Rate(1, 2)
    assert found.recovery.median == 3600, "as long as users were hit, by who saw it"


def test_the_lead_time_from_a_commit_is_of_deployments_that_brought_one(world: World) -> None:
    commits = iter(("a" * 40, "a" * 40, "b" * 40))
    for _ in range(3):
        made = world.clock.at - 5 * HOUR
        version = world.train()
        facts = {"commit": next(commits), "committed": made}
        world.ledger.record(SOURCE, facts, run_id=f"r{version}")
        world.promote(version)
    found = measure_delivery(world.past())
    # 5 h before the decision, then 1 h queue, 2 h training, 1 h gate; the second brought no code.
    assert (found.code_lead_time.count, found.code_lead_time.median) == (2, 9 * 3600)
    assert found.to_json()["code_lead_time"]["p90"] == 9 * 3600
    assert found.lead_time.count == 3


def test_the_middle_and_nine_in_ten() -> None:
    assert spread_of([3, 1, 2]).median == 2
    assert spread_of([1, 2]).median == 1.5
    assert spread_of(list(range(1, 11))).p90 == 9
    assert spread_of([7]).p90 == 7


# The same, for Prometheus


def samples(world: World, signs: Signs) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(LedgerMetrics(world.ledger, lambda: signs))
    text = generate_latest(registry).decode()
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "project")): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_prometheus_reads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ratchet.clock.now", world.clock)
    world.promote(world.train())
    world.clock.at += DAY
    world.ledger.start_run("bad", trigger="manual")
    world.ledger.finish_run("bad", "failed", "no rows")
    found = samples(world, Signs(loop=Pulse(START, HOUR, alive=False)))
    assert found["ratchet_healthy",] == 0
    wrong = {key[1] for key, value in found.items() if key[0] == "ratchet_problem" and value}
    assert wrong == {"failed", "loop"}
    assert found["ratchet_runs_total", "failed"] == 1
    assert found["ratchet_runs_total", "promoted"] == 0
    assert found["ratchet_champion_version",] == 1
    assert found["ratchet_loop_tick_timestamp_seconds",] == START.timestamp()
    assert found["ratchet_lead_time_seconds", "50"] == 4 * 3600
    assert found["ratchet_change_failure_ratio",] == 0
    assert found["ratchet_ledger_read",] == 1


def test_a_ledger_that_is_away_is_told_and_breaks_nothing(world: World) -> None:
    class Away:
        project = "churn"

        def history(self, **_: Any) -> History:
            raise StorageError("it is locked")

    told = {each.name: each for each in LedgerMetrics(Away()).collect()}  # type: ignore[arg-type]
    assert [sample.value for sample in told["ratchet_ledger_read"].samples] == [0.0]


def test_names_are_told_even_when_there_is_nothing_to_tell(world: World) -> None:
    names = {each.name for each in tell("churn", world.past(), Signs())}
    assert {"ratchet_lead_time_seconds", "ratchet_champion_version", "ratchet_drifted"} <= names
