"""Laws of the checks: what must hold whatever the data."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.checks.expectations import parse_suite
from ratchet.checks.regex import compile_regex, matches
from ratchet.checks.report import CheckReport, CheckResult
from ratchet.checks.run import run_suite
from ratchet.checks.separation import separation_by_rank

NUMBERS = st.lists(
    st.none() | st.floats(-5, 5) | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=40
)
TEXTS = st.lists(st.none() | st.text("ab\n", max_size=3), max_size=40)
FAST = settings(max_examples=60, deadline=None)


def judge(frame: pl.DataFrame, name: str, **arguments: Any) -> CheckResult:
    return run_suite(frame.lazy(), parse_suite([{f"expect_{name}": arguments}]))[0]


def share_holds(asked: int, failing: int, mostly: float) -> bool:
    return asked == 0 or (asked - failing) / asked >= mostly


@FAST
@given(NUMBERS, st.floats(-5, 5), st.floats(-5, 5), st.booleans(), st.booleans(), st.floats(0, 1))
def test_between_is_what_python_says(
    values: list[float | None],
    a: float,
    b: float,
    strict_low: bool,
    strict_high: bool,
    mostly: float,
) -> None:
    low, high = min(a, b), max(a, b)
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})
    result = judge(
        frame, "column_values_to_be_between", column="x", min_value=low, max_value=high,
        strict_min=strict_low, strict_max=strict_high, mostly=mostly,
    )  # fmt: skip
    asked = [(i, v) for i, v in enumerate(values, 1) if v is not None and not math.isnan(v)]
    wrong = [
        i for i, v in asked
        if not ((v > low if strict_low else v >= low) and (v < high if strict_high else v <= high))
    ]  # fmt: skip
    assert (result.rows, result.failing) == (len(asked), len(wrong))
    assert result.passed == share_holds(len(asked), len(wrong), mostly)
    assert result.examples == (() if result.passed else tuple(wrong[:20]))


@FAST
@given(TEXTS, TEXTS)
def test_uniqueness_is_what_counting_says(
    first: list[str | None], second: list[str | None]
) -> None:
    rows = min(len(first), len(second))
    first, second = first[:rows], second[:rows]
    frame = pl.DataFrame(
        {"a": pl.Series(first, dtype=pl.String), "b": pl.Series(second, dtype=pl.String)}
    )
    one = judge(frame, "column_values_to_be_unique", column="a")
    counts = Counter(value for value in first if value is not None)
    assert one.failing == sum(count for count in counts.values() if count > 1)
    both = judge(frame, "compound_columns_to_be_unique", column_list=["a", "b"])
    pairs = [p for p in zip(first, second, strict=True) if p != (None, None)]
    repeated = [p for p in pairs if Counter(pairs)[p] > 1]
    assert (both.failing, both.rows) == (len(repeated), len(pairs))


@FAST
@given(st.text(r"ab[]()$^\\Z.*+?|-&d\n", max_size=8), TEXTS)
def test_any_pattern_means_what_it_means_in_python(pattern: str, texts: list[str | None]) -> None:
    try:
        compiled = compile_regex(pattern)
    except Exception:  # noqa: BLE001 - whatever Python refuses is refused when it is read
        return
    frame = pl.DataFrame({"t": pl.Series(texts, dtype=pl.String)})
    found = frame.select(matches(pl.col("t"), pattern)).to_series().to_list()
    assert found == [None if t is None else compiled.search(t) is not None for t in texts]


@FAST
@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=30, max_size=80))
def test_separation_is_the_area_under_the_curve(rows: list[tuple[int, bool]]) -> None:
    def area(scores: np.ndarray) -> float:
        """The share of pairs in which the positive is above the negative, ties half."""
        above = scores[positive][:, None] - scores[~positive][None, :]
        return float((above > 0).mean() + (above == 0).mean() / 2)

    values = np.array([float(value) for value, _ in rows])
    positive = np.array([label for _, label in rows])
    score = separation_by_rank(values, positive)
    if min(positive.sum(), (~positive).sum()) < 10:
        assert score == 0.5
        return
    auc = area(values)
    assert math.isclose(score, max(auc, 1 - auc), abs_tol=1e-12)
    lost = values.copy()
    lost[values == -3] = np.nan
    lowest = np.where(np.isnan(lost), -10, lost)
    highest = np.where(np.isnan(lost), 10, lost)
    sides = [area(side) for side in (lowest, highest)]
    expected = max(max(auc, 1 - auc) for auc in sides)
    assert math.isclose(separation_by_rank(lost, positive), expected, abs_tol=1e-12)


@FAST
@given(NUMBERS, TEXTS)
def test_rows_in_another_order_are_judged_alike(
    numbers: list[float | None], texts: list[str | None]
) -> None:
    rows = min(len(numbers), len(texts))
    frame = pl.DataFrame(
        {
            "x": pl.Series(numbers[:rows], dtype=pl.Float64),
            "t": pl.Series(texts[:rows], dtype=pl.String),
        }
    )
    suite = parse_suite(
        [
            {"expect_column_values_to_be_between": {"column": "x", "min_value": 0, "mostly": 0.5}},
            {"expect_column_values_to_be_in_set": {"column": "t", "value_set": ["a", "b"]}},
            {"expect_compound_columns_to_be_unique": {"column_list": ["x", "t"]}},
            {"expect_column_distinct_values_to_be_in_set": {"column": "t", "value_set": ["a"]}},
            {"expect_column_max_to_be_between": {"column": "x", "max_value": 3}},
        ]
    )
    forward = run_suite(frame.lazy(), suite)
    backward = run_suite(frame.reverse().lazy(), suite)
    for one, other in zip(forward, backward, strict=True):
        assert (one.passed, one.failing, one.rows) == (other.passed, other.failing, other.rows)
    report = CheckReport(forward)
    assert CheckReport.from_json(report.to_json()) == report
