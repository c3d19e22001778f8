"""A deadline ends every fit that promises it."""

import numpy as np
import pytest

from ratchet import clock
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.algorithms.logistic import most_likely, weak_belief
from ratchet.training.algorithms.patience import AUTO, RoundWatch, patience_of
from ratchet.training.algorithms.port import EARLY_STOPPING
from ratchet.training.deadline import NEVER, Deadline, StoppedError
from unit.training.training_algorithms import ALL, ENDLESS, HERE, algorithm_of, fit, make_rows

LONG = [(name, classes) for name, classes in ALL if name in ENDLESS]


@pytest.mark.parametrize(("name", "classes"), LONG)
def test_a_fit_ends_soon_after_its_deadline(name, classes):
    rows = make_rows(200, classes)
    fit(name, rows)  # loads the library
    began = clock.monotonic()
    kept = fit(name, rows, params=ENDLESS[name], deadline=Deadline.after(0.3, keep=True))
    assert clock.monotonic() - began < 2.0
    assert np.isfinite(kept.predict(rows.X)).all()
    began = clock.monotonic()
    with pytest.raises(StoppedError):
        fit(name, rows, params=ENDLESS[name], deadline=Deadline.after(0.3))
    assert clock.monotonic() - began < 2.0


@pytest.mark.parametrize(("name", "classes"), ALL)
def test_a_deadline_in_the_past(name, classes):
    rows = make_rows(100, classes)
    with pytest.raises(StoppedError):
        fit(name, rows, deadline=Deadline.after(-1))
    kept = fit(name, rows, deadline=Deadline.after(-1, keep=True))
    assert np.isfinite(kept.predict(rows.X)).all()
    if kept.rounds is not None:
        assert kept.rounds == 1


@pytest.mark.parametrize(("name", "classes"), ALL)
def test_a_deadline_that_does_not_come_changes_nothing(name, classes):
    rows = make_rows(150, classes)
    free, bound = (fit(name, rows, deadline=d) for d in (NEVER, Deadline.after(600)))
    assert np.array_equal(free.predict(rows.X), bound.predict(rows.X))


def test_a_forest_that_is_kept_has_the_first_trees_of_the_whole():
    rows = make_rows(200)
    whole = fit("random_forest", rows, params={"n_estimators": 3}, seed=3)
    kept = fit("random_forest", rows, params={"n_estimators": 40}, seed=3,
               deadline=Deadline.after(-1, keep=True))  # fmt: skip
    assert len(kept.model.estimators_) == kept.model.n_estimators == 1
    first = whole.model.estimators_[0].tree_
    assert np.array_equal(first.threshold, kept.model.estimators_[0].tree_.threshold)


@pytest.fixture(params=["newton", "lbfgs"])
def method(request, monkeypatch):
    """Both ways of the linear search, whatever the size."""
    if request.param == "lbfgs":
        monkeypatch.setattr("ratchet.training.algorithms.logistic.NEWTON_WORK", 0)
    return request.param


def test_the_linear_search_stops_at_the_step_it_is_at(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 8))
    codes = (X[:, 0] + rng.normal(size=500) > 0).astype(np.int64)
    prior = weak_belief((0, 1), 8, 1.0, True)
    done = most_likely(X, codes, None, prior, steps=100, tolerance=1e-9, deadline=NEVER)
    short = most_likely(
        X, codes, None, prior, steps=100, tolerance=1e-9, deadline=Deadline.after(-1, keep=True)
    )
    assert np.abs(short - done).max() > 1e-3
    assert np.abs(short).max() > 0
    with pytest.raises(StoppedError):
        most_likely(X, codes, None, prior, steps=100, tolerance=1e-9, deadline=Deadline.after(-1))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("C", [0.01, 0.3, 100.0])
def test_the_linear_search_finds_what_scikit_learn_finds(method, classes, C):
    from sklearn.linear_model import LogisticRegression

    rows = make_rows(300, classes)
    weight = np.linspace(0.5, 2, 300).astype(np.float32)
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10)
    model.fit(rows.X.astype(float), rows.y, sample_weight=weight)
    prior = weak_belief(tuple(range(classes)), 6, C, True)
    found = most_likely(rows.X.astype(float), rows.y.astype(np.int64), weight, prior,
                        steps=500, tolerance=1e-9, deadline=NEVER)  # fmt: skip
    # Classes' intercepts are only known up to a common shift, which scores do not see.
    intercept = found[:, -1] - found[:, -1].mean() * (classes > 2)
    expected = model.intercept_ - model.intercept_.mean() * (classes > 2)
    assert np.allclose(found[:, :-1], model.coef_, atol=1e-4)
    assert np.allclose(intercept, expected, atol=1e-4)


def test_classes_that_can_be_told_apart_exactly_end_the_search():
    X = np.linspace(-1, 1, 200).reshape(-1, 1)
    found = most_likely(X, (X[:, 0] > 0).astype(np.int64), None,
                        weak_belief((0, 1), 1, 1e6, True), steps=1_000, tolerance=1e-4,
                        deadline=NEVER)  # fmt: skip
    assert np.isfinite(found).all()
    assert found[0, 0] > 50


def test_what_cannot_be_interrupted_says_so():
    assert not algorithm_of("svm").interruptible
    (dotted,) = resolve_candidates({"sklearn.naive_bayes.GaussianNB": {}})
    assert not dotted.algorithm.interruptible
    assert all(algorithm_of(name).interruptible for name in ENDLESS if name in HERE)


def stop_at(losses, **given):
    watch = RoundWatch(NEVER, **{"patience": AUTO, "rate": 0.1, **given})
    for loss in losses:
        if watch.stops(loss):
            break
    return watch.best, watch.rounds


def test_patience():
    falling_then_flat = [*np.linspace(1, 0, 100), *[0.5] * 1_000]
    assert stop_at(falling_then_flat, patience=7) == (100, 107)
    assert stop_at(falling_then_flat, patience=10_000) == (100, 1_100)
    # A lower rate waits longer, and so does a long curve.
    best, fast = stop_at(falling_then_flat, rate=0.2)
    _, slow = stop_at(falling_then_flat, rate=0.01)
    assert (best, fast, slow) == (100, 130, 210)
    assert stop_at([None] * 50) == (0, 50)
    assert patience_of({EARLY_STOPPING: AUTO}) == AUTO
    assert (patience_of({EARLY_STOPPING: 0}), patience_of({})) == (0, 0)
