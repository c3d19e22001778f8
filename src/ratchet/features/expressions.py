"""SQL expressions as Polars expressions, and the constants they learn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from ratchet.errors import ConfigError, DataError
from ratchet.features.sql import Expression, read_expression
from ratchet.features.sql_reader import Aggregate
from ratchet.features.tokens import SqlTextError

_FAULTS = (PolarsError, PanicException)


def parse_expression(
    name: str, text: str, temporal: Collection[str] = ()
) -> tuple[Expression, tuple[str, ...]]:
    """The checked expression of feature ``name`` and the columns it reads, in order.

    ``temporal`` names the date and datetime columns; without it the expression's
    types may come out wrong, but not what it reads.

    Raises:
        ConfigError: it is no row-wise SQL expression.
    """
    where = place_of(name)
    try:
        expression = read_expression(text, temporal)
    except SqlTextError as error:
        raise ConfigError(
            f'The expression of feature "{name}" cannot be used',
            why=str(error),
            fix=error.fix,
            where=where,
        ) from error
    placeholders = {aggregate.key: 1.0 for aggregate in expression.aggregates}
    parts = [expression.sql(placeholders), *(item.sql for item in expression.aggregates)]
    names: dict[str, None] = {}
    for part in parts:
        built = _build(name, part)
        if built.meta.has_multiple_outputs():
            raise ConfigError(
                f'The expression of feature "{name}" stands for several columns', where=where
            )
        names.update(dict.fromkeys(built.meta.root_names()))
    if not names:
        raise ConfigError(
            f'The expression of feature "{name}" uses no column',
            why="It would be the same number in every row",
            where=where,
        )
    return expression, tuple(names)


def build_expression(
    name: str, expression: Expression, constants: Mapping[str, float | None]
) -> pl.Expr:
    """The Polars expression of feature ``name`` with its learned ``constants`` written in.

    Raises:
        DataError: a constant is not there.
    """
    for aggregate in expression.aggregates:
        if aggregate.key not in constants:
            raise DataError(
                f'The recipe holds no value for {aggregate.key} of the feature "{name}"',
                why="It was changed after training",
                fix="Use the model's bundle as it was written, or train again",
                code="recipe_changed",
            )
    return _build(name, expression.sql(constants))


def learn_constants(
    name: str, expression: Expression, frame: pl.DataFrame
) -> dict[str, float | None]:
    """What each aggregate of ``expression`` is on the training rows ``frame``.

    Missing, NaN and infinite values are left out; without any value the
    constant is None (null).

    Raises:
        ConfigError: an aggregate's argument holds no numbers.
    """
    return {item.key: _learn(name, item, frame) for item in expression.aggregates}


def place_of(name: str) -> str:
    """Where the expression of feature ``name`` is written."""
    return f"features.expressions.{name}"


def _learn(name: str, aggregate: Aggregate, frame: pl.DataFrame) -> float | None:
    try:
        series = frame.select(_build(name, aggregate.sql).alias("x"))["x"]
    except _FAULTS as error:
        raise ConfigError(
            f"{aggregate.key} of feature {name!r} cannot be computed",
            why=first_line(error),
            where=place_of(name),
        ) from error
    if not (series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null)):
        raise ConfigError(
            f"{aggregate.key} of feature {name!r} needs numbers",
            why=f"{aggregate.sql} is of type {series.dtype}",
            where=place_of(name),
        )
    values = series.cast(pl.Float64).drop_nulls().to_numpy()
    return summarise(aggregate, values[np.isfinite(values)])


def summarise(
    aggregate: Aggregate, values: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float | None:
    """The aggregate of finite float64 ``values``; None where it has none."""
    if len(values) <= (aggregate.function == "stddev"):
        return None
    result: Any
    with np.errstate(over="ignore", invalid="ignore"):
        match aggregate.function:
            case "median":
                result = np.median(values)
            case "avg" | "mean":
                result = np.mean(values)
            case "min":
                result = np.min(values)
            case "max":
                result = np.max(values)
            case "stddev":
                result = np.std(values, ddof=1)
            case "quantile":
                result = np.quantile(values, aggregate.level or 0.0)
            case _:
                result = np.sum(values)
    return float(result) if np.isfinite(result) else None


def first_line(error: BaseException) -> str:
    """The first line of a library's message."""
    return str(error).strip().split("\n", 1)[0]


def _build(name: str, sql: str) -> pl.Expr:
    try:
        return pl.sql_expr(sql)
    except _FAULTS as error:
        raise ConfigError(
            f'The expression of feature "{name}" is no SQL that can be run',
            why=first_line(error),
            fix='Quote column names that are SQL words or hold blanks: "Monthly Charges"',
            where=place_of(name),
        ) from error
