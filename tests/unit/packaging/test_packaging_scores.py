"""Parity, decisions and predictions."""

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import DataError
from ratchet.packaging.decision import Decision, Interval, interval_of, make_decision
from ratchet.packaging.parity import TOLERANCE, compare_scores
from ratchet.packaging.predictions import class_name, decide

NUMBER = Task("regression", ())
SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
BINARY = Decision("binary", ("no", "yes"), 0.5)


def columns_of(predicted):
    return {name: list(values) for name, values in predicted.to_columns().items()}


def test_equal_scores_agree():
    parity = compare_scores(SCORES, SCORES.copy())
    assert (parity.passed, parity.max_difference, parity.labels_differ) == (True, 0.0, 0)


@pytest.mark.parametrize(("shift", "passed"), [(TOLERANCE * 0.9, True), (TOLERANCE * 1.1, False)])
def test_the_tolerance_is_the_border(shift, passed):
    assert compare_scores(SCORES, np.add(SCORES, [shift, -shift])).passed is passed


def test_another_label_counts_and_a_tie_does_not():
    swapped = SCORES.copy()
    swapped[0] = swapped[0, ::-1]
    assert compare_scores(SCORES, swapped).labels_differ == 1
    tied = SCORES.copy()
    tied[2] = [0.5 - 1e-16, 0.5 + 2e-16]
    assert compare_scores(SCORES, tied).passed


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_no_number_fails(value):
    broken = SCORES.copy()
    broken[1, 1] = value
    parity = compare_scores(SCORES, broken)
    assert parity.max_difference == np.inf
    assert not parity.passed


def test_other_shapes_fail_and_no_rows_pass():
    assert not compare_scores(SCORES, SCORES[:, :1]).passed
    assert not compare_scores(SCORES, SCORES[:2]).passed
    assert compare_scores(SCORES[:0], SCORES[:0]).passed


def test_the_threshold_itself_is_positive():
    predicted = decide(SCORES, BINARY)
    assert predicted.labels == ["no", "yes", "yes"]
    assert decide(SCORES, Decision("binary", ("no", "yes"), 0.7)).labels == ["no", "no", "no"]
    assert decide(SCORES, Decision("binary", ("no", "yes"), 0.1)).labels == ["yes"] * 3


def test_more_classes_take_the_highest_score_the_first_of_equals():
    scores = np.array([[0.2, 0.3, 0.5], [0.4, 0.4, 0.2]])
    predicted = decide(scores, Decision("multiclass", (3, 5, 8), None))
    assert predicted.labels == [8, 3]
    assert columns_of(predicted) == {
        "prediction": [8, 3],
        "probability_3": [0.2, 0.4],
        "probability_5": [0.3, 0.4],
        "probability_8": [0.5, 0.2],
    }


def test_rows_and_columns():
    predicted = decide(SCORES[:2], BINARY)
    assert len(predicted) == 2
    assert predicted.to_rows() == [
        {"label": "no", "probabilities": {"no": 0.9, "yes": 0.1}},
        {"label": "yes", "probabilities": {"no": 0.4, "yes": 0.6}},
    ]
    assert columns_of(predicted) == {
        "prediction": ["no", "yes"],
        "probability_no": [0.9, 0.4],
        "probability_yes": [0.1, 0.6],
    }


def test_names_of_classes_are_text():
    assert [class_name(label) for label in ("a", True, 3, 0.5)] == ["a", "true", "3", "0.5"]


ESTIMATES = np.array([[10.0], [-2.5], [1e6]])


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_estimates_are_compared_in_their_own_scale(unit):
    expected = ESTIMATES * unit
    assert compare_scores(expected, expected + expected.std() * 0.9e-6).passed
    assert not compare_scores(expected, expected + expected.std() * 1.1e-6).passed
    far = np.array([[1e8], [1e8 + 1.0]]) * unit  # float32 sums are this far off
    assert compare_scores(far, far * (1 + 5e-7)).passed


def test_equal_and_zero_estimates_can_be_compared():
    nothing = np.zeros((3, 1))
    assert compare_scores(nothing, nothing).passed
    assert compare_scores(nothing, nothing + 9e-7).passed
    assert not compare_scores(nothing, nothing + 2e-6).passed
    assert not compare_scores(ESTIMATES, ESTIMATES * np.nan).passed


def test_estimates_are_their_own_labels():
    predicted = decide(ESTIMATES, make_decision(NUMBER))
    assert (len(predicted), predicted.classes, predicted.threshold) == (3, (), None)
    assert predicted.labels == [10.0, -2.5, 1e6]
    assert predicted.values.tolist() == [10.0, -2.5, 1e6]
    assert predicted.probabilities.shape == (3, 0)
    assert predicted.interval is None
    assert predicted.to_rows() == [{"prediction": 10.0}, {"prediction": -2.5}, {"prediction": 1e6}]
    assert columns_of(predicted) == {"prediction": [10.0, -2.5, 1e6]}


def test_an_interval_goes_with_every_estimate():
    decision = make_decision(NUMBER, interval=Interval(0.9, -2.0, 5.0))
    predicted = decide(ESTIMATES[:2], decision)
    assert predicted.to_rows()[1] == {
        "prediction": -2.5,
        "interval": {"low": -4.5, "high": 2.5},
    }
    assert columns_of(predicted) == {
        "prediction": [10.0, -2.5],
        "prediction_low": [8.0, -4.5],
        "prediction_high": [15.0, 2.5],
    }
    assert Decision.from_json(decision.to_json()) == decision


def test_no_rows_have_typed_columns():
    for scores, decision in ((SCORES, BINARY), (ESTIMATES, make_decision(NUMBER))):
        predicted = decide(scores[:0], decision)
        assert (len(predicted), predicted.to_rows()) == (0, [])
        assert all(len(values) == 0 for values in predicted.to_columns().values())


@pytest.mark.parametrize(
    "interval",
    [
        Interval(0.0, -1.0, 1.0),
        Interval(1.0, -1.0, 1.0),
        Interval(0.9, 1.0, -1.0),
        Interval(0.9, -np.inf, 1.0),
        Interval(0.9, np.nan, 1.0),
    ],
)
def test_an_interval_that_is_none_is_refused(interval):
    with pytest.raises(DataError, match="interval"):
        make_decision(NUMBER, interval=interval)


def test_an_interval_needs_enough_residuals():
    residuals = np.arange(1.0, 20.0)
    assert interval_of(residuals, 0.9) == Interval(0.9, 1.0, 19.0)
    assert interval_of(residuals[:18], 0.9) is None
    assert interval_of(np.array([]), 0.9) is None
    assert interval_of(np.append(residuals, np.nan), 0.9) == Interval(0.9, 1.0, 19.0)
    assert interval_of(np.arange(1.0, 40.0), 0.9) == Interval(0.9, 2.0, 38.0)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_an_interval_covers_what_it_says(coverage):
    """Skewed errors, 500 intervals of 60 residuals each, judged on new errors of the same kind."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(500):
        found = interval_of(rng.gamma(1.5, 2.0, 60) - 3.0, coverage)
        new = rng.gamma(1.5, 2.0, 400) - 3.0
        held.append(((new >= found.low) & (new <= found.high)).mean())
    exact = 1 - 2 * int(61 * (1 - coverage) / 2 + 1e-9) / 61  # the mean that theory gives
    assert abs(np.mean(held) - exact) < 4 * np.std(held) / np.sqrt(500)
    assert coverage - 0.01 < np.mean(held) < coverage + 0.03


def test_an_interval_from_cross_validation_covers_new_rows():
    """A straight line through few noisy points, as training does it: out-of-fold, then refit."""
    rng = np.random.default_rng(5)
    held = []
    for _ in range(200):
        X = np.column_stack([np.ones(80), rng.normal(size=(80, 3))])
        y = X @ [1.0, 2.0, -1.0, 0.5] + rng.standard_t(4, 80)
        off = np.empty(80)
        for fold in range(5):
            out = np.arange(80) % 5 == fold
            slope = np.linalg.lstsq(X[~out], y[~out])[0]
            off[out] = y[out] - X[out] @ slope
        found = interval_of(off, 0.9)
        slope = np.linalg.lstsq(X, y)[0]
        new = np.column_stack([np.ones(200), rng.normal(size=(200, 3))])
        miss = new @ [1.0, 2.0, -1.0, 0.5] + rng.standard_t(4, 200) - new @ slope
        held.append(((miss >= found.low) & (miss <= found.high)).mean())
    assert 0.89 < np.mean(held) < 0.93
