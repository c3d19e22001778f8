"""Every gate on a model of numbers: errors have a unit, and less is better."""

import numpy as np
import pytest
from pydantic import ValidationError

from ratchet.data.task import Task
from ratchet.evaluation.compare import compare
from ratchet.evaluation.metrics import evaluate
from ratchet.gates.artifacts import judge_predictions
from ratchet.gates.champion import Opponent, judge_champion
from ratchet.gates.parity import judge_parity
from ratchet.gates.settings import ChampionSettings, GatesSettings
from ratchet.gates.thresholds import judge_above_chance, judge_minimum

NUMBERS = Task("regression", ())


def table(noise, *, rows=500, seed=0):
    """True values around 100 and estimates of them."""
    rng = np.random.default_rng(seed)
    y = 100 + 10 * rng.normal(size=rows)
    return y, (y + noise * rng.normal(size=rows))[:, None]


def test_the_largest_error_is_a_limit_from_above():
    metrics = evaluate(*table(5), task=NUMBERS)
    limits = {"rmse": 6.0, "mae": 3.0, "r2": 0.5, "roc_auc": 0.5}
    results = judge_minimum(metrics, limits)
    assert [result.passed for result in results] == [True, False, True, False]
    assert "RMSE" in results[0].reason
    assert "is at most 6" in results[0].reason
    assert "is not at most 3" in results[1].reason
    assert "not a metric of this task" in results[3].reason


def test_a_model_must_beat_always_saying_the_mean():
    good = judge_above_chance(evaluate(*table(5), task=NUMBERS))
    assert good.passed
    assert good.threshold == 0
    assert "R²" in good.reason
    rng = np.random.default_rng(1)
    y = rng.normal(size=400)
    useless = judge_above_chance(evaluate(y, np.full((400, 1), y.mean()), task=NUMBERS))
    assert not useless.passed
    assert "always saying the mean" in useless.reason
    assert not judge_above_chance(evaluate(np.ones(50), np.ones((50, 1)), task=NUMBERS)).passed


def test_estimates_of_noise_seldom_pass_for_better_than_the_mean():
    rng = np.random.default_rng(2)
    passed = 0
    for _ in range(400):
        y = rng.normal(size=300)
        noise = evaluate(y, 0.2 * rng.normal(size=(300, 1)), task=NUMBERS)
        passed += judge_above_chance(noise).passed
    assert passed / 400 <= 0.025 + 3 * 0.008


def test_a_margin_is_in_the_unit_of_the_target():
    y, old = table(5, seed=3)
    rng = np.random.default_rng(4)
    new = old + 0.01 * (y[:, None] - old) + 0.5 * rng.normal(size=old.shape)
    found = compare(y, new, old, task=NUMBERS, metric="rmse", margin=0.5)
    routine = ChampionSettings(metric="rmse", margin=0.5)
    made = judge_champion(Opponent("1", found), routine)
    assert (made.verdict, made.passed) == ("non_inferior", found.difference >= 0)
    strict = judge_champion(Opponent("1", found), ChampionSettings(metric="rmse", margin=0.01))
    assert strict.verdict == "not_enough_evidence"
    worse = compare(y, old + 3, old, task=NUMBERS, metric="rmse", margin=0.5)
    assert judge_champion(Opponent("1", worse), routine).verdict == "worse"
    better = compare(y, (old + y[:, None]) / 2, old, task=NUMBERS, metric="rmse")
    result = judge_champion(Opponent("1", better), ChampionSettings(metric="rmse"))
    assert (result.passed, result.verdict) == (True, "superior")
    # The old value is shown above the new one: an error fell.
    assert f"RMSE {better.new:.4f} against about" in result.reason
    assert result.value > 0


def test_any_margin_has_a_meaning_where_errors_have_a_unit():
    assert ChampionSettings(metric="mae", margin=250.0).margin == 250
    assert GatesSettings(minimum={"rmse": 1e6}).minimum == {"rmse": 1e6}
    with pytest.raises(ValidationError, match="more than r2 can differ"):
        ChampionSettings(metric="r2", margin=1.5)
    with pytest.raises(ValidationError, match="out of reach"):
        GatesSettings(minimum={"r2": 1.2})


def test_predictions_of_numbers_are_numbers():
    good = np.array([[1.0], [-5e6], [3.5]])
    assert judge_predictions(good, good[:, 0], rows=3, classes=()).passed
    for scores, said in (
        (np.array([[1.0], [np.nan], [2.0]]), "1 rows have a score that is no number"),
        (np.array([[1.0, 2.0]] * 3), "instead of floating-point numbers of shape (3, 1)"),
        (good[:2], "of shape (2, 1) instead"),
    ):
        result = judge_predictions(scores, good[:, 0], rows=3, classes=())
        assert not result.passed
        assert said in result.reason
    assert "2 labels for 3 rows" in judge_predictions(good, [1, 2], rows=3, classes=()).reason


def test_parity_of_estimates_is_relative_to_their_size():
    large = np.array([[1e6], [2e6]])
    assert judge_parity(large, large + 1, 1e-6).passed
    assert not judge_parity(large, large + 3, 1e-6).passed
    small = np.array([[0.001], [0.002]])
    assert not judge_parity(small, small + 2e-6, 1e-6).passed
    # Scores of classes have no unit.
    classes = np.array([[0.5, 0.5]])
    assert not judge_parity(classes, classes + 2e-6, 1e-6).passed
