"""Arrays and JSON in one run of bytes: no pickle, and the same bytes for the same content.

A mark, the length of the header, the header (JSON: facts, and each array's type and length), then
the arrays one after the other, little-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError
from ratchet.monitoring.columns import NUMBERS, LevelColumn, NumberColumn, ProfileColumn

_TYPES = frozenset({"<f8", "<i8", "<u4", "<u2"})
_LENGTH = struct.Struct("<I")


def pack(mark: bytes, facts: Mapping[str, Any], arrays: Sequence[npt.NDArray[Any]]) -> bytes:
    """The bytes of JSON facts and one-dimensional arrays; ``mark`` tells what they are."""
    plain = [np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for array in arrays]
    layout = [[array.dtype.str, len(array)] for array in plain]
    head = json.dumps(
        {"facts": facts, "arrays": layout}, sort_keys=True, ensure_ascii=False, allow_nan=False
    ).encode("utf-8", "surrogatepass")
    return b"".join([mark, _LENGTH.pack(len(head)), head, *(array.tobytes() for array in plain)])


def unpack(mark: bytes, raw: bytes, what: str) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """What ``pack`` was given.

    Raises:
        DataError: ``raw`` is something else, or cut short.
    """
    try:
        if not raw.startswith(mark):
            raise ValueError(f"it does not begin with {mark.decode('ascii')}")
        start = len(mark) + _LENGTH.size
        (length,) = _LENGTH.unpack_from(raw, len(mark))
        head = json.loads(raw[start : start + length].decode("utf-8", "surrogatepass"))
        place, arrays = start + length, []
        for kind, size in head["arrays"]:
            if kind not in _TYPES:
                raise ValueError(f"an array has the unknown type {kind}")
            arrays.append(np.frombuffer(raw, kind, size, place))
            place += arrays[-1].nbytes
        return head["facts"], arrays
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise DataError(
            f"{what} cannot be read",
            why=str(error),
            fix="restore it from the registry, or train again with this version of Ratchet",
            code="profile_unreadable",
        ) from error


def pack_column(column: ProfileColumn) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """A column as JSON facts and arrays."""
    told: dict[str, Any] = {
        "name": column.name,
        "kind": column.kind,
        "missing": column.missing,
        "distinct": column.distinct,
    }
    if isinstance(column, NumberColumn):
        numbers = ("centre", "mean", "std", "low", "high")
        values = {name: getattr(column, name) for name in numbers}
        # JSON has no NaN: a column without values has no numbers.
        told |= {name: value for name, value in values.items() if value == value}
        filled = np.flatnonzero(column.counts).astype(np.uint16)
        arrays: list[npt.NDArray[Any]] = [
            column.edges,
            filled,
            column.counts[filled],
            column.sums[filled],
        ]
        return told, arrays
    told |= {"levels": list(column.levels), "closed": column.closed}
    held: list[npt.NDArray[Any]] = [column.counts, column.rare]
    return told, held


def unpack_column(told: Mapping[str, Any], arrays: Iterator[npt.NDArray[Any]]) -> ProfileColumn:
    """The column that ``pack_column`` took apart; takes its arrays from ``arrays``."""
    name, kind = told["name"], told["kind"]
    missing, distinct = told["missing"], told["distinct"]
    if kind not in NUMBERS:
        counts, rare = next(arrays), next(arrays)
        levels = tuple(told["levels"])
        return LevelColumn(name, kind, levels, counts, rare, told["closed"], missing, distinct)
    edges, filled = next(arrays), next(arrays)
    counts, sums = np.zeros(len(edges) + 1, np.int64), np.zeros(len(edges) + 1)
    counts[filled], sums[filled] = next(arrays), next(arrays)
    nan = float("nan")
    values: dict[str, Any] = {
        key: told.get(key, nan) for key in ("centre", "mean", "std", "low", "high")
    }
    values |= {"missing": missing, "distinct": distinct}
    return NumberColumn(name=name, kind=kind, edges=edges, counts=counts, sums=sums, **values)
