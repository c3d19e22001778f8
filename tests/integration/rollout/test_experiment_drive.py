"""Experiments over made-up traffic, from their plan to their end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.experiments import Experiment, Trial
from ratchet.rollout import experiment as drive
from ratchet.rollout.experiment_evidence import failures, look_back
from ratchet.rollout.experiment_plan import plan
from rollout_world import CLASSES, Behaviour, World

DAY = 24 * 60


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(
        tmp_path,
        label_delay=lambda rng, truth: rng.exponential(3600, len(truth)),
        behaviours={1: Behaviour(noise=1.5), 2: Behaviour(noise=0.2), 3: Behaviour(noise=6.0)},
    )
    for _ in range(2):
        made.serve(DAY, 900, entities=3000)
    yield made
    made.ledger.close()


def begin(world: World, *, b: int = 2, days: float = 8, **changes: Any) -> Experiment:
    rules = {"alpha": 0.05, "window": 3600.0, "labels_after": None, "apply": False}
    asked = {key: changes.pop(key) for key in ("metric", "share") if key in changes}
    trial = Trial(
        "x", 1, b, asked.get("share", 50.0), asked.get("metric", "accuracy"), world.at,
        {**rules, **changes}, "me", "try it",
    )  # fmt: skip
    made = plan(world.lake, trial, classes, world.at, days=days, margin=None)
    return world.ledger.begin_experiment(made.trial)


def classes(version: int) -> tuple[str, ...]:
    return CLASSES


def advance(world: World) -> drive.Look | None:
    return drive.advance(
        world.ledger,
        lambda: world.lake,
        classes=classes,
        now=world.at,
        registry=lambda: world.registry,
    )


def go(world: World, days: int, requests: int = 900, entities: int | None = 3000) -> list[Any]:
    looks = []
    for _ in range(days):
        world.serve(DAY, requests, entities=entities)
        looks.append(advance(world))
    return looks


def test_what_is_better_wins_after_a_week_and_not_before(world: World) -> None:
    begin(world)
    looks = go(world, 7)
    assert [look.did for look in looks] == ["held"] * 6 + ["decided"]
    found = world.ledger.experiment("x")
    assert (found.status, found.verdict) == ("decided", "better")
    assert "concluded after 7 days" in looks[3].reason
    assert world.shares() == {"champion": 100.0}
    assert world.champion() == 1, "who serves is not changed by a verdict"
    assert advance(world) is None
    assert world.ledger.verify_chain().intact


def test_what_is_worse_is_stopped_at_once(world: World) -> None:
    begin(world, b=3)
    looks = go(world, 3)
    stopped = next(look for look in looks if look.did == "decided")
    assert stopped.experiment.verdict == "worse"
    assert stopped.experiment.decided - stopped.experiment.started < timedelta(days=4)
    assert world.shares() == {"champion": 100.0}


def test_equal_versions_end_with_not_enough_evidence_after_their_labels_came(world: World) -> None:
    world.behaviours[2] = world.behaviours[1]
    begin(world, days=3)
    looks = go(world, 4)
    assert [look.did for look in looks] == ["held", "held", "waits", "decided"]
    found = world.ledger.experiment("x")
    assert found.verdict == "not enough evidence"
    assert found.stopped < found.decided
    assert found.evidence["ratio"]["p"] > 0.001


def test_the_winner_is_promoted_by_itself_when_that_was_asked_for(world: World) -> None:
    begin(world, apply=True)
    look = go(world, 7)[-1]
    assert (look.did, look.experiment.status) == ("applied", "applied")
    assert world.champion() == 2
    assert world.registry.shown["champion"] == "2"
    deployed = world.ledger.deployments("champion")[-1]
    assert "experiment x: version 2 is better" in deployed.reason
    assert advance(world) is None


def test_who_died_before_the_promotion_is_followed_by_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world, apply=True)
    monkeypatch.setattr(drive, "_promote_winner", lambda *_: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        go(world, 7)
    assert world.ledger.experiment("x").verdict == "better"
    assert world.champion() == 1
    monkeypatch.undo()
    look = advance(world)
    assert look is not None
    assert look.did == "applied"
    assert world.champion() == 2


def test_a_winner_is_not_promoted_over_another_champion(world: World) -> None:
    begin(world, apply=True)
    go(world, 6)
    world.ledger.deploy(3, expected_previous=1, by="me", reason="another one")
    look = advance(world)
    assert look is not None
    assert (look.did, look.experiment.status) == ("ended", "stopped")
    assert "another one" in look.reason
    assert world.champion() == 3
    assert advance(world) is None


def test_lost_rows_of_one_version_block_the_result(world: World) -> None:
    """The server of version 2 loses a third of its rows: those who come back are others."""
    begin(world)
    for _ in range(2):
        world.serve(DAY, 4000)
    table = world.lake.place("predictions")
    rows = pl.read_delta(table)
    lost = (pl.col("version") == 2) & (pl.col("prediction_id").hash(7) % 3 == 0)
    write_deltalake(table, rows.filter(~lost), mode="overwrite")
    look = advance(world)
    assert look is not None
    assert (look.did, look.experiment.verdict) == ("decided", "not enough evidence")
    assert "did not come as 50% to 50%" in look.reason
    assert look.experiment.evidence["estimate"] is None, "no result is to be read"


def test_labels_that_come_for_one_version_only_block_the_result(world: World) -> None:
    begin(world, days=2)
    for _ in range(2):
        world.serve(DAY, 2000)
    table = world.lake.place("feedback")
    rows, served = pl.read_delta(table), pl.read_delta(world.lake.place("predictions"))
    of_b = served.filter(pl.col("version") == 2).select("prediction_id")
    told = rows.join(of_b, on="prediction_id", how="anti")
    some = rows.join(of_b, on="prediction_id", how="semi").filter(
        pl.col("prediction_id").hash(3) % 2 == 0
    )
    write_deltalake(table, pl.concat([told, some]), mode="overwrite")
    look = advance(world)
    assert look is not None
    assert "labels come more often for one arm" in look.reason


def test_failed_requests_stop_it(world: World) -> None:
    world.behaviours[2] = Behaviour(noise=1.5, errors=0.3)
    begin(world)
    look = go(world, 1, requests=1500)[0]
    assert (look.did, look.experiment.verdict) == ("decided", "worse")
    assert "fails more often" in look.reason


def test_a_running_experiments_winner_is_not_refused_with_why_it_was_begun(world: World) -> None:
    with pytest.raises(ConflictError, match="nothing yet, it is running") as caught:
        drive.check_winner(world.ledger, begin(world))
    assert caught.value.why == ""


@pytest.mark.parametrize(("entities", "stopped"), [(1, False), (60, True)])
def test_failures_of_one_entity_that_stays_are_no_versions_fault(
    world: World, entities: int, stopped: bool
) -> None:
    """300 failed requests, all of them b's: of one entity that is b's own, or of many."""
    found = begin(world)
    world.serve(DAY, 900, entities=3000)
    failed = pl.DataFrame(
        {
            "id": [f"f{number}" for number in range(300)],
            "at": [world.at - timedelta(hours=1, seconds=number) for number in range(300)],
            "version": [2] * 300,
            "arm": ["challenger"] * 300,
            "error": ["RuntimeError"] * 300,
            "micros": [0] * 300,
            "entity": [f"e{number % entities}" for number in range(300)],
        }
    )
    world._put("failures", failed)
    world.at += timedelta(hours=1)
    why, counts = failures(world.lake, found, classes, world.at)
    assert counts["b"] == 300
    assert bool(why) == stopped


@pytest.mark.parametrize("metric", ["auc", "log_loss", "brier", "conversion", "roc_auc"])
def test_each_metric_is_read_with_the_right_sign(world: World, metric: str) -> None:
    begin(world, metric=metric)
    world.serve(3 * DAY, 6000)
    found = world.ledger.experiment("x")
    comparison, path, _ = look_back(world.lake, found, classes, world.at)
    made = comparison.estimate
    assert made is not None
    assert made.low is not None
    assert made.high is not None
    assert made.low < made.better < made.high
    assert len(path) > 5
    if metric == "conversion":  # what becomes of people does not depend on who scored them here
        assert made.low < 0 < made.high
        assert 0.3 < made.a.value < 0.5
    else:
        assert comparison.proven == "better"


def test_labels_count_by_when_they_came_and_entities_once(world: World) -> None:
    begin(world, window=86_400.0)
    world.serve(2 * DAY, 3000, entities=800)
    found = world.ledger.experiment("x")
    comparison, _, seen = look_back(world.lake, found, classes, world.at)
    assert comparison.estimate is not None
    assert comparison.estimate.entities <= len(seen.first) <= 800
    wait = timedelta(seconds=comparison.labels_after or 0) + timedelta(days=1)
    young = (seen.first > (world.at - wait).timestamp() * 1e6).sum()
    assert young > 0
    assert sum(comparison.old) == len(seen.first) - young
    assert comparison.crossed == 0
    # As of an earlier moment it is as it was then, whatever became known since.
    earlier = look_back(world.lake, found, classes, world.at - timedelta(hours=12))[0]
    assert sum(earlier.old) < sum(comparison.old)


def test_without_labels_nothing_is_concluded_and_it_ends_all_the_same(world: World) -> None:
    world.label_delay = None
    write_deltalake(
        world.lake.place("feedback"),
        pl.read_delta(world.lake.place("feedback")).clear(),
        mode="overwrite",
    )
    begin(world, days=2)
    looks = go(world, 5, requests=300)
    assert [look.did for look in looks if look] == ["held", *["waits"] * 3, "decided"]
    found = world.ledger.experiment("x")
    assert found.verdict == "not enough evidence"
    assert "too few labels" in found.reason


def test_it_is_planned_from_what_the_champion_did(world: World) -> None:
    power = begin(world, days=8).rules["power"]
    assert power["value"] == pytest.approx(0.65, abs=0.05)
    assert power["needed"] > power["expected"] > 1000
    assert 0.02 < power["visible"] < 0.15
    entities = np.sqrt(power["value"] * (1 - power["value"])) * 2
    assert power["spread"] == pytest.approx(entities, rel=0.15)


def test_a_metric_that_there_is_not_for_a_model_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="no metric absolute_error") as caught:
        begin(world, metric="absolute_error")
    assert "accuracy" in (caught.value.fix or "")
    assert world.ledger.experiments() == ()


def test_it_can_be_stopped_once(world: World) -> None:
    begin(world)
    ended = drive.stop(world.ledger, "x", by="me", reason="changed my mind")
    assert (ended.status, ended.verdict) == ("stopped", None)
    assert world.shares() == {"champion": 100.0}
    with pytest.raises(UsageError, match="ended before"):
        drive.stop(world.ledger, "x", by="me", reason="again")
    with pytest.raises(ConflictError, match="says nothing yet, it is stopped"):
        drive.check_winner(world.ledger, ended)
