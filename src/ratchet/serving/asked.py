"""Rows on their way to a version, checked: one by one, or column by column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, TypeAlias, overload

import msgspec
from msgspec import UNSET

Columns: TypeAlias = Sequence[Sequence[Any]]


class Asked(msgspec.Struct, gc=False):
    """A row to score, checked; only a ``Codec`` makes one.

    Attributes:
        row: the columns' values, a struct of the codec's own type.
        entity: whom it is about, as text.
    """

    row: Any
    entity: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """The row by column name, as JSON values; id and time too where they were given."""
        return record_of(self.row)


def record_of(row: Any) -> dict[str, Any]:
    """A codec's row by column name."""
    raw: dict[str, Any] = msgspec.to_builtins(row)
    if row.renamed:
        raw = {row.renamed.get(name, name): value for name, value in raw.items()}
    return raw


class Question(msgspec.Struct, gc=False):
    """The body of ``/v1/predict``: rows, or ids whose rows are still to be looked up.

    Attributes:
        asked: the rows; empty where ``ids`` is there.
        single: whether one answer is wanted and not a list.
        ids: the entities to look up, in order.
        given: what the request itself says of each of ``ids``; it wins over what is stored.
    """

    asked: list[Asked]
    single: bool
    ids: tuple[str, ...] = ()
    given: tuple[Mapping[str, Any], ...] = ()


class Table(Sequence[Asked]):
    """Rows that came column by column, checked; only a ``ColumnReader`` makes one.

    As a sequence it holds the same rows one by one, which are made when somebody asks for them.

    Attributes:
        row_type: the codec's struct of a row.
        columns: the values of each column, in the order of the codec's ``names``; of one that
            did not come, ``UNSET`` for each row.
        entities: whom each row is about; None where no row says.
    """

    __slots__ = ("_rows", "columns", "entities", "row_type")

    def __init__(
        self,
        row_type: type[msgspec.Struct],
        columns: Columns,
        entities: Sequence[str | None] | None,
    ) -> None:
        self.row_type, self.columns, self.entities = row_type, columns, entities
        self._rows: list[Asked] | None = None

    def __len__(self) -> int:
        return len(self.columns[0])

    @overload
    def __getitem__(self, place: int) -> Asked: ...
    @overload
    def __getitem__(self, place: slice) -> Table: ...
    def __getitem__(self, place: int | slice) -> Asked | Table:
        if isinstance(place, int):
            return self._each()[place]
        entities = None if self.entities is None else self.entities[place]
        columns = [column[place] for column in self.columns]
        return Table(self.row_type, columns, entities)

    def __iter__(self) -> Iterator[Asked]:
        return iter(self._each())

    def _each(self) -> list[Asked]:
        if self._rows is None:
            rows = map(self.row_type, *self.columns)
            self._rows = [*map(Asked, rows, self.entities or repeat(None))]
        return self._rows


def entities_of(asked: Sequence[Asked]) -> Sequence[str | None] | None:
    """Whom each row is about; None where no row says."""
    if isinstance(asked, Table):
        return asked.entities
    entities = [each.entity for each in asked]
    return entities if any(entities) else None


def entity_of_id(value: Any) -> str | None:
    """Whom a row with this id is about: an empty id is none."""
    if type(value) is str:
        return value or None
    return None if value is UNSET or value is None else str(value)
