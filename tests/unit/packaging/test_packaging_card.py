"""The model card."""

from dataclasses import replace

import pytest

from ratchet.packaging.card import (
    CardClass,
    CardData,
    CardFacts,
    CardFeature,
    CardGate,
    CardMember,
    CardMetric,
    CardSlice,
    CardThreshold,
)
from ratchet.packaging.card_page import render_card
from ratchet.packaging.decision import Interval

LEAST = CardFacts(
    name="churn",
    task="binary",
    classes=("No", "Yes"),
    algorithm="lightgbm",
    params={},
    data=CardData("data version 3", "abc", 7043, "Churn", {"train": 5634, "test": 1409}),
    threshold=0.42,
)
FULL = replace(
    LEAST,
    params={"num_leaves": 31, "learning_rate": 0.05},
    form="onnx",
    description="Finds customers | who leave.\nUsed by the call centre.",
    features=(CardFeature("tenure", "number", "months"),),
    metrics=(CardMetric("roc_auc", 0.84123, 0.82, 0.86), CardMetric("pr_auc", None)),
    cross_validation={"roc_auc": (0.845, 0.012)},
    folds=5,
    per_class=(CardClass("No", 0.85, 0.9, 0.87, 1035), CardClass("Yes", 0.65, 0.52, 0.58, 74)),
    slices=(
        CardSlice("Contract = Two year", 340, CardMetric("roc_auc", 0.71, 0.6, 0.8)),
        CardSlice("Contract = One year", 300, CardMetric("roc_auc", 0.75, 0.6, 0.8)),
    ),
    gates=(CardGate("roc_auc", True, "0.8412", "at least 0.75", "from ratchet.yaml:12"),),
    limits=("Not for new regions.",),
    environment={"numpy": "2.4.6", "unknown": ""},
    data=replace(
        LEAST.data,
        span=("2025-01-01", "2025-06-30"),
        shares={"No": 0.7346, "Yes": 0.2654},
        columns=19,
    ),
)


def headings(card):
    return [line for line in card.splitlines() if line.startswith("#")]


def test_a_card_of_few_facts_has_no_empty_headings():
    card = render_card(LEAST)
    assert headings(card) == ["# churn", "## Data", "## Algorithm", "## Limits"]
    lines = card.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("#"):
            assert lines[place + 2].strip()
            assert not lines[place + 2].startswith("#")


def test_a_full_card_tells_every_fact():
    card = render_card(FULL)
    assert headings(card) == [
        "# churn",
        "## Intended use",
        "## Data",
        "## Features",
        "## Algorithm",
        "## Performance",
        "## Per class",
        "## Slices",
        "## Gates",
        "## Limits",
        "## Environment",
    ]
    for fact in (
        "from a score of 0.42 on",
        "0.8412 (0.8200 to 0.8600)",
        "| pr_auc | undefined |",
        "0.8450 ± 0.0120",
        "in 5 folds",
        "1,409 test rows",
        "2025-01-01 to 2025-06-30",
        "Yes 26.54%",
        "| Yes | 0.6500 | 0.5200 | 0.5800 | 74 |",
        "| roc_auc | passed | 0.8412 | at least 0.75 | from ratchet.yaml:12 |",
        "`2.4.6`",
        "shipped as onnx",
    ):
        assert fact in card, fact
    assert "unknown" not in card


def test_limits_follow_from_the_facts():
    limits = render_card(FULL).partition("## Limits")[2]
    assert "fewer than 100 test rows of: Yes (74)" in limits
    assert "misses 48% of the rows of class Yes" in limits
    assert "Lowest roc_auc where Contract = Two year" in limits
    assert "- Not for new regions." in limits
    assert "fewer than" not in render_card(LEAST)


def test_text_cannot_break_the_page():
    card = render_card(FULL)
    assert "Finds customers \\| who leave. Used by the call centre." in card
    odd = replace(LEAST, features=(CardFeature("a|b`c\nd", "number", "x"),))
    assert "| `a\\|b'c d` | number | x |" in render_card(odd)


def test_parameters_are_sorted_and_the_card_is_the_same_every_time():
    turned = replace(FULL, params=dict(reversed(FULL.params.items())))
    assert render_card(turned) == render_card(FULL)
    card = render_card(FULL)
    assert card.index("learning_rate") < card.index("num_leaves")
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


def test_many_features_are_cut_and_counted():
    many = tuple(CardFeature(f"f{i}", "number", "x") for i in range(250))
    card = render_card(replace(LEAST, features=many))
    assert "`f199`" in card
    assert "`f200`" not in card
    assert "And 50 more" in card


@pytest.mark.parametrize("classes", [("a", "b", "c"), (1, 2, 3)])
def test_several_classes(classes):
    card = render_card(replace(LEAST, task="multiclass", classes=classes, threshold=None))
    assert f"Predicts which of 3 classes `Churn` is: `{classes[0]}`" in card
    assert "from a score" not in card


def test_an_ensemble_tells_its_members_and_what_follows_their_scores():
    members = (
        CardMember("lightgbm", "lightgbm", 0.625, "onnx", {"num_leaves": 31, "lambda_l2": 1.5}),
        CardMember("plain | line", "logistic_regression", 0.375, "numpy"),
    )
    chosen = CardThreshold("f1", {"f1": 0.6123, "precision": 0.5}, "No cut reaches it all.")
    card = render_card(
        replace(
            FULL, members=members, calibration="isotonic, log loss 0.42 to 0.41", deciding=chosen
        )
    )
    assert headings(card).index("## Decision") == headings(card).index("## Algorithm") + 1
    for fact in (
        "The weighted mean of the scores of 2 models.",
        "| lightgbm | `lightgbm` | 0.625 | onnx | lambda_l2 1.5, num_leaves 31 |",
        "| plain \\| line | `logistic_regression` | 0.375 | numpy |  |",
        "Scores are calibrated: isotonic, log loss 0.42 to 0.41.",
        "The threshold 0.42 was chosen for f1; on the rows that chose it: f1 0.6123, precision",
        "precision 0.5000. No cut reaches it all.",
    ):
        assert fact in card, fact
    assert "learning_rate" not in card
    one = render_card(replace(FULL, members=members[:1]))
    assert "weighted mean" not in one
    assert "## Decision" not in one


def test_a_model_for_numbers():
    card = render_card(
        CardFacts(
            name="prices",
            task="regression",
            classes=(),
            algorithm="ridge",
            params={},
            data=replace(LEAST.data, target="price", target_range=(0.0, 120.5, 52340.25)),
            metrics=(CardMetric("rmse", 1234.56, 1100.0, 1300.0), CardMetric("r2", 0.0000123)),
            slices=(
                CardSlice("city = A", 40, CardMetric("rmse", 2000.0)),
                CardSlice("city = B", 40, CardMetric("rmse", 1500.0)),
            ),
            interval=Interval(0.9, -1500.0, 2100.5),
        )
    )
    for fact in (
        "Estimates `price`, a number.",
        "| Target in training | 0.0000 to 52,340.2, half of it up to 120.5000 |",
        "| rmse | 1,234.6 (1,100.0 to 1,300.0) |",
        "| r2 | 1.23e-05 |",
        "from -1,500.0 to +2,100.5 around it, made to hold 90% of new values.",
        "It has seen targets from 0.0000 to 52,340.2, and none beyond.",
        "Highest rmse where city = A",
    ):
        assert fact in card, fact
    assert "classes" not in card
    assert "threshold" not in card
    lines = card.splitlines()
    for place, line in enumerate(lines):
        if line.startswith("#"):
            assert lines[place + 2].strip()
            assert not lines[place + 2].startswith("#")
