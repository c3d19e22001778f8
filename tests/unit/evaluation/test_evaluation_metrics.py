"""Metric values are scikit-learn's, on random cases with ties, rare classes and missing ones."""

import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from ratchet.data.task import Task
from ratchet.errors import DataError, RatchetError
from ratchet.evaluation.catalog import METRICS, find_metric, metric_names
from ratchet.evaluation.metrics import Metrics, evaluate
from ratchet.evaluation.scored import decide

BINARY = Task("binary", ("no", "yes"))


def binary_case(seed, *, rows=60, ties=False):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < rng.uniform(0.1, 0.9)).astype(np.int32)
    score = 1 / (1 + np.exp(-rng.normal(size=rows) - y))
    if ties:
        score = np.round(score, 1)
    return y, np.column_stack((1 - score, score))


def multiclass_case(seed, *, rows=150, classes=4, ties=False):
    rng = np.random.default_rng(seed)
    y = rng.choice(classes, rows, p=np.arange(1, classes + 1) / sum(range(1, classes + 1)))
    raw = rng.random((rows, classes)) + np.eye(classes)[y] * rng.uniform(0, 1)
    if ties:
        raw = np.ceil(raw * 3)
    return y.astype(np.int32), raw / raw.sum(axis=1, keepdims=True)


def expected(y, proba, threshold):
    classes = proba.shape[1]
    chosen = (proba[:, 1] >= threshold).astype(int) if classes == 2 else proba.argmax(axis=1)
    labels = list(range(classes))
    wanted = {"accuracy": sk.accuracy_score(y, chosen)}
    for name, function in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        wanted[name] = function(y, chosen, average="weighted", zero_division=0)
        if classes == 2:
            wanted[f"{name}_positive"] = function(y, chosen, pos_label=1, zero_division=0)
    wanted["log_loss"] = sk.log_loss(y, proba, labels=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted["brier"] = sk.brier_score_loss(
            y, proba[:, 1] if classes == 2 else proba, labels=labels
        )
    if len(set(y)) == classes:
        wanted["roc_auc"] = (
            sk.roc_auc_score(y, proba[:, 1])
            if classes == 2
            else sk.roc_auc_score(y, proba, multi_class="ovr", average="macro")
        )
        wanted["pr_auc"] = sk.average_precision_score(
            y, proba[:, 1] if classes == 2 else proba, average="macro"
        )
    return wanted


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.3])
def test_binary_values_are_those_of_sklearn(ties, threshold):
    for seed in range(25):
        y, proba = binary_case(seed, ties=ties)
        found = evaluate(y, proba, task=BINARY, threshold=threshold)
        for name, value in expected(y, proba, threshold).items():
            assert found[name].value == pytest.approx(value, abs=1e-12), (seed, name)
            assert found[name].low <= found[name].value <= found[name].high, (seed, name)


@pytest.mark.parametrize("ties", [False, True])
def test_multiclass_values_are_those_of_sklearn(ties):
    task = Task("multiclass", (1, 2, 3, 4))
    for seed in range(25):
        y, proba = multiclass_case(seed, ties=ties)
        found = evaluate(y, proba, task=task)
        assert found.names == metric_names("multiclass")
        for name, value in expected(y, proba, 0.5).items():
            assert found[name].value == pytest.approx(value, abs=1e-12), (seed, name)


def test_log_loss_of_a_sure_and_wrong_row_is_finite_as_in_sklearn():
    y = np.array([1, 0, 1], dtype=np.int32)
    proba = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = evaluate(y, proba, task=BINARY)["log_loss"]
    assert found.value == pytest.approx(sk.log_loss(y, proba))
    assert 12 < found.value < 12.1


def test_confusion_and_report_are_those_of_sklearn():
    y, proba = multiclass_case(7)
    found = evaluate(y, proba, task=Task("multiclass", ("a", "b", "c", "d")))
    chosen = proba.argmax(axis=1)
    assert np.array_equal(found.confusion, sk.confusion_matrix(y, chosen))
    wanted = sk.classification_report(y, chosen, output_dict=True, zero_division=0)
    for code, row in enumerate(found.report):
        assert row.label == "abcd"[code]
        assert row.precision == pytest.approx(wanted[str(code)]["precision"])
        assert row.recall == pytest.approx(wanted[str(code)]["recall"])
        assert row.f1 == pytest.approx(wanted[str(code)]["f1-score"])
        assert row.support == wanted[str(code)]["support"]
        assert row.predicted == (chosen == code).sum()


@pytest.mark.parametrize("only", [0, 1])
def test_one_class_in_the_rows_leaves_the_areas_undefined_and_says_why(only):
    rng = np.random.default_rng(3)
    score = rng.random(20)
    y = np.full(20, only, dtype=np.int32)
    proba = np.column_stack((1 - score, score))
    found = evaluate(y, proba, task=BINARY)
    for name in ("roc_auc", "pr_auc"):
        assert found[name].value is None
        assert f"all 20 rows are of the class {BINARY.classes[only]!r}" in found[name].note
    for name, value in expected(y, proba, 0.5).items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name
    json.dumps(found.to_json(), allow_nan=False)


def test_a_class_without_rows_is_left_out_of_the_mean_area_and_told():
    y, proba = multiclass_case(1)
    kept = y != 2
    task = Task("multiclass", ("a", "b", "c", "d"))
    found = evaluate(y[kept], proba[kept], task=task)["roc_auc"]
    areas = [sk.roc_auc_score(y[kept] == code, proba[kept, code]) for code in (0, 1, 3)]
    assert found.value == pytest.approx(np.mean(areas))
    assert found.note == "mean over 3 classes; no rows of 'c'"


def test_no_row_predicted_positive_is_zero_with_an_interval_that_knows_nothing():
    y, proba = binary_case(0)
    found = evaluate(y, proba, task=BINARY, threshold=1.1)["precision_positive"]
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)
    assert found.note == "no row is predicted positive"


def test_a_perfect_model_is_not_perfectly_certain():
    y = np.repeat([0, 1], [40, 10]).astype(np.int32)
    proba = np.column_stack((1.0 - y, y)).astype(float)
    found = evaluate(y, proba, task=BINARY)
    for name in ("accuracy", "roc_auc", "pr_auc", "f1", "precision", "f1_positive"):
        assert found[name].value == 1.0
        assert 0.5 < found[name].low < 1.0, name
    # The area rests on ten positive rows, so it is no surer than ten of ten.
    assert found["roc_auc"].low == pytest.approx(10 / (10 + 1.959964**2), abs=1e-6)


def test_json_round_trip_keeps_everything():
    y, proba = binary_case(5)
    found = evaluate(y, proba, task=BINARY, threshold=0.4, confidence=0.9)
    again = Metrics.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again == found
    assert again.values() == found.values()
    assert "roc_auc" in again
    assert "mape" not in again
    with pytest.raises(KeyError):
        again["mape"]


def test_only_the_metrics_asked_for():
    y, proba = binary_case(5)
    assert evaluate(y, proba, task=BINARY, names=["brier", "f1"]).names == ("brier", "f1")
    with pytest.raises(ValueError, match="did you mean `roc_auc`"):
        evaluate(y, proba, task=BINARY, names=["roc_acu"])


def test_scores_that_are_no_numbers_are_refused_with_a_count():
    y, proba = binary_case(5)
    proba[3] = np.nan
    proba[4, 0] = np.inf
    with pytest.raises(DataError, match="2 of 60 rows are not finite"):
        evaluate(y, proba, task=BINARY)


def test_no_rows_are_refused_with_what_to_do():
    with pytest.raises(DataError) as caught:
        evaluate(np.array([], dtype=np.int32), np.empty((0, 2)), task=BINARY)
    assert "data.split.test" in caught.value.fix


@pytest.mark.parametrize(
    ("y", "proba", "task"),
    [
        (np.zeros(3, np.int32), np.ones((3, 3)) / 3, BINARY),
        (np.zeros(2, np.int32), np.ones((3, 2)) / 2, BINARY),
        (np.full(3, 2, np.int32), np.ones((3, 2)) / 2, BINARY),
        (np.full(3, -1, np.int32), np.ones((3, 2)) / 2, BINARY),
        (np.zeros(3, np.int32), np.ones((3, 0)), Task("regression", ())),
    ],
)
def test_what_does_not_fit_the_task_is_refused(y, proba, task):
    with pytest.raises(RatchetError):
        evaluate(y, proba, task=task)


def test_a_score_at_the_threshold_is_positive_and_ties_take_the_first_class():
    assert decide(np.array([[0.5, 0.5], [0.51, 0.49]]), 0.5).tolist() == [1, 0]
    assert decide(np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]]), 0.5).tolist() == [0, 1]


def test_float32_scores_and_repeated_calls_give_the_same():
    y, proba = binary_case(5)
    narrow = proba.astype(np.float32)
    assert evaluate(y, narrow, task=BINARY) == evaluate(y, narrow, task=BINARY)


def test_every_metric_is_described():
    for metric in METRICS:
        assert metric.description.endswith(".")
        assert find_metric(metric.name) is metric
        assert metric.sign == (1 if metric.better == "higher" else -1)
    assert len({metric.name for metric in METRICS}) == len(METRICS)
