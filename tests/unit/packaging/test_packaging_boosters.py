"""LightGBM's text and XGBoost's JSON as ONNX: categories, missing values, refusals."""

import json

import lightgbm
import numpy as np
import pytest
import xgboost

from ratchet.packaging import lightgbm as ours
from ratchet.packaging import xgboost as theirs
from ratchet.packaging.scorers import OnnxScorer
from ratchet.packaging.trees import InexpressibleError

ROWS = 800
CATEGORIES = 150


@pytest.fixture(scope="module")
def table():
    """Two numbers (the first without missing values) and a category of 150 codes."""
    rng = np.random.default_rng(5)
    X = np.column_stack(
        [rng.normal(size=ROWS), rng.normal(size=ROWS), rng.integers(0, CATEGORIES, ROWS)]
    ).astype(np.float32)
    margin = X[:, 0] + np.nan_to_num(X[:, 1]) + np.sin(X[:, 2])
    X[rng.random(ROWS) < 0.2, 1] = np.nan
    X[rng.random(ROWS) < 0.1, 2] = np.nan
    y = np.digitize(margin + rng.normal(0, 0.5, ROWS), [-0.5, 0.8])
    return X, y


@pytest.fixture(scope="module")
def strange(table):
    """Training rows, and rows with all that training did not have."""
    X, _ = table
    numbers = [np.nan, 0.0, -0.0, 1e-42, 1e30, -1e30]
    codes = [np.nan, -1, 0, CATEGORIES - 1, CATEGORIES, 5_000]
    rows = [(a, b, c) for a in numbers for b in numbers for c in codes]
    return np.vstack([X, np.array(rows, np.float32)])


def fit_lightgbm(table, classes, **given):
    X, y = table
    settings = {
        "objective": "binary" if classes == 2 else "multiclass",
        "verbosity": -1,
        "num_threads": 1,
        "seed": 1,
        "min_data_per_group": 5,
        "min_data_in_leaf": 5,
        **({} if classes == 2 else {"num_class": classes}),
        **given,
    }
    target = (y > 0).astype(int) if classes == 2 else y
    data = lightgbm.Dataset(X, target, categorical_feature=[2], params={"verbosity": -1})
    return lightgbm.train(settings, data, 30)


def fit_xgboost(table, classes, **given):
    X, y = table
    settings = {
        "objective": "binary:logistic" if classes == 2 else "multi:softprob",
        "nthread": 1,
        "seed": 1,
        **({} if given.get("booster") == "gblinear" else {"max_depth": 4}),
        **({} if classes == 2 else {"num_class": classes}),
        **given,
    }
    target = (y > 0).astype(int) if classes == 2 else y
    return xgboost.train(settings, xgboost.DMatrix(X, target), 30)


def two_columns(scores):
    return np.column_stack([1 - scores, scores]) if scores.ndim == 1 else scores


@pytest.mark.parametrize("classes", [2, 3])
def test_lightgbm_with_categories_and_missing_values(table, strange, classes):
    booster = fit_lightgbm(table, classes)
    text = ours.write_text(booster).decode()
    assert "num_cat=1" in text
    expected = two_columns(booster.predict(strange, num_threads=1))
    got = OnnxScorer(ours.convert(text)).score(strange)
    assert np.abs(got - expected).max() < 1e-12


def test_lightgbm_reads_missing_as_zero_where_training_had_none(table):
    booster = fit_lightgbm(table, 2)
    scorer = OnnxScorer(ours.convert(ours.write_text(booster).decode()))
    rows = np.array([[np.nan, 0.3, 7], [0.0, 0.3, 7]], np.float32)
    scores = scorer.score(rows)
    assert scores[0].tolist() == scores[1].tolist()


def test_lightgbm_without_a_single_split(table):
    booster = fit_lightgbm(table, 2, min_data_in_leaf=ROWS)
    X, _ = table
    got = OnnxScorer(ours.convert(ours.write_text(booster).decode())).score(X[:3])
    assert np.abs(got[:, 1] - booster.predict(X[:3])).max() < 1e-15


@pytest.mark.parametrize(
    "given",
    [
        {"objective": "poisson"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "multiclassova", "num_class": 3},
        {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        {"linear_tree": True},
        {"zero_as_missing": True},
    ],
    ids=lambda given: next(iter(given.items())),
)
def test_lightgbm_that_has_no_onnx_form_is_refused(table, given):
    X, y = table
    data = lightgbm.Dataset(X[:, :2], y if "num_class" in given else y > 0)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, **given}
    text = ours.write_text(lightgbm.train(settings, data, 3)).decode()
    with pytest.raises(InexpressibleError):
        ours.convert(text)


def test_a_sigmoid_slope_is_kept(table, strange):
    booster = fit_lightgbm(table, 2, sigmoid=2.5)
    expected = two_columns(booster.predict(strange, num_threads=1))
    got = OnnxScorer(ours.convert(ours.write_text(booster).decode())).score(strange)
    assert np.abs(got - expected).max() < 1e-12


@pytest.mark.parametrize("classes", [2, 3])
def test_lightgbm_by_its_own_text(table, strange, classes):
    booster = fit_lightgbm(table, classes)
    text = ours.write_text(booster)
    assert b"num_threads" not in text
    scorer = ours.LightGBMScorer(text)
    expected = two_columns(booster.predict(strange, num_threads=1))
    assert np.abs(scorer.score(strange) - expected).max() < 1e-12
    assert (scorer.classes, scorer.features) == (classes, 3)


@pytest.mark.parametrize("categorical", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost_with_categories_and_missing_values(table, strange, classes, categorical):
    X, y = table
    kinds = ["q", "q", "c"] if categorical else None
    settings = {
        "objective": "binary:logistic" if classes == 2 else "multi:softprob",
        "nthread": 1,
        "max_depth": 5,
        "max_cat_to_onehot": 4,
        **({} if classes == 2 else {"num_class": classes}),
    }
    target = (y > 0).astype(int) if classes == 2 else y

    def matrix(rows, labels=None):
        return xgboost.DMatrix(
            rows, labels, feature_types=kinds, enable_categorical=categorical, nthread=1
        )

    booster = xgboost.train(settings, matrix(X, target), 60)
    content = theirs.write_json(booster)
    trees = json.loads(content)["learner"]["gradient_booster"]["model"]["trees"]
    assert any(tree["categories"] for tree in trees) == categorical
    expected = two_columns(booster.predict(matrix(strange)).astype(float))
    got = OnnxScorer(theirs.convert(content)).score(strange)
    assert np.abs(got - expected).max() < 3e-7
    own = theirs.XGBoostScorer(content)
    assert np.abs(own.score(strange) - expected).max() == 0.0
    assert (own.classes, own.features) == (classes, 3)


def test_the_error_does_not_grow_with_the_rounds(table):
    """600 float32 sums: added up in another order they would be further apart than allowed."""
    X, y = table
    booster = xgboost.train(
        {"objective": "multi:softprob", "num_class": 3, "nthread": 1, "eta": 0.5, "lambda": 0},
        xgboost.DMatrix(X, y),
        200,
    )
    got = OnnxScorer(theirs.convert(theirs.write_json(booster))).score(X)
    assert np.abs(got - booster.predict(xgboost.DMatrix(X))).max() < 3e-7


@pytest.mark.parametrize(
    "given",
    [
        {"objective": "count:poisson"},
        {"booster": "dart"},
        {"booster": "gblinear"},
        {"multi_strategy": "multi_output_tree", "objective": "multi:softprob", "num_class": 3},
    ],
    ids=lambda given: str(next(iter(given.values()))),
)
def test_xgboost_that_has_no_onnx_form_is_refused(table, given):
    booster = fit_xgboost(table, 3 if "num_class" in given else 2, **given)
    with pytest.raises(InexpressibleError):
        theirs.convert(theirs.write_json(booster))


def test_estimates_of_lightgbm(table, strange):
    X, y = table
    data = lightgbm.Dataset(X, y * 1e6 + 3, categorical_feature=[2], params={"verbosity": -1})
    settings = {"objective": "regression", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 5}
    booster = lightgbm.train(settings, data, 30)
    text = ours.write_text(booster)
    expected = booster.predict(strange, num_threads=1).reshape(-1, 1)
    for scorer in (OnnxScorer(ours.convert(text.decode())), ours.LightGBMScorer(text)):
        assert (scorer.classes, scorer.features) == (1, 3)
        assert np.abs(scorer.score(strange) - expected).max() < 1e-9 * np.abs(expected).max()


def test_estimates_of_xgboost_are_turned_back_into_their_units(table, strange):
    X, y = table
    settings = {"objective": "reg:squarederror", "nthread": 1, "max_depth": 4}
    booster = xgboost.train(settings, xgboost.DMatrix(X, y), 30)
    plain = booster.predict(xgboost.DMatrix(strange)).astype(float).reshape(-1, 1)
    for center, scale in ((0.0, 1.0), (1e9, 1.0), (-5.0, 1e-6)):
        if scale != 1.0 or center:
            booster.set_attr(ratchet_center=repr(center), ratchet_scale=repr(scale))
        content = theirs.write_json(booster)
        for scorer in (OnnxScorer(theirs.convert(content)), theirs.XGBoostScorer(content)):
            assert (scorer.classes, scorer.features) == (1, 3)
            got = (scorer.score(strange) - center) / scale
            assert np.abs(got - plain).max() < 1e-6


def test_the_json_holds_the_rounds_asked_for(table):
    booster = fit_xgboost(table, 2)
    trees = json.loads(theirs.write_json(booster, rounds=4))["learner"]["gradient_booster"]
    assert len(trees["model"]["trees"]) == 4


@pytest.mark.parametrize("classes", [2, 3])
def test_the_same_model_gives_the_same_bytes(table, classes):
    one, two = fit_lightgbm(table, classes), fit_lightgbm(table, classes, num_threads=2)
    assert ours.write_text(one) == ours.write_text(two)
    text = ours.write_text(one).decode()
    assert ours.convert(text) == ours.convert(text)
    one, two = fit_xgboost(table, classes), fit_xgboost(table, classes)
    assert theirs.write_json(one) == theirs.write_json(two)
    assert theirs.convert(theirs.write_json(one)) == theirs.convert(theirs.write_json(two))
