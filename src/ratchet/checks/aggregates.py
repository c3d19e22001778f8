"""Expectations about one measure of a column: its mean, its number of distinct values, …

Missing values are left out. A measure that does not exist (the mean of nothing) fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ratchet.checks.arguments import (
    LIMITS,
    NUMBER_LIMITS,
    NUMERIC,
    VALUE_SET,
    Arguments,
    column,
    refuse_limits,
)
from ratchet.checks.limits import limits_of
from ratchet.checks.report import EXAMPLES, counted, number, plain
from ratchet.checks.rows import not_in, set_words
from ratchet.checks.table import Table, members
from ratchet.checks.vocabulary import Judgement, Plan, Unfit, ValuePlan, expectation

_ORDERED = (*NUMERIC, "string", "date", "datetime")


def within(kind: str, arguments: Arguments, noun: str, measure: pl.Expr) -> Plan:
    """A measure of ``arguments["column"]`` between two limits.

    Args:
        kind: the kind of the measure, which the limits must compare with.
        arguments: the expectation's arguments.
        noun: the measure for people.
        measure: aggregate: the value, null where it does not exist.
    """
    limits = limits_of(kind, arguments)
    if isinstance(limits, Unfit):
        return limits
    subject = f"the {noun} of `{arguments['column']}`"

    def judge(values: Mapping[str, object]) -> Judgement:
        found: Any = values["measure"]
        if found is None or found != found:
            return Judgement(False, None, f"{subject} does not exist: there are too few values")
        holds = limits.hold(found)
        shown = number(found) if isinstance(found, int | float) else str(found)
        verb = "is" if holds else "should be"
        tail = "" if holds else f" but is {shown}"
        words = shown if holds else limits.words()
        return Judgement(holds, plain(found), f"{subject} {verb} {words}{tail}")

    return ValuePlan(f"{noun} {limits.words()}", judge, {"measure": measure})


@expectation(
    "expect_column_mean_to_be_between", column(kinds=NUMERIC), *NUMBER_LIMITS, refuse=refuse_limits
)
def mean_between(table: Table, arguments: Arguments) -> Plan:
    """The column's mean lies between two limits."""
    return within("number", arguments, "mean", table.value(arguments["column"]).mean())


@expectation(
    "expect_column_median_to_be_between",
    column(kinds=NUMERIC),
    *NUMBER_LIMITS,
    refuse=refuse_limits,
)
def median_between(table: Table, arguments: Arguments) -> Plan:
    """The column's median lies between two limits."""
    return within("number", arguments, "median", table.value(arguments["column"]).median())


@expectation(
    "expect_column_stdev_to_be_between", column(kinds=NUMERIC), *NUMBER_LIMITS, refuse=refuse_limits
)
def stdev_between(table: Table, arguments: Arguments) -> Plan:
    """The column's sample standard deviation (divided by n - 1) lies between two limits."""
    value = table.value(arguments["column"]).cast(pl.Float64)
    return within("number", arguments, "standard deviation", value.std(ddof=1))


@expectation(
    "expect_column_sum_to_be_between", column(kinds=NUMERIC), *NUMBER_LIMITS, refuse=refuse_limits
)
def sum_between(table: Table, arguments: Arguments) -> Plan:
    """The column's sum lies between two limits; the sum of nothing is 0."""
    return within("number", arguments, "sum", table.value(arguments["column"]).sum())


@expectation(
    "expect_column_min_to_be_between", column(kinds=_ORDERED), *LIMITS, refuse=refuse_limits
)
def min_between(table: Table, arguments: Arguments) -> Plan:
    """The column's smallest value lies between two limits."""
    name = arguments["column"]
    return within(table.kind(name), arguments, "minimum", table.value(name).min())


@expectation(
    "expect_column_max_to_be_between", column(kinds=_ORDERED), *LIMITS, refuse=refuse_limits
)
def max_between(table: Table, arguments: Arguments) -> Plan:
    """The column's largest value lies between two limits."""
    name = arguments["column"]
    return within(table.kind(name), arguments, "maximum", table.value(name).max())


@expectation(
    "expect_column_unique_value_count_to_be_between",
    column(),
    *NUMBER_LIMITS,
    refuse=refuse_limits,
)
def unique_count_between(table: Table, arguments: Arguments) -> Plan:
    """The number of distinct values lies between two limits."""
    distinct = table.value(arguments["column"]).drop_nulls().n_unique()
    return within("integer", arguments, "number of distinct values", distinct)


@expectation(
    "expect_column_proportion_of_unique_values_to_be_between",
    column(),
    *NUMBER_LIMITS,
    refuse=refuse_limits,
)
def unique_share_between(table: Table, arguments: Arguments) -> Plan:
    """Distinct values per value that is not missing lie between two limits; 0 for no values."""
    asked = table.value(arguments["column"]).drop_nulls()
    share = pl.when(asked.len() > 0).then(asked.n_unique() / asked.len()).otherwise(0.0)
    return within("number", arguments, "share of distinct values", share)


@expectation(
    "expect_column_proportion_of_non_null_values_to_be_between",
    column(),
    *NUMBER_LIMITS,
    refuse=refuse_limits,
)
def present_share_between(table: Table, arguments: Arguments) -> Plan:
    """The share of values that are not missing lies between two limits; 0 for no rows."""
    present = pl.len() - table.missing(arguments["column"])
    share = pl.when(pl.len() > 0).then(present / pl.len()).otherwise(0.0)
    return within("number", arguments, "share of values that are not missing", share)


@expectation("expect_column_distinct_values_to_be_in_set", column(), VALUE_SET)
def distinct_in_set(table: Table, arguments: Arguments) -> Plan:
    """Every distinct value is one of a set; the failing count is one of distinct values."""
    return _distinct(table, arguments, refuse_others=True, demand_all=False)


@expectation("expect_column_distinct_values_to_contain_set", column(), VALUE_SET)
def distinct_contain_set(table: Table, arguments: Arguments) -> Plan:
    """Every value of a set is there."""
    return _distinct(table, arguments, refuse_others=False, demand_all=True)


@expectation("expect_column_distinct_values_to_equal_set", column(), VALUE_SET)
def distinct_equal_set(table: Table, arguments: Arguments) -> Plan:
    """The distinct values are exactly those of a set."""
    return _distinct(table, arguments, refuse_others=True, demand_all=True)


def _distinct(
    table: Table, arguments: Arguments, *, refuse_others: bool, demand_all: bool
) -> ValuePlan:
    name = arguments["column"]
    value, kind = table.value(name), table.kind(name)
    wanted = [item for item in dict.fromkeys(arguments["value_set"]) if item is not None]
    known = members(kind, wanted)
    measures: dict[str, pl.Expr] = {}
    if refuse_others:
        others = value.filter(not_in(value, known))
        measures["others"] = others.n_unique()
        measures["sample"] = others.unique().sort().head(EXAMPLES).implode()
    if demand_all:
        found = value.filter(value.is_in(known)) if known else value.head(0)
        measures["found"] = found.unique().implode()
    words = {
        (True, False): "only values of",
        (False, True): "all values of",
        (True, True): "exactly the values",
    }[refuse_others, demand_all]

    def judge(values: Mapping[str, object]) -> Judgement:
        others = _whole(values.get("others", 0))
        lost = []
        if demand_all:
            there = _listed(values["found"])
            lost = [item for item in wanted if not _present(kind, item, there)]
        said = []
        if others:
            shown = set_words(_listed(values["sample"]))
            said.append(f"{counted(others, 'other value')} ({shown})")
        if lost:
            said.append(f"{counted(len(lost), 'value')} of the set missing ({set_words(lost)})")
        message = f"`{name}` has " + (" and ".join(said) if said else "the values it should have")
        failing = others if refuse_others else None
        return Judgement(not said, None, message, failing)

    return ValuePlan(f"{words} {set_words(arguments['value_set'])}", judge, measures)


def _present(kind: str, item: object, there: list[Any]) -> bool:
    fitting = members(kind, [item])
    return bool(fitting) and fitting[0] in there


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _listed(value: object) -> list[Any]:
    assert isinstance(value, list)
    return value
