"""The next model from the one that serves, without a search."""

import numpy as np
import polars as pl
import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError, RatchetError
from ratchet.training.candidates import fit_candidates
from ratchet.training.deadline import Deadline
from ratchet.training.previous import Previous
from ratchet.training.scoring import score_all
from ratchet.training.settings import TrainingSettings

ALGORITHMS = {
    "lightgbm": {"learning_rate": 0.1},
    "logistic_regression": {},
    "random_forest": {"n_estimators": 20},
}


def settings(**more):
    return TrainingSettings(algorithms=ALGORITHMS, tuning={"trials": 0}, cores=2, **more)


def half(given, part):
    """The first or second half of the rows."""
    rows = given["frame"].height // 2
    place = slice(0, rows) if part == 0 else slice(rows, None)
    return {**given, "frame": given["frame"][place], "y": given["y"][place]}


@pytest.fixture
def served(problem):
    """A blend of two that serves, made from the first half; and all rows."""
    given = problem(rows=800)
    trained = fit_candidates(settings=settings(ensemble=False), **half(given, 0))
    previous = Previous.of(trained.blends[0])
    others = [Previous.of(blend).members[0] for blend in trained.blends[1:]]
    members = (previous.members[0], *others)
    weights = (0.5, 0.3, 0.2)
    members = tuple(
        type(member)(
            member.name,
            member.algorithm,
            member.params,
            member.rounds,
            weight,
            member.recipe,
            member.saved,
        )
        for member, weight in zip(members, weights, strict=True)
    )
    return Previous(members, "sigmoid"), given


def test_it_survives_json(served):
    previous, _ = served
    assert Previous.from_json(previous.to_json()) == previous


def test_a_refit_keeps_configurations_weights_and_calibration_and_learns_the_rest(served):
    previous, given = served
    trained = fit_candidates(
        settings=settings(threshold={"maximize": "f1"}), previous=previous, update="refit", **given
    )
    blend = trained.blend
    assert [member.name for member in blend.members] == [item.name for item in previous.members]
    assert [member.weight for member in blend.members] == pytest.approx([0.5, 0.3, 0.2])
    for member, before in zip(blend.members, previous.members, strict=True):
        assert dict(member.fitted.params) == dict(before.params)
        assert member.fitted.rounds == before.rounds
        assert member.recipe.encoding == type(member.recipe.encoding)(**before.recipe["encoding"])
        # The recipe and the model are those of the rows of today.
        assert member.recipe.to_json() != before.recipe
    assert blend.calibration.method == "sigmoid"
    assert blend.threshold not in (None, 0.5)
    assert trained.choice.best.name == "ensemble"
    assert len(trained.trials) == 3
    assert {len(item.folds) for item in trained.trials} == {5}
    assert score_all(given["y"], blend.score(given["frame"]))["roc_auc"] > 0.8


def test_a_refit_of_the_same_rows_is_the_same_model(problem):
    given = problem(rows=300)
    wanted = settings(ensemble=False)
    first = fit_candidates(settings=wanted, **given)
    again = fit_candidates(
        settings=wanted, previous=Previous.of(first.blend), update="refit", **given
    )
    assert np.array_equal(first.blend.score(given["frame"]), again.blend.score(given["frame"]))


def test_going_on_keeps_recipes_and_tells_who_cannot(served):
    previous, given = served
    newer = half(given, 1)
    trained = fit_candidates(settings=settings(), previous=previous, update="incremental", **newer)
    names = [member.name for member in trained.blend.members]
    assert sorted(names) == ["lightgbm", "logistic_regression"]
    assert any("random_forest" in note for note in trained.notes)
    by_name = {item.name: item for item in previous.members}
    for member in trained.blend.members:
        assert member.recipe.to_json() == by_name[member.name].recipe
    boosted = next(item for item in trained.blend.members if item.name == "lightgbm")
    assert boosted.fitted.rounds > by_name["lightgbm"].rounds
    assert sum(member.weight for member in trained.blend.members) == pytest.approx(1.0)
    scores = score_all(newer["y"], trained.blend.score(newer["frame"]))
    assert scores["roc_auc"] > 0.8
    # What comes of it can be gone on with once more.
    again = Previous.of(trained.blend)
    assert all(member.saved is not None for member in again.members)


def test_nobody_who_can_go_on_is_an_error(served):
    previous, given = served
    forest = Previous(tuple(i for i in previous.members if i.name == "random_forest"), None)
    with pytest.raises(RatchetError, match="cannot be trained further") as caught:
        fit_candidates(settings=settings(), previous=forest, update="incremental", **given)
    assert caught.value.name == "not_incremental"
    assert "random_forest" in caught.value.why


def test_numbers_are_refitted_too(problem):
    given = problem(rows=300)
    given["task"] = Task("regression", ())
    given["y"] = given["frame"]["age"].to_numpy() + 5.0
    wanted = TrainingSettings(algorithms={"ridge": {}, "lightgbm": {}}, tuning={"trials": 0})
    first = fit_candidates(settings=wanted, **given)
    for update in ("refit", "incremental"):
        again = fit_candidates(
            settings=wanted, previous=Previous.of(first.blend), update=update, **given
        )
        assert again.blend.score(given["frame"]).shape == (300, 1)
        assert again.choice.metric == "rmse"


def test_only_newer_rows_change_what_goes_on(problem):
    """With the world turned around in the newer rows, going on follows it."""
    given = problem(rows=2_000)
    old = half(given, 0)
    wanted = TrainingSettings(
        algorithms={"lightgbm": {"num_leaves": 8}}, tuning={"trials": 0}, cores=2
    )
    first = fit_candidates(settings=wanted, **old)
    turned = half(given, 1)
    turned["y"] = (1 - turned["y"]).astype(np.int32)
    turned["frame"] = turned["frame"].with_columns(
        pl.when(pl.col("target") == "class 0")
        .then(pl.lit("class 1"))
        .otherwise(pl.lit("class 0"))
        .alias("target")
    )
    again = fit_candidates(
        settings=wanted, previous=Previous.of(first.blend), update="incremental", **turned
    )
    before = score_all(turned["y"], first.blend.score(turned["frame"]))["roc_auc"]
    after = score_all(turned["y"], again.blend.score(turned["frame"]))["roc_auc"]
    assert before < 0.3
    assert after > 0.6


@pytest.mark.parametrize("update", ["refit", "incremental"])
def test_too_little_time_is_no_fault_of_the_algorithms(served, update):
    previous, given = served
    boosted = Previous(tuple(i for i in previous.members if i.name == "lightgbm"), None)
    with pytest.raises(ConfigError, match="too little time") as caught:
        fit_candidates(
            settings=settings(), previous=boosted, update=update, deadline=Deadline(-1.0), **given
        )
    assert caught.value.name == "out_of_time"
    assert "lightgbm" in caught.value.why
    assert caught.value.fix == "raise training.tuning.time"
