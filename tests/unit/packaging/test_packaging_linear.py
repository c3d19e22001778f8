"""Linear models as plain numbers."""

import json

import numpy as np
import pytest

from ratchet.errors import DataError
from ratchet.packaging.linear import CHUNK, LinearScorer, convert_linear, write_linear
from ratchet.packaging.scorers import open_scorer


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    return rng.normal(size=(CHUNK + 300, 5)).astype(np.float32)


def learn(model, rows, classes):
    margin = rows @ np.array([1.0, -2.0, 0.5, 0.0, 1.0])
    target = np.digitize(margin, np.linspace(-1, 1, classes - 1)) if classes else margin * 1e5
    return model.fit(rows, target)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_it_scores_as_logistic_regression_does(rows, classes):
    from sklearn.linear_model import LogisticRegression

    model = learn(LogisticRegression(), rows, classes)
    scorer = open_scorer("numpy", convert_linear(model))
    assert (scorer.features, scorer.classes) == (5, classes)
    expected = model.predict_proba(rows.astype(np.float64))
    scores = scorer.score(rows)
    assert scores.dtype == np.float64
    assert np.abs(scores - expected).max() < 1e-14
    singly = np.vstack([scorer.score(rows[i : i + 1]) for i in range(50)])
    assert np.abs(singly - expected[:50]).max() < 1e-14
    assert scorer.score(rows[:0]).shape == (0, classes)


def test_it_estimates_as_ridge_does(rows):
    from sklearn.linear_model import Ridge

    model = learn(Ridge(), rows, 0)
    scorer = LinearScorer(convert_linear(model))
    expected = model.predict(rows.astype(np.float64))[:, None]
    assert (scorer.features, scorer.classes) == (5, 1)
    assert np.abs(scorer.score(rows) / expected - 1).max() < 1e-9
    assert scorer.score(rows[:1]).shape == (1, 1)
    assert abs(scorer.score(rows[:1])[0, 0] / expected[0, 0] - 1) < 1e-12


def test_discriminants_and_intercepts_of_one_number(rows):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LinearRegression

    lda = learn(LinearDiscriminantAnalysis(), rows, 3)
    scores = LinearScorer(convert_linear(lda)).score(rows)
    assert np.abs(scores - lda.predict_proba(rows.astype(np.float64))).max() < 1e-9
    through_zero = learn(LinearRegression(fit_intercept=False), rows, 0)
    assert json.loads(convert_linear(through_zero))["intercept"] == [0.0]


@pytest.mark.parametrize("size", [1, 2])
def test_the_largest_margins_do_not_overflow(size):
    """Warnings are errors here; the scores stay scores, and small ones keep their digits."""
    extreme = np.float32([[3.4e38], [-3.4e38], [0.0], [-700.0], [700.0]])
    scorer = LinearScorer(write_linear([[1.0]], [0.0], "sigmoid"))
    scores = np.vstack([scorer.score(extreme[i : i + size]) for i in range(5)])[:, 1]
    firsts = scores if size == 1 else scores[::2]
    assert (firsts[:3] == [1.0, 0.0, 0.5]).all()
    assert 0 < firsts[3] < 1e-300
    three = LinearScorer(write_linear([[1.0], [-1.0], [0.0]], [0.0] * 3, "softmax"))
    assert np.array_equal(three.score(extreme[:1]), [[1.0, 0.0, 0.0]])


def test_every_digit_travels(rows):
    rng = np.random.default_rng(9)
    weights, intercept = rng.normal(size=(3, 5)) * 1e-7, rng.normal(size=3) * 1e9
    raw = json.loads(write_linear(weights, intercept, "softmax"))
    assert np.array_equal(raw["weights"], weights)
    assert np.array_equal(raw["intercept"], intercept)
    assert write_linear(weights, intercept, "softmax") == write_linear(
        weights, intercept, "softmax"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95",
        b"[]",
        b"{}",
        b'{"link": "probit", "weights": [[1]], "intercept": [0]}',
        b'{"link": "sigmoid", "weights": [[1], [2]], "intercept": [0, 0]}',
        b'{"link": "sigmoid", "weights": [[1]], "intercept": [0, 0]}',
        b'{"link": "softmax", "weights": [[1], [2, 3]], "intercept": [0, 0]}',
        b'{"link": "identity", "weights": [1, 2], "intercept": [0]}',
    ],
)
def test_what_is_no_linear_model_is_refused(content):
    with pytest.raises(DataError) as caught:
        LinearScorer(content)
    assert caught.value.name == "model_unreadable"
