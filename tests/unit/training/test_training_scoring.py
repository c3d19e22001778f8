import numpy as np
import pytest
from sklearn import metrics

from ratchet.data.task import Task
from ratchet.evaluation.metrics import evaluate
from ratchet.training.scoring import METRICS, better, predict_classes, score_all


def scores_of(rows, classes, seed, digits=None):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows).astype(np.int32)
    raw = rng.random((rows, classes)) + 0.5 * np.eye(classes)[y]
    proba = raw / raw.sum(axis=1, keepdims=True)
    if digits is not None:  # ties
        proba[:, 1:] = np.round(proba[:, 1:], digits)
        proba[:, 0] = 1 - proba[:, 1:].sum(axis=1)
    return y, proba


def by_sklearn(y, proba):
    classes = proba.shape[1]
    labels = list(range(classes))
    predicted = predict_classes(proba)
    kind = {"average": "weighted", "zero_division": 0, "labels": labels}
    hot = np.eye(classes)[y]
    area = {"average": "macro"}
    return {
        "accuracy": metrics.accuracy_score(y, predicted),
        "precision": metrics.precision_score(y, predicted, **kind),
        "recall": metrics.recall_score(y, predicted, **kind),
        "f1": metrics.f1_score(y, predicted, **kind),
        "roc_auc": metrics.roc_auc_score(y, proba[:, 1])
        if classes == 2
        else metrics.roc_auc_score(hot, proba, **area),
        "pr_auc": metrics.average_precision_score(y, proba[:, 1])
        if classes == 2
        else metrics.average_precision_score(hot, proba, **area),
        "log_loss": metrics.log_loss(y, proba, labels=labels),
    }


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("rows", [40, 1000])
def test_all_metrics_are_those_of_scikit_learn(classes, digits, rows):
    y, proba = scores_of(rows, classes, seed=rows + classes, digits=digits)
    proba = np.clip(proba, 1e-3, None)
    proba /= proba.sum(axis=1, keepdims=True)
    ours, theirs = score_all(y, proba), by_sklearn(y, proba)
    assert set(ours) == set(METRICS)
    for name in METRICS:
        assert ours[name] == pytest.approx(theirs[name], abs=1e-12), name


def test_areas_are_left_out_when_there_is_one_class():
    scores = score_all(np.zeros(4, np.int32), np.full((4, 2), 0.5))
    assert set(METRICS) - set(scores) == {"roc_auc", "pr_auc"}
    assert scores["recall"] == 0.0
    assert scores["log_loss"] == pytest.approx(np.log(2))


def test_a_class_that_does_not_occur_changes_no_average():
    y, proba = scores_of(200, 3, seed=1)
    wider = np.column_stack([proba, np.zeros(200)])
    assert score_all(y, wider) == pytest.approx(score_all(y, proba))


def test_a_certain_and_wrong_score_costs_much_but_not_infinitely():
    scores = score_all(np.array([0, 1], np.int32), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 15 < scores["log_loss"] < 20


def test_only_log_loss_is_better_when_lower():
    assert better("log_loss", 0.1, 0.2)
    assert not better("roc_auc", 0.1, 0.2)
    assert not better("roc_auc", 0.2, 0.2)


@pytest.mark.parametrize("classes", [2, 4])
def test_evaluation_measures_the_same(classes):
    y, proba = scores_of(300, classes, seed=classes)
    proba /= proba.sum(axis=1, keepdims=True)
    kind = "binary" if classes == 2 else "multiclass"
    task = Task(kind, tuple(f"c{code}" for code in range(classes)))
    measured = evaluate(y, proba, task=task).values()
    for name, value in score_all(y, proba).items():
        assert measured[name] == pytest.approx(value, abs=1e-12), name


def test_numbers_are_scored_as_scikit_learn_does():
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    rng = np.random.default_rng(0)
    y = rng.normal(size=300) * 7 + 3
    estimate = y + rng.normal(size=300)
    scores = score_all(y, estimate[:, None])
    assert set(scores) == {"rmse", "mae", "r2"}
    assert scores["rmse"] == pytest.approx(root_mean_squared_error(y, estimate))
    assert scores["mae"] == pytest.approx(mean_absolute_error(y, estimate))
    assert scores["r2"] == pytest.approx(r2_score(y, estimate))
    assert "r2" not in score_all(np.full(5, 2.0), np.zeros((5, 1)))
