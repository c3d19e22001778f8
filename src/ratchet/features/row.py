"""The recipe on one row: a mapping to a float32 vector, without Polars.

Each needed value is read once into a list of slots; each encoder turns its
slots into outputs. Computed features are asked for through a function, so that
this module stays free of Polars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np

from ratchet.data.schema import Kind
from ratchet.features.encoders.encoder import Encoder
from ratchet.features.encoders.slots import NAN, Matrix, Slot, hold_number
from ratchet.features.values import canonical_value

_EPOCH, _EPOCH_DAY = datetime(1970, 1, 1), date(1970, 1, 1)  # noqa: DTZ001 - naive means UTC
_MICROSECOND = timedelta(microseconds=1)
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

Record = Mapping[str, Any]


class RowPath:
    """Encodes single rows with ``encoders``.

    Args:
        encoders: the recipe's encoders.
        derive: gives the computed features of a row; None when there are none.
    """

    def __init__(
        self,
        encoders: Sequence[Encoder],
        derive: Callable[[Record], Record] | None = None,
    ) -> None:
        slots = list(dict.fromkeys(slot for encoder in encoders for slot in encoder.sources))
        self._readers = [reader(slot) for slot in slots]
        self._derive = derive
        self._encoders = []
        at = 0
        for encoder in encoders:
            self._encoders.append(encoder.row([slots.index(s) for s in encoder.sources], at))
            at += len(encoder.columns)
        self._width = at

    def vector(self, record: Record) -> Matrix:
        """The float32 matrix (1, features) of one row.

        Raises:
            DataError: a value is of another kind than in training.
        """
        if self._derive is not None:
            record = {**record, **self._derive(record)}
        return self.encode(record)

    def encode(self, record: Record) -> Matrix:
        """As :meth:`vector`, of a row that already has the computed features.

        Raises:
            DataError: a value is of another kind than in training.
        """
        out = [0.0] * self._width
        slots = [read(record) for read in self._readers]
        for encode in self._encoders:
            encode(slots, out)
        return np.array((out,), dtype=np.float32)


def reader(slot: Slot) -> Callable[[Record], Any]:
    """A function that takes one slot's value out of a row."""
    if slot.view == "number":
        return _float_reader(slot) if slot.kind == "number" else _whole_reader(slot)
    if slot.view == "text":
        return _text_reader(slot)
    return _date_reader(slot)


def _float_reader(slot: Slot) -> Callable[[Record], float]:
    column = slot.column

    def read(record: Record) -> float:
        value = record.get(column)
        if type(value) is not float:
            value = canonical_value(value, "number", column)
            if value is None:
                return NAN
        return hold_number(value)

    return read


def _whole_reader(slot: Slot) -> Callable[[Record], float]:
    column, kind = slot.column, slot.kind
    integer = kind == "integer"

    def read(record: Record) -> float:
        value = record.get(column)
        if not (integer and type(value) is int and _LOWEST <= value <= _HIGHEST):
            value = canonical_value(value, kind, column)
            if value is None:
                return NAN
        return float(value)

    return read


def _text_reader(slot: Slot) -> Callable[[Record], str | None]:
    column, kind = slot.column, slot.kind

    def read(record: Record) -> str | None:
        value = record.get(column)
        if type(value) is not str or kind != "string":
            value = canonical_value(value, kind, column)
            if value is None:
                return None
            if isinstance(value, bool):
                return "true" if value else "false"
        return str(value) or None

    return read


def _date_reader(slot: Slot) -> Callable[[Record], float]:
    column, kind, part = slot.column, slot.kind, _PARTS[slot.view]

    def read(record: Record) -> float:
        value = canonical_value(record.get(column), kind, column)
        return NAN if value is None else float(part(value))

    return read


def _instant(value: date) -> int:
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    return (value - _EPOCH_DAY).days


_PARTS: dict[str, Callable[[Any], int]] = {
    "year": lambda value: value.year,
    "month": lambda value: value.month,
    "weekday": lambda value: value.isoweekday(),
    "hour": lambda value: value.hour,
    "instant": _instant,
}


def canonical_row(record: Record, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The values of ``kinds`` in ``record`` as their columns hold them."""
    return {name: canonical_value(record.get(name), kind, name) for name, kind in kinds.items()}
