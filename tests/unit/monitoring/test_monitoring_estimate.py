"""CBPE: right on covariate shift, blind to concept shift, and honest about how far it was off."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.evaluation.metrics import evaluate
from ratchet.evaluation.scored import Scored
from ratchet.monitoring.bounds import metric_bounds
from ratchet.monitoring.estimate import (
    Estimator,
    estimate,
    estimator_error,
    fit_estimator,
)
from ratchet.monitoring.weighing import Reading, read_metric

BINARY = Task("binary", ("no", "yes"))
THREE = Task("multiclass", ("a", "b", "c"))
NAMES = ("roc_auc", "accuracy", "log_loss", "brier", "f1_positive", "pr_auc")


def world(
    rows: int,
    seed: int,
    *,
    spread: float = 1.0,
    mean: float = 0.0,
    noise: float = 0.0,
    prior: float = 0.0,
) -> tuple[Any, Any, Any]:
    """Outcomes, scores of a miscalibrated but well-ranking model, decisions."""
    rng = np.random.default_rng(seed)
    beta = np.random.default_rng(99).normal(0, 0.55, 10)
    odds = rng.normal(mean, spread, (rows, 10)) @ beta - 1
    y = (rng.random(rows) < 1 / (1 + np.exp(-(odds + prior)))).astype(np.int64)
    random = rng.random(rows) < noise
    y[random] = rng.integers(0, 2, int(random.sum()))
    score = 1 / (1 + np.exp(-1.3 * odds))
    return y, np.column_stack([1 - score, score]), (score >= 0.5).astype(np.int64)


def realised(y: Any, proba: Any, predicted: Any, name: str) -> float:
    found = read_metric(Scored(y, proba, predicted, BINARY), name, np.ones(len(y)))
    assert found is not None
    return found.value


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    made = fit_estimator(*world(20_000, 1), BINARY, NAMES)
    assert made is not None
    return made


def test_the_expected_area_is_the_formula_over_all_pairs() -> None:
    rng = np.random.default_rng(2)
    score = np.round(rng.random(60), 1)
    proba = np.column_stack([1 - score, score])
    plain = Estimator(None, {}, 60)
    found = estimate(plain, proba, (score >= 0.5).astype(int), BINARY, ("roc_auc", "accuracy"))
    wins = sum(
        score[i] * (1 - score[j]) * (1.0 if score[j] < score[i] else 0.5)
        for i, j in product(range(60), range(60))
        if score[j] <= score[i]
    )
    assert found["roc_auc"].value == pytest.approx(wins / (score.sum() * (1 - score).sum()))
    right = np.where(score >= 0.5, score, 1 - score).mean()
    assert found["accuracy"].value == pytest.approx(right)


@pytest.mark.parametrize("shift", [{}, {"spread": 0.5}, {"spread": 1.6}, {"mean": 0.15}])
def test_it_is_within_its_error_when_the_rows_change(
    shift: dict[str, float], estimator: Estimator
) -> None:
    """30 windows: the stated 95 % interval holds the realised value in at least 85 %."""
    held = dict.fromkeys(NAMES, 0)
    off = dict.fromkeys(NAMES, 0.0)
    for seed in range(30):
        y, proba, predicted = world(3_000, 10 + seed, **shift)
        found = estimate(estimator, proba, predicted, BINARY, NAMES)
        for name in NAMES:
            truth = realised(y, proba, predicted, name)
            held[name] += found[name].low <= truth <= found[name].high
            off[name] += (found[name].value - truth) / 30
    assert all(count >= 26 for count in held.values()), held
    assert abs(off["roc_auc"]) < 0.012
    assert abs(off["accuracy"]) < 0.012


def test_it_is_blind_to_what_becomes_of_the_rows(estimator: Estimator) -> None:
    y, proba, predicted = world(20_000, 5, noise=0.3)
    found = estimate(estimator, proba, predicted, BINARY, NAMES)
    assert found["roc_auc"].value - realised(y, proba, predicted, "roc_auc") > 0.07
    assert found["accuracy"].value - realised(y, proba, predicted, "accuracy") > 0.05
    y, proba, predicted = world(20_000, 6, prior=1.0)
    found = estimate(estimator, proba, predicted, BINARY, NAMES)
    assert found["roc_auc"].value == pytest.approx(
        realised(y, proba, predicted, "roc_auc"), abs=0.01
    )
    assert found["accuracy"].value - realised(y, proba, predicted, "accuracy") > 0.06


def test_several_classes_are_estimated_too() -> None:
    def draw(seed: int, spread: float) -> tuple[Any, Any, Any]:
        rng = np.random.default_rng(seed)
        odds = rng.normal(0, spread, (8_000, 3))
        chance = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        y = (rng.random((8_000, 1)) > chance.cumsum(axis=1)).sum(axis=1)
        sharp = np.exp(1.5 * odds) / np.exp(1.5 * odds).sum(axis=1, keepdims=True)
        return y, sharp, sharp.argmax(axis=1)

    names = ("accuracy", "log_loss", "roc_auc", "f1")
    made = fit_estimator(*draw(1, 1.0), THREE, names)
    assert made is not None
    y, proba, predicted = draw(2, 1.5)
    found = estimate(made, proba, predicted, THREE, names)
    truth = evaluate(y, proba, task=THREE, names=names)
    for name in names:
        value = truth[name].value
        assert value is not None
        assert found[name].value == pytest.approx(value, abs=0.015)


def test_too_few_labels_and_numbers_have_no_estimator(estimator: Estimator) -> None:
    y, proba, predicted = world(150, 3)
    assert fit_estimator(y, proba, predicted, BINARY, NAMES) is None
    number = Task("regression", ())
    values = np.ones((500, 1))
    assert fit_estimator(values[:, 0], values, np.empty(0, int), number, ("rmse",)) is None
    assert Estimator.from_json(estimator.to_json()) == estimator


def test_its_error_is_published_and_mutes_it() -> None:
    def pairs(off: float, se: float, seed: int) -> list[tuple[Reading, Reading]]:
        rng = np.random.default_rng(seed)
        made = []
        for _ in range(12):
            value = 0.8 + rng.normal(0, se)
            made.append((Reading(0.8 + off, 0, 1, 0.01, 500), Reading(value, 0.7, 0.9, se, 500)))
        return made

    assert estimator_error("roc_auc", pairs(0.1, 0.01, 0)[:2], 0.02) is None
    biased = estimator_error("roc_auc", pairs(0.05, 0.01, 1), 0.02)
    assert biased is not None
    assert biased.muted
    assert biased.bias == pytest.approx(0.05, abs=0.01)
    assert biased.error == pytest.approx(0.05, abs=0.01)
    # The noise of small cohorts is not held against it: muted by chance in few of 60 worlds.
    noisy = [estimator_error("roc_auc", pairs(0.0, 0.03, 2 + seed), 0.02) for seed in range(60)]
    assert sum(one is not None and one.muted for one in noisy) <= 5


@pytest.mark.parametrize(
    "name", ["accuracy", "roc_auc", "precision_positive", "recall_positive", "f1_positive"]
)
def test_bounds_are_the_best_and_the_worst_of_all_labellings(name: str) -> None:
    rng = np.random.default_rng(8)
    for _ in range(10):
        score = np.round(rng.random(14), 2)
        proba = np.column_stack([1 - score, score])
        predicted = (score >= 0.5).astype(np.int64)
        y = rng.integers(0, 2, 8)
        y[:2] = (0, 1)
        known = Scored(y, proba[:8], predicted[:8], BINARY)
        left = Scored(np.zeros(6, np.int64), proba[8:], predicted[8:], BINARY)
        found = metric_bounds(known, left, name)
        assert found is not None
        values = []
        for labels in product((0, 1), repeat=6):
            every = Scored(np.concatenate([y, labels]), proba, predicted, BINARY)
            reading = read_metric(every, name, np.ones(14))
            assert reading is not None
            values.append(reading.value)
        # Equal scores may make the bounds of the area a little wider, never narrower.
        assert found[0] <= min(values) + 1e-12
        assert found[1] >= max(values) - 1e-12
        assert found[0] == pytest.approx(min(values), abs=0.02)
        assert found[1] == pytest.approx(max(values), abs=0.02)


def test_equal_weights_are_the_metrics_of_the_evaluation() -> None:
    y, proba, predicted = world(800, 4)
    whole = evaluate(y, proba, task=BINARY)
    rows = Scored(y, proba, predicted, BINARY)
    for name in whole.names:
        found = read_metric(rows, name, np.full(800, 3.0))
        value, low = whole[name].value, whole[name].low
        assert found is not None
        assert value is not None
        assert low is not None
        assert found.value == pytest.approx(value)
        assert found.low == pytest.approx(low, abs=0.01)


def test_a_weight_is_as_many_rows() -> None:
    y, proba, predicted = world(300, 9)
    twice = np.random.default_rng(1).integers(1, 4, 300)
    places = np.repeat(np.arange(300), twice)
    for name in (*NAMES, "f1", "precision"):
        weighted = read_metric(Scored(y, proba, predicted, BINARY), name, twice.astype(float))
        repeated = Scored(y[places], proba[places], predicted[places], BINARY)
        plain = read_metric(repeated, name, np.ones(len(places)))
        assert weighted is not None
        assert plain is not None
        assert weighted.value == pytest.approx(plain.value)


def test_errors_of_numbers_are_weighted_too() -> None:
    rng = np.random.default_rng(11)
    task = Task("regression", ())
    y = rng.normal(0, 5, 400)
    guess = (y + rng.normal(0, 1, 400)).reshape(-1, 1)
    weight = rng.integers(1, 4, 400)
    places = np.repeat(np.arange(400), weight)
    none = np.empty(0, dtype=np.int64)
    for name in ("rmse", "mae", "r2"):
        found = read_metric(Scored(y, guess, none, task), name, weight.astype(float))
        plain = evaluate(y[places], guess[places], task=task, names=(name,))[name].value
        assert found is not None
        assert found.value == pytest.approx(plain)
        assert found.low < found.value < found.high
    assert metric_bounds(Scored(y, guess, none, task), Scored(y, guess, none, task), "rmse") is None
