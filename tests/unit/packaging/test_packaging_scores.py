"""Parity and predictions."""

import numpy as np
import pytest

from ratchet.packaging.parity import TOLERANCE, compare_scores
from ratchet.packaging.predictions import class_name, decide
from ratchet.packaging.signature import Decision

SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
BINARY = Decision("binary", ("no", "yes"), 0.5)


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
    assert predicted.to_columns() == {
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
    assert predicted.to_columns() == {
        "prediction": ["no", "yes"],
        "probability_no": [0.9, 0.4],
        "probability_yes": [0.1, 0.6],
    }


def test_names_of_classes_are_text():
    assert [class_name(label) for label in ("a", True, 3, 0.5)] == ["a", "true", "3", "0.5"]
