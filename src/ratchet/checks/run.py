"""Running a suite: every measure in one pass, and a second one for the rows that failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ratchet.checks.expectations import Expectation
from ratchet.checks.report import (
    EXAMPLES,
    CheckResult,
    counted,
    percent,
    plain,
    row_name,
)
from ratchet.checks.table import Table, free_name, named
from ratchet.checks.vocabulary import Plan, RowPlan, Unfit, ValuePlan

_ROWS = "rows"
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A failing row: its id or number, and the values that failed."""

    row: str | int
    values: tuple[str, ...]


class Measures:
    """Aggregates to be taken in one query, each of them once."""

    def __init__(self) -> None:
        self._taken: list[pl.Expr] = []
        self._places: dict[str, list[int]] = {}

    def add(self, measure: pl.Expr) -> str:
        """The name under which ``collect`` gives this measure's value."""
        alike = self._places.setdefault(str(measure), [])
        for index in alike:
            # Equal texts are not enough: a long set of values is printed shortened.
            if self._taken[index].meta.eq(measure):
                return f"m{index}"
        alike.append(len(self._taken))
        self._taken.append(measure)
        return f"m{len(self._taken) - 1}"

    def collect(self, frame: pl.LazyFrame) -> dict[str, Any]:
        """Every measure's value by name."""
        if not self._taken:
            return {}
        measures = [measure.alias(f"m{index}") for index, measure in enumerate(self._taken)]
        return frame.select(measures).collect(engine="streaming").row(0, named=True)


def run_suite(
    frame: pl.LazyFrame, suite: Sequence[Expectation], *, id_column: str | None = None
) -> tuple[CheckResult, ...]:
    """Judge ``frame`` by every expectation of ``suite``.

    All measures are taken in one query. Only for row-wise expectations that failed, a second
    query fetches up to 20 failing rows each.

    Args:
        frame: the data; a scan of files is streamed.
        suite: the expectations, as ``parse_suite`` gives them.
        id_column: the column whose values name the example rows; row numbers from 1 otherwise.

    Returns:
        One result per expectation, in the suite's order.
    """
    table = Table.of(frame)
    plans = [_plan(table, expectation) for expectation in suite]
    measured = _measure(frame, plans)
    failed = {
        index: plan
        for index, plan in enumerate(plans)
        if isinstance(plan, RowPlan) and not _holds(plan, measured[index])
    }
    id_known = id_column if id_column in table.types else None
    examples = _fetch(frame, failed, id_known)
    return tuple(
        _result(expectation, plan, measured[index], examples.get(index, ()))
        for index, (expectation, plan) in enumerate(zip(suite, plans, strict=True))
    )


def _plan(table: Table, expectation: Expectation) -> Plan:
    """The plan, or why there is none: a column is missing or of a kind that does not fit."""
    for name, kinds in expectation.definition.columns(expectation.arguments):
        if name not in table.types:
            return Unfit(f"there is no column `{name}`")
        kind = table.kind(name)
        if kinds and kind not in kinds:
            return Unfit(f"`{name}` is of kind {kind}, and only {', '.join(kinds)} can be checked")
    return expectation.definition.plan(table, expectation.arguments)


def _measure(frame: pl.LazyFrame, plans: Sequence[Plan]) -> list[dict[str, object]]:
    """Each plan's measures by name, and the table's number of rows, from one query."""
    taken = Measures()
    places: list[dict[str, str]] = []
    for plan in plans:
        place = {_ROWS: taken.add(pl.len())}
        if isinstance(plan, RowPlan):
            place["asked"] = taken.add(plan.rows)
            place["failing"] = taken.add(plan.failing)
        elif isinstance(plan, ValuePlan):
            place.update({name: taken.add(measure) for name, measure in plan.measures.items()})
        places.append(place)
    row = taken.collect(frame)
    return [{name: row[column] for name, column in place.items()} for place in places]


def _holds(plan: RowPlan, measured: Mapping[str, object]) -> bool:
    asked, failing = _whole(measured["asked"]), _whole(measured["failing"])
    return asked == 0 or (asked - failing) / asked >= plan.mostly


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _fetch(
    frame: pl.LazyFrame, failed: Mapping[int, RowPlan], id_column: str | None
) -> dict[int, tuple[Example, ...]]:
    """Up to 20 failing rows of each failed plan."""
    queries = [failing_rows(frame, plan.steps, plan.shown, id_column) for plan in failed.values()]
    if not queries:
        return {}
    frames = pl.collect_all(queries, engine="streaming")
    return {
        index: tuple(
            Example(row_name(row[0], row[1]), tuple(str(plain(value)) for value in row[2:]))
            for row in found.iter_rows()
        )
        for index, found in zip(failed, frames, strict=True)
    }


def failing_rows(
    frame: pl.LazyFrame,
    steps: Iterable[pl.Expr],
    shown: Sequence[str] = (),
    id_column: str | None = None,
) -> pl.LazyFrame:
    """The query of the first 20 rows that pass all filters.

    Its columns are the row's id (null where it has none), its number from 1, and the shown
    columns.
    """
    number = free_name(frame)
    rows = frame.with_row_index(number, offset=1)
    for step in steps:
        rows = rows.filter(step)
    name = pl.lit(None) if id_column is None else named(id_column)
    return rows.head(EXAMPLES).select(
        name.alias("id"),
        pl.col(number).alias("number"),
        *(named(column).alias(f"v{i}") for i, column in enumerate(shown)),
    )


def _result(
    expectation: Expectation,
    plan: Plan,
    measured: Mapping[str, object],
    examples: tuple[Example, ...],
) -> CheckResult:
    rows = _whole(measured[_ROWS])
    name, column, severity = expectation.name, expectation.column, expectation.severity
    if isinstance(plan, Unfit):
        message = f"cannot be checked: {plan.reason}"
        return CheckResult(name, column, severity, False, None, "", None, rows, (), message)
    if isinstance(plan, ValuePlan):
        verdict = plan.judge(measured)
        return CheckResult(
            name, column, severity, verdict.passed, verdict.observed,
            plan.expected, verdict.failing, rows, (), verdict.message,
        )  # fmt: skip
    asked, failing = _whole(measured["asked"]), _whole(measured["failing"])
    wanted = plan.expected
    if plan.mostly < 1:
        wanted += f", in at least {percent(plan.mostly)} of the rows"
    return CheckResult(
        name,
        column,
        severity,
        _holds(plan, measured),
        1 - failing / asked if asked else None,
        wanted,
        failing,
        asked,
        tuple(example.row for example in examples),
        _row_message(plan, asked, failing, examples),
    )


def _row_message(plan: RowPlan, asked: int, failing: int, examples: tuple[Example, ...]) -> str:
    if not asked:
        return "there is no row to judge"
    if not failing:
        return f"holds in {'the one row' if asked == 1 else f'all {asked:,} rows'}"
    message = (
        f"{plan.broken} in {failing:,} of {counted(asked, 'row')} ({percent(failing / asked)})"
    )
    told = [_told(example) for example in examples[:_TOLD]]
    return f"{message}; for example {', '.join(told)}" if told else message


def _told(example: Example) -> str:
    values = ", ".join(example.values)
    return f"{values} in row {example.row}" if values else f"row {example.row}"
