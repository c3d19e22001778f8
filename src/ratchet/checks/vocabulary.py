"""The words the suites are written in: what an expectation is, and how one is registered.

An expectation is one function from a table and its arguments to a *plan*: Polars expressions
and how to judge their values. Planning reads no data, so all plans of a suite run in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from ratchet.checks.arguments import Argument, Arguments
from ratchet.checks.report import Scalar
from ratchet.checks.table import Table


@dataclass(frozen=True, slots=True)
class RowPlan:
    """A yes/no question to each row.

    Attributes:
        rows: aggregate: how many rows are asked (rows with missing values often are not).
        failing: aggregate: how many of them say no.
        steps: filters that, applied one after the other, leave the rows that say no.
        broken: what is told of a row that says no: "`age` is not at least 0".
        shown: the columns whose values an example shows.
        mostly: the share of rows that must say yes.
    """

    rows: pl.Expr
    failing: pl.Expr
    steps: tuple[pl.Expr, ...]
    expected: str
    broken: str
    shown: tuple[str, ...]
    mostly: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on measured values."""

    passed: bool
    observed: Scalar
    message: str
    failing: int | None = None


@dataclass(frozen=True, slots=True)
class ValuePlan:
    """Measured values of a column or the table, and the function that judges them."""

    expected: str
    judge: Callable[[Mapping[str, object]], Judgement]
    measures: Mapping[str, pl.Expr]


@dataclass(frozen=True, slots=True)
class Unfit:
    """The question makes no sense for this table; the check fails with the reason."""

    reason: str


Plan = RowPlan | ValuePlan | Unfit
Planner = Callable[[Table, Arguments], Plan]


@dataclass(frozen=True, slots=True)
class Definition:
    """An expectation of the vocabulary."""

    name: str
    arguments: tuple[Argument, ...]
    plan: Planner
    refuse: Callable[[Arguments], None] | None
    summary: str

    def columns(self, arguments: Arguments) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The columns that ``arguments`` name, each with the kinds that fit."""
        named: list[tuple[str, tuple[str, ...]]] = []
        for argument in self.arguments:
            if argument.is_column:
                value = arguments[argument.name]
                names = (value,) if isinstance(value, str) else value
                named.extend((name, argument.kinds) for name in names)
        return tuple(named)


_DEFINITIONS: dict[str, Definition] = {}


def expectation(
    name: str, *arguments: Argument, refuse: Callable[[Arguments], None] | None = None
) -> Callable[[Planner], Planner]:
    """Register the decorated function as the expectation ``name``.

    Args:
        name: Great Expectations' name.
        arguments: the arguments it takes.
        refuse: raises ``ValueError`` when arguments do not go together.
    """

    def register(plan: Planner) -> Planner:
        summary = (plan.__doc__ or "").strip().splitlines()[0]
        _DEFINITIONS[name] = Definition(name, arguments, plan, refuse, summary)
        return plan

    return register


def definitions() -> Mapping[str, Definition]:
    """Every expectation by name."""
    return _DEFINITIONS
