"""Reading suites: both forms, and every refusal with a way out."""

from __future__ import annotations

from typing import Any

import pytest

from ratchet.checks.expectations import Expectation, known_expectations, parse_suite
from ratchet.errors import ConfigError


def read(item: object) -> Expectation:
    return parse_suite([item])[0]


def refused(item: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_suite([item], where="ratchet.yaml:12")
    return caught.value


def test_short_and_long_form_are_equal() -> None:
    short = read({"expect_column_values_to_not_be_null": {"column": "a"}, "severity": "warn"})
    long = read(
        {
            "type": "expect_column_values_to_not_be_null",
            "kwargs": {"column": "a"},
            "severity": "warn",
        }
    )
    assert short == long
    assert short.severity == "warn"
    assert dict(short.arguments) == {"column": "a", "mostly": 1.0}
    assert short.column == "a"


def test_severity_is_error_unless_said() -> None:
    assert read({"expect_column_values_to_not_be_null": {"column": "a"}}).severity == "error"


@pytest.mark.parametrize(
    ("word", "meant"), [("critical", "error"), ("warning", "warn"), ("info", "warn")]
)
def test_great_expectations_severities(word: str, meant: str) -> None:
    item = {"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "severity": word}
    assert read(item).severity == meant


def test_what_great_expectations_adds_to_a_suite_is_passed_over() -> None:
    item = {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "a", "min_value": 1, "max_value": None, "batch_id": "x"},
        "meta": {"by": "me"}, "id": "0f", "notes": "n", "rendered_content": [], "description": "d",
    }  # fmt: skip
    assert dict(read(item).arguments)["mostly"] == 1.0


def test_both_spellings_of_the_pair() -> None:
    pair = {"column_A": "a", "column_B": "b"}
    upper = read({"expect_column_pair_values_A_to_be_greater_than_B": pair})
    assert upper == read({"expect_column_pair_values_a_to_be_greater_than_b": pair})
    assert upper.column == "a, b"


def test_unknown_name_gets_the_nearest() -> None:
    error = refused({"expect_column_values_to_be_beetween": {"column": "a"}})
    assert error.name == "unknown_expectation"
    assert "`expect_column_values_to_be_between`" in error.fix
    assert error.where == "ratchet.yaml:12[1]"


def test_unknown_argument_gets_the_nearest() -> None:
    error = refused({"expect_column_values_to_be_between": {"column": "a", "min_val": 3}})
    assert "has no argument `min_val`" in error.why
    assert "`min_value`" in error.fix


def test_missing_argument() -> None:
    error = refused({"expect_column_values_to_be_in_set": {"column": "a"}})
    assert "needs the argument `value_set`" in error.why


NULLS, BETWEEN = "column_values_to_not_be_null", "column_values_to_be_between"
COMPOUND, PAIRS = "compound_columns_to_be_unique", "column_pair_values_to_be_in_set"
IN_SET, REGEX = "column_values_to_be_in_set", "column_values_to_match_regex"
DATES, TYPES = "column_values_to_match_strftime_format", "column_values_to_be_in_type_list"
ONE = {"column": "a"}
TWO = {"column_A": "a", "column_B": "b"}


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (NULLS, {"column": 3}, "`column` must be a text"),
        (NULLS, {"column": ""}, "`column` must be a text"),
        (NULLS, {**ONE, "mostly": 95}, "between 0 and 1"),
        (NULLS, {**ONE, "mostly": "most"}, "must be a number"),
        (NULLS, {**ONE, "mostly": True}, "must be a number"),
        (BETWEEN, ONE, "give min_value, max_value or both"),
        (BETWEEN, {**ONE, "min_value": 3, "max_value": 2}, "is above"),
        (BETWEEN, {**ONE, "min_value": "b", "max_value": "a"}, "is above"),
        (BETWEEN, {**ONE, "min_value": 3, "max_value": "z"}, "one type"),
        (BETWEEN, {**ONE, "min_value": [1]}, "must be a number"),
        (BETWEEN, {**ONE, "min_value": True}, "must be a number"),
        (BETWEEN, {**ONE, "min_value": float("nan")}, "must be a number"),
        (BETWEEN, {**ONE, "min_value": 1, "strict_min": 1}, "true or false"),
        ("column_mean_to_be_between", {**ONE, "min_value": "x"}, "must be a number"),
        (IN_SET, {**ONE, "value_set": []}, "at least one value"),
        (IN_SET, {**ONE, "value_set": "abc"}, "must be a list"),
        (IN_SET, {**ONE, "value_set": [[1]]}, "plain values"),
        (REGEX, {**ONE, "regex": "["}, "regular expression"),
        (REGEX, {**ONE, "regex": r"\p{L}"}, "regular expression"),
        (DATES, {**ONE, "strftime_format": "%Q"}, "date format"),
        ("column_values_to_be_of_type", {**ONE, "type_": "flaot"}, "`float`"),
        (TYPES, {**ONE, "type_list": ["foo"]}, "known type"),
        ("column_value_lengths_to_equal", {**ONE, "value": -1}, "whole number"),
        ("table_row_count_to_equal", {"value": 1.5}, "whole number"),
        (COMPOUND, {"column_list": ["a"]}, "at least two"),
        (COMPOUND, {"column_list": ["a", "a"]}, "each once"),
        (COMPOUND, {"column_list": "a"}, "list of names"),
        (COMPOUND, {"column_list": ["a", "b"], "ignore_row_if": "no"}, "must be one of"),
        (PAIRS, {**TWO, "value_pairs_set": [[1]]}, "pairs"),
        (PAIRS, {**TWO, "value_pairs_set": 1}, "pairs"),
        ("table_columns_to_match_set", {"column_set": [1]}, "names only"),
    ],
)
def test_wrong_arguments(name: str, arguments: dict[str, Any], said: str) -> None:
    error = refused({f"expect_{name}": arguments})
    assert said in error.why
    assert error.where


@pytest.mark.parametrize(
    "item",
    [
        "expect_column_to_exist",
        {},
        {"expect_column_to_exist": ONE, "expect_table_row_count_to_equal": {"value": 1}},
        {"expect_column_to_exist": ["a"]},
        {"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "sverity": "warn"},
        {3: {"column": "a"}},
    ],
)  # fmt: skip
def test_what_is_no_expectation(item: object) -> None:
    assert refused(item).name == "malformed_expectation"


def test_unknown_severity() -> None:
    item = {"expect_column_to_exist": {"column": "a"}, "severity": "fatal"}
    assert "severity" in refused(item).what


def test_the_place_may_be_a_function_of_the_index() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_suite(
            [{"expect_column_to_exist": {"column": "a"}}, {"expect_nothing": {}}],
            where=lambda index: f"ratchet.yaml:{10 + index}",
        )
    assert caught.value.where == "ratchet.yaml:11"


def test_every_expectation_is_described() -> None:
    known = known_expectations()
    assert len(known) >= 35
    assert all(definition.summary.endswith(".") for definition in known.values())
