"""Expectations about each value of one column.

Rows whose value is missing are not asked, except by the two expectations about missing values;
``mostly`` is the share of the asked rows that must hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from operator import and_
from typing import Any

import polars as pl

from ratchet.checks.arguments import (
    ANY,
    LIMITS,
    MOSTLY,
    NUMBER_LIMITS,
    REQUIRED,
    VALUE_SET,
    Argument,
    Arguments,
    column,
    read_count,
    read_regex,
    read_strftime,
    refuse_limits,
)
from ratchet.checks.limits import limits_of
from ratchet.checks.regex import matches, per_distinct
from ratchet.checks.report import number, shorten
from ratchet.checks.table import Table, is_repeated, members
from ratchet.checks.vocabulary import Plan, RowPlan, Unfit, expectation

_FEW = 8


def asked_of(
    table: Table, arguments: Arguments, fails: pl.Expr, expected: str, broken: str
) -> RowPlan:
    """A question to the rows of ``arguments["column"]`` that are not missing.

    Args:
        table: the table.
        arguments: the expectation's arguments.
        fails: True where a row says no, null or False where its value is missing.
        expected: what should be.
        broken: half a sentence about a row that says no.
    """
    name = arguments["column"]
    return RowPlan(
        rows=pl.len() - table.missing(name),
        failing=fails.sum(),
        steps=(fails,),
        expected=expected,
        broken=f"`{name}` {broken}",
        shown=(name,),
        mostly=arguments["mostly"],
    )


@expectation("expect_column_values_to_not_be_null", column(kinds=ANY), MOSTLY)
def values_not_null(table: Table, arguments: Arguments) -> Plan:
    """No value of the column is missing."""
    name = arguments["column"]
    return RowPlan(
        pl.len(),
        table.missing(name),
        (table.value(name).is_null(),),
        "not missing",
        f"`{name}` is missing",
        (),
        arguments["mostly"],
    )


@expectation("expect_column_values_to_be_null", column(kinds=ANY), MOSTLY)
def values_null(table: Table, arguments: Arguments) -> Plan:
    """Every value of the column is missing."""
    name = arguments["column"]
    return RowPlan(
        pl.len(),
        pl.len() - table.missing(name),
        (table.value(name).is_not_null(),),
        "missing",
        f"`{name}` has a value",
        (name,),
        arguments["mostly"],
    )


@expectation("expect_column_values_to_be_between", column(), *LIMITS, MOSTLY, refuse=refuse_limits)
def values_between(table: Table, arguments: Arguments) -> Plan:
    """Every value lies between two limits (numbers, dates or texts)."""
    limits = limits_of(table.kind(arguments["column"]), arguments)
    if isinstance(limits, Unfit):
        return limits
    value = table.value(arguments["column"])
    if table.kind(arguments["column"]) == "boolean":
        value = value.cast(pl.Int8)
    return asked_of(
        table, arguments, limits.outside(value), limits.words(), f"is not {limits.words()}"
    )


@expectation("expect_column_values_to_be_in_set", column(), VALUE_SET, MOSTLY)
def values_in_set(table: Table, arguments: Arguments) -> Plan:
    """Every value is one of a set."""
    known = members(table.kind(arguments["column"]), arguments["value_set"])
    fails = not_in(table.value(arguments["column"]), known)
    words = set_words(arguments["value_set"])
    return asked_of(table, arguments, fails, f"one of {words}", f"is not one of {words}")


@expectation("expect_column_values_to_not_be_in_set", column(), VALUE_SET, MOSTLY)
def values_not_in_set(table: Table, arguments: Arguments) -> Plan:
    """No value is one of a set."""
    known = members(table.kind(arguments["column"]), arguments["value_set"])
    fails = ~not_in(table.value(arguments["column"]), known)
    words = set_words(arguments["value_set"])
    return asked_of(table, arguments, fails, f"none of {words}", f"is one of {words}")


@expectation("expect_column_values_to_be_unique", column(), MOSTLY)
def values_unique(table: Table, arguments: Arguments) -> Plan:
    """No value is there twice; all rows of a repeated value count as failing."""
    name = arguments["column"]
    value = table.value(name)
    # Values are compared only where their hashes are equal, which is much less work.
    suspects = value.is_not_null() & is_repeated(table.key((name,)))
    failing = value.filter(suspects).is_duplicated().sum()
    steps = (suspects, value.is_duplicated())
    return RowPlan(
        pl.len() - table.missing(name),
        failing,
        steps,
        "unique",
        f"`{name}` repeats another row's value",
        (name,),
        arguments["mostly"],
    )


@expectation(
    "expect_column_value_lengths_to_be_between",
    column(),
    *NUMBER_LIMITS,
    MOSTLY,
    refuse=refuse_limits,
)
def lengths_between(table: Table, arguments: Arguments) -> Plan:
    """Every value, written as text, has a length between two limits."""
    limits = limits_of("integer", arguments)
    if isinstance(limits, Unfit):
        return limits
    length = table.text(arguments["column"]).str.len_chars().cast(pl.Int64)
    words = f"{limits.words()} characters long"
    return asked_of(table, arguments, limits.outside(length), words, f"is not {words}")


@expectation(
    "expect_column_value_lengths_to_equal",
    column(),
    Argument("value", read_count, REQUIRED),
    MOSTLY,
)
def lengths_equal(table: Table, arguments: Arguments) -> Plan:
    """Every value, written as text, has one length."""
    length = table.text(arguments["column"]).str.len_chars()
    words = f"{number(arguments['value'])} characters long"
    return asked_of(table, arguments, length != arguments["value"], words, f"is not {words}")


@expectation(
    "expect_column_values_to_match_regex", column(), Argument("regex", read_regex, REQUIRED), MOSTLY
)
def values_match_regex(table: Table, arguments: Arguments) -> Plan:
    """Every value, written as text, holds a match of a regular expression."""
    found = matches(table.text(arguments["column"]), arguments["regex"])
    words = f"a match of {shorten(arguments['regex'])}"
    return asked_of(table, arguments, ~found, words, f"is not {words}")


@expectation(
    "expect_column_values_to_not_match_regex",
    column(),
    Argument("regex", read_regex, REQUIRED),
    MOSTLY,
)
def values_not_match_regex(table: Table, arguments: Arguments) -> Plan:
    """No value, written as text, holds a match of a regular expression."""
    found = matches(table.text(arguments["column"]), arguments["regex"])
    words = f"a match of {shorten(arguments['regex'])}"
    return asked_of(table, arguments, found, f"not {words}", f"is {words}")


@expectation(
    "expect_column_values_to_match_strftime_format",
    column(kinds=("string",)),
    Argument("strftime_format", read_strftime, REQUIRED),
    MOSTLY,
)
def values_match_strftime(table: Table, arguments: Arguments) -> Plan:
    """Every text can be read as a date by one format."""
    form = arguments["strftime_format"]

    def readable(value: str) -> bool:
        try:
            datetime.strptime(value, form)  # noqa: DTZ007 - only whether it can be read
        except ValueError:
            return False
        return True

    found = per_distinct(table.value(arguments["column"]), readable)
    return asked_of(
        table, arguments, ~found, f"a date written as {form}", f"is no date written as {form}"
    )


def not_in(value: pl.Expr, known: Sequence[Any]) -> pl.Expr:
    """True where a value is none of ``known``; null where it is missing."""
    if not known:
        return pl.when(value.is_not_null()).then(pl.lit(True))
    if len(known) <= _FEW and isinstance(known[0], str):
        # For a handful of texts, comparing beats building and probing a set.
        others: pl.Expr = reduce(and_, (value != item for item in known))
        return others
    return ~value.is_in(known)


def set_words(values: Sequence[Any]) -> str:
    """A set of values for people; long ones are cut."""
    shown = ", ".join(shorten(str(value)) for value in values[:_FEW])
    return shown if len(values) <= _FEW else f"{shown} and {len(values) - _FEW:,} more"
