"""Messy frames and the expectations that Ratchet and Great Expectations must judge alike.

Used by the golden test (verdicts of the real Great Expectations 1.24.1, stored), by the
integration test (the real one, where it is installed) and by ``benchmarks/checks.py``.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from ratchet.checks.report import CheckResult

NAN, INF = float("nan"), float("inf")


def messy_frame(rows: int = 60, seed: int = 5) -> pl.DataFrame:
    """A frame of every kind of column, with all that goes wrong in real ones."""
    dice = random.Random(seed)
    day = date(2024, 1, 1)

    def some(values: list[Any], missing: float = 0.0) -> list[Any]:
        return [None if dice.random() < missing else pick(values) for _ in range(rows)]

    def pick(values: list[Any]) -> Any:
        # Only random() is promised to stay the same in later versions of Python.
        return values[int(dice.random() * len(values))]

    start = some([day + timedelta(days=i) for i in range(40)], 0.1)
    return pl.DataFrame(
        {
            "id": [f"row-{i // 2 if i < 8 else i}" for i in range(rows)],
            "whole": some(list(range(-5, 30))),
            "counted": some(list(range(10))),
            "share": some([0.0, 0.25, 0.5, 1.0, 1.5, -0.5, NAN], 0.15),
            "wild": some([1.0, 2.5, -3.0, INF, NAN, 1e300], 0.2),
            "amount": [round(40 + 120 * dice.random(), 2) for _ in range(rows)],
            "part_a": some([1, 2, 3]),
            "part_b": some([1, 2, 3]),
            "low": some([1.0, 2.0, 3.0, 4.0], 0.2),
            "high": some([2.0, 3.0, 4.0, 5.0], 0.2),
            "colour": some(["red", "green", "blue", "Red", " blue"], 0.1),
            "shade": some(["red", "green", "dark"], 0.1),
            "text": some(
                ["", "a", "AB-123", "AB-12", "ähm", "x\n", "1.5", "AB-123\n", "ab-123"], 0.1
            ),
            "stamp": some(["2024-01-31", "2024-02-30", "31.01.2024", "2024-1-5", ""], 0.1),
            "flag": some([True, False]),
            "seen": [
                datetime(2024, 1, 1) + timedelta(hours=pick(list(range(900)))) for _ in range(rows)
            ],
            "start": start,
            "empty": pl.Series([None] * rows, dtype=pl.Float64),
            "blank": pl.Series([None] * rows, dtype=pl.String),
            "same": [7] * rows,
        }
    )  # fmt: skip


def frames() -> dict[str, pl.DataFrame]:
    """Every frame the cases are judged on."""
    messy = messy_frame()
    return {
        "messy": messy,
        "clean": messy_frame(40, 9).fill_nan(1.0),
        "one": messy[:1],
        "none": messy[:0],
    }


def _sets(column: str) -> list[list[Any]]:
    return {
        "colour": [["red", "green", "blue"], ["red", "green", "blue", "Red", " blue"], [1, 2]],
        "text": [["", "a", "AB-123", "AB-12", "ähm", "x\n", "1.5", "AB-123\n", "ab-123", "more"]],
        "counted": [[0, 1, 2, 3], [0.0, 1.0, 2.5], ["1", "2"], list(range(10))],
        "share": [[0, 1], [0.0, 0.25, 0.5, 1.0, 1.5, -0.5]],
        "flag": [[True], [True, False]],
        "same": [[7], [8, 9]],
        "empty": [[1.0]],
        "blank": [["a"]],
    }[column]


def _row_cases() -> list[tuple[str, dict[str, Any]]]:
    cases: list[tuple[str, dict[str, Any]]] = []
    add = cases.append
    columns = messy_frame().columns
    for column in columns:
        add(("expect_column_values_to_not_be_null", {"column": column}))
        add(("expect_column_values_to_not_be_null", {"column": column, "mostly": 0.85}))
        add(("expect_column_values_to_be_null", {"column": column, "mostly": 0.15}))
        add(("expect_column_values_to_be_unique", {"column": column}))
        add(("expect_column_values_to_be_unique", {"column": column, "mostly": 0.05}))
        add(("expect_column_to_exist", {"column": column}))
    for column in ("whole", "counted", "share", "wild", "amount", "empty", "same", "low"):
        for low, high, mostly in (
            (0, 5, 1),
            (0.5, None, 0.6),
            (None, 3, 0.9),
            (-100, 1e9, 1),
            (7, 7, 1),
        ):
            limits = {"min_value": low, "max_value": high, "mostly": mostly}
            add(("expect_column_values_to_be_between", {"column": column, **limits}))
            strict = {**limits, "strict_min": True, "strict_max": True}
            if low != high:
                add(("expect_column_values_to_be_between", {"column": column, **strict}))
    add(("expect_column_values_to_be_between", {"column": "colour", "min_value": 1}))
    for column in ("colour", "text", "counted", "share", "flag", "same", "empty", "blank"):
        for values in _sets(column):
            for mostly in (1, 0.6):
                given = {"column": column, "value_set": values, "mostly": mostly}
                add(("expect_column_values_to_be_in_set", given))
                add(("expect_column_values_to_not_be_in_set", given))
            given = {"column": column, "value_set": values}
            add(("expect_column_distinct_values_to_be_in_set", given))
            add(("expect_column_distinct_values_to_contain_set", given))
            add(("expect_column_distinct_values_to_equal_set", given))
    for column in ("text", "colour", "counted", "flag", "blank", "stamp", "amount"):
        for low, high in ((1, 4), (None, 3), (2, None), (0, 99)):
            limits = {"column": column, "min_value": low, "max_value": high}
            add(("expect_column_value_lengths_to_be_between", limits))
            add(
                (
                    "expect_column_value_lengths_to_be_between",
                    {**limits, "strict_max": True, "mostly": 0.5},
                )
            )
        add(("expect_column_value_lengths_to_equal", {"column": column, "value": 4}))
        for regex in (
            r"^[A-Z]{2}-\d{3}$",
            r"\d",
            r"(?i)ab",
            "e",
            r"^$",
            r"(?<=A)B",
            r"(.)\1",
            r"\w+\Z",
            "[]$]|a$",
        ):
            add(("expect_column_values_to_match_regex", {"column": column, "regex": regex}))
            add(
                (
                    "expect_column_values_to_not_match_regex",
                    {"column": column, "regex": regex, "mostly": 0.7},
                )
            )
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        for column in ("stamp", "text", "blank"):
            add(
                (
                    "expect_column_values_to_match_strftime_format",
                    {"column": column, "strftime_format": form},
                )
            )
    return cases  # fmt: skip


def _aggregate_cases() -> list[tuple[str, dict[str, Any]]]:
    cases: list[tuple[str, dict[str, Any]]] = []
    numbers = ("whole", "counted", "share", "wild", "amount", "empty", "same", "low")
    for measure in ("mean", "median", "stdev", "min", "max", "sum"):
        name = f"expect_column_{measure}_to_be_between"
        for column in numbers:
            for low, high in ((0, 5), (None, 2.5), (1, None), (7, 7), (-1e12, 1e12)):
                cases.append((name, {"column": column, "min_value": low, "max_value": high}))
            cases.append((name, {"column": column, "min_value": 7, "strict_min": True}))
            cases.append((name, {"column": column, "max_value": 7, "strict_max": True}))
        cases.append((name, {"column": "colour", "min_value": 0}))
    for name in ("expect_column_min_to_be_between", "expect_column_max_to_be_between"):
        cases.append((name, {"column": "seen", "min_value": "2024-01-05T00:00:00"}))
        cases.append((name, {"column": "seen", "max_value": "2024-03-01T12:00:00"}))
    for column in messy_frame().columns:
        for low, high in ((1, 5), (0, 0), (6, None), (None, 1)):
            limits = {"column": column, "min_value": low, "max_value": high}
            cases.append(("expect_column_unique_value_count_to_be_between", limits))
        for low, high in ((0.5, 1), (0, 0.2), (1, 1)):
            limits = {"column": column, "min_value": low, "max_value": high}
            cases.append(("expect_column_proportion_of_unique_values_to_be_between", limits))
            cases.append(("expect_column_proportion_of_non_null_values_to_be_between", limits))
    return cases


def _record_cases() -> list[tuple[str, dict[str, Any]]]:
    cases: list[tuple[str, dict[str, Any]]] = []
    pairs = (("low", "high"), ("part_a", "part_b"), ("whole", "share"), ("wild", "empty"))
    for ignore in ("both_values_are_missing", "either_value_is_missing", "neither"):
        for first, second in pairs:
            pair = {"column_A": first, "column_B": second, "ignore_row_if": ignore}
            for extra in ({}, {"or_equal": True}, {"mostly": 0.4}):
                given = {**pair, **extra}
                cases.append(("expect_column_pair_values_a_to_be_greater_than_b", given))
            cases.append(("expect_column_pair_values_to_be_equal", pair))
        colours = {"column_A": "colour", "column_B": "shade", "ignore_row_if": ignore}
        cases.append(("expect_column_pair_values_to_be_equal", colours))
        for pairs_set in (
            [["red", "red"], ["green", "green"], ["blue", "dark"]],
            [["red", None], [None, "dark"], ["red", "red"], ["blue", "green"]],
        ):
            given = {**colours, "value_pairs_set": pairs_set}
            cases.append(("expect_column_pair_values_to_be_in_set", given))
            cases.append(("expect_column_pair_values_to_be_in_set", {**given, "mostly": 0.1}))
        numbers = {"column_A": "part_a", "column_B": "low", "ignore_row_if": ignore}
        given = {**numbers, "value_pairs_set": [[1, 1], [1, 2.0], [2, 3], [3, None]]}
        cases.append(("expect_column_pair_values_to_be_in_set", given))
    for ignore in ("all_values_are_missing", "any_value_is_missing", "never"):
        for names in (
            ["colour", "shade"], ["part_a", "part_b"], ["low", "high"], ["share", "wild"],
            ["id", "colour"], ["empty", "blank"], ["low", "high", "flag"],
        ):  # fmt: skip
            given = {"column_list": names, "ignore_row_if": ignore}
            cases.append(("expect_compound_columns_to_be_unique", given))
            cases.append(("expect_compound_columns_to_be_unique", {**given, "mostly": 0.2}))
        for names in (
            ["part_a", "part_b"], ["low", "high"], ["colour", "shade"], ["low", "high", "part_a"],
            ["share", "wild", "empty"],
        ):  # fmt: skip
            given = {"column_list": names, "ignore_row_if": ignore}
            cases.append(("expect_select_column_values_to_be_unique_within_record", given))
        for names, total in (
            (["part_a", "part_b"], 4), (["low", "high"], 5), (["low", "part_a", "part_b"], 6.0),
            (["share", "wild"], 1.5), (["low", "empty"], 3),
        ):  # fmt: skip
            given = {"column_list": names, "sum_total": total, "ignore_row_if": ignore}
            cases.append(("expect_multicolumn_sum_to_equal", given))
            cases.append(("expect_multicolumn_sum_to_equal", {**given, "mostly": 0.2}))
    return cases


def _table_cases() -> list[tuple[str, dict[str, Any]]]:
    names = messy_frame().columns
    cases: list[tuple[str, dict[str, Any]]] = [
        ("expect_table_columns_to_match_ordered_list", {"column_list": names}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": names[::-1]}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": names[:-1]}),
        ("expect_table_columns_to_match_set", {"column_set": names[::-1]}),
        ("expect_table_columns_to_match_set", {"column_set": names[:-1]}),
        ("expect_table_columns_to_match_set", {"column_set": names[:-1], "exact_match": False}),
        ("expect_table_columns_to_match_set", {"column_set": [*names, "x"], "exact_match": False}),
        ("expect_column_to_exist", {"column": "nobody"}),
        ("expect_column_to_exist", {"column": "whole", "column_index": 1}),
        ("expect_column_to_exist", {"column": "whole", "column_index": 2}),
        ("expect_column_to_exist", {"column": "whole", "column_index": 200}),
        ("expect_table_column_count_to_equal", {"value": len(names)}),
        ("expect_table_column_count_to_equal", {"value": 3}),
        ("expect_table_column_count_to_be_between", {"min_value": 3, "max_value": 30}),
        ("expect_table_column_count_to_be_between", {"max_value": 3}),
        ("expect_column_values_to_not_be_null", {"column": "nobody"}),
        ("expect_column_mean_to_be_between", {"column": "nobody", "min_value": 1}),
        ("expect_compound_columns_to_be_unique", {"column_list": ["nobody", "low"]}),
    ]
    for value in (0, 1, 40, 60):
        cases.append(("expect_table_row_count_to_equal", {"value": value}))
        cases.append(("expect_table_row_count_to_be_between", {"min_value": value}))
        strict = {"max_value": value, "strict_max": True}
        cases.append(("expect_table_row_count_to_be_between", strict))
    # pandas has no missing integers and stores dates as objects: these columns agree.
    for column, types in (
        ("whole", ["int", "int64", "float64", "int32", "str"]),
        ("amount", ["float", "float64", "int64", "float32"]),
        ("colour", ["str", "int64", "bool"]),
        ("flag", ["bool", "int"]),
    ):
        cases.extend(
            ("expect_column_values_to_be_of_type", {"column": column, "type_": word})
            for word in types
        )
        given = {"column": column, "type_list": types[1:]}
        cases.append(("expect_column_values_to_be_in_type_list", given))
    return cases


def cases() -> list[dict[str, Any]]:
    """Every case as an expectation in its long form."""
    found = [*_row_cases(), *_aggregate_cases(), *_record_cases(), *_table_cases()]
    return [{"type": name, "kwargs": kwargs} for name, kwargs in found]


GX_VERSION = "1.24.1"
_WORKER = Path(__file__).resolve().parents[1] / "benchmarks" / "checks_gx.py"


def judge_with_gx(python: str, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The verdicts of the Great Expectations that ``python`` has, on every case, in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.parquet"
        frame.write_parquet(path)
        job = {"parquet": str(path), "suite": cases(), "formats": ["SUMMARY"]}
        told = subprocess.run(
            [python, str(_WORKER)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(told.stdout)["results"]["SUMMARY"]
    return sorted(found, key=lambda verdict: verdict["index"])


def differences(
    items: Sequence[Mapping[str, Any]],
    ours: Sequence[CheckResult],
    theirs: Sequence[Mapping[str, Any]],
) -> list[str]:
    """Where two lists of verdicts on the same expectations disagree, one line each."""
    found = []
    for item, result, verdict in zip(items, ours, theirs, strict=True):
        counted = verdict["unexpected_count"]
        same_count = counted is None or result.failing is None or counted == result.failing
        if result.passed == verdict["success"] and same_count:
            continue
        found.append(
            f"{item['type']} {item['kwargs']}: Great Expectations "
            f"{verdict['success']}, {counted} failing; Ratchet {result.passed}, {result.failing} "
            f"failing ({result.message})"
        )
    return found


def is_known_difference(frame: str, item: Mapping[str, Any]) -> bool:
    """Whether Ratchet means to judge a case otherwise.

    A limit that never compares with its column (a number for a text) fails here at once; Great
    Expectations finds out only when there is a value to compare.
    """
    limit = item["kwargs"] == {"column": "colour", "min_value": 1}
    return frame in ("one", "none") and limit and "values_to_be_between" in item["type"]
