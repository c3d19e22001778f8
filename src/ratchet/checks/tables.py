"""Expectations about the table itself: its columns, their types, and its number of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from ratchet.checks.arguments import (
    ANY,
    REQUIRED,
    STRICT_MAX,
    STRICT_MIN,
    Argument,
    Arguments,
    column,
    read_count,
    read_flag,
    read_names,
    read_text,
    refuse_limits,
)
from ratchet.checks.limits import limits_of
from ratchet.checks.report import Scalar, counted, number
from ratchet.checks.rows import set_words
from ratchet.checks.table import Table
from ratchet.checks.types import kinds_of_types, read_type, read_types
from ratchet.checks.vocabulary import Judgement, Plan, Unfit, ValuePlan, expectation

_COUNT_LIMITS = (Argument("min_value", read_count), Argument("max_value", read_count))
_COUNT = Argument("value", read_count, REQUIRED)


def known(expected: str, passed: bool, observed: Scalar, message: str) -> ValuePlan:
    """A verdict that the schema alone gives."""
    return ValuePlan(expected, lambda _: Judgement(passed, observed, message), {})


@expectation(
    "expect_table_columns_to_match_ordered_list", Argument("column_list", read_names, REQUIRED)
)
def columns_ordered(table: Table, arguments: Arguments) -> Plan:
    """The table has exactly these columns, in this order."""
    wanted, there = arguments["column_list"], table.names
    if wanted == there:
        message = "the columns are as listed"
    elif sorted(wanted) == sorted(there):
        index = next(
            i for i, pair in enumerate(zip(wanted, there, strict=True)) if len({*pair}) > 1
        )
        message = (
            f"the columns are in another order: column {index + 1} is `{there[index]}`, "
            f"not `{wanted[index]}`"
        )
    else:
        message = _difference(wanted, there)
    expected = f"columns {set_words(wanted)} in this order"
    return known(expected, wanted == there, set_words(there), message)


@expectation(
    "expect_table_columns_to_match_set",
    Argument("column_set", read_names, REQUIRED),
    Argument("exact_match", read_flag, True),
)
def columns_set(table: Table, arguments: Arguments) -> Plan:
    """The table has these columns, and with ``exact_match`` no others."""
    wanted, there = arguments["column_set"], table.names
    passed = set(wanted) <= set(there)
    if arguments["exact_match"]:
        passed = set(wanted) == set(there)
    message = "the columns are as listed" if passed else _difference(wanted, there)
    return known(f"columns {set_words(wanted)}", passed, set_words(there), message)


def _difference(wanted: tuple[str, ...], there: tuple[str, ...]) -> str:
    missing = [name for name in wanted if name not in there]
    extra = [name for name in there if name not in wanted]
    parts = []
    if missing:
        parts.append(f"missing {set_words(missing)}")
    if extra:
        parts.append(f"unexpected {set_words(extra)}")
    return "the columns differ: " + "; ".join(parts or ["a column is listed twice"])


@expectation(
    "expect_column_to_exist",
    Argument("column", read_text, REQUIRED),
    Argument("column_index", read_count),
)
def column_exists(table: Table, arguments: Arguments) -> Plan:
    """The column is there, and with ``column_index`` at that place, counted from 0."""
    name, index = arguments["column"], arguments["column_index"]
    place = table.names.index(name) if name in table.names else None
    expected = f"a column `{name}`" + ("" if index is None else f" at place {index}")
    passed = place is not None and (index is None or place == index)
    message = f"there is no column `{name}`"
    if place is not None:
        message = f"the column `{name}` is there, at place {place} counted from 0"
    return known(expected, passed, place, message)


@expectation(
    "expect_table_row_count_to_be_between",
    *_COUNT_LIMITS,
    STRICT_MIN,
    STRICT_MAX,
    refuse=refuse_limits,
)
def rows_between(table: Table, arguments: Arguments) -> Plan:
    """The number of rows lies between two limits."""
    return _counted("row", arguments, {"rows": pl.len()}, lambda values: values["rows"])


@expectation("expect_table_row_count_to_equal", _COUNT)
def rows_equal(table: Table, arguments: Arguments) -> Plan:
    """The table has a given number of rows."""
    limits = {"min_value": arguments["value"], "max_value": arguments["value"]}
    return _counted("row", limits, {"rows": pl.len()}, lambda values: values["rows"])


@expectation("expect_table_column_count_to_be_between", *_COUNT_LIMITS, refuse=refuse_limits)
def column_count_between(table: Table, arguments: Arguments) -> Plan:
    """The number of columns lies between two limits."""
    return _counted("column", arguments, {}, lambda _: len(table.names))


@expectation("expect_table_column_count_to_equal", _COUNT)
def column_count_equal(table: Table, arguments: Arguments) -> Plan:
    """The table has a given number of columns."""
    limits = {"min_value": arguments["value"], "max_value": arguments["value"]}
    return _counted("column", limits, {}, lambda _: len(table.names))


def _counted(
    noun: str,
    arguments: Arguments,
    measures: Mapping[str, pl.Expr],
    count: Callable[[Mapping[str, Any]], int],
) -> Plan:
    limits = limits_of("integer", arguments)
    if isinstance(limits, Unfit):
        return limits
    words = limits.words()
    if limits.low == limits.high:
        words = number(limits.low)

    def judge(values: Mapping[str, object]) -> Judgement:
        found = count(values)
        holds = limits.hold(found)
        message = f"the table has {counted(found, noun)}" + ("" if holds else f", not {words}")
        return Judgement(holds, found, message)

    return ValuePlan(f"{words} {noun}s", judge, measures)


@expectation(
    "expect_column_values_to_be_of_type", column(kinds=ANY), Argument("type_", read_type, REQUIRED)
)
def column_of_type(table: Table, arguments: Arguments) -> Plan:
    """The column is of a type, named as in Python, NumPy, pandas or SQL."""
    return _typed(table, arguments["column"], (arguments["type_"],))


@expectation(
    "expect_column_values_to_be_in_type_list",
    column(kinds=ANY),
    Argument("type_list", read_types, REQUIRED),
)
def column_in_types(table: Table, arguments: Arguments) -> Plan:
    """The column is of one of several types."""
    return _typed(table, arguments["column"], arguments["type_list"])


def _typed(table: Table, name: str, types: tuple[str, ...]) -> ValuePlan:
    kind = table.kind(name)
    passed = kind in kinds_of_types(types)
    words = set_words(types)
    message = f"`{name}` is of kind {kind}" + ("" if passed else f", not {words}")
    return known(f"of type {words}", passed, kind, message)
