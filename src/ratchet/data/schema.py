"""The six kinds of column, and the schema of a table in these kinds.

Every frame that leaves the data package has only these types. Polars is imported on
use, so that the settings may name the kinds without loading it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from ratchet.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["integer", "number", "string", "boolean", "date", "datetime"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and kind."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of a table, in order. Names are unique."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, kinds: Mapping[str, Kind] | Iterable[tuple[str, Kind]]) -> TableSchema:
        """A schema from names and kinds, in their order."""
        pairs = kinds.items() if isinstance(kinds, Mapping) else kinds
        return cls(tuple(Column(name, kind) for name, kind in pairs))

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)

    def kind(self, name: str) -> Kind:
        """The kind of the column ``name``; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column.kind
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def to_json(self) -> list[list[str]]:
        """``[[name, kind], ...]``."""
        return [[column.name, column.kind] for column in self.columns]

    @classmethod
    def from_json(cls, raw: Iterable[Iterable[str]]) -> TableSchema:
        """The schema that ``to_json`` wrote; DataError when a kind is unknown."""
        columns = []
        for name, kind in raw:
            if kind not in KINDS:
                raise DataError(
                    f'The stored schema gives column "{name}" the unknown kind "{kind}"',
                    why="It was written by another version of Ratchet",
                    fix=f"Known kinds are {', '.join(KINDS)}; upgrade Ratchet",
                    code="schema_unknown",
                )
            columns.append(Column(name, kind))
        return cls(tuple(columns))

    @classmethod
    def from_polars(cls, schema: Mapping[str, pl.DataType]) -> TableSchema:
        """The kinds that the columns of a Polars schema become."""
        return cls(tuple(Column(name, kind_of(dtype)) for name, dtype in schema.items()))

    def polars(self) -> pl.Schema:
        """The same schema in Polars types."""
        import polars as pl

        return pl.Schema({column.name: polars_type(column.kind) for column in self.columns})

    def changes_from(self, old: TableSchema) -> tuple[str, ...]:
        """What is different here from ``old``, one sentence each; empty when nothing is."""
        found = [
            f'column "{column.name}" ({column.kind}) is gone'
            for column in old.columns
            if column.name not in self
        ]
        for column in self.columns:
            if column.name not in old:
                found.append(f'column "{column.name}" ({column.kind}) is new')
            elif old.kind(column.name) != column.kind:
                before = old.kind(column.name)
                found.append(f'column "{column.name}" was {before} and is now {column.kind}')
        kept = [name for name in self.names if name in old]
        if kept != [name for name in old.names if name in self]:
            found.append("the columns are in another order")
        return tuple(found)


def polars_type(kind: Kind) -> pl.DataType:
    """The Polars type that carries a kind."""
    import polars as pl

    types: dict[Kind, pl.DataType] = {
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "string": pl.String(),
        "boolean": pl.Boolean(),
        "date": pl.Date(),
        "datetime": pl.Datetime("us"),
    }
    return types[kind]


def kind_of(dtype: pl.DataType) -> Kind:
    """The kind a Polars type becomes: what is not listed becomes a string."""
    import polars as pl

    if dtype.is_integer():
        return "integer"
    if dtype.is_float() or dtype.is_decimal() or dtype == pl.Duration:
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype == pl.Date:
        return "date"
    if dtype == pl.Datetime:
        return "datetime"
    return "string"


def widest(kinds: Iterable[Kind]) -> Kind:
    """The kind that holds the values of all of ``kinds``; string when no other does."""
    distinct = set(kinds)
    if len(distinct) == 1:
        return distinct.pop()
    if distinct == {"integer", "number"}:
        return "number"
    return "datetime" if distinct == {"date", "datetime"} else "string"
