"""The profile's numbers, and a starting suite that a normal next month passes."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from ratchet.checks.expectations import parse_suite
from ratchet.checks.profile import Profile, profile_table
from ratchet.checks.report import CheckReport
from ratchet.checks.run import run_suite
from ratchet.checks.suggest import suggest_suite
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema

ROLES = Roles(target="churn", id="id", time="at", exclude=("note",))


def profile(frame: pl.DataFrame, roles: Roles | None = ROLES) -> Profile:
    return profile_table(frame.lazy(), TableSchema.from_polars(frame.schema), roles)


def month(seed: int, rows: int = 3000) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    start = datetime(2026, 1, 1) + timedelta(days=30 * seed)
    return pl.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(rows)],
            "at": [start + timedelta(minutes=i) for i in range(rows)],
            "age": dice.integers(18, 95, rows),
            "income": dice.lognormal(8, 1, rows),
            "balance": dice.normal(0, 1000, rows),
            "score": pl.Series(dice.random(rows)).set(pl.Series(dice.random(rows) < 0.3), None),
            "plan": dice.choice(["basic", "gold", "free"], rows, p=[0.6, 0.39, 0.01]),
            "city": [f"city {i}" for i in dice.zipf(1.6, rows) % 700],
            "senior": dice.random(rows) < 0.2,
            "fixed": [1] * rows,
            "note": ["x"] * rows,
            "churn": dice.choice(["yes", "no"], rows, p=[0.2, 0.8]),
        }
    )


def test_numbers_of_a_known_table() -> None:
    frame = pl.DataFrame(
        {
            "n": [1.0, 2.0, 3.0, float("nan"), None, 4.0],
            "s": ["b", "a", "b", None, "b", "c"],
            "b": [True, False, True, True, None, True],
            "d": [date(2024, 1, i) for i in range(1, 7)],
            "e": pl.Series([None] * 6, dtype=pl.Int64),
        }
    )
    found = profile(frame, Roles(target="s"))
    number = found.column("n")
    assert (number.missing, number.distinct, number.minimum, number.maximum) == (2, 4, 1.0, 4.0)
    assert (number.mean, number.exact) == (2.5, True)
    assert number.std == pytest.approx(np.std([1, 2, 3, 4], ddof=1))
    assert number.quantiles[3] == 2.5
    text = found.column("s")
    assert (text.missing, text.distinct, text.minimum, text.maximum) == (1, 3, "a", "c")
    assert text.top == (("b", 3), ("a", 1), ("c", 1))
    assert found.column("b").mean == 0.8
    assert found.column("d").maximum == "2024-01-06"
    empty = found.column("e")
    assert (empty.missing, empty.distinct, empty.constant, empty.top) == (6, 0, True, ())
    assert found.target_shares == (("b", 0.6), ("a", 0.2), ("c", 0.2))
    with pytest.raises(KeyError):
        found.column("z")


def test_json_round_trip() -> None:
    frame = month(0, 200).with_columns(wild=pl.lit(float("inf")))
    found = profile(frame)
    assert Profile.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


def test_a_large_table_is_estimated_closely() -> None:
    dice = np.random.default_rng(1)
    rows = 250_000
    frame = pl.DataFrame(
        {
            "x": dice.normal(size=rows),
            "k": dice.integers(0, 5000, rows),
            "c": ["a", "b"] * (rows // 2),
        }
    )
    found = profile(frame, None)
    assert not found.column("k").exact
    assert found.column("k").distinct == pytest.approx(5000, rel=0.05)
    assert found.column("x").quantiles[5] == pytest.approx(1.645, abs=0.03)
    assert found.column("c").top == (("a", rows // 2), ("b", rows // 2))
    assert found.target is None
    assert found.target_shares == ()


def test_an_empty_table() -> None:
    found = profile(month(0)[:0])
    assert found.rows == 0
    assert suggest_suite(found, ROLES)
    nothing = profile_table(pl.LazyFrame(), TableSchema(()), None)
    assert nothing.columns == ()


def test_the_suggested_suite_is_written_in_the_yaml_form() -> None:
    suite = suggest_suite(profile(month(0)), ROLES)
    assert {"expect_column_values_to_be_unique": {"column": "id"}} in suite
    assert {"expect_column_values_to_not_be_null": {"column": "churn"}} in suite
    classes = {"column": "churn", "value_set": ["no", "yes"]}
    assert {"expect_column_values_to_be_in_set": classes} in suite
    age = {"column": "age", "min_value": 0, "max_value": 170, "mostly": 0.99}
    assert {"expect_column_values_to_be_between": age, "severity": "warn"} in suite
    told = json.dumps(suite)
    assert '"note"' not in told  # an excluded column is nobody's business
    assert "city 1" not in told  # too many categories to list
    about = [next(iter(item.values())).get("column") for item in suite]
    assert about.count("fixed") == 1  # never missing, and nothing else


def test_a_normal_next_month_passes() -> None:
    suite = parse_suite(suggest_suite(profile(month(0)), ROLES))
    for seed in range(1, 6):
        report = CheckReport(run_suite(month(seed).lazy(), suite, id_column="id"))
        assert report.passed
        assert report.warnings == ()


def test_a_poisoned_month_does_not() -> None:
    suite = parse_suite(suggest_suite(profile(month(0)), ROLES))
    poisoned = month(1).with_columns(
        age=pl.col("age") * 100,
        plan=pl.lit("unknown"),
        churn=pl.when(pl.int_range(pl.len()) < 5).then(pl.lit("maybe")).otherwise("churn"),
    )
    report = CheckReport(run_suite(poisoned.lazy(), suite, id_column="id"))
    assert {result.column for result in report.errors} == {"churn"}
    assert {result.column for result in report.warnings} == {"age", "plan"}


def test_ids_that_repeat_are_not_asked_to_be_unique() -> None:
    frame = month(0).with_columns(id=pl.lit("same"))
    suite = suggest_suite(profile(frame), ROLES)
    assert not any("expect_column_values_to_be_unique" in item for item in suite)
