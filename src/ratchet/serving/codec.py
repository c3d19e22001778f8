"""What the rows of a request must look like, compiled once for each state of what serves.

The normal way is one pass in C: msgspec decodes the body into structs that have exactly the
columns of the signature. Only when that refuses is the body gone through in Python, to accept
what is rare (a whole number written ``3.0``) and to name what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite
from operator import attrgetter, is_
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from ratchet.serving.asked import Asked, Question, entity_of_id
from ratchet.serving.columnar import ColumnReader
from ratchet.serving.http import ProblemError
from ratchet.serving.inspection import Inspection, check_id, is_moment, wrong_value
from ratchet.serving.problems import UNREADABLE, not_json, path_of, too_many, words_of
from ratchet.serving.rarely import Rarely
from ratchet.serving.row_types import make_row_types

if TYPE_CHECKING:
    from ratchet.data.schema import Kind
    from ratchet.packaging.signature import Signature

Extra: TypeAlias = Literal["refuse", "ignore"]


@dataclass(frozen=True, slots=True)
class Expected:
    """A column a row has; where ``required`` is false an absent one counts as missing."""

    name: str
    kind: Kind
    required: bool = True


class Codec:
    """Bodies and records to checked rows.

    A column of the signature must be there, null says that its value is missing; the id and
    the time may come along. Everything else is refused with a problem that names the field.

    Args:
        signature: of the version that most requests go to.
        id_column, time_column: what else a row may hold.
        target: named in the problem when a row holds it.
        others: signatures of versions that answer beside it. What only they read may be
            absent; what they read as another kind is taken in ``signature``'s.
        known: texts that columns often hold; see ``ColumnReader``.

    Attributes:
        columns: what a row holds; ``names`` of all that it may hold.
        by_column: reads whole columns.
    """

    def __init__(
        self,
        signature: Signature,
        id_column: str | None = None,
        time_column: str | None = None,
        target: str = "",
        *,
        others: Sequence[Signature] = (),
        known: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        expected = {each.name: Expected(each.name, each.kind) for each in signature.inputs}
        for other in others:
            for each in other.inputs:
                expected.setdefault(each.name, Expected(each.name, each.kind, required=False))
        self.columns = tuple(expected.values())
        self._also = tuple(
            name
            for name in dict.fromkeys((id_column, time_column))
            if name and name not in expected
        )
        self.names = (*expected, *self._also)
        self._dates = [
            (place, each) for place, each in enumerate(self.columns) if each.kind in _DATED
        ]
        self._numbers = [
            (place, each) for place, each in enumerate(self.columns) if each.kind == "number"
        ]
        self._inspection = Inspection(self.columns, self._also, id_column, target)
        self.Row, self.Lax = make_row_types(self.columns, self._also, id_column)
        self.by_column = ColumnReader(self.Row, self.columns, self._also, id_column, known)
        place = self.names.index(id_column) if id_column is not None else -1
        self._id_of = attrgetter(f"c{place}") if place >= 0 else None
        self._ways = [_Way(self.Row)]
        self._narrowly = Rarely()
        if self.by_column.known_texts:
            # A text that is known is not made anew for each row.
            narrow, _ = make_row_types(
                self.columns, self._also, id_column, self.by_column.known_texts
            )
            self._ways.insert(0, _Way(narrow))
        self.row_types = frozenset((self.Lax, *(way.row for way in self._ways)))

    def decode(self, body: bytes, most: int | None = None) -> Question:
        """The rows, or ids, in the body of ``/v1/predict``; more than ``most`` are refused.

        Raises:
            ProblemError: 400 where it is no JSON, 413 for too many rows, 422 naming the field
                for everything else.
        """
        raw = self._read(body)
        if raw is None:
            try:
                raw = self._ways[-1].question(body)
            except msgspec.ValidationError as error:
                return self._decode_slowly(body, most, error)
            except UNREADABLE as error:
                raise not_json(error, body) from None
        if raw.id is not UNSET or raw.ids is not UNSET:
            return self._decode_slowly(body, most)
        if raw.record is not UNSET:
            if raw.records is not UNSET:
                raise _one_of()
            if self._dates:
                self._check_dates([raw.record], "record", single=True)
            return Question(self._ask([raw.record]), single=True)
        if raw.records is UNSET:
            raise _one_of()
        rows = raw.records
        _check_count(rows, most)
        if self._dates:
            self._check_dates(rows, "records")
        return Question(self._ask(rows), single=False)

    def decode_rows(self, body: bytes) -> list[Asked] | None:
        """The rows in a JSON list of records; None where ``decode`` has to look closer."""
        try:
            rows = self._read(body, rows=True) or self._ways[-1].rows(body)
            self._check_dates(rows, "records")
        except (*UNREADABLE, ProblemError):
            return None
        return self._ask(rows)

    def _read(self, body: bytes, *, rows: bool = False) -> Any:
        """A body all of whose texts are known; None where it is to be read without that."""
        way = self._ways[0]
        if way is self._ways[-1] or not self._narrowly.due():
            return None
        try:
            found = way.rows(body) if rows else way.question(body)
        except UNREADABLE:
            self._narrowly.failed()
            return None
        self._narrowly.worked()
        return found

    def check(
        self,
        records: Sequence[Mapping[str, Any]],
        *,
        extra: Extra = "refuse",
        where: str = "records",
        single: bool = False,
    ) -> list[Asked]:
        """Records of JSON values as checked rows.

        Args:
            records: one mapping per row.
            extra: what to do with a column that the model does not know.
            where: what a problem calls the list: its field is ``records[3].tenure``.
            single: the list has one record, which a problem calls ``where``.

        Raises:
            ProblemError: 422 naming the field.
        """
        rows = self._convert(records, extra)
        if rows is None:
            refuse = extra == "refuse"
            rows = [
                self._row(record, where if single else f"{where}[{place}]", refuse=refuse)
                for place, record in enumerate(records)
            ]
        else:
            self._check_finite(rows, where, single=single)
            self._check_dates(rows, where, single=single)
        return self._ask(rows)

    def _convert(self, records: Sequence[Mapping[str, Any]], extra: Extra) -> list[Any] | None:
        """The rows of records in one pass; None where that does not work."""
        if self.Row.renamed:  # type: ignore[attr-defined]
            return None
        wanted = self.Row if extra == "refuse" else self.Lax
        try:
            return msgspec.convert(records, list[wanted])  # type: ignore[valid-type]
        except (msgspec.ValidationError, RecursionError, OverflowError):
            return None

    def _ask(self, rows: Sequence[Any]) -> list[Asked]:
        """Rows with whom they are about."""
        if self._id_of is None:
            return [*map(Asked, rows)]
        if len(rows) > 1 and all(map(is_, map(self._id_of, rows), repeat(UNSET))):
            return [*map(Asked, rows)]
        ids = map(self._id_of, rows)
        return [Asked(row, entity_of_id(value)) for row, value in zip(rows, ids, strict=True)]

    def _row(self, record: Any, where: str, *, refuse: bool = True) -> Any:
        """The row of a record, value by value."""
        return self.Row(**self._inspection.values(record, where, refuse=refuse))

    def _check_dates(self, rows: Sequence[Any], where: str, *, single: bool = False) -> None:
        for place, each in self._dates:
            field = f"c{place}"
            for number, row in enumerate(rows):
                value = getattr(row, field)
                if value is not None and not is_moment(value, each.kind):
                    raise wrong_value(each, where if single else f"{where}[{number}]")

    def _check_finite(self, rows: Sequence[Any], where: str, *, single: bool) -> None:
        for place, each in self._numbers:
            field = f"c{place}"
            for number, row in enumerate(rows):
                value = getattr(row, field)
                if value is not None and not isfinite(value):
                    raise wrong_value(each, where if single else f"{where}[{number}]")

    def _decode_slowly(
        self, body: bytes, most: int | None = None, first: msgspec.ValidationError | None = None
    ) -> Question:
        """As ``decode``, in Python; ``first`` is what msgspec said of the body."""
        try:
            raw = msgspec.json.decode(body)
        except msgspec.ValidationError as error:  # a number beyond float64, somewhere
            told = first or error
            raise ProblemError(
                422, "wrong_type", "A value cannot be read", why=words_of(told), field=path_of(told)
            ) from None
        except UNREADABLE as error:
            raise not_json(error, body) from None
        if not isinstance(raw, dict):
            raise ProblemError(422, "wrong_type", "The body must be an object", fix=_FORMS)
        unknown = [name for name in raw if name not in ("record", "records", "id", "ids")]
        if unknown:
            raise ProblemError(
                422,
                "unknown_field",
                f'The body holds an unknown field "{unknown[0]:.100}"',
                field=f"{unknown[0]:.100}",
                fix=_FORMS,
            )
        if "id" in raw or "ids" in raw:
            return self._with_ids(raw, most)
        if ("record" in raw) == ("records" in raw):
            raise _one_of()
        if "record" in raw:
            row = self._row(raw["record"], "record")
            return Question(self._ask([row]), single=True)
        rows = _a_list(raw["records"], "records")
        _check_count(rows, most)
        checked = [self._row(record, f"records[{place}]") for place, record in enumerate(rows)]
        return Question(self._ask(checked), single=False)

    def _with_ids(self, raw: dict[str, Any], most: int | None) -> Question:
        if "id" in raw and "ids" in raw:
            raise _one_of()
        single = "id" in raw
        ids = [raw["id"]] if single else _a_list(raw["ids"], "ids")
        _check_count(ids, most)
        for place, each in enumerate(ids):
            field = "id" if single else f"ids[{place}]"
            if isinstance(each, bool) or not isinstance(each, str | int) or each == "":
                raise ProblemError(
                    422, "wrong_type", "An id must be text or a whole number", field=field
                )
            check_id(each, field)
        name, other = ("record", "records") if single else ("records", "record")
        if other in raw:
            raise _one_of()
        given = raw.get(name, {} if single else [{}] * len(ids))
        parts = [given] if single else _a_list(given, "records")
        if len(parts) != len(ids):
            raise ProblemError(
                422,
                "wrong_length",
                f"There are {len(ids)} ids and {len(parts)} records",
                field="records",
                fix="give one record per id, or none at all",
            )
        for place, part in enumerate(parts):
            self._inspection.check_part(part, name if single else f"records[{place}]")
        return Question([], single, tuple(map(str, ids)), tuple(parts))


class _Way:
    """Decoders for rows that are a struct."""

    def __init__(self, row: type[msgspec.Struct]) -> None:
        self.row = row
        question = msgspec.defstruct(
            "Question",
            [
                ("record", row | UnsetType, UNSET),
                ("records", list[row] | UnsetType, UNSET),  # type: ignore[valid-type]
                ("id", str | int | UnsetType, UNSET),
                ("ids", list[str | int] | UnsetType, UNSET),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self.question: Callable[[bytes], Any] = msgspec.json.Decoder(question).decode
        self.rows: Callable[[bytes], Any] = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]


_DATED = ("date", "datetime")
_FORMS = 'send {"record": {…}}, {"records": [{…}]}, {"id": …} or {"ids": […]}'


def _check_count(rows: Sequence[Any], most: int | None) -> None:
    """Refuse too many rows before work is put into them."""
    if most is not None and len(rows) > most:
        raise too_many(len(rows), most)


def _one_of() -> ProblemError:
    return ProblemError(
        422, "wrong_form", "The body must hold a record, records, an id or ids", fix=_FORMS
    )


def _a_list(value: Any, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise ProblemError(422, "wrong_type", f'"{field}" must be a list', field=field)
    return value
