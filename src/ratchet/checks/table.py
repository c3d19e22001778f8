"""A table as the checks see it: names, kinds, and one expression per column.

Missing means the same everywhere: null, and in columns of numbers also NaN.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import polars as pl
import polars.selectors as cs

_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of the frame under test, in order."""

    types: dict[str, pl.DataType]

    @classmethod
    def of(cls, frame: pl.LazyFrame) -> Table:
        """The table that ``frame`` holds; reads its schema only."""
        return cls(dict(frame.collect_schema()))

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(self.types)

    def kind(self, name: str) -> str:
        """The column's kind; ``other`` for what is no plain value (lists, structs, bytes)."""
        return kind_of(self.types[name])

    def value(self, name: str) -> pl.Expr:
        """The column with missing values as null, and categories as text."""
        kind = self.kind(name)
        expr = named(name)
        if kind == "number":
            floats = self.types[name].is_float()
            return (expr if floats else expr.cast(pl.Float64)).fill_nan(None)
        if kind == "string" and self.types[name] != pl.String:
            return expr.cast(pl.String)
        return expr

    def text(self, name: str) -> pl.Expr:
        """The column's values as text, written as Python writes them."""
        value = self.value(name)
        kind = self.kind(name)
        if kind == "string":
            return value
        if kind == "boolean":
            return pl.when(value).then(pl.lit("True")).when(~value).then(pl.lit("False"))
        if kind == "datetime":
            return value.dt.strftime("%Y-%m-%d %H:%M:%S")
        return value.cast(pl.String)

    def missing(self, name: str) -> pl.Expr:
        """How many values are missing."""
        expr = named(name)
        if self.types[name].is_float():
            return expr.null_count() + expr.is_nan().sum()
        return expr.null_count()

    def key(self, names: Iterable[str]) -> pl.Expr:
        """A 64-bit hash of the row's values in ``names``; equal rows have equal keys.

        Different rows share a key with probability 2^-64, so what must be exact is decided
        on the values of the rows whose key is not unique.
        """
        total = pl.lit(0, dtype=pl.UInt64)
        for index, name in enumerate(names):
            # Odd factors are invertible modulo 2^64, so no column's hash loses bits.
            total = total + self.value(name).hash(index) * pl.lit(2 * index + 1, dtype=pl.UInt64)
        return total


def named(name: str) -> pl.Expr:
    """The column of exactly this name; ``pl.col`` reads ``*`` and ``^…$`` as patterns."""
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        return cs.by_name(name).as_expr()
    return pl.col(name)


def is_repeated(key: pl.Expr) -> pl.Expr:
    """Whether each key is there more than once.

    Where keys are mostly different, as they should be, sorting them costs half of the hashing
    that ``is_duplicated`` does.
    """
    return key.map_batches(_repeated, return_dtype=pl.Boolean)


def _repeated(keys: pl.Series) -> pl.Series:
    ordered = keys.sort()
    again = ordered.filter(ordered == ordered.shift(1))
    if not again.len():
        return pl.repeat(False, keys.len(), eager=True)
    return keys.is_in(again.unique().implode())


def free_name(frame: pl.LazyFrame) -> str:
    """A name that no column of ``frame`` has."""
    taken = frame.collect_schema().names()
    name = "row number"
    while name in taken:
        name += "_"
    return name


def kind_of(dtype: pl.DataType) -> str:
    """The kind of a Polars type: the six of the data package, or ``other``."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype.is_decimal():
        return "number"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "string"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Date:
        return "date"
    return "datetime" if dtype == pl.Datetime else "other"


def comparable(kind: str, value: Any) -> Any | None:
    """A limit as it compares with a column of ``kind``; None when the two cannot be compared."""
    if isinstance(value, int | float):
        return _fitting_number(kind, value) if kind in ("integer", "number", "boolean") else None
    if kind == "string":
        return value if isinstance(value, str) else None
    return moment(kind, value) if kind in ("date", "datetime") else None


def _fitting_number(kind: str, value: int | float) -> int | float:
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value) if abs(value) < _INT64 else value
    return float(value) if isinstance(value, int) and abs(value) >= _INT64 else value


def moment(kind: str, value: Any) -> date | None:
    """A date or an ISO text as a column of ``kind`` (date, datetime) holds it; None if it cannot.

    A time of day is no value of a date column, and a time zone is converted to UTC.
    """
    found = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(found, date):
        return None
    if not isinstance(found, datetime):
        found = datetime.combine(found, time())
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    if kind == "datetime":
        return found
    return found.date() if found.time() == time() else None


def members(kind: str, values: Iterable[Any]) -> list[Any]:
    """The values of a set that a column of ``kind`` could hold at all.

    As in Python, numbers are equal across types (1, 1.0 and true) and never equal to text.
    """
    found: list[Any] = []
    for value in values:
        if value is None:
            continue
        fitting: Any = None
        if kind == "string":
            fitting = value if isinstance(value, str) else None
        elif kind in ("date", "datetime"):
            fitting = moment(kind, value)
        elif isinstance(value, int | float) and not math.isnan(value):
            fitting = _fitting_member(kind, value)
        if fitting is not None and fitting not in found:
            found.append(fitting)
    return found


def _fitting_member(kind: str, value: int | float) -> int | float | None:
    if kind == "number":
        return float(value)
    if kind == "boolean":
        return bool(value) if value in (0, 1) else None
    if kind == "integer" and abs(value) < _INT64 and value == int(value):
        return int(value)
    return None
