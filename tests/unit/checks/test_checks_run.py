"""Running suites: examples, messages, streaming, and frames that do not fit."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.checks.expectations import parse_suite
from ratchet.checks.report import CheckResult
from ratchet.checks.run import Measures, run_suite


def judge(
    frame: pl.DataFrame, name: str, *, id_column: str | None = None, **arguments: Any
) -> CheckResult:
    suite = parse_suite([{f"expect_{name}": arguments}])
    return run_suite(frame.lazy(), suite, id_column=id_column)[0]


def test_a_failure_names_up_to_twenty_rows() -> None:
    frame = pl.DataFrame({"age": [*range(-30, 0), *range(70)]})
    result = judge(frame, "column_values_to_be_between", column="age", min_value=0)
    assert not result.passed
    assert (result.failing, result.rows, result.observed) == (30, 100, 0.7)
    assert result.examples == tuple(range(1, 21))
    assert result.message == (
        "`age` is not at least 0 in 30 of 100 rows (30 %); "
        "for example -30 in row 1, -29 in row 2, -28 in row 3"
    )


def test_examples_are_ids_where_there_is_an_id_column() -> None:
    frame = pl.DataFrame({"id": ["a", None, "c"], "x": [1, 9, 9]})
    result = judge(frame, "column_values_to_be_between", id_column="id", column="x", max_value=5)
    assert result.examples == (2, "c")
    gone = judge(frame, "column_values_to_be_between", id_column="no", column="x", max_value=5)
    assert gone.examples == (2, 3)


def test_a_pass_within_mostly_needs_no_examples() -> None:
    frame = pl.DataFrame({"x": [1] * 95 + [None] * 5})
    result = judge(frame, "column_values_to_not_be_null", column="x", mostly=0.95)
    assert result.passed
    assert (result.failing, result.examples) == (5, ())
    assert "95 %" in result.expected
    assert not judge(frame, "column_values_to_not_be_null", column="x", mostly=0.951).passed


def test_uniqueness_counts_every_member_of_a_repeated_group() -> None:
    frame = pl.DataFrame({"k": ["a", "b", "a", None, None, "c", "a", "b"]})
    result = judge(frame, "column_values_to_be_unique", column="k")
    assert (result.failing, result.rows, result.examples) == (5, 6, (1, 2, 3, 7, 8))


def test_uniqueness_does_not_trust_equal_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ratchet.checks.table import Table

    monkeypatch.setattr(Table, "key", lambda self, names: self.value(names[0]).hash() % 2)
    frame = pl.DataFrame({"k": ["a", "b", "a", "c", "d"], "l": [1, 2, 1, 4, 5]})
    result = judge(frame, "column_values_to_be_unique", column="k")
    assert (result.failing, result.examples) == (2, (1, 3))
    both = judge(frame, "compound_columns_to_be_unique", column_list=["k", "l"])
    assert (both.failing, both.examples) == (2, (1, 3))


def test_nan_is_missing() -> None:
    frame = pl.DataFrame({"x": [1.0, float("nan"), None, float("inf")]})
    assert judge(frame, "column_values_to_not_be_null", column="x").failing == 2
    between = judge(frame, "column_values_to_be_between", column="x", min_value=0, max_value=9)
    assert (between.rows, between.failing, between.examples) == (2, 1, (4,))


def test_a_missing_column_is_a_failed_result() -> None:
    result = judge(pl.DataFrame({"a": [1]}), "column_values_to_not_be_null", column="b")
    assert not result.passed
    assert result.failing is None
    assert result.message == "cannot be checked: there is no column `b`"


def test_a_column_of_another_kind_is_a_failed_result() -> None:
    frame = pl.DataFrame({"a": ["x"], "t": [datetime(2024, 1, 1)]})
    mean = judge(frame, "column_mean_to_be_between", column="a", min_value=0)
    assert not mean.passed
    assert "kind string" in mean.message
    between = judge(frame, "column_values_to_be_between", column="a", min_value=0)
    assert "does not compare" in between.message
    pair = judge(frame, "column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="t")
    assert "do not compare" in pair.message


def test_dates_compare_with_iso_texts() -> None:
    frame = pl.DataFrame(
        {
            "d": [date(2024, 1, 1), date(2024, 6, 1), None],
            "t": [datetime(2024, 1, 1, 12), datetime(2024, 6, 1), None],
        }
    )
    for column in ("d", "t"):
        result = judge(frame, "column_values_to_be_between", column=column, max_value="2024-03-01")
        assert (result.failing, result.rows, result.examples) == (1, 2, (2,))
        listed = judge(frame, "column_values_to_be_in_set", column=column, value_set=["2024-06-01"])
        assert listed.failing == 1
    zoned = judge(
        frame, "column_values_to_be_in_set", column="t", value_set=["2024-01-01T13:00+01:00"]
    )
    assert zoned.failing == 1
    timed = judge(frame, "column_values_to_be_between", column="d", max_value="2024-03-01T01:00")
    assert "does not compare" in timed.message
    newest = judge(frame, "column_max_to_be_between", column="d", max_value="2024-06-01")
    assert newest.passed
    assert newest.observed == "2024-06-01"
    pair = judge(frame, "column_pair_values_to_be_equal", column_A="d", column_B="t")
    assert (pair.failing, pair.rows) == (1, 2)


def test_texts_have_limits_too() -> None:
    frame = pl.DataFrame({"v": ["a", "m", "z"]})
    result = judge(frame, "column_values_to_be_between", column="v", min_value="b", max_value="y")
    assert result.examples == (1, 3)


def test_integers_compare_exactly_with_large_and_broken_limits() -> None:
    frame = pl.DataFrame({"n": [2**53, 2**53 + 1]})
    assert (
        judge(frame, "column_values_to_be_between", column="n", max_value=float(2**53)).failing == 1
    )
    assert judge(frame, "column_values_to_be_between", column="n", max_value=10**30).passed
    assert judge(frame, "column_values_to_be_between", column="n", min_value=0.5).passed
    assert (
        judge(frame, "column_values_to_be_in_set", column="n", value_set=[2.0**53, 1e300]).failing
        == 1
    )


def test_booleans_are_numbers_between_limits() -> None:
    frame = pl.DataFrame({"b": [True, False, None]})
    assert judge(frame, "column_values_to_be_between", column="b", min_value=1).failing == 1
    assert judge(
        frame, "column_mean_to_be_between", column="b", min_value=0.5, max_value=0.5
    ).passed


def test_a_column_index_of_zero_is_meant() -> None:
    frame = pl.DataFrame({"a": [1], "b": [1]})
    assert judge(frame, "column_to_exist", column="a", column_index=0).passed
    # Great Expectations takes 0 for "anywhere"; this check means what it says.
    assert not judge(frame, "column_to_exist", column="b", column_index=0).passed


@pytest.mark.parametrize("name", ["*", "^a.*$", "a b", "row number", "q\"'`", "ünï", "len"])
def test_odd_column_names(name: str) -> None:
    frame = pl.DataFrame({name: ["x", "x", None], "ab": [1, 2, 3]})
    assert judge(frame, "column_values_to_be_unique", column=name).examples == (1, 2)
    assert judge(frame, "column_values_to_not_be_null", column=name).examples == (3,)
    assert judge(frame, "compound_columns_to_be_unique", column_list=[name, "ab"]).passed
    named = judge(frame, "column_values_to_be_between", id_column=name, column="ab", max_value=1)
    assert named.examples == ("x", 3)


def test_a_huge_cell_does_not_fill_the_report() -> None:
    frame = pl.DataFrame({"t": ["x" * 10_000_000, "y"]})
    result = judge(frame, "column_values_to_be_in_set", id_column="t", column="t", value_set=["y"])
    assert not result.passed
    assert len(result.message) < 300
    assert len(str(result.examples[0])) <= 60


def test_a_scan_is_streamed_to_the_same_results(tmp_path: Path) -> None:
    frame = pl.DataFrame({"k": [i // 2 for i in range(5000)], "s": ["a", "b"] * 2500})
    frame.write_parquet(tmp_path / "f.parquet", row_group_size=700)
    suite = parse_suite(
        [
            {"expect_column_values_to_be_unique": {"column": "k"}},
            {"expect_column_values_to_be_in_set": {"column": "s", "value_set": ["a"]}},
            {"expect_compound_columns_to_be_unique": {"column_list": ["k", "s"]}},
            {"expect_column_values_to_match_regex": {"column": "s", "regex": "(?<=x)a"}},
            {"expect_column_median_to_be_between": {"column": "k", "max_value": 5}},
        ]
    )
    scanned = run_suite(pl.scan_parquet(tmp_path / "f.parquet"), suite)
    assert scanned == run_suite(frame.lazy(), suite)
    assert [r.failing for r in scanned] == [5000, 2500, 0, 5000, None]
    assert scanned[1].examples == tuple(range(2, 42, 2))


def test_the_suite_is_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = []
    collect = pl.LazyFrame.collect

    def counting(frame: pl.LazyFrame, *args: Any, **kwargs: Any) -> Any:
        queries.append(frame)
        return collect(frame, *args, **kwargs)

    monkeypatch.setattr(pl.LazyFrame, "collect", counting)
    items = [
        {f"expect_column_{measure}_to_be_between": {"column": "a", "min_value": 0}}
        for measure in ("min", "max", "mean", "median", "sum")
    ]
    assert len(run_suite(pl.LazyFrame({"a": [1, 2]}), parse_suite(items))) == 5
    assert len(queries) == 1


def test_equal_measures_are_taken_once_and_others_are_not_mixed_up() -> None:
    taken = Measures()
    long = pl.col("a").is_in(list(range(1000))).sum()
    same = pl.col("a").is_in(list(range(1000))).sum()
    other = pl.col("a").is_in([*range(500), -1, *range(501, 1000)]).sum()
    assert taken.add(long) == taken.add(same) != taken.add(other)
    assert list(taken.collect(pl.LazyFrame({"a": [500, 1]})).values()) == [2, 1]


def test_an_empty_suite_and_an_empty_table() -> None:
    assert run_suite(pl.LazyFrame({"a": [1]}), ()) == ()
    none = pl.DataFrame(schema={"a": pl.Int64})
    assert judge(none, "column_values_to_be_between", column="a", min_value=1).passed
    assert judge(none, "column_values_to_be_between", column="a", min_value=1).message == (
        "there is no row to judge"
    )
    assert not judge(none, "column_mean_to_be_between", column="a", min_value=1).passed


def test_other_types_than_the_lakes_are_read() -> None:
    frame = pl.DataFrame(
        {
            "c": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "f": pl.Series([1.5, float("nan"), 2.5], dtype=pl.Float32),
            "d": pl.Series(["1.50", "2.50", None]).cast(pl.Decimal(10, 2)),
            "l": [[1], [2], [3]],
        }
    )
    assert judge(frame, "column_values_to_be_in_set", column="c", value_set=["a"]).failing == 1
    assert judge(frame, "column_values_to_be_between", column="f", max_value=2).failing == 1
    assert judge(frame, "column_mean_to_be_between", column="d", min_value=2, max_value=2).passed
    assert "kind other" in judge(frame, "column_values_to_be_unique", column="l").message
    assert judge(frame, "column_values_to_not_be_null", column="l").passed


def test_distinct_values_tell_which() -> None:
    frame = pl.DataFrame({"s": ["a", "b", "b", None]})
    more = judge(frame, "column_distinct_values_to_be_in_set", column="s", value_set=["a"])
    assert (more.failing, more.message) == (1, "`s` has 1 other value (b)")
    less = judge(frame, "column_distinct_values_to_contain_set", column="s", value_set=["a", "z"])
    assert less.message == "`s` has 1 value of the set missing (z)"


@pytest.mark.parametrize(
    ("type_", "good"),
    [
        ("int", True), ("BIGINT", True), ("IntegerType", True), ("float64", False),
        ("int32", False), ("str", False), ("object", False),
    ],
)  # fmt: skip
def test_type_names_of_many_tools(type_: str, good: bool) -> None:
    frame = pl.DataFrame({"n": [1, None]})
    assert judge(frame, "column_values_to_be_of_type", column="n", type_=type_).passed is good


def test_column_lists_say_what_differs() -> None:
    frame = pl.DataFrame({"a": [1], "b": [1]})
    order = judge(frame, "table_columns_to_match_ordered_list", column_list=["b", "a"])
    assert order.message == "the columns are in another order: column 1 is `a`, not `b`"
    names = judge(frame, "table_columns_to_match_set", column_set=["a", "c"])
    assert names.message == "the columns differ: missing c; unexpected b"
