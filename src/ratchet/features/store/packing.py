"""How a feature row lies in a store: its time, and its values as MessagePack.

The names are not in it; the schema, whose digest is part of the key, holds them once for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from ratchet.errors import DataError
from ratchet.features.store.port import FeatureSchema, StoredRow

_BIAS = 1 << 63
STAMP = 8

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


def pack(values: Sequence[Any]) -> bytes:
    """Values as bytes. Dates and times become ISO text; what is not finite becomes missing.

    Raises:
        DataError: a value is of no kind that a column can hold.
    """
    try:
        return _encode([_plain(value) if type(value) in _ODD else value for value in values])
    except (TypeError, OverflowError) as error:
        raise DataError(
            "A feature value cannot be stored",
            why=str(error),
            fix="Store numbers, texts, booleans, dates and times",
            code="wrong_type",
        ) from None


def unpacker(schema: FeatureSchema) -> Callable[[bytes, int], StoredRow]:
    """A function that makes a row of what ``pack`` wrote, and its time in microseconds.

    It raises DataError when the bytes are no row of this schema.
    """
    names, wanted = schema.names, len(schema.names)

    def unpack(packed: bytes, stamp: int) -> StoredRow:
        try:
            values = _decode(packed)
        except msgspec.DecodeError as error:
            raise _damaged(str(error)) from None
        if len(values) != wanted:
            raise _damaged(f"it holds {len(values)} values, not {wanted}")
        return StoredRow(dict(zip(names, values, strict=False)), stamp)

    return unpack


def _damaged(why: str) -> DataError:
    return DataError(
        "A stored feature row is damaged",
        why=why,
        fix="Push the features again: ratchet features push",
        code="features_damaged",
    )


def stamped(stamp: int, packed: bytes) -> bytes:
    """The bytes with their time before them: 8 bytes that sort as the times do."""
    return (stamp + _BIAS).to_bytes(STAMP, "big") + packed


def stamp_of(raw: bytes) -> int:
    """The time that ``stamped`` put first, in microseconds since 1970."""
    return int.from_bytes(raw[:STAMP], "big") - _BIAS


def entity_text(value: Any) -> str | None:
    """The name under which the entity ``value`` is stored; None when it is missing.

    12 and 12.0 are the same entity, and so is the text "12".
    """
    if value is None:
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat()


_ODD = frozenset({float, date, datetime})
