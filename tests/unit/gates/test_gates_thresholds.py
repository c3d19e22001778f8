"""Fixed limits: at least, at most, undefined, and chance."""

import json

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import UsageError
from ratchet.evaluation.metrics import evaluate
from ratchet.gates.report import GateReport
from ratchet.gates.thresholds import judge_above_chance, judge_minimum, validate_metrics

BINARY = Task("binary", ("no", "yes"))


def metrics_of(strength=1.5, rows=400, seed=0, y=None):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.3).astype(np.int32) if y is None else y
    p = 1 / (1 + np.exp(-(rng.normal(size=rows) + strength * y - 1)))
    return evaluate(y, np.column_stack((1 - p, p)), task=BINARY)


def places(*path):
    return f"ratchet.yaml:{len(path)}:{path[-1]}"


def test_each_limit_is_judged_with_its_place():
    metrics = metrics_of()
    minimum = {"roc_auc": 0.5, "accuracy": 0.999, "log_loss": 5.0, "brier": 0.0001}
    results = judge_minimum(metrics, minimum, where=places)
    assert [r.name for r in results] == [f"minimum.{name}" for name in minimum]
    assert [r.passed for r in results] == [True, False, True, False]
    assert [r.threshold for r in results] == list(minimum.values())
    assert results[0].value == metrics["roc_auc"].value
    assert results[0].where == "ratchet.yaml:3:roc_auc"
    assert "is at least 0.5" in results[0].reason
    assert "is not at least 0.999" in results[1].reason
    assert "is at most 5" in results[2].reason
    assert "is not at most 0.0001" in results[3].reason


def test_a_value_on_the_limit_passes_either_way():
    report = validate_metrics({"f1": 0.8, "log_loss": 0.4}, {"f1": 0.8, "log_loss": 0.4})
    assert report.passed


def test_an_interval_around_the_limit_is_told():
    metrics = metrics_of()
    value = metrics["roc_auc"].value
    (near,) = judge_minimum(metrics, {"roc_auc": round(value - 0.005, 3)})
    assert near.passed
    assert "which includes the limit" in near.reason
    (far,) = judge_minimum(metrics, {"roc_auc": 0.5})
    assert "which includes" not in far.reason


def test_an_undefined_metric_fails_with_its_reason():
    metrics = metrics_of(rows=50, y=np.zeros(50, np.int32))
    (result,) = judge_minimum(metrics, {"roc_auc": 0.6})
    assert not result.passed
    assert result.value is None
    assert "all 50 rows are of the class 'no'" in result.reason
    chance = judge_above_chance(metrics)
    assert not chance.passed
    assert "all 50 rows" in chance.reason


def test_a_binary_metric_of_a_multiclass_model_fails_with_its_reason():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90).astype(np.int32)
    metrics = evaluate(y, rng.dirichlet(np.ones(3), 90), task=Task("multiclass", ("a", "b", "c")))
    (result,) = judge_minimum(metrics, {"f1_positive": 0.1})
    assert not result.passed
    assert "not a metric of this task" in result.reason


def test_chance_needs_an_interval_above_a_half():
    assert judge_above_chance(metrics_of(1.5)).passed
    weak = judge_above_chance(metrics_of(0.0))
    assert not weak.passed
    assert "chance" in weak.reason
    # Above a half by luck alone, on too few rows to say.
    few = metrics_of(0.8, rows=14, seed=3)
    assert few["roc_auc"].value > 0.5
    assert not judge_above_chance(few).passed


def test_useless_models_seldom_pass_for_better_than_chance():
    passed = sum(judge_above_chance(metrics_of(0.0, rows=200, seed=s)).passed for s in range(600))
    assert passed / 600 <= 0.025 + 3 * 0.0064


def test_validate_judges_given_metrics():
    report = validate_metrics(
        {"accuracy": 0.81, "roc_auc": None, "seconds": 3.0},
        {"accuracy": 0.8, "roc_auc": 0.7, "f1": 0.5},
        where={"accuracy": "--min-accuracy"},
    )
    assert [r.passed for r in report.results] == [True, False, False]
    assert report.results[0].where == "--min-accuracy"
    assert "it has no value" in report.results[1].reason
    assert "do not hold it" in report.results[2].reason
    assert GateReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


def test_a_metric_that_is_no_number_fails():
    report = validate_metrics({"accuracy": float("nan")}, {"accuracy": 0.1})
    assert not report.passed
    json.dumps(report.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "no limit was given"),
        ({"acuracy": 0.8}, "did you mean `accuracy`"),
        ({"accuracy": 80}, "not from 0 to 1"),
        ({"accuracy": -0.1}, "not from 0 to 1"),
        ({"log_loss": float("inf")}, "not 0 or more"),
    ],
)
def test_impossible_limits_are_refused(limits, said):
    with pytest.raises(UsageError) as caught:
        validate_metrics({"accuracy": 0.9}, limits)
    assert said in str(caught.value)
