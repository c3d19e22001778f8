"""Whatever the rows: every algorithm gives scores for every row, and its shipped form the same."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ratchet.packaging.onnx import export_model
from ratchet.packaging.parity import compare_scores
from ratchet.packaging.scorers import open_scorer
from ratchet.training.algorithms.catalogue import BUILT_IN
from ratchet.training.fitted import TrainingRows
from unit.training.training_algorithms import ALL, algorithm_of, fit, make_rows, task_of

LIMITS = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TINY = {
    "lightgbm": {"num_iterations": 6, "min_data_in_leaf": 2},
    "xgboost": {"n_estimators": 6},
    "random_forest": {"n_estimators": 4},
    "extra_trees": {"n_estimators": 4},
}
ODD = (1e30, -1e30, 1e-42, -1e-42, 0.0, -0.0, 1e-35, 16_777_217.0, 1.0, -1.0)
numbers = st.one_of(st.floats(-1e3, 1e3, width=32), st.integers(0, 4).map(float))


def keeps_missing(name, classes):
    return algorithm_of(name).encoding(task_of(classes), 100, 3).missing == "native"


@st.composite
def frames(draw, name, classes):
    """Rows of three columns, the first of them codes, with values missing where that may be."""
    n = draw(st.integers(12, 40))
    X = draw(hnp.arrays(np.float32, (n, 3), elements=numbers))
    X[:, 0] = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 6)))
    if keeps_missing(name, classes):
        X[draw(hnp.arrays(np.bool_, (n, 3), elements=st.booleans()))] = np.nan
    codes = algorithm_of(name).encoding(task_of(classes), n, 3).categories == "codes"
    if classes:
        y = draw(hnp.arrays(np.int32, n, elements=st.integers(0, classes - 1)))
        # A class of one row leaves a support vector machine nothing to calibrate on.
        counts = np.bincount(y)
        assume((counts > 0).sum() > 1 and counts[counts > 0].min() > 1)
    else:
        y = draw(hnp.arrays(np.float64, n, elements=st.floats(-1, 1)))
        y = y * draw(st.sampled_from([1e-6, 1.0, 1e9])) + draw(st.sampled_from([0.0, 1e6]))
    return TrainingRows(X, y, None, (0,) if codes else (), ("a", "b", "c"), classes)


@pytest.mark.parametrize(("name", "classes"), ALL)
@LIMITS
@given(data=st.data())
def test_any_rows_can_be_learned_and_scored(name, classes, data):
    rows = data.draw(frames(name, classes))
    fitted = fit(name, rows, params=TINY.get(name, {}))
    scores = fitted.predict(rows.X)
    assert scores.shape == (len(rows.y), classes or 1)
    assert np.isfinite(scores).all()
    if classes:
        assert np.abs(scores.sum(axis=1) - 1).max() < 1e-6
        assert scores.min() >= 0
    with TemporaryDirectory() as folder:
        form = export_model(fitted, rows.X, Path(folder))
        assert form.max_difference <= 1e-6


@cache
def trained(name, classes):
    rows = make_rows(300, classes, center=1e4, scale=50.0)
    if keeps_missing(name, classes):
        rows.X[::7, 2] = np.nan
        rows.X[::11, 0] = np.nan
    fitted = fit(name, rows, params={**TINY.get(name, {})})
    with TemporaryDirectory() as folder:
        form = export_model(fitted, rows.X, Path(folder))
        return rows.X, fitted, open_scorer(form.kind, form.file.read_bytes())


@pytest.mark.parametrize(("name", "classes"), [each for each in ALL if each[1] == 0])
@LIMITS
@given(data=st.data())
def test_shipped_estimates_are_trainings_on_and_beside_the_thresholds(name, classes, data):
    """Rows made of training values, their float32 neighbours, and what training never saw."""
    X, fitted, scorer = trained(name, classes)
    shape = (6, X.shape[1])
    picks = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, len(X) - 1)))
    moves = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 4)))
    rows = X[picks, np.arange(X.shape[1])]
    up, down = np.nextafter(rows, np.float32(np.inf)), np.nextafter(rows, np.float32(-np.inf))
    odd = data.draw(hnp.arrays(np.float32, shape, elements=st.sampled_from(np.float32(ODD))))
    if name in ("ridge", "svm"):
        odd = np.clip(odd, -1e6, 1e6)
    moved = np.select([moves == 1, moves == 2, moves == 3], [up, down, odd], rows)
    moved[:, :2] = np.where(moves == 3, picks % 70, rows)[:, :2]
    if keeps_missing(name, classes):
        moved = np.where(moves == 4, np.nan, moved)
    moved = moved.astype(np.float32)
    parity = compare_scores(fitted.predict(moved), scorer.score(moved))
    assert parity.passed, parity


def test_every_algorithm_is_covered():
    assert {name for name, _ in ALL} | {"xgboost"} == set(BUILT_IN) - {"torch"}
    assert {classes for _, classes in ALL} == {0, 2, 3}
