"""Columns of JSON to checked rows, each column in one pass in C.

Protocols that send a table by column need no object for each row: decoding a column, looking its
values up and logging it are a call each. What is rare or wrong is not judged here: then nothing is
given, and the ``Codec`` goes through the rows, to accept it or to name it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from operator import itemgetter
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET

from ratchet.data.coded import MOST_CODES, Coded
from ratchet.serving.asked import Columns, Table, entity_of_id
from ratchet.serving.inspection import is_moment
from ratchet.serving.problems import UNREADABLE
from ratchet.serving.row_types import ID, STRICT, TEXT_OR_NUMBER

if TYPE_CHECKING:
    from ratchet.serving.codec import Expected

Decode = Callable[[msgspec.Raw], list[Any]]
Given = TypeVar("Given")
Book = tuple[tuple[str | None, ...], dict[str | None, int]]

FEW: Final = 64
"""Rows below which a column is not coded."""


_any_list = msgspec.json.Decoder(list[Any]).decode


def _anything(given: Any) -> Sequence[Any]:
    """The values of a column that nobody reads; none where it is no list."""
    try:
        return _any_list(given) if isinstance(given, msgspec.Raw) else given
    except UNREADABLE:
        return ()


class ColumnReader:
    """Reads tables whose columns are JSON lists.

    Args:
        row_type: the codec's struct of a row.
        columns: what a row holds.
        also: what it may hold besides.
        id_column: the one of all these that names the entity.
        known: texts that a column often holds, less than 256. A text of these is not made anew
            for each row: msgspec finds the one there is, which takes half the time.

    Attributes:
        names: of all columns, in the order of a row's fields.
        kinds: of those that the model reads, by name.
        dated: whether any is a date or a time, which are looked at one by one.
    """

    def __init__(
        self,
        row_type: type[msgspec.Struct],
        columns: Sequence[Expected],
        also: Sequence[str],
        id_column: str | None,
        known: Mapping[str, Sequence[str]],
    ) -> None:
        self._row_type, self._id = row_type, id_column
        self._required = frozenset(each.name for each in columns if each.required)
        self.kinds = {each.name: each.kind for each in columns}
        self.names = (*self.kinds, *also)
        self._books = {
            name: _book(texts)
            for name, texts in known.items()
            if self.kinds.get(name) == "string" and len(texts) < MOST_CODES
        }
        self.dated = not {"date", "datetime"}.isdisjoint(self.kinds.values())
        self._decoders: dict[str, tuple[Decode, ...]] = {}

    def read(
        self, given: Mapping[str, msgspec.Raw], rows: int | None = None, *, ignore: bool = False
    ) -> Table | None:
        """The rows of columns; None where they have to be looked at closer.

        Args:
            given: JSON by column name.
            rows: how many there must be; without it as many as the first column has.
            ignore: let go of columns that no row has.
        """
        found = self._check(given, rows, self._decode, ignore=ignore)
        return None if found is None else self._table(found)

    def hold(self, given: Mapping[str, list[Any]], rows: int) -> Table | None:
        """As ``read``, of columns that were decoded as ``type_of`` says."""
        found = self._check(given, rows, self._dated, ignore=False)
        return None if found is None else self._table(found)

    def take(self, given: Mapping[str, Sequence[Any]], *, ignore: bool = False) -> Table | None:
        """As ``read``, of columns that were decoded as whatever they are."""
        found = self._check(given, None, self._convert, ignore=ignore)
        return None if found is None else self._table(found)

    def _check(
        self,
        given: Mapping[str, Given],
        rows: int | None,
        read: Callable[[str, Given], list[Any] | None],
        *,
        ignore: bool,
    ) -> dict[str, list[Any]] | None:
        """The values of the columns that a row may hold, all as long as ``rows``."""
        if not given or not self._required.issubset(given):
            return None
        if not ignore and not given.keys() <= {*self.names}:
            return None
        found: dict[str, list[Any]] = {}
        for name in self.names:
            if name in given:
                values = read(name, given[name])
                if values is None or len(values) != (rows := len(values) if rows is None else rows):
                    return None
                found[name] = values
        if ignore and any(
            len(values) != rows
            for values in (_anything(given[name]) for name in given if name not in self.kinds)
        ):
            return None
        return found if rows else None

    def _table(self, found: Mapping[str, list[Any]]) -> Table:
        rows = len(next(iter(found.values())))
        columns = [
            self._coded(name, found[name])
            if name in found
            else [None if name in self.kinds else UNSET] * rows
            for name in self.names
        ]
        return Table(self._row_type, columns, self._entities(found))

    def _coded(self, name: str, values: Sequence[Any]) -> Sequence[Any]:
        """A column as codes where all of its values are known: looked up once for all lanes."""
        book = self._books.get(name)
        if book is None or len(values) < FEW:
            return values
        names, codes = book
        try:
            return Coded(names, bytes(itemgetter(*values)(codes)))
        except KeyError:
            return values

    def _decode(self, name: str, raw: msgspec.Raw) -> list[Any] | None:
        for decode in self._decoders_of(name):
            try:
                return self._dated(name, decode(raw))
            except UNREADABLE:
                continue
        return None

    def _convert(self, name: str, given: Sequence[Any]) -> list[Any] | None:
        try:
            values: list[Any] = msgspec.convert(given, GenericAlias(list, self._value_type(name)))
        except (msgspec.ValidationError, OverflowError):
            return None
        return self._dated(name, values)

    def _dated(self, name: str, values: list[Any]) -> list[Any] | None:
        """The values of a column; None where they should be dates and are not."""
        kind = self.kinds.get(name)
        if kind in ("date", "datetime") and not all(
            value is None or is_moment(value, kind) for value in values
        ):
            return None
        return values

    def type_of(self, name: str) -> Any:
        """The narrowest type of a column: a list of texts that are known, or of its kind."""
        return GenericAlias(list, self.known_texts.get(name) or self._value_type(name))

    @cached_property
    def known_texts(self) -> dict[str, Any]:
        """The type of a text that is known, or null, by column."""
        one_of: Any = Literal
        return {name: one_of[names] for name, (names, _) in self._books.items()}

    def code(self, columns: Columns) -> Columns:
        """Columns in the order of ``names``, those of known texts as codes if they are long."""
        if len(columns[0]) < FEW:
            return columns
        return [self._coded(*each) for each in zip(self.names, columns, strict=True)]

    def _value_type(self, name: str) -> Any:
        kind = self.kinds.get(name)
        return STRICT[kind] if kind else ID if name == self._id else TEXT_OR_NUMBER

    def _decoders_of(self, name: str) -> tuple[Decode, ...]:
        """What reads a column, to be tried one after the other; made when it first comes."""
        found = self._decoders.get(name)
        if found is None:
            types = [self.type_of(name)]
            if name in self._books:
                types.append(GenericAlias(list, self._value_type(name)))
            found = tuple(msgspec.json.Decoder(each).decode for each in types)
            self._decoders[name] = found
        return found

    def _entities(self, found: Mapping[str, list[Any]]) -> list[str | None] | None:
        ids = None if self._id is None else found.get(self._id)
        if ids is None:
            return None
        entities = [*map(entity_of_id, ids)]
        return entities if any(entities) else None


def _book(texts: Sequence[str]) -> Book:
    names = (None, *texts)
    return names, {name: code for code, name in enumerate(names)}
