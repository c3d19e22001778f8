"""What answers cost, by what became of them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ratchet.rollout.losses import Answers, losses_of


def answers(classes, scores, labels, outcomes) -> Answers:
    rows = pl.DataFrame(
        {"scores": scores, "label": labels, "outcome": outcomes},
        schema={"scores": pl.List(pl.Float64), "label": pl.String, "outcome": pl.String},
    )
    return Answers.of(rows, classes)


TWO = answers(
    ("no", "yes"), [[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]], ['"yes"', '"no"', '"yes"'], ['"yes"'] * 3
)


def test_two_classes() -> None:
    assert losses_of(TWO, "brier") == pytest.approx([0.04, 0.36, 0.25])
    assert list(losses_of(TWO, "error")) == [0, 1, 0]


def test_more_classes_and_the_order_of_another_version() -> None:
    found = answers((0, 1, 2), [[0.5, 0.3, 0.2]], ["0"], ["1"])
    assert losses_of(found, "brier") == pytest.approx([0.25 + 0.49 + 0.04])
    assert found.in_order((2, 0, 7))[0, :2] == pytest.approx([0.2, 0.5])
    assert np.isnan(found.in_order((2, 0, 7))[0, 2])


def test_numbers() -> None:
    found = answers((), [[2.0], [5.0]], [None, None], ["4", "4.5"])
    assert losses_of(found, "absolute_error") == pytest.approx([2, 0.5])
    assert losses_of(found, "squared_error") == pytest.approx([4, 0.25])


def test_what_is_no_class_or_not_known_costs_nothing_that_could_be_told() -> None:
    found = answers((True, 1), [[0.1, 0.9]] * 4, ["1"] * 4, ["true", "1", "2", None])
    assert list(found.outcome) == [0, 1, -1, -1]
    assert list(np.isnan(losses_of(found, "error"))) == [False, False, True, True]
    assert len(losses_of(answers(("a", "b"), [], [], []), "brier")) == 0
