"""The recipe on a table: Polars columns to one float32 matrix.

Works through the table in blocks that fit the processor's cache, so that next
to the result little memory is needed at any number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from ratchet.data.schema import Kind
from ratchet.features.derive import TYPES, Engine
from ratchet.features.encoders.bands import BandEncoder
from ratchet.features.encoders.encoder import Encoder
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.numeric import NumericEncoder
from ratchet.features.encoders.slots import (
    Codes,
    Floats,
    Matrix,
    Slot,
    hold_numbers,
)
from ratchet.features.values import canonical_value, wrong_value

_BLOCK = 32_768


class FramePath:
    """Encodes tables with ``encoders``; ``inputs`` are the raw columns they need."""

    def __init__(
        self,
        inputs: Sequence[tuple[str, Kind]],
        engine: Engine | None,
        encoders: Sequence[Encoder],
    ) -> None:
        self.inputs = tuple(inputs)
        self.engine = engine
        self.width = sum(len(encoder.columns) for encoder in encoders)
        self._plain: list[tuple[int, NumericEncoder | BandEncoder]] = []
        self._lookups: list[tuple[int, LookupEncoder, pl.DataType, Matrix]] = []
        at = 0
        for encoder in encoders:
            if isinstance(encoder, LookupEncoder):
                categories = pl.Enum(encoder.categories)
                self._lookups.append((at, encoder, categories, encoder.table()))
            else:
                self._plain.append((at, encoder))
            at += len(encoder.columns)

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """The float32 matrix (rows, features) of a raw table.

        Raises:
            DataError: a column holds values of another kind.
        """
        out = np.empty((frame.height, self.width), dtype=np.float32)
        for start, block in self.blocks(frame):
            self.write(block, out[start : start + _BLOCK])
        return out

    def blocks(self, frame: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
        """A raw table block by block, canonical and with the computed features.

        Each comes with the number of its first row.

        Raises:
            DataError: a column holds values of another kind.
        """
        for start in range(0, frame.height, _BLOCK):
            block = canonical_frame(frame.slice(start, _BLOCK), self.inputs)
            yield start, block if self.engine is None else self.engine.apply(block)

    def encode(self, table: pl.DataFrame) -> Matrix:
        """As :meth:`matrix`, of a canonical table that already has the computed features."""
        out = np.empty((table.height, self.width), dtype=np.float32)
        for start in range(0, table.height, _BLOCK):
            self.write(table.slice(start, _BLOCK), out[start : start + _BLOCK])
        return out

    def write(self, block: pl.DataFrame, out: Matrix) -> None:
        """Encodes the rows of ``block`` into ``out``."""
        numbers: dict[Slot, Floats] = {}
        with np.errstate(over="ignore"):
            for at, encoder in self._plain:
                for slot in encoder.sources:
                    if slot not in numbers:
                        numbers[slot] = read_numbers(block[slot.column], slot)
                arrays = [numbers[slot] for slot in encoder.sources]
                encoder.write(arrays, out[:, at : at + len(encoder.columns)])
        texts: dict[Slot, pl.Series] = {}
        for at, lookup, categories, table in self._lookups:
            slot = lookup.source
            if slot not in texts:
                texts[slot] = read_texts(block[slot.column])
            codes = codes_of(texts[slot], categories, len(lookup.categories))
            lookup.write(codes, table, out[:, at : at + len(lookup.columns)])


def canonical_frame(frame: pl.DataFrame, inputs: Sequence[tuple[str, Kind]]) -> pl.DataFrame:
    """The columns ``inputs`` of ``frame`` in their kinds' types; an absent one is all missing.

    Raises:
        DataError: a column holds values of another kind.
    """
    present = set(frame.columns)
    columns = [
        canonical_series(frame[name], kind)
        if name in present
        else pl.Series(name, [None], dtype=TYPES[kind]).new_from_index(0, frame.height)
        for name, kind in inputs
    ]
    return pl.DataFrame(columns)


def canonical_series(series: pl.Series, kind: Kind) -> pl.Series:
    """``series`` in the type of ``kind``; see ``values.py`` for what is accepted.

    Raises:
        DataError: it holds values of another kind.
    """
    dtype, wanted = series.dtype, TYPES[kind]
    if dtype == wanted:
        return series
    if dtype == pl.Null:
        return series.cast(wanted)
    if kind == "number" and (dtype.is_integer() or dtype.is_float()):
        return series.cast(pl.Float64)
    if kind == "integer" and (dtype.is_integer() or dtype.is_float()):
        return _integers(series)
    if kind == "string" and dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    if kind in ("date", "datetime"):
        return _moments(series, kind)
    raise wrong_value(series.name, kind, f"It holds {dtype}")


def read_numbers(series: pl.Series, slot: Slot) -> Floats:
    """A numeric view of a canonical column as float64; missing is NaN."""
    match slot.view:
        case "number":
            values = series.cast(pl.Float64)
            return hold_numbers(values.to_numpy())
        case "year" | "month" | "weekday" | "hour":
            part = getattr(series.dt, slot.view)()
            return part.cast(pl.Float64).to_numpy()  # type: ignore[no-any-return]
        case _:
            return series.to_physical().cast(pl.Float64).to_numpy()


def read_texts(series: pl.Series) -> pl.Series:
    """The text view of a canonical column; an empty text is still one."""
    return series if series.dtype == pl.String else series.cast(pl.String)


def codes_of(texts: pl.Series, categories: pl.DataType, count: int) -> Codes:
    """Each text's place among ``count`` categories; unseen is count, missing is count + 1.

    A cast to an Enum is the fastest way found: 12 ms of CPU for a million texts
    of ten categories, against 19 for a join and 25 for ``replace_strict``.
    """
    places = texts.cast(categories, strict=False).to_physical()
    unknown = places.null_count()
    if not unknown:
        return places.to_numpy()
    codes = places.cast(pl.UInt32).fill_null(count).to_numpy(writable=True)
    missing = texts.is_null()
    if unknown > texts.null_count():
        missing |= (texts == "").fill_null(value=False)
    codes[missing.to_numpy()] = count + 1
    return codes


def _integers(series: pl.Series) -> pl.Series:
    """Integers of any width, or floats without a fraction, as Int64."""
    if series.dtype.is_float():
        finite = pl.when(pl.first().is_finite()).then(pl.first())
        series = series.cast(pl.Float64).to_frame().select(finite).to_series()
        # Not every float below 2**63 has a neighbour there; the cast would saturate.
        whole = (series == series.floor()) & (series >= -(2.0**63)) & (series < 2.0**63)
        if not whole.fill_null(value=True).all():
            raise wrong_value(series.name, "integer", "It holds fractions or numbers too large")
    try:
        return series.cast(pl.Int64)
    except PolarsError as error:
        raise wrong_value(
            series.name, "integer", "It holds numbers of more than 64 bits"
        ) from error


def _moments(series: pl.Series, kind: Kind) -> pl.Series:
    """Dates, times and ISO text as the type of ``kind``."""
    dtype = series.dtype
    if dtype == pl.Datetime:
        if getattr(dtype, "time_zone", None):
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        moments = series.dt.cast_time_unit("us")
        return moments.dt.date() if kind == "date" else moments
    if dtype == pl.Date:
        return series.cast(TYPES[kind])
    if dtype == pl.String:
        # Text is the slow way on purpose: the very function that reads a single row's value.
        read: list[Any] = [canonical_value(text, kind, series.name) for text in series.to_list()]
        return pl.Series(series.name, read, dtype=TYPES[kind])
    raise wrong_value(series.name, kind, f"It holds {dtype}")
