"""What every algorithm promises, tried on each of them."""

import re
from importlib.util import find_spec

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.algorithms.extra_trees import ExtraTrees
from ratchet.training.algorithms.lightgbm import LightGBM
from ratchet.training.algorithms.logistic_regression import LogisticRegression
from ratchet.training.algorithms.port import EARLY_STOPPING, kept_rounds
from ratchet.training.algorithms.random_forest import RandomForest
from ratchet.training.algorithms.svm import SVM
from ratchet.training.algorithms.xgboost import XGBoost
from ratchet.training.entrant import enter
from ratchet.training.scoring import roc_auc, score_all
from ratchet.training.thresholds import round_lightgbm_text

FAST = {
    "lightgbm": {"num_iterations": 30},
    "xgboost": {"n_estimators": 30},
    "random_forest": {"n_estimators": 20},
    "extra_trees": {"n_estimators": 20},
    "logistic_regression": {},
    "svm": {},
    "sklearn.ensemble.HistGradientBoostingClassifier": {"max_iter": 10},
    "sklearn.ensemble.ExtraTreesClassifier": {"n_estimators": 10, "min_samples_leaf": 5},
    "sklearn.linear_model.RidgeClassifier": {},
}
needs_xgboost = pytest.mark.skipif(find_spec("xgboost") is None, reason="no xgboost here")
ALL = [pytest.param(n, marks=needs_xgboost) if n == "xgboost" else n for n in FAST]
XGBOOST = pytest.param("xgboost", marks=needs_xgboost)


def fit(name, rows, params=None, threads=1, validation=None, seed=7, size=None):
    (candidate,) = resolve_candidates({name: FAST[name] if params is None else params})
    task = Task("binary" if rows.classes == 2 else "multiclass", tuple(range(rows.classes)))
    entrant = enter(candidate, task, size or len(rows.y), 6, cross_validated=validation is not None)
    return entrant.algorithm.fit(
        rows, params=entrant.params, seed=seed, threads=threads, validation=validation
    )


@pytest.mark.parametrize("name", ALL)
def test_the_form_says_what_the_model_is(name, encoded):
    fitted = fit(name, encoded())
    assert fitted.algorithm == name
    assert fitted.form == (name if name in ("lightgbm", "xgboost") else "sklearn")
    module = type(fitted.model).__module__.partition(".")[0]
    assert module == fitted.form


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_probabilities_of_all_classes_that_know_something(name, classes, encoded):
    fitted = fit(name, encoded(classes=classes))
    fresh = encoded(classes=classes, seed=1)
    proba = fitted.predict(fresh.X)
    assert proba.dtype == np.float64
    assert proba.shape == (300, classes)
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert proba.min() >= 0
    assert score_all(fresh.y, proba)["roc_auc"] > 0.75
    assert fitted.predict(fresh.X[:0]).shape == (0, classes)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("threads", [1, 2])
def test_same_rows_and_seed_give_the_same_bits(name, threads, encoded):
    rows = encoded(rows=400)
    first, again = (fit(name, rows, threads=threads).predict(rows.X) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("name", ["lightgbm", "random_forest", "extra_trees"])
def test_the_number_of_threads_changes_nothing(name, encoded):
    rows = encoded(rows=400)
    one, two = (fit(name, rows, threads=threads).predict(rows.X) for threads in (1, 2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("name", ["lightgbm", XGBOOST, "random_forest", "extra_trees"])
def test_the_seed_matters_where_there_is_chance(name, encoded):
    rows = encoded()
    params = {**FAST[name], **({"subsample": 0.7} if name in ("lightgbm", "xgboost") else {})}
    if name == "lightgbm":
        params["bagging_freq"] = 1
    one, two = (fit(name, rows, params, seed=seed).predict(rows.X) for seed in (1, 2))
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("name", ALL)
def test_a_class_that_does_not_occur_scores_next_to_nothing(name, encoded):
    rows = encoded(classes=2)
    wider = type(rows)(rows.X, rows.y * 2, None, rows.categorical, rows.names, 3)
    proba = fit(name, wider).predict(rows.X)
    assert proba.shape == (300, 3)
    assert proba[:, 1].max() < 0.05


@pytest.mark.parametrize("name", ALL)
def test_weights_shift_the_scores_towards_the_heavy_class(name, encoded):
    plain = encoded()
    heavy = encoded(weight=np.where(plain.y == 1, 5.0, 0.5).astype(np.float32))
    light = fit(name, plain).predict(plain.X)[:, 1].mean()
    assert fit(name, heavy).predict(plain.X)[:, 1].mean() > light + 0.05


def trees_of(fitted):
    if fitted.form == "lightgbm":
        text = fitted.model.model_to_string()
        values = [line.split("=")[1].split() for line in re.findall(r"threshold=.*", text)]
        return np.array([float(value) for line in values for value in line])
    if hasattr(fitted.model, "_predictors"):
        parts = [part.nodes["num_threshold"] for row in fitted.model._predictors for part in row]
    else:
        parts = [tree.tree_.threshold for tree in fitted.model.estimators_]
    return np.concatenate(parts)


@pytest.mark.parametrize(
    "name",
    [
        "lightgbm",
        "random_forest",
        "extra_trees",
        "sklearn.ensemble.ExtraTreesClassifier",
        "sklearn.ensemble.HistGradientBoostingClassifier",
    ],
)
def test_thresholds_are_exact_in_float32(name, encoded):
    thresholds = trees_of(fit(name, encoded(rows=500)))
    thresholds = thresholds[np.isfinite(thresholds)]
    assert len(thresholds) > 20
    assert np.array_equal(thresholds.astype(np.float32).astype(np.float64), thresholds)


@pytest.mark.parametrize("classes", [2, 3])
def test_rounded_lightgbm_text_scores_as_the_original(classes, encoded):
    import lightgbm

    rows = encoded(rows=600, classes=classes)
    X = rows.X.copy()
    X[::9, 3] = np.nan
    objective = {"objective": "binary"} if classes == 2 else {"objective": "multiclass"}
    settings = {**objective, "num_class": 1 if classes == 2 else classes, "verbosity": -1}
    data = lightgbm.Dataset(X, rows.y, categorical_feature=[0, 1], params=settings)
    original = lightgbm.train({**settings, "num_threads": 1}, data, 40)
    text = original.model_to_string()
    assert re.search(r"num_cat=[1-9]", text)
    rounded = round_lightgbm_text(text)
    assert "parameters:" not in rounded
    changed = lightgbm.Booster(model_str=rounded)
    rng = np.random.default_rng(5)
    fresh = np.vstack([X, rng.normal(size=(3000, 6)).astype(np.float32)])
    assert np.array_equal(original.predict(fresh), changed.predict(fresh))
    assert re.findall(r"cat_threshold=.*", text) == re.findall(r"cat_threshold=.*", rounded)
    # Written and read again it stays as it is.
    once = changed.model_to_string()
    assert round_lightgbm_text(once) == round_lightgbm_text(round_lightgbm_text(once))


def test_a_lightgbm_model_that_is_one_leaf_survives(encoded):
    rows = encoded(rows=40)
    params = {"num_iterations": 3, "min_data_in_leaf": 100}
    proba = fit("lightgbm", rows, params).predict(rows.X)
    assert np.allclose(proba[:, 1], rows.y.mean(), atol=1e-3)


def test_forest_scores_are_unchanged_by_rounding(encoded):
    from sklearn.ensemble import RandomForestClassifier

    rows = encoded(rows=500)
    params = {
        "n_estimators": 15,
        "min_samples_leaf": 1,
        "max_samples": None,
        "max_features": "sqrt",
    }
    fitted = fit("random_forest", rows, params)
    plain = RandomForestClassifier(15, min_samples_leaf=1, max_features="sqrt", random_state=7)
    plain.fit(rows.X, rows.y)
    fresh = np.random.default_rng(5).normal(size=(3000, 6)).astype(np.float32)
    assert np.array_equal(plain.predict_proba(fresh), fitted.predict(fresh))


@pytest.mark.parametrize("name", ["lightgbm", XGBOOST])
def test_boosting_stops_early_on_the_rows_it_is_shown(name, encoded):
    rows, watch = encoded(rows=400), encoded(rows=200, seed=1)
    fitted = fit(name, rows, {"learning_rate": 0.2}, validation=watch)
    assert 10 <= fitted.rounds < 300
    rounds = fitted.model.num_trees() if name == "lightgbm" else fitted.model.num_boosted_rounds()
    assert rounds == fitted.rounds
    # The rounds it kept are those of a fit that never saw the rows that stopped it.
    counter = "num_iterations" if name == "lightgbm" else "n_estimators"
    fixed = fit(name, rows, {"learning_rate": 0.2, counter: fitted.rounds})
    assert np.array_equal(fixed.predict(watch.X), fitted.predict(watch.X))


def test_drift_does_not_stop_boosting_at_once():
    params = {"learning_rate": 0.1}
    assert kept_rounds(1, 51, params) == 20
    assert kept_rounds(80, 130, params) == 80
    assert kept_rounds(1, 12, params) == 12


def test_rounds_given_by_the_user_are_trained_in_full(encoded):
    rows, watch = encoded(rows=400), encoded(rows=200, seed=1)
    given = {"num_iterations": 120, "learning_rate": 0.5}
    assert fit("lightgbm", rows, given, validation=watch).rounds == 120
    given[EARLY_STOPPING] = 5
    assert fit("lightgbm", rows, given, validation=watch).rounds < 60


def test_lightgbm_text_tells_nothing_of_the_machine(encoded):
    texts = [
        fit("lightgbm", encoded(), threads=threads).model.model_to_string() for threads in (1, 2)
    ]
    assert texts[0] == texts[1]
    assert "num_threads" not in texts[0]


def test_a_support_vector_machine_is_linear_for_many_rows(encoded):
    small, large = fit("svm", encoded()), fit("svm", encoded(), size=50_000)
    assert small.params["kernel"] == "rbf"
    assert large.params["kernel"] == "linear"
    assert type(large.model.estimator).__name__ == "LinearSVC"
    rare = encoded(rows=40)
    rare.y[:] = 0
    rare.y[3] = 1
    with pytest.raises(ValueError, match="single row"):
        fit("svm", rare)


def test_an_estimator_that_takes_no_weights_does_not_ignore_them(encoded):
    rows = encoded(weight=np.ones(300, np.float32))
    with pytest.raises(TypeError, match="sample_weight"):
        fit("sklearn.neighbors.KNeighborsClassifier", rows, {})


def test_a_forest_without_bootstrap_draws_no_samples(encoded):
    rows = encoded()
    fitted = fit("random_forest", rows, {"n_estimators": 5, "bootstrap": False}, size=5_000)
    assert fitted.model.max_samples is None
    with pytest.raises(ConfigError, match="max_samples"):
        RandomForest().check({"bootstrap": False, "max_samples": 0.5})


def test_defaults_grow_with_the_data():
    task = Task("binary", (0, 1))
    built_in = (LightGBM(), XGBoost(), RandomForest(), ExtraTrees(), SVM(), LogisticRegression())
    for algorithm in built_in:
        for rows in (500, 5_000, 50_000, 500_000):
            defaults = algorithm.defaults(task, rows, 20)
            assert algorithm.check(defaults) == defaults  # what it gives it also takes
        assert isinstance(algorithm.encoding(task, 500, 20), Encoding)
    assert LightGBM().defaults(task, 500, 9)["num_leaves"] < 15
    assert LightGBM().defaults(task, 500_000, 9)["num_leaves"] > 31


def test_ranking_of_scores_is_unaffected_by_platt_scaling(encoded):
    rows = encoded(rows=400)
    fitted = fit("svm", rows)
    decision = fitted.model.calibrated_classifiers_[0].estimator.decision_function(rows.X)
    assert roc_auc(rows.y == 1, fitted.predict(rows.X)[:, 1]) == pytest.approx(
        roc_auc(rows.y == 1, decision), abs=1e-9
    )
