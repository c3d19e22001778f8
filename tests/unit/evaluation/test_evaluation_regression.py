"""Models of numbers: metrics, their intervals, comparison, slices, importance."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as sk

from ratchet.data.task import Task
from ratchet.errors import DataError, RatchetError
from ratchet.evaluation.catalog import find_metric, metric_names, usual_metric
from ratchet.evaluation.compare import Comparison, compare
from ratchet.evaluation.importance import permutation_importance
from ratchet.evaluation.measures import Undefined, measure, standard_error
from ratchet.evaluation.metrics import Metrics, evaluate
from ratchet.evaluation.scored import Scored, scored_rows
from ratchet.evaluation.slices import slice_metrics

NUMBERS = Task("regression", ())
NAMES = ("rmse", "mae", "median_ae", "r2")


def rows_of(rows=500, seed=0, noise=0.5, tails=5):
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, 2.0, rows)
    return y, (y + noise * rng.standard_t(tails, rows))[:, None]


def two_models(rows=500, seed=0, noise=(0.3, 0.6)):
    rng = np.random.default_rng(seed)
    y = rng.gamma(2.0, 2.0, rows)
    shared = rng.normal(size=rows)
    return y, *((y + shared + s * rng.normal(size=rows))[:, None] for s in noise)


def picked(scored, index):
    return Scored(scored.y[index], scored.proba[index], scored.predicted, scored.task)


def test_values_are_those_of_sklearn():
    y, found = rows_of()
    metrics = evaluate(y, found, task=NUMBERS)
    assert metrics.names == metric_names("regression") == NAMES
    assert metrics.values() == pytest.approx(
        {
            "rmse": sk.root_mean_squared_error(y, found[:, 0]),
            "mae": sk.mean_absolute_error(y, found[:, 0]),
            "median_ae": sk.median_absolute_error(y, found[:, 0]),
            "r2": sk.r2_score(y, found[:, 0]),
        }
    )
    for name in NAMES:
        assert metrics[name].low < metrics[name].value < metrics[name].high


def test_there_are_no_classes_and_json_says_so():
    y, found = rows_of(50)
    metrics = evaluate(y, found, task=NUMBERS, threshold=0.3)
    assert (metrics.classes, metrics.threshold, metrics.confusion, metrics.report) == (
        (),
        None,
        (),
        (),
    )
    text = json.dumps(metrics.to_json(), allow_nan=False)
    assert Metrics.from_json(json.loads(text)) == metrics


def test_metrics_of_another_kind_are_undefined_both_ways():
    y, found = rows_of(50)
    assert (
        "needs a task of classes"
        in evaluate(y, found, task=NUMBERS, names=["roc_auc"])["roc_auc"].note
    )
    binary = Task("binary", (0, 1))
    codes, scores = np.array([0, 1], np.int32), np.array([[0.2, 0.8], [0.4, 0.6]])
    note = evaluate(codes, scores, task=binary, names=["rmse"])["rmse"].note
    assert "needs a task of numbers" in note
    assert not set(NAMES) & set(metric_names("binary"))
    assert usual_metric("regression") == "rmse"
    assert find_metric("mae").sign == -1
    assert find_metric("r2").sign == 1


def test_a_model_of_the_mean_explains_nothing_and_a_bad_one_less():
    y, _ = rows_of(200)
    mean = np.full((200, 1), y.mean())
    assert evaluate(y, mean, task=NUMBERS)["r2"].value == pytest.approx(0)
    assert evaluate(y, mean + 50, task=NUMBERS)["r2"].value < -10
    perfect = evaluate(y, y[:, None], task=NUMBERS)
    assert perfect.values() == {"rmse": 0, "mae": 0, "median_ae": 0, "r2": 1}


def test_one_row_and_one_value_are_measured_without_nan():
    one = evaluate(np.array([3.0]), np.array([[5.0]]), task=NUMBERS)
    assert one["rmse"].value == 2
    assert one["r2"].value is None
    assert "all 1 rows have the same value" in one["r2"].note
    json.dumps(one.to_json(), allow_nan=False)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e9, 1e200])
def test_the_unit_of_the_target_is_the_unit_of_the_errors(scale):
    y, found = rows_of(100)
    plain, scaled = (evaluate(y * s, found * s, task=NUMBERS) for s in (1.0, scale))
    for name in ("rmse", "mae", "median_ae"):
        assert scaled[name].value == pytest.approx(plain[name].value * scale)
        assert scaled[name].high == pytest.approx(plain[name].high * scale)
    assert scaled["r2"].value == pytest.approx(plain["r2"].value)
    assert scaled["r2"].low == pytest.approx(plain["r2"].low)


def test_values_that_are_no_numbers_are_refused():
    y, found = rows_of(50)
    found[3] = np.nan
    with pytest.raises(DataError, match="1 of 50 rows"):
        evaluate(y, found, task=NUMBERS)
    with pytest.raises(RatchetError, match="finite"):
        evaluate(np.array([np.inf]), np.array([[1.0]]), task=NUMBERS)
    with pytest.raises(RatchetError, match="do not fit"):
        evaluate(y, np.zeros((50, 2)), task=NUMBERS)
    with pytest.raises(DataError, match="no rows"):
        evaluate(np.empty(0), np.empty((0, 1)), task=NUMBERS)


@pytest.mark.parametrize("name", ["rmse", "mae"])
def test_each_influence_is_the_change_that_a_little_more_of_the_row_makes(name):
    scored = scored_rows(*rows_of(60), task=NUMBERS)
    every = np.repeat(np.arange(60), 400)
    base = measure(scored, name)
    assert base.influence.mean() == pytest.approx(0, abs=1e-9)
    for row in (0, 13, 59):
        more = measure(picked(scored, np.append(every, row)), name)
        slope = (more.value - base.value) * (60 * 400 + 1)
        assert slope == pytest.approx(base.influence[row], rel=0.02, abs=0.02)


def test_the_influence_on_r2_is_that_of_leaving_the_row_out():
    y, found = rows_of(40)
    scored = scored_rows(y, found, task=NUMBERS)
    keep = [np.delete(np.arange(40), row) for row in range(40)]
    without = np.array([measure(picked(scored, rows), "r2").value for rows in keep])
    wanted = 39 * (without.mean() - without)
    assert measure(scored, "r2").influence == pytest.approx(wanted)


def test_standard_errors_are_those_of_a_bootstrap():
    scored = scored_rows(*rows_of(800, tails=8), task=NUMBERS)
    rng = np.random.default_rng(1)
    samples = [picked(scored, rng.integers(0, 800, 800)) for _ in range(400)]
    for name in NAMES:
        drawn = np.std([measure(sample, name).value for sample in samples])
        se = standard_error(measure(scored, name).influence)
        assert se == pytest.approx(drawn, rel=0.25 if name == "median_ae" else 0.12), name


@pytest.mark.parametrize("metric", NAMES)
def test_positive_is_better_and_turning_round_changes_the_sign(metric):
    y, good, bad = two_models()
    found = compare(y, good, bad, task=NUMBERS, metric=metric)
    sign = 1 if metric == "r2" else -1
    assert found.difference == pytest.approx(sign * (found.new - found.old))
    assert found.new == evaluate(y, good, task=NUMBERS)[metric].value
    back = compare(y, bad, good, task=NUMBERS, metric=metric)
    assert back.difference == pytest.approx(-found.difference)
    assert back.low == pytest.approx(-found.high)
    assert Comparison.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
def test_verdicts(metric):
    y, good, bad = two_models(2000, noise=(0.2, 0.8))
    assert compare(y, good, bad, task=NUMBERS, metric=metric).verdict == "superior"
    assert compare(y, bad, good, task=NUMBERS, metric=metric).verdict == "worse"
    y, new, old = two_models(2000, noise=(0.3, 0.3))
    near = compare(y, new, old, task=NUMBERS, metric=metric)
    assert near.verdict == "not_enough_evidence"
    wide = compare(y, new, old, task=NUMBERS, metric=metric, margin=0.2)
    assert wide.verdict == "non_inferior"
    assert wide.method == ("paired z" if metric == "mae" else "paired infinitesimal jackknife")


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_last_digits_of_another_runtime_are_no_improvement(metric, scale):
    y, good, _ = two_models()
    closer = good + np.sign(y[:, None] - good) * 1e-8
    found = compare(y * scale, closer * scale, good * scale, task=NUMBERS, metric=metric)
    assert found.verdict == "not_enough_evidence"
    assert "alike" in found.reason


def test_few_rows_prove_nothing():
    y, good, bad = two_models(29)
    found = compare(y, good, bad, task=NUMBERS, metric="rmse")
    assert found.verdict == "not_enough_evidence"
    assert "29 rows are too few" in found.reason
    flat = compare(np.ones(50), np.zeros((50, 1)), np.ones((50, 1)), task=NUMBERS, metric="r2")
    assert flat.difference is None
    assert "same value of the target" in flat.reason
    assert isinstance(
        measure(scored_rows(np.ones(5), np.ones((5, 1)), task=NUMBERS), "r2"), Undefined
    )


def test_slices_find_the_part_with_the_large_errors():
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"shop": rng.choice(["a", "b", "c"], 3000), "size": rng.random(3000)})
    y = rng.normal(size=3000)
    noise = np.where(frame["shop"] == "b", 2.0, 0.5) * rng.normal(size=3000)
    found = slice_metrics(frame, y, (y + noise)[:, None], task=NUMBERS)
    assert (found[0].column, found[0].label, found[0].worse) == ("shop", "b", True)
    assert found[0].difference < -0.5
    assert {name for name, _ in found[0].estimates} == {"rmse", "mae", "r2"}
    assert sum(part.worse for part in found) == 1


def test_permutation_importance_of_an_estimate():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 3)).astype(np.float32)
    y = 3.0 * X[:, 0] + X[:, 1] + rng.normal(size=2000)
    found = permutation_importance(
        lambda X: (3.0 * X[:, :1] + X[:, 1:2]).astype(np.float64),
        X,
        y,
        task=NUMBERS,
        columns={"strong": [0], "weak": [1], "unused": [2]},
    )
    assert [item.name for item in found] == ["strong", "weak", "unused"]
    assert found[0].value == pytest.approx(np.sqrt(1 + 2 * 9) - 1, rel=0.15)
    assert found[2].value == 0
