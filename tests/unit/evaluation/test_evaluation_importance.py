"""Permutation importance: what it finds, its error, its cost."""

import json

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import RatchetError
from ratchet.evaluation.importance import Importance, permutation_importance

BINARY = Task("binary", (0, 1))
COLUMNS = {"strong": [0], "weak": [1], "unused": [2], "pair": [3, 4]}


def predict(X):
    odds = 2.0 * X[:, 0] + 0.5 * X[:, 1] + (X[:, 3] - X[:, 4])
    p = 1 / (1 + np.exp(-odds.astype(np.float64)))
    return np.column_stack((1 - p, p))


def table(rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 5)).astype(np.float32)
    y = (rng.random(rows) < predict(X)[:, 1]).astype(np.int32)
    return X, y


@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "accuracy"])
def test_columns_rank_by_what_the_model_does_with_them(metric):
    X, y = table()
    found = permutation_importance(predict, X, y, task=BINARY, columns=COLUMNS, metric=metric)
    assert [item.name for item in found] == ["strong", "pair", "weak", "unused"]
    assert found[-1].value == pytest.approx(0, abs=1e-12)
    assert found[0].value > 5 * found[0].se > 0


def test_equal_seeds_give_equal_results_and_the_inputs_stay():
    X, y = table()
    before = X.copy()
    first = permutation_importance(predict, X, y, task=BINARY, columns=COLUMNS, seed=4)
    assert first == permutation_importance(predict, X, y, task=BINARY, columns=COLUMNS, seed=4)
    assert first != permutation_importance(predict, X, y, task=BINARY, columns=COLUMNS, seed=5)
    assert np.array_equal(X, before)


@pytest.mark.parametrize("columns", [4, 40, 400])
def test_the_rows_scored_are_bounded(columns):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, columns)).astype(np.float32)
    y = (rng.random(5000) < 0.5).astype(np.int32)
    scored = []

    def counting(matrix):
        scored.append(len(matrix))
        return np.full((len(matrix), 2), 0.5)

    permutation_importance(
        counting,
        X,
        y,
        task=BINARY,
        columns={f"c{i}": [i] for i in range(columns)},
        metric="log_loss",
    )
    # Rare classes add a few rows to each sample.
    assert sum(scored) <= 40_000 * 1.05 + scored[0]


def test_rare_classes_stay_in_the_sample():
    X, y = table()
    y = np.zeros_like(y)
    y[:60] = 1
    found = permutation_importance(
        predict, X, y, task=BINARY, columns=COLUMNS, metric="roc_auc", max_rows=200
    )
    assert len(found) == 4


def test_one_class_or_no_columns_give_nothing():
    X, y = table(200)
    nothing = permutation_importance(
        predict, X, np.zeros_like(y), task=BINARY, columns=COLUMNS, metric="roc_auc"
    )
    assert nothing == ()
    assert permutation_importance(predict, X, y, task=BINARY, columns={}) == ()


def test_a_column_outside_the_matrix_is_a_bug():
    X, y = table(100)
    with pytest.raises(RatchetError):
        permutation_importance(predict, X, y, task=BINARY, columns={"far": [5]})


def test_json_round_trip():
    item = Importance("tenure", 0.03, 0.002)
    assert Importance.from_json(json.loads(json.dumps(item.to_json()))) == item
