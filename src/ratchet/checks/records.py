"""Expectations about several columns of one row.

``ignore_row_if`` says which rows are not asked; a row that is asked and misses a value fails,
as nothing can be said about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from operator import and_, or_
from typing import Any

import polars as pl

from ratchet.checks.arguments import (
    COUNTABLE,
    MOSTLY,
    REQUIRED,
    Argument,
    Arguments,
    choice,
    column,
    columns,
    read_flag,
    read_number,
    read_pairs,
)
from ratchet.checks.report import number
from ratchet.checks.rows import set_words
from ratchet.checks.table import Table, is_repeated, members
from ratchet.checks.vocabulary import Plan, RowPlan, Unfit, expectation

_PAIR = (column("column_A"), column("column_B"))
_IGNORE_PAIR = choice(
    "ignore_row_if", "both_values_are_missing", "either_value_is_missing", "neither"
)
_IGNORE_ROW = choice("ignore_row_if", "all_values_are_missing", "any_value_is_missing", "never")
_ALIKE = {"integer": "number", "boolean": "number", "date": "datetime"}


def asked_rows(table: Table, names: Sequence[str], ignore: str) -> pl.Expr | None:
    """True for the rows that are asked; None when all are."""
    present = [table.value(name).is_not_null() for name in names]
    asked: pl.Expr | None = None
    if ignore in ("both_values_are_missing", "all_values_are_missing"):
        asked = reduce(or_, present)
    if ignore in ("either_value_is_missing", "any_value_is_missing"):
        asked = reduce(and_, present)
    return asked


def asked_of(
    table: Table,
    names: Sequence[str],
    arguments: Arguments,
    holds: pl.Expr,
    expected: str,
) -> RowPlan:
    """A question to the rows of several columns; ``holds`` may be null, which fails."""
    asked = asked_rows(table, names, arguments["ignore_row_if"])
    fails = ~holds.fill_null(False)
    if asked is not None:
        fails = asked & fails
    return RowPlan(
        rows=pl.len() if asked is None else asked.sum(),
        failing=fails.sum(),
        steps=(fails,),
        expected=expected,
        broken=f"{expected} does not hold",
        shown=tuple(names),
        mostly=arguments["mostly"],
    )


def _pair(table: Table, arguments: Arguments) -> tuple[pl.Expr, pl.Expr] | Unfit:
    first, second = arguments["column_A"], arguments["column_B"]
    kinds = [table.kind(first), table.kind(second)]
    if _alike(kinds[0]) != _alike(kinds[1]):
        return Unfit(
            f"`{first}` is of kind {kinds[0]} and `{second}` of kind {kinds[1]}: "
            "the two do not compare"
        )
    values = []
    for name, kind in zip((first, second), kinds, strict=True):
        value = table.value(name)
        if kind == "boolean":
            value = value.cast(pl.Int8)
        elif kind == "date" and "datetime" in kinds:
            value = value.cast(pl.Datetime("us"))
        values.append(value)
    return values[0], values[1]


def _alike(kind: str) -> str:
    return _ALIKE.get(kind, kind)


@expectation(
    "expect_column_pair_values_a_to_be_greater_than_b",
    *_PAIR,
    Argument("or_equal", read_flag, False),
    _IGNORE_PAIR,
    MOSTLY,
)
def pair_greater(table: Table, arguments: Arguments) -> Plan:
    """The value of column A is above that of column B."""
    pair = _pair(table, arguments)
    if isinstance(pair, Unfit):
        return pair
    names = (arguments["column_A"], arguments["column_B"])
    holds = pair[0] >= pair[1] if arguments["or_equal"] else pair[0] > pair[1]
    word = "at least" if arguments["or_equal"] else "above"
    expected = f"`{names[0]}` {word} `{names[1]}`"
    return asked_of(table, names, arguments, holds, expected)


@expectation("expect_column_pair_values_to_be_equal", *_PAIR, _IGNORE_PAIR, MOSTLY)
def pair_equal(table: Table, arguments: Arguments) -> Plan:
    """The values of two columns are equal."""
    pair = _pair(table, arguments)
    names = (arguments["column_A"], arguments["column_B"])
    expected = f"`{names[0]}` equal to `{names[1]}`"
    # Text never equals a number: every row fails, as in Python.
    holds = pl.lit(False) if isinstance(pair, Unfit) else pair[0] == pair[1]
    return asked_of(table, names, arguments, holds, expected)


@expectation(
    "expect_column_pair_values_to_be_in_set",
    *_PAIR,
    Argument("value_pairs_set", read_pairs, REQUIRED),
    _IGNORE_PAIR,
    MOSTLY,
)
def pair_in_set(table: Table, arguments: Arguments) -> Plan:
    """The values of two columns are one of a set of pairs, in which null means missing."""
    names = (arguments["column_A"], arguments["column_B"])
    groups: dict[Any, list[Any]] = {}
    for first, second in arguments["value_pairs_set"]:
        groups.setdefault(first, []).append(second)
    found: pl.Expr = reduce(
        or_,
        (
            _one_of(table, names[0], [first]) & _one_of(table, names[1], seconds)
            for first, seconds in groups.items()
        ),
    )
    shown = set_words([f"({first}, {second})" for first, second in arguments["value_pairs_set"]])
    expected = f"(`{names[0]}`, `{names[1]}`) one of {shown}"
    return asked_of(table, names, arguments, found, expected)


def _one_of(table: Table, name: str, values: Sequence[Any]) -> pl.Expr:
    value = table.value(name)
    known = members(table.kind(name), values)
    found: pl.Expr = pl.lit(False)
    if known:
        found = (value == known[0] if len(known) == 1 else value.is_in(known)).fill_null(False)
    if None in values:
        found = found | value.is_null()
    return found


@expectation("expect_compound_columns_to_be_unique", columns(), _IGNORE_ROW, MOSTLY)
def compound_unique(table: Table, arguments: Arguments) -> Plan:
    """No two rows have the same values in these columns; all rows of a repeat fail."""
    names = arguments["column_list"]
    asked = asked_rows(table, names, arguments["ignore_row_if"])
    repeats = is_repeated(table.key(names))
    values = pl.struct([table.value(name).alias(f"v{i}") for i, name in enumerate(names)])
    # Rows that are asked repeat one another exactly as they do among all rows.
    suspects = repeats if asked is None else asked & repeats
    rows = pl.len() if asked is None else asked.sum()
    failing = values.filter(suspects).is_duplicated().sum()
    steps = (suspects, values.is_duplicated())
    expected = f"unique together: {', '.join(names)}"
    return RowPlan(
        rows,
        failing,
        steps,
        expected,
        f"`{'`, `'.join(names)}` repeat another row's values",
        tuple(names),
        arguments["mostly"],
    )


@expectation(
    "expect_select_column_values_to_be_unique_within_record", columns(), _IGNORE_ROW, MOSTLY
)
def unique_within_record(table: Table, arguments: Arguments) -> Plan:
    """No two of these columns have the same value in one row; missing equals missing."""
    names = arguments["column_list"]
    equal = [
        table.value(first).eq_missing(table.value(second))
        if _alike(table.kind(first)) == _alike(table.kind(second))
        else table.value(first).is_null() & table.value(second).is_null()
        for first, second in combinations(names, 2)
    ]
    expected = f"different values in {', '.join(names)}"
    return asked_of(table, names, arguments, ~reduce(or_, equal), expected)


@expectation(
    "expect_multicolumn_sum_to_equal",
    columns(kinds=COUNTABLE),
    Argument("sum_total", read_number, REQUIRED),
    _IGNORE_ROW,
    MOSTLY,
)
def multicolumn_sum(table: Table, arguments: Arguments) -> Plan:
    """The values of these columns add up to one total, exactly, in every row."""
    names = arguments["column_list"]
    total = reduce(lambda left, right: left + right, (table.value(name) for name in names))
    expected = f"{' + '.join(names)} equal to {number(arguments['sum_total'])}"
    return asked_of(
        table,
        names,
        arguments,
        total == arguments["sum_total"],
        expected,
    )
