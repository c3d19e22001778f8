"""What is taken from the lake for a rollout, and what is left out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ratchet.rollout import drive, standing
from ratchet.rollout.canary import labels_differ, weigh
from ratchet.rollout.evidence import Evidence, gather, label_age
from ratchet.rollout.pair import Pair, Stage
from ratchet.rollout.requests import read_requests
from ratchet.rollout.sequential import effect_path
from rollout_world import CLASSES, START, Behaviour, World

DAY = 24 * 60


def look(world: World, **more: object) -> Evidence:
    rollout = world.ledger.rollouts()[0]
    given = {
        "version": 2,
        "previous": 1,
        "stages": standing.stages(world.ledger, rollout),
        "promoted": None,
        "classes": {1: CLASSES, 2: CLASSES},
        "loss": "brier",
    }
    return gather(world.lake, Pair(**{**given, **more}), world.at)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_requests_and_errors_are_counted_by_version(world: World) -> None:
    world.behaviours = {1: Behaviour(errors=0.01), 2: Behaviour(errors=0.1)}
    world.serve(60, 1000)
    world.start()
    world.serve(60, 4000)
    world.at += timedelta(minutes=2)
    found = look(world)
    assert found.requests == sum((found.ours[0], found.others[0])) == 4000
    assert 300 < found.ours[0] < 500
    assert 20 < found.ours[1] < 60
    assert 20 < found.others[1] < 60
    assert found.errors.trials.sum() == found.ours[1] + found.others[1]
    assert found.errors.hits.sum() == found.ours[1]


def test_an_entity_that_stays_counts_at_its_first_failure(world: World) -> None:
    world.behaviours = {1: Behaviour(errors=0.1), 2: Behaviour(errors=0.1)}
    world.start(steps=(20, 60, 100))
    world.serve(60, 4000, entities=60)
    world.at += timedelta(minutes=2)
    found = look(world)
    failed = pl.read_delta(world.lake.place("failures"))
    by_entity = failed.group_by("entity").agg(pl.len(), pl.col("version").first())
    ours = by_entity.filter(version=2).height
    assert found.ours[1] + found.others[1] == failed.height > 300
    assert found.errors.trials.sum() == by_entity.height
    assert found.errors.hits.sum() == ours > 0
    assert set(found.errors.share) == {0.2}
    fourth = found.errors.further[0]
    assert fourth.trials.sum() == by_entity.filter(pl.col("len") >= 4).height > 20
    assert 0 < found.slow95.trials.sum() <= 60, "slow requests likewise"
    assert found.stages == ((*found.ours, *found.others),)


def test_steps_are_compared_each_for_itself(world: World) -> None:
    """All scores, labels and errors are others in the second step, of either version."""
    world.label_delay = lambda rng, truth: np.full(len(truth), 60.0)
    world.serve(DAY, 500)
    world.start(minimum=100, hold="1m")
    world.base = -3.0
    world.serve(60, 4000)
    assert (step := world.advance()) is not None
    assert step.did == "widened"
    world.base, rate = 3.0, Behaviour(errors=0.2)
    world.behaviours = {1: rate, 2: rate}
    world.serve(60, 4000)
    world.at += timedelta(hours=1)
    found = look(world)
    assert [len(new) + len(old) for new, old in found.scores] == pytest.approx([4000, 3200], abs=99)
    assert [sum(stage[::2]) for stage in found.stages] == [4000, 4000]
    assert len(found.quality.strata) == 2
    findings = {each.test: each for each in weigh(found, world.ledger.rollouts()[0].rules)}
    assert not any(each.against for each in findings.values())
    assert findings["scores"].value < 0.1


def test_a_request_of_several_entities_has_none(world: World) -> None:
    world.start()
    frame = pl.DataFrame(
        {
            "prediction_id": [f"p{n}" for n in range(6)],
            "at": [START + timedelta(minutes=1)] * 6,
            "version": [1] * 6,
            "arm": ["champion"] * 6,
            "entity": ["a", "a", "a", "b", "c", None],
            "label": ['"no"'] * 6,
            "scores": [[0.5, 0.5]] * 6,
            "features": ["{}"] * 6,
            "micros": [10] * 6,
            "of": [None] * 6,
            "request": ["one", "one", "two", "two", "three", "three"],
        },
        schema_overrides={"of": pl.String},
    )
    world._put("predictions", frame)
    world.at += timedelta(hours=1)
    rollout = world.ledger.rollouts()[0]
    pair = standing.pair_of(world.ledger, rollout, lambda version: CLASSES)
    found = read_requests(world.lake, pair, world.at)
    assert dict(found.select("id", "entity").iter_rows()) == {
        "one": "a",
        "two": None,
        "three": None,
    }


def test_what_may_still_be_on_its_way_is_left_for_the_next_look(world: World) -> None:
    world.start()
    world.serve(60, 1000)
    before = look(world).requests
    world.at += timedelta(minutes=2)
    assert before < look(world).requests == 1000


def test_a_batch_is_one_request_and_its_time_is_not_compared(world: World) -> None:
    world.start()
    rows = pl.DataFrame(
        {
            "prediction_id": [f"p{n}" for n in range(6)],
            "at": [START + timedelta(minutes=1)] * 3 + [START + timedelta(minutes=2)] * 3,
            "version": [1, 1, 2, 1, 1, 1],
            "arm": ["champion", "champion", "challenger"] + ["champion"] * 3,
            "entity": [None] * 6,
            "label": ['"no"'] * 6,
            "scores": [[0.5, 0.5]] * 6,
            "features": ["{}"] * 6,
            "micros": [10] * 6,
            "of": [None] * 6,
            "request": ["same"] * 6,
        },
        schema_overrides={"entity": pl.String, "of": pl.String},
    )
    world._put("predictions", rows)
    world.at += timedelta(hours=1)
    found = look(world)
    assert (found.ours[0], found.others[0]) == (1, 2), "a client may use its request id again"


def test_labels_that_come_by_outcome_do_not_bias_the_difference(tmp_path: Path) -> None:
    """A no is known after an hour, a yes (8 %) after three days; the new version says no more.

    By the labels of the first days, which say no, it would look better. It is worse.
    """
    hasty, known = [], []
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        world = World(
            folder,
            seed=seed,
            behaviours={1: Behaviour(), 2: Behaviour(shift=-2)},
            base=-3.0,
            label_delay=lambda rng, truth: np.where(truth, 3 * 86400.0, 3600.0),
        )
        world.serve(10 * DAY, 3000)
        world.start(steps=(50, 100), hold="30d", score_shift=1)
        world.serve(2 * DAY, 3000)
        early = look(world)
        assert early.settled["labels_after"] == pytest.approx(3 * 86400.0)
        assert not len(early.quality.losses), "none of these is old enough"
        seen = look(world, labels_after=3600.0).quality
        hasty.append(effect_path(seen.losses, seen.chosen, seen.share).mean())
        world.at += timedelta(days=4)
        found = look(world).quality
        assert (len(found.losses), labels_differ(found)) == (3000, "")
        known.append(effect_path(found.losses, found.chosen, found.share).mean())
    # By numerical integration: -0.0115 among those that say no, and +0.0087 in all.
    assert np.mean(hasty) == pytest.approx(-0.0115, abs=0.004)
    assert np.mean(known) == pytest.approx(0.0087, abs=0.007)


def test_labels_that_come_for_one_version_only_are_not_compared(world: World) -> None:
    world.label_delay = lambda rng, truth: np.full(len(truth), 60.0)
    world.serve(DAY, 500)
    world.start(steps=(50, 100))
    world.label_delay = lambda rng, truth: np.where(rng.random(len(truth)) < 0.5, 60.0, 1e8)
    world.serve(DAY, 2000)
    assert labels_differ(look(world).quality) == ""
    found = look(world).quality
    skewed = type(found)(ours=1000, others=1000, ours_labelled=400, others_labelled=700)
    assert "40.0% of its predictions" in labels_differ(skewed)


def test_of_an_entity_the_first_row_counts(world: World) -> None:
    world.label_delay = lambda rng, truth: np.full(len(truth), 60.0)
    world.serve(DAY, 500)
    world.start(steps=(50, 100))
    world.serve(DAY, 3000, entities=200)
    world.at += timedelta(hours=1)
    found = look(world)
    assert len(found.quality.losses) == 200
    assert sum(len(each) for each in found.scores[0]) == 200


def test_stages_are_told_from_the_ledger(world: World) -> None:
    world.start()
    rollout = world.ledger.rollouts()[0]
    drive.pause(world.ledger, by="a", reason="b")
    assert standing.stages(world.ledger, rollout) == (Stage(START, 0, 0.1),)


def test_numbers_wait_for_the_third_whose_labels_take_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    y, age = rng.normal(50, 10, 3_000), rng.uniform(20, 60, 3_000)
    delay = np.where(y > 55, 10.0, 1.0)
    table = pl.DataFrame(
        {
            "version": 1,
            "of": pl.Series([None] * 3_000, dtype=pl.String),
            "at": [START - timedelta(days=float(days)) for days in age],
            "delay": [timedelta(days=float(days)) for days in delay],
            "outcome": ["odd", *(str(value) for value in y[1:])],
        }
    )
    monkeypatch.setattr("ratchet.rollout.evidence.joined", lambda *_, **__: table.lazy())
    pair = SimpleNamespace(labels_after=None, previous=1, classes={1: ()})
    assert label_age(None, pair, START) == {"labels_after": 10 * 86_400.0}  # type: ignore[arg-type]
