"""Any Polars column into one of the six kinds, without losing a value unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

import polars as pl

from ratchet.data.parsing import Misfit, misfit_of, parse
from ratchet.data.schema import Kind, kind_of, polars_type
from ratchet.errors import DataError

_MICROSECONDS = 1_000_000


def canonical(
    frame: pl.DataFrame, pinned: Mapping[str, Kind] | None = None
) -> tuple[pl.DataFrame, list[Misfit]]:
    """``frame`` in canonical types, and the values that do not fit a pinned kind.

    Without a pinned kind a column gets the nearest one: every integer width becomes
    integer; floats, decimals and durations (seconds) number; points in time UTC without a
    zone; times of day, bytes (hex) and nested values (JSON) text. NaN becomes null.
    """
    columns, misfits = [], []
    for series in frame.get_columns():
        wanted = pinned.get(series.name) if pinned else None
        if series.dtype.is_integer() and wanted in ("number", "string"):
            series = series.cast(polars_type(wanted))  # integers beyond 64 bits fit here
        made, wrong = _natural(series)
        if wrong is None and wanted is not None and wanted != kind_of(made.dtype):
            made, wrong = convert(made, wanted)
        columns.append(made)
        if wrong is not None:
            misfits.append(wrong)
    return pl.DataFrame(columns), misfits


def convert(series: pl.Series, kind: Kind) -> tuple[pl.Series, Misfit | None]:
    """A canonical ``series`` in another kind, where every value survives the change.

    Text is parsed; 3.0 may become 3, 0 and 1 false and true, a midnight a date. Anything
    else is a misfit and null in the result.
    """
    if kind == "string":
        return series.cast(pl.String), None
    if series.dtype == pl.String:
        text = series.str.strip_chars()
        return parse(text.set((text == "").fill_null(False), None), kind)
    made = _CHANGES.get((kind_of(series.dtype), kind), _nothing)(series, polars_type(kind))
    if made.null_count() == series.null_count():
        return made, None
    return made, misfit_of(series, made.is_null() & series.is_not_null(), kind)


def refuse_misfits(
    misfits: Iterable[Misfit], places: Callable[[tuple[int, ...]], list[str]], where: str
) -> NoReturn:
    """Raise DataError (``type_mismatch``) that names the columns, counts and examples.

    ``places`` turns 0-based row numbers into what a reader can look up, such as "line 7".
    """
    sentences = []
    found = list(misfits)
    for misfit in found[:5]:
        shown = ", ".join(
            f'"{value}" ({place})'
            for value, place in zip(misfit.values, places(misfit.rows), strict=True)
        )
        values = "value does" if misfit.count == 1 else "values do"
        sentences.append(
            f'Column "{misfit.column}": {misfit.count} {values} not fit the kind '
            f"{misfit.expected}: {shown}"
        )
    first = found[0]
    more = f", and {len(found) - 5} more columns" if len(found) > 5 else ""
    raise DataError(
        "; ".join(sentences) + more,
        fix=(
            "Correct the values; or, when they mean a missing value, add the text to "
            "data.source.missing (csv); or, when the column has really changed, set "
            f"data.columns.{first.column} to another kind, such as string"
        ),
        where=where,
        code="type_mismatch",
    )


def refuse_rows(misfits: Iterable[Misfit], start: int, where: str) -> NoReturn:
    """``refuse_misfits`` for a batch that begins at the 0-based row ``start`` of a source."""
    refuse_misfits(misfits, lambda rows: [f"row {start + row + 1}" for row in rows], where)


def _natural(series: pl.Series) -> tuple[pl.Series, Misfit | None]:
    dtype = series.dtype
    kind = kind_of(dtype)
    target = polars_type(kind)
    if kind == "number":
        if dtype == pl.Duration:
            series = series.dt.total_microseconds() / _MICROSECONDS
        made = series.cast(target)
        return (made.fill_nan(None) if made.is_nan().any() else made), None
    if kind == "datetime":
        zone = getattr(dtype, "time_zone", None)
        if zone is not None:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return series.cast(target), None
    if kind == "integer" and dtype != target:
        made = series.cast(target, strict=False)
        wrong = made.is_null() & series.is_not_null()
        return made, misfit_of(series, wrong, kind)
    if kind == "string" and dtype != target:
        return _as_text(series), None
    return series, None


def _as_text(series: pl.Series) -> pl.Series:
    dtype = series.dtype
    if dtype == pl.Binary:
        return series.bin.encode("hex")
    if dtype == pl.Time:
        return series.dt.to_string("%H:%M:%S%.f")
    if not dtype.is_nested():
        return series.cast(pl.String)
    wrapped = series.to_frame("v").select(pl.struct("v").struct.json_encode().alias(series.name))
    inner = wrapped.to_series().str.strip_prefix('{"v":').str.head(-1)
    return inner.set(series.is_null(), None)


def _cast(series: pl.Series, target: pl.DataType) -> pl.Series:
    return series.cast(target)


def _whole(series: pl.Series, target: pl.DataType) -> pl.Series:
    fits = (series == series.floor()) & (series.abs() < 2**63)
    return series.set(~fits.fill_null(False), None).cast(target)


def _truth(series: pl.Series, target: pl.DataType) -> pl.Series:
    return series.set(~((series == 0) | (series == 1)).fill_null(False), None).cast(target)


def _midnight(series: pl.Series, target: pl.DataType) -> pl.Series:
    days = series.cast(target)
    return days.set((days.cast(series.dtype) != series).fill_null(False), None)


def _nothing(series: pl.Series, target: pl.DataType) -> pl.Series:
    return pl.Series(series.name, [None], dtype=target).new_from_index(0, series.len())


_CHANGES: dict[tuple[Kind, Kind], Callable[[pl.Series, pl.DataType], pl.Series]] = {
    ("integer", "number"): _cast,
    ("boolean", "integer"): _cast,
    ("boolean", "number"): _cast,
    ("date", "datetime"): _cast,
    ("number", "integer"): _whole,
    ("integer", "boolean"): _truth,
    ("number", "boolean"): _truth,
    ("datetime", "date"): _midnight,
}
