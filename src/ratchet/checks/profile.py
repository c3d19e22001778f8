"""A profile of a table: what each column holds, in numbers.

Counts, missing values, extremes, mean and standard deviation are of all rows. In tables of
more than 200,000 rows the number of distinct values is estimated (``exact`` is then False),
quantiles are those of a sample, and frequent values are counted only where few are different.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from ratchet.checks.report import Scalar, plain
from ratchet.checks.subject import draw_sample
from ratchet.checks.table import Table, named
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""The quantiles a profile holds."""

TOP = 20
"""How many of the most frequent values a profile holds."""

_EXACT_ROWS = 200_000
_SAMPLE_ROWS = 100_000
_FEW = 1_000
_NUMBERS = ("integer", "number")


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column in numbers.

    Attributes:
        name: the column.
        kind: its kind.
        missing: how many rows have no value (null, or NaN).
        distinct: how many different values there are, missing not counted.
        exact: whether ``distinct`` was counted; estimated otherwise (by a few per cent).
        minimum: the smallest value; of texts the first in order.
        maximum: the largest value.
        mean: of numbers; of booleans the share of true.
        std: sample standard deviation of numbers.
        quantiles: of numbers: float (7,), at 1, 5, 25, 50, 75, 95 and 99 %; else empty.
        top: the most frequent values and their counts, at most 20.
    """

    name: str
    kind: str
    missing: int
    distinct: int
    exact: bool
    minimum: Scalar
    maximum: Scalar
    mean: Scalar
    std: Scalar
    quantiles: tuple[float, ...]
    top: tuple[tuple[Scalar, int], ...]

    @property
    def constant(self) -> bool:
        """Whether there is one value at most."""
        return self.distinct <= 1


@dataclass(frozen=True, slots=True)
class Profile:
    """A table in numbers; ``target`` names the column to predict where there is one."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    target: str | None

    def column(self, name: str) -> ColumnProfile:
        """The profile of one column; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def target_shares(self) -> tuple[tuple[Scalar, float], ...]:
        """The target's most frequent values and their shares of the rows that have one."""
        if self.target is None:
            return ()
        column = self.column(self.target)
        present = self.rows - column.missing
        return tuple((value, count / present) for value, count in column.top)

    def to_json(self) -> dict[str, Any]:
        """The profile as JSON values."""
        columns = [{**asdict(column), "constant": column.constant} for column in self.columns]
        return {"rows": self.rows, "target": self.target, "columns": columns}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Profile:
        """The profile that ``to_json`` made."""
        columns = []
        for raw in value["columns"]:
            given = {key: item for key, item in raw.items() if key != "constant"}
            given["quantiles"] = tuple(given["quantiles"])
            given["top"] = tuple((label, count) for label, count in given["top"])
            columns.append(ColumnProfile(**given))
        return cls(value["rows"], tuple(columns), value["target"])


def profile_table(frame: pl.LazyFrame, schema: TableSchema, roles: Roles | None = None) -> Profile:
    """The profile of ``frame``.

    Args:
        frame: the rows, in the data package's types.
        schema: the columns to profile, in order.
        roles: what each column is for, where that is known.
    """
    table = Table.of(frame)
    names = [name for name in schema.names if name in table.types]
    rows = frame.select(pl.len()).collect(engine="streaming").item()
    exact = rows <= _EXACT_ROWS
    measured = _measure(frame, table, names, exact=exact)
    counted = [name for name in names if exact or measured[name]["distinct"] <= _FEW]
    top = _most_frequent(frame, table, counted)
    numbers = [name for name in names if table.kind(name) in _NUMBERS]
    sample = draw_sample(frame.select(map(named, numbers)), rows, _SAMPLE_ROWS)
    target = roles.target if roles is not None and roles.target in names else None
    columns = tuple(
        ColumnProfile(
            name=name,
            kind=table.kind(name),
            exact=exact,
            quantiles=_quantiles(sample, name) if name in numbers else (),
            top=top.get(name, ()),
            **measured[name],
        )
        for name in names
    )
    return Profile(rows, columns, target)


def _measure(
    frame: pl.LazyFrame, table: Table, names: Sequence[str], *, exact: bool
) -> dict[str, dict[str, Any]]:
    """Every column's aggregates, from one query."""
    parts: list[pl.Expr] = []
    for i, name in enumerate(names):
        value, kind = table.value(name), table.kind(name)
        numeric = kind in (*_NUMBERS, "boolean")
        there = value.drop_nulls()
        nothing = pl.lit(None, dtype=pl.Float64)
        parts += [
            table.missing(name).alias(f"{i} missing"),
            (there.n_unique() if exact else there.approx_n_unique()).alias(f"{i} distinct"),
            value.min().alias(f"{i} minimum"),
            value.max().alias(f"{i} maximum"),
            (value.mean() if numeric else nothing).alias(f"{i} mean"),
            (value.std() if kind in _NUMBERS else nothing).alias(f"{i} std"),
        ]
    if not parts:
        return {}
    row = frame.select(parts).collect(engine="streaming").row(0, named=True)
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in row.items():
        index, measure = key.split(" ")
        found[names[int(index)]][measure] = plain(value)
    return found


def _most_frequent(
    frame: pl.LazyFrame, table: Table, names: Sequence[str]
) -> dict[str, tuple[tuple[Scalar, int], ...]]:
    """Each column's most frequent values; of equally frequent ones the smaller first."""
    queries = [
        frame.select(value=table.value(name))
        .drop_nulls()
        .group_by("value")
        .len("count")
        .sort("count", "value", descending=[True, False])
        .head(TOP)
        for name in names
    ]
    frames = pl.collect_all(queries, engine="streaming")
    return {
        name: tuple((plain(value), count) for value, count in found.iter_rows())
        for name, found in zip(names, frames, strict=True)
    }


def _quantiles(sample: pl.DataFrame, name: str) -> tuple[float, ...]:
    values = sample.select(named(name).cast(pl.Float64)).to_series().drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if not values.size:
        return ()
    return tuple(float(value) for value in np.quantile(values, QUANTILES))
