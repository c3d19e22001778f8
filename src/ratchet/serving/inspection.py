"""A record, value by value: for what is rare, and to name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from ratchet.config.suggest import nearest
from ratchet.errors import DataError
from ratchet.features.values import canonical_value
from ratchet.serving.http import ProblemError

if TYPE_CHECKING:
    from ratchet.data.schema import Kind
    from ratchet.serving.codec import Expected

LOWEST, HIGHEST = -(2**63), 2**63 - 1
"""The integers a column holds."""

LONGEST_ID = 500
"""Characters of an id: what feedback may name an entity by."""

MOST_NAMED = 20
"""Missing columns that a problem names; the others are counted."""

_LARGEST = 2**1024 - 2**970  # the largest float64
_ARTICLE: Final[dict[str, str]] = {
    "integer": "a whole number of at most 64 bits",
    "number": "a finite number",
    "string": "text",
    "boolean": "true or false",
    "date": "a date such as 2026-11-21",
    "datetime": "a time such as 2026-11-21T02:49:00",
}


class Inspection:
    """Goes through records in Python; what it accepts is what ``Codec`` documents.

    Args:
        columns: of the signature; their places are the row's fields.
        also: what else a row may hold, in the fields behind them.
        id_column: one of all these.
        target: named in the problem when a record holds it.
    """

    def __init__(
        self, columns: Sequence[Expected], also: Sequence[str], id_column: str | None, target: str
    ) -> None:
        self._columns, self._also = columns, also
        self._expected = {each.name: each for each in columns}
        self._names = (*self._expected, *also)
        self._id, self._target = id_column, target

    def check_part(self, record: Any, where: str) -> None:
        """Refuse a wrong value or an unknown column; an absent one is looked up."""
        if not isinstance(record, dict):
            raise ProblemError(422, "wrong_type", "A record must be an object", field=where)
        for name, value in record.items():
            if name in self._expected:
                self._value(value, self._expected[name], where)
            elif name not in self._also:
                raise self._unknown(name, where)

    def values(self, record: Any, where: str, *, refuse: bool = True) -> dict[str, Any]:
        """The values of a record by the row's fields, ``c0`` and so on.

        Args:
            where: what a problem calls the record.
            refuse: whether a column that the model does not know is one.

        Raises:
            ProblemError: 422 naming the field.
        """
        if not isinstance(record, Mapping):
            raise ProblemError(422, "wrong_type", "A record must be an object", field=where)
        if refuse:
            for name in record:
                if name not in self._expected and name not in self._also:
                    raise self._unknown(name, where)
        values: dict[str, Any] = {}
        for place, each in enumerate(self._columns):
            if each.name in record:
                values[f"c{place}"] = self._value(record[each.name], each, where)
            elif each.required:
                raise self._missing(record, where)
        for place, name in enumerate(self._also, len(self._columns)):
            if name in record:
                values[f"c{place}"] = self._also_value(record[name], name, where)
        return values

    def _also_value(self, value: Any, name: str, where: str) -> Any:
        allowed = (str, int) if name == self._id else (str, int, float)
        plain = value is None or (isinstance(value, allowed) and not isinstance(value, bool))
        if not plain or (isinstance(value, float) and not isfinite(value)):
            raise ProblemError(
                422,
                "wrong_type",
                f'Column "{name}" must hold text or a number',
                field=f"{where}.{name}",
            )
        if name == self._id:
            check_id(value, f"{where}.{name}")
        return value

    def _value(self, value: Any, each: Expected, where: str) -> Any:
        """A value as the row holds it."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        match each.kind:
            case _ if value is None:
                return None
            case "integer" if whole and LOWEST <= value <= HIGHEST:
                return value
            case "integer" if isinstance(value, float) and value.is_integer():
                if LOWEST <= value <= HIGHEST and int(value) <= HIGHEST:
                    return int(value)
            case "number" if isinstance(value, float) and isfinite(value):
                return value
            case "number" if whole and abs(value) <= _LARGEST:
                return float(value)
            case "string" if isinstance(value, str):
                return value
            case "boolean" if isinstance(value, bool):
                return value
            case "date" | "datetime" if isinstance(value, str) and is_moment(value, each.kind):
                return value
            case _:
                pass
        raise wrong_value(each, where)

    def _missing(self, record: Mapping[str, Any], where: str) -> ProblemError:
        absent = [each.name for each in self._columns if each.required and each.name not in record]
        told = ", ".join(f'"{name}"' for name in absent[:MOST_NAMED])
        if len(absent) > MOST_NAMED:
            told += f" and {len(absent) - MOST_NAMED} more"
        several = len(absent) > 1
        return ProblemError(
            422,
            "missing_column",
            f"The columns {told} are missing" if several else f"The column {told} is missing",
            field=f"{where}.{absent[0]}",
            fix="send every column of the model; null says that a value is missing",
        )

    def _unknown(self, name: Any, where: str) -> ProblemError:
        told = f"{name!s:.100}"
        if told == self._target:
            fix = "leave it out: it is what the model predicts"
        else:
            near = nearest(told, self._names)
            fix = f'did you mean "{near}"?' if near else "leave it out: the model does not read it"
        return ProblemError(
            422,
            "unknown_column",
            f'The column "{told}" is unknown',
            field=f"{where}.{told}",
            fix=fix,
        )


def check_id(value: Any, field: str) -> None:
    """Refuse an id that is too long to be written again and again."""
    if isinstance(value, str) and len(value) > LONGEST_ID:
        raise ProblemError(
            422, "wrong_type", f"An id holds at most {LONGEST_ID} characters", field=field
        )


def is_moment(text: str, kind: Kind) -> bool:
    """Whether a text is a date or a time."""
    try:
        canonical_value(text, kind, "")
    except DataError:
        return False
    return True


def wrong_value(each: Expected, where: str) -> ProblemError:
    """422 for a value of another kind."""
    return ProblemError(
        422,
        "wrong_type",
        f'Column "{each.name}" must hold {_ARTICLE[each.kind]}, or null where it is missing',
        field=f"{where}.{each.name}",
    )
