"""A stable 64-bit hash of values: the same on every machine and in every release.

Built on the finalizer of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014). Whole numbers hash alike whatever their type: 1, 1.0
and True are one value. Texts are hashed as UTF-8 in 8-byte little-endian words, very long
ones by their BLAKE2b.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import date, datetime

import numpy as np
import polars as pl

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_TAGS = {"null": 1, "whole": 2, "float": 3, "date": 4, "datetime": 5, "text": 6}
_LONG_TEXT = 1024  # bytes; beyond it one BLAKE2b is cheaper than word after word
_BLOCK = 1 << 15  # rows mixed at once: they stay in the processor's cache
_EPOCH = date(1970, 1, 1)
_EPOCH_TIME = datetime(1970, 1, 1)  # noqa: DTZ001 - canonical datetimes carry no zone

Hashable = str | int | float | bool | date | datetime | None


def stable_hash(series: pl.Series, seed: int) -> np.ndarray:
    """The hashes of a canonical series: uint64 (n_rows,), uniform over all 64 bits."""
    start = np.uint64(_start(seed))
    if series.dtype == pl.String:
        hashed = _hash_texts(series, start)
    else:
        words, tags = _words(series)
        hashed = _mix(_mix(start ^ words) ^ tags)
    nulls = series.is_null().to_numpy() if series.null_count() else None
    if nulls is not None:
        hashed[nulls] = _mix_one(_mix_one(int(start)) ^ _TAGS["null"])
    return hashed


def hash_value(value: Hashable, seed: int) -> int:
    """The hash of one value, equal to ``stable_hash`` of a series that holds it."""
    start = _start(seed)
    if value is None:
        return _mix_one(_mix_one(start) ^ _TAGS["null"])
    if isinstance(value, str):
        return _hash_text(value.encode(), start)
    word, tag = _word(value)
    return _mix_one(_mix_one(start ^ word) ^ _TAGS[tag])


def row_hash(frame: pl.DataFrame, seed: int) -> np.ndarray:
    """One hash per row over all columns in their order: uint64 (n_rows,)."""
    combined = np.full(frame.height, _start(seed), dtype=np.uint64)
    for position, series in enumerate(frame.get_columns(), 1):
        place = np.uint64((position * _GOLDEN) & _MASK)
        repeated = _hash_repeated(series, seed)
        for start in range(0, frame.height, _BLOCK):
            block = combined[start : start + _BLOCK]
            if repeated is not None:
                hashed = repeated[start : start + _BLOCK]
            else:
                hashed = stable_hash(series.slice(start, _BLOCK), seed)
            block[:] = _mix(block ^ (hashed + place))
    return combined


def _hash_repeated(series: pl.Series, seed: int) -> np.ndarray | None:
    """``stable_hash`` of a text column with few different values: each is hashed once."""
    if series.dtype != pl.String or series.len() < _BLOCK:
        return None
    if series.head(_BLOCK).n_unique() > _BLOCK // 16:
        return None
    values = series.unique()
    if values.len() > series.len() // 16:
        return None
    known = values.drop_nulls()
    codes = series.cast(pl.Enum(known)).to_physical()
    hashes = np.append(stable_hash(known, seed), stable_hash(values.clear(1), seed))
    gathered: np.ndarray = hashes[codes.fill_null(known.len()).to_numpy()]
    return gathered


def to_unit(hashes: np.ndarray) -> np.ndarray:
    """Hashes as float64 (n_rows,) in [0, 1), by their upper 53 bits."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _start(seed: int) -> int:
    return _mix_one((seed * _GOLDEN + _GOLDEN) & _MASK)


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    mixed: np.ndarray = z ^ (z >> np.uint64(31))
    return mixed


def _mix_one(z: int) -> int:
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def _words(series: pl.Series) -> tuple[np.ndarray, np.ndarray | np.uint64]:
    """Each value as one 64-bit word, and the tag of its type (per value for floats)."""
    if series.dtype.is_float():
        floats = (series.fill_null(0.0) if series.null_count() else series).to_numpy()
        # Infinity is its own floor, but too large; NaN equals nothing.
        whole = (floats == np.floor(floats)) & (np.abs(floats) < 2.0**63)
        if not whole.any():
            return floats.view(np.uint64), np.uint64(_TAGS["float"])
        bits = floats.view(np.uint64).copy()
        bits[whole] = floats[whole].astype(np.int64).view(np.uint64)
        return bits, np.where(whole, np.uint64(_TAGS["whole"]), np.uint64(_TAGS["float"]))
    tag = "whole"
    if series.dtype == pl.Date:
        tag = "date"
    elif series.dtype == pl.Datetime:
        tag = "datetime"
    physical = series.to_physical().cast(pl.Int64)
    numbers = (physical.fill_null(0) if physical.null_count() else physical).to_numpy()
    return numbers.view(np.uint64), np.uint64(_TAGS[tag])


def _word(value: int | float | date) -> tuple[int, str]:
    if isinstance(value, datetime):
        since = value - _EPOCH_TIME
        micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return micros & _MASK, "datetime"
    if isinstance(value, date):
        return (value - _EPOCH).days & _MASK, "date"
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 2.0**63):
        return struct.unpack("<Q", struct.pack("<d", value))[0], "float"
    return int(value) & _MASK, "whole"


def _hash_texts(series: pl.Series, start: np.uint64) -> np.ndarray:
    """Texts word by word, all rows at once: rows leave the loop when their text ends."""
    lengths = series.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    short = lengths <= _LONG_TEXT
    kept = series if short.all() else series.set(pl.Series(~short), "")
    data = (kept.str.join("").cast(pl.Binary).item() or b"") + b"\0" * 8
    sizes = np.where(short, lengths, 0)
    offsets = np.cumsum(sizes) - sizes
    windows = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))
    hashed = np.full(len(sizes), start, dtype=np.uint64)
    active = np.flatnonzero(sizes > 0)
    done = 0
    while active.size:
        left = np.minimum(sizes[active] - done, 8)
        words = windows[offsets[active] + done] & _LOW[left]
        hashed[active] = _mix(hashed[active] ^ words) + np.uint64(_GOLDEN)
        done += 8
        active = active[sizes[active] > done]
    ends = (sizes.astype(np.uint64) << np.uint64(8)) | np.uint64(_TAGS["text"])
    hashed = _mix(hashed ^ ends)
    for row in np.flatnonzero(~short):
        hashed[row] = _hash_text(series[int(row)].encode(), int(start))
    return hashed


def _hash_text(data: bytes, start: int) -> int:
    if len(data) > _LONG_TEXT:
        digest = hashlib.blake2b(data, digest_size=8).digest()
        word = int.from_bytes(digest, "little")
        return _mix_one(_mix_one(start ^ word) ^ ((len(data) << 8) | _TAGS["text"]))
    hashed = start
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at : at + 8], "little")
        hashed = (_mix_one(hashed ^ word) + _GOLDEN) & _MASK
    return _mix_one(hashed ^ ((len(data) << 8) | _TAGS["text"]))


_LOW = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
