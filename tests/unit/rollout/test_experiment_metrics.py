"""What one entity says of its arm, against definitions that others compute."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ratchet.errors import UsageError
from ratchet.rollout.losses import Answers
from ratchet.rollout.outcome_metrics import check_metric, measure_arm, row_values

RNG = np.random.default_rng(3)
NONE = np.zeros(0, bool)


def answers(classes: tuple[str, ...], scores: list[list[float]], label: list[str], outcome: list):
    rows = pl.DataFrame(
        {"scores": scores, "label": label, "outcome": outcome},
        schema_overrides={"label": pl.String, "outcome": pl.String},
    )
    return Answers.of(rows, classes)


def test_rows_say_what_their_metric_means() -> None:
    made = answers(
        ("no", "yes"),
        [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]],
        ['"no"', '"yes"', '"yes"'],
        ['"no"', '"no"', None],
    )
    said = {name: row_values(made, name) for name in ("accuracy", "log_loss", "brier", "auc")}
    assert said["accuracy"][:2].tolist() == [1.0, 0.0]
    assert said["log_loss"][:2] == pytest.approx(-np.log([0.9, 0.2]))
    assert said["brier"][:2] == pytest.approx([0.01, 0.64])
    assert said["auc"][:2].tolist() == [0.1, 0.8]
    assert all(np.isnan(values[2]) for values in said.values())
    assert row_values(made, "conversion").tolist() == [0.0, 0.0, 0.0], "no label in time is a no"


def test_numbers_have_errors() -> None:
    made = answers((), [[2.0], [5.0]], ["", ""], ["3.5", None])
    assert row_values(made, "absolute_error")[0] == 1.5
    assert row_values(made, "squared_error")[0] == 2.25
    assert np.isnan(row_values(made, "absolute_error")[1])


def test_an_entity_counts_once_whatever_the_number_of_its_rows() -> None:
    entity = np.array([0] * 98 + [1, 2])
    values = np.array([1.0] * 98 + [0.0, 0.0])
    arm = measure_arm(values, NONE, entity, "accuracy")
    assert (arm.entities, arm.value) == (3, pytest.approx(1 / 3))
    bought = measure_arm(np.array([0.0, 1.0, 0.0]), NONE, np.array([4, 4, 9]), "conversion")
    assert (bought.entities, bought.value) == (2, 0.5)


def test_the_area_is_the_one_that_scikit_learn_has_with_delongs_variance() -> None:
    from sklearn.metrics import roc_auc_score

    truth = RNG.random(400) < 0.3
    scores = np.round(truth + RNG.normal(0, 1.0, 400), 1)
    arm = measure_arm(scores, truth, np.arange(400), "auc")
    assert arm.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    wins = (scores[truth][:, None] > scores[~truth]) + 0.5 * (
        scores[truth][:, None] == scores[~truth]
    )
    delong = wins.mean(1).var() / truth.sum() + wins.mean(0).var() / (~truth).sum()
    assert arm.error**2 == pytest.approx(delong, rel=1e-9)


@pytest.mark.parametrize(("name", "classes"), [("auc", 3), ("accuracy", 0), ("mae", 2), ("f1", 2)])
def test_what_a_model_has_no_metric_for_is_refused(name: str, classes: int) -> None:
    with pytest.raises(UsageError) as caught:
        check_metric(name, classes)
    assert caught.value.name == "unknown_metric"


def test_other_names_of_a_metric_are_known() -> None:
    assert check_metric("roc_auc", 2) == "auc"
    assert check_metric("mae", 0) == "absolute_error"
