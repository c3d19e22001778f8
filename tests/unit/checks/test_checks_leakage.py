"""The leakage statistics: right on known cases, calm under the null, awake on real leaks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from ratchet.checks.builtin import run_builtin
from ratchet.checks.report import CheckResult
from ratchet.checks.separation import (
    bins_of,
    concordance,
    separation_by_category,
    separation_by_rank,
)
from ratchet.checks.settings import ChecksSettings
from ratchet.data.settings import DataSettings

NAN = float("nan")


def leaks(frame: pl.DataFrame, **data: Any) -> dict[str | None, CheckResult]:
    source = {"type": "csv", "path": "x.csv"}
    settings = DataSettings.model_validate({"source": source, "target": "y", **data})
    results = run_builtin(
        frame.lazy(), data=settings, settings=ChecksSettings(), now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    return {r.column: r for r in results if r.name == "leakage" and not r.passed}


def test_rank_separation_of_known_numbers() -> None:
    positive = np.array([False] * 10 + [True] * 10)
    values = np.arange(20.0)
    assert separation_by_rank(values, positive) == 1.0
    assert separation_by_rank(-values, positive) == 1.0
    assert separation_by_rank(np.zeros(20), positive) == 0.5
    swapped = values.copy()
    swapped[[9, 10]] = swapped[[10, 9]]
    assert separation_by_rank(swapped, positive) == pytest.approx(0.99)


def test_being_missing_is_a_leak_on_either_side() -> None:
    positive = np.array([False] * 50 + [True] * 50)
    dice = np.random.default_rng(1)
    cancelled = np.where(positive, dice.normal(size=100), NAN)
    renewed = np.where(positive, NAN, dice.normal(size=100))
    assert separation_by_rank(cancelled, positive) == 1.0
    assert separation_by_rank(renewed, positive) == 1.0
    assert separation_by_rank(np.full(100, NAN), positive) == 0.5


def test_too_few_of_a_class_say_nothing() -> None:
    assert separation_by_rank(np.arange(20.0), np.arange(20) >= 11) == 0.5


def test_categories_that_carry_the_class() -> None:
    labels = np.random.default_rng(2).integers(0, 3, 3000).astype(np.int32)
    assert separation_by_category(labels * 2, labels, 3) == pytest.approx(1.0)
    assert separation_by_category(np.zeros(3000, np.int32), labels, 3) == 0.5


def test_nothing_is_found_in_noise() -> None:
    # 200 features that know nothing: the mean score of a category is one half (not above it,
    # as counting on the judged rows would give), and no number of categories raises an alarm.
    dice = np.random.default_rng(3)
    labels = (dice.random(2000) < 0.2).astype(np.int32)
    scores = [
        separation_by_category(dice.integers(0, k, 2000).astype(np.int32), labels, 2)
        for k in (2, 30, 500, 2000)
        for _ in range(50)
    ]
    assert abs(float(np.mean(scores)) - 0.5) < 0.005
    assert max(scores) < 0.6
    names = np.arange(2000, dtype=np.int32)
    assert separation_by_category(names, labels, 2) == pytest.approx(0.5)


def test_a_strong_honest_feature_is_no_leak() -> None:
    # Two normal classes three standard deviations apart: a true ROC-AUC of 0.983.
    dice = np.random.default_rng(4)
    labels = dice.random(5000) < 0.3
    score = separation_by_rank(dice.normal(size=5000) + 3 * labels, labels)
    assert score == pytest.approx(0.983, abs=0.005)
    frame = pl.DataFrame({"x": dice.normal(size=5000) + 3 * labels, "y": labels})
    assert leaks(frame)["x"].severity == "warn"
    weaker = pl.DataFrame({"x": dice.normal(size=5000) + 2 * labels, "y": labels})
    assert leaks(weaker) == {}


def test_spearman_as_a_score() -> None:
    from scipy.stats import spearmanr

    dice = np.random.default_rng(5)
    first = dice.integers(0, 20, 300).astype(float)
    second = first + dice.normal(size=300) * 5
    expected = 0.5 + abs(spearmanr(first, second).statistic) / 2
    assert concordance(first, second) == pytest.approx(expected)
    assert concordance(first, -(first**3)) == pytest.approx(1.0)
    assert concordance(np.ones(300), second) == 0.5
    assert concordance(first[:29], second[:29]) == 0.5


def test_bins() -> None:
    codes = bins_of(np.array([NAN, *np.arange(6400.0)]))
    assert codes[0] == 0
    sizes = np.bincount(codes)[1:]
    assert sizes.size == 64
    assert sizes.min() >= 95
    assert bins_of(np.full(3, NAN)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["text", "number", "codes", "date", "flag"])
def test_leaks_of_every_kind_are_found(kind: str) -> None:
    dice = np.random.default_rng(6)
    y = dice.random(3000) < 0.3
    days = dice.integers(0, 9, 3000).astype(str)
    made = {
        "text": np.where(y, "left on ", "stays ").astype(object) + days,
        "number": np.where(y, dice.random(3000), 1 + dice.random(3000)),
        # The order of codes says nothing: 2 and 5 mean yes.
        "codes": np.where(y, dice.choice([2, 5], 3000), dice.choice([1, 3, 4, 6], 3000)),
        "date": np.where(y, np.datetime64("2024-01-01", "us"), np.datetime64("2025-01-01", "us")),
        "flag": y,
    }
    frame = pl.DataFrame({"x": made[kind], "noise": dice.random(3000), "y": y})
    found = leaks(frame)
    assert set(found) == {"x"}
    assert found["x"].severity == "error"


def test_leaks_among_many_classes_and_numbers() -> None:
    dice = np.random.default_rng(7)
    kinds = dice.integers(0, 5, 3000)
    frame = pl.DataFrame(
        {"code": (kinds * 7) % 5, "near": kinds + dice.normal(size=3000), "y": kinds}
    )
    assert set(leaks(frame)) == {"code"}
    amount = dice.normal(size=3000)
    gross = pl.DataFrame({"gross": amount * 1.19 + 3, "other": dice.random(3000), "y": amount})
    assert set(leaks(gross)) == {"gross"}


def test_one_class_that_stands_apart_is_no_leak() -> None:
    # As in Fisher's irises: one of three kinds is told by one measure, the others are not.
    dice = np.random.default_rng(8)
    kinds = np.repeat([0, 1, 2], 200)
    petal = np.select([kinds == 0, kinds == 1], [1.0, 4.3], 5.0) + dice.normal(size=600) * 0.5
    frame = pl.DataFrame({"petal": petal, "y": kinds})
    assert all(result.severity == "warn" for result in leaks(frame).values())


def test_a_rare_leak_is_found_in_a_large_table() -> None:
    dice = np.random.default_rng(9)
    y = dice.random(200_000) < 0.01
    frame = pl.DataFrame({"x": y + dice.random(200_000) * 0.5, "z": dice.random(200_000), "y": y})
    assert set(leaks(frame)) == {"x"}
