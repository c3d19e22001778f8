"""Explanations: exact where there is a closed form, sampled else, and words for people."""

import json
import time

import numpy as np
import polars as pl
import pytest

from ratchet.data.task import Task
from ratchet.errors import RatchetError
from ratchet.evaluation.exact import exact_lightgbm, exact_linear, exact_xgboost
from ratchet.evaluation.explain import (
    Subject,
    explain_global,
    explain_rows,
    log_odds,
    prepare_explainer,
)
from ratchet.evaluation.explanation import Explanation
from ratchet.evaluation.measures import Undefined
from ratchet.evaluation.shapley import prepare_reference

BINARY = Task("binary", ("stays", "leaves"))
THREE = Task("multiclass", ("a", "b", "c"))
NUMBERS = Task("regression", ())
NAMES = ("tenure", "charge", "contract", "senior")
GROUPS = (("tenure", (0,)), ("charge", (1,)), ("contract", (2, 3, 4)), ("senior", (5,)))


def table(rows=400, seed=0):
    rng = np.random.default_rng(seed)
    contract = rng.integers(0, 3, rows)
    frame = pl.DataFrame(
        {
            "tenure": rng.integers(0, 70, rows),
            "charge": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(60, 20, rows).round(2)),
            "contract": np.array(["monthly", "yearly", "two-year"])[contract],
            "senior": rng.random(rows) < 0.2,
        }
    ).with_columns(pl.col("charge").fill_nan(None))
    columns = [
        frame["tenure"].to_numpy(),
        frame["charge"].fill_null(np.nan).to_numpy(),
        *np.eye(3)[contract].T,
        frame["senior"].to_numpy(),
    ]
    return frame, np.column_stack(columns).astype(np.float32)


def margin(X):
    charge = np.nan_to_num(X[:, 1].astype(np.float64), nan=70.0)
    return 1.5 * X[:, 2] - 0.04 * (X[:, 0] - 30) + 0.02 * (charge - 60) * (1 + X[:, 5])


def scores(X):
    positive = 1 / (1 + np.exp(-margin(X)))
    return np.column_stack((1 - positive, positive))


def sampled(task=BINARY, score=scores, rows=60, **options):
    frame, X = table()
    found = explain_global(Subject(task, score, GROUPS, X[:100]), X, frame, rows=rows, **options)
    assert isinstance(found, Explanation)
    return found, X


def test_values_add_up_to_the_log_odds_of_the_shipped_score():
    found, _ = sampled(rows=400)
    _, X = table()
    assert found.method == "sampled"
    assert "no closed form" in found.why
    assert found.outputs == ("leaves",)
    assert found.features == NAMES
    assert found.scores[:, 0] == pytest.approx(np.clip(margin(X), -13.81, 13.81), abs=1e-6)
    assert found.base == pytest.approx(margin(X[:100]).mean())


def test_cost_stays_within_the_budget():
    calls = []

    def counted(X):
        calls.append(len(X))
        return scores(X)

    found, _ = sampled(score=counted, rows=200, budget=8000)
    assert sum(calls) <= 1.15 * 8000
    assert found.cost <= sum(calls)
    more, _ = sampled(rows=200, budget=40_000)
    assert np.mean(more.se**2) < np.mean(found.se**2) / 2


def test_with_a_small_budget_fewer_rows_are_explained_and_then_none():
    found, _ = sampled(rows=400, budget=1500)
    assert 30 <= found.rows < 250
    frame, X = table()
    none = explain_global(Subject(BINARY, scores, GROUPS, X[:100]), X, frame, rows=400, budget=100)
    assert isinstance(none, Undefined)
    assert "do not suffice" in none.reason


def test_too_little_to_compare_with_is_said():
    frame, X = table(20)
    found = explain_global(Subject(BINARY, scores, GROUPS, X[:1]), X, frame)
    assert isinstance(found, Undefined)
    assert "at least 2 typical rows" in found.reason
    empty = explain_global(Subject(BINARY, scores, (), X), X, frame)
    assert isinstance(empty, Undefined)


def test_equal_inputs_give_equal_values_and_another_seed_does_not():
    first, _ = sampled()
    second, _ = sampled()
    other, _ = sampled(seed=1)
    assert first.to_json() == second.to_json()
    assert first.to_json() != other.to_json()


def test_explaining_is_quick():
    frame, X = table(1000)
    subject = Subject(BINARY, scores, GROUPS, X[:200])
    started = time.process_time()
    explain_global(subject, X, frame, rows=500, budget=60_000)
    assert time.process_time() - started < 2.0


def test_linear_models_are_exact_and_grouped():
    frame, X = table()
    X = np.nan_to_num(X, nan=60.0)
    weights, intercept = np.array([[-0.04, 0.02, 1.0, 0.2, -1.0, 0.3]]), np.array([0.4])
    background = X[:150]

    def score(X):
        positive = 1 / (1 + np.exp(-(X @ weights[0] + intercept[0])))
        return np.column_stack((1 - positive, positive))

    exact = exact_linear(weights, intercept, background)
    found = explain_global(Subject(BINARY, score, GROUPS, background, exact), X, frame)
    assert (found.method, found.se, found.scale) == ("linear", None, "log odds")
    wanted = (X[:, 2:5] - background[:, 2:5].mean(axis=0)) @ weights[0, 2:5]
    assert found.values[:, 2, 0] == pytest.approx(wanted, abs=1e-5)
    assert found.scores[:, 0] == pytest.approx((X @ weights.T + intercept)[:, 0], abs=1e-5)


def test_a_sigmoid_calibration_keeps_the_closed_form():
    _, X = table()
    X = np.nan_to_num(X, nan=60.0)
    weights, intercept = np.array([[-0.04, 0.02, 1.0, 0.2, -1.0, 0.3]]), np.array([0.4])
    plain = exact_linear(weights, intercept, X).contributions(X)
    bent = exact_linear(weights, intercept, X, slope=1.5, shift=-0.2).contributions(X)
    assert bent.sum(axis=1) == pytest.approx(1.5 * plain.sum(axis=1) - 0.2)


def test_a_closed_form_that_is_not_the_score_is_not_used():
    frame, X = table()
    wrong = exact_linear(np.ones((1, 6)), np.zeros(1), np.nan_to_num(X))
    subject = Subject(BINARY, scores, GROUPS, np.nan_to_num(X)[:100], wrong)
    found = explain_global(subject, np.nan_to_num(X), frame, rows=40)
    assert found.method == "sampled"


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("kind", ["binary", "three", "numbers"])
def test_trees_are_exact(library, kind):
    frame, X = table(600)
    rng = np.random.default_rng(0)
    task = {"binary": BINARY, "three": THREE, "numbers": NUMBERS}[kind]
    noisy = margin(X) + rng.logistic(size=600)
    y = noisy if kind == "numbers" else np.digitize(noisy, [0] if kind == "binary" else [-1, 1])
    booster, exact = train(library, kind, X, y)
    grown = Subject(task, lambda X: predict(booster, kind, X), GROUPS, X[:50], exact(booster))
    found = explain_global(grown, X, frame, rows=80)
    assert (found.method, found.rows, found.cost) == ("tree", 80, 80)
    given = np.sort(np.random.default_rng(0).permutation(600)[:80])
    shipped = predict(booster, kind, X[given])
    made = found.scores
    if kind == "binary":
        made = 1 / (1 + np.exp(-made))
        shipped = shipped[:, 1:]
    elif kind == "three":
        made = np.exp(made) / np.exp(made).sum(axis=1, keepdims=True)
        assert found.values.sum(axis=2) == pytest.approx(0, abs=1e-5)
    assert made == pytest.approx(shipped, abs=1e-4)


def train(library, kind, X, y):
    if library == "lightgbm":
        import lightgbm

        objective = {"binary": "binary", "three": "multiclass", "numbers": "regression"}[kind]
        params = {"objective": objective, "verbose": -1, "num_threads": 1, "num_leaves": 7}
        if kind == "three":
            params["num_class"] = 3
        return lightgbm.train(params, lightgbm.Dataset(X, y), 12), exact_lightgbm
    xgboost = pytest.importorskip("xgboost")
    objective = {
        "binary": "binary:logistic",
        "three": "multi:softprob",
        "numbers": "reg:squarederror",
    }[kind]
    params = {"objective": objective, "max_depth": 3, "nthread": 1}
    if kind == "three":
        params["num_class"] = 3
    return xgboost.train(params, xgboost.DMatrix(X, y), 12), exact_xgboost


def predict(booster, kind, X):
    rows = X
    if type(booster).__module__.startswith("xgboost"):
        import xgboost

        rows = xgboost.DMatrix(X)
    given = np.asarray(booster.predict(rows), np.float64)
    if kind == "binary":
        return np.column_stack((1 - given, given))
    return given.reshape(len(X), -1)


def test_classes_are_explained_each():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(6, 3)) * [[0.02], [0.02], [1], [1], [1], [1]]

    def score(X):
        raw = np.exp(np.nan_to_num(X, nan=60.0) @ weights)
        return raw / raw.sum(axis=1, keepdims=True)

    found, _ = sampled(THREE, score)
    assert found.outputs == ("a", "b", "c")
    assert found.values.shape == (60, 4, 3)
    frame, X = table()
    rows = explain_rows(prepare_explainer(Subject(THREE, score, GROUPS, X[:100])), X[:5], frame[:5])
    assert rows.scores == pytest.approx(log_odds(score(X[:5])), abs=1e-9)
    highest = int(score(X[:1])[0].argmax())
    assert f"the score of {'abc'[highest]} by" in rows.reasons(0)[0].text


def test_reasons_are_words():
    frame, X = table()
    explainer = prepare_explainer(Subject(BINARY, scores, GROUPS, X[:200]))
    missing = int(np.flatnonzero(np.isnan(X[:, 1]))[0])
    found = explain_rows(explainer, X[missing : missing + 1], frame[missing : missing + 1])
    reasons = found.reasons(0, top=4)
    assert sorted((abs(r.effect) for r in reasons), reverse=True) == [
        abs(r.effect) for r in reasons
    ]
    by_name = {reason.feature: reason for reason in reasons}
    assert by_name["charge"].text.startswith("charge is missing, which raises the score by 0.")
    tenure = by_name["tenure"]
    assert tenure.text.startswith(f"tenure = {frame['tenure'][missing]} ")
    assert ("raises" in tenure.text) == (tenure.effect > 0)
    assert len(found.reasons(0, top=1)) == 1
    json.dumps([reason.to_json() for reason in reasons], allow_nan=False)


def test_estimates_are_explained_in_their_unit():
    found, _ = sampled(NUMBERS, lambda X: 1000 * margin(X)[:, None])
    assert (found.scale, found.outputs) == ("estimate", ("estimate",))
    assert "the estimate by" in found.reasons(0)[0].text
    assert found.scores.shape == (60, 1)
    assert 500 < np.abs(found.values).max() < 10_000


def test_importance_ranks_by_mean_size():
    found, _ = sampled(rows=200)
    ranked = found.importance()
    assert [item.name for item in ranked][-1] == "senior"
    assert ranked[0].value == pytest.approx(np.abs(found.values).mean(axis=(0, 2)).max())
    assert all(item.se > 0 for item in ranked)


def test_json_round_trip_keeps_six_digits():
    found, _ = sampled()
    again = Explanation.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again.values == pytest.approx(found.values, rel=1e-5, abs=1e-12)
    assert again.se == pytest.approx(found.se, rel=1e-5)
    assert again.data == found.data
    assert (again.features, again.method, again.why) == (found.features, found.method, found.why)


def test_of_very_many_features_the_weakest_are_one():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 120)).astype(np.float32)
    groups = tuple((f"c{i}", (i,)) for i in range(120))

    def score(X):
        return (3.0 * X[:, 7] + X[:, 90] * X[:, 3] + 1e-3 * X.sum(axis=1))[:, None].astype(float)

    frame = pl.DataFrame(X, schema=[name for name, _ in groups])
    found = explain_global(Subject(NUMBERS, score, groups, X[:100]), X, frame, rows=40)
    assert len(found.features) == 64
    assert found.features[-1] == "57 other features"
    assert {"c7", "c90", "c3"} <= set(found.features)
    assert "57 features that move the score least are one" in found.why
    assert found.importance()[0].name == "c7"


def test_no_rows_give_an_empty_explanation():
    frame, X = table()
    explainer = prepare_explainer(Subject(BINARY, scores, GROUPS, X[:100]))
    assert explain_rows(explainer, X[:0], frame[:0]).values.shape == (0, 4, 1)


def test_groups_must_part_the_columns():
    _, X = table(50)
    for groups in ([[0], [1, 2]], [[0], [0, 1, 2, 3, 4, 5]], [[], [0, 1, 2, 3, 4, 5]]):
        with pytest.raises(RatchetError, match="just once"):
            prepare_reference(scores, groups, X)
