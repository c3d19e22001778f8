"""From text to the column kinds: one reading for every source, and what does not fit.

A text is parsed the same way whether the file went through the fast reader or the
careful one. What does not fit the asked kind is reported, never silently nulled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ratchet.data.schema import Kind, polars_type

DATE_FORMS = ("%Y-%m-%d",)
DATETIME_FORMS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
)
_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_EXACT = 2**53  # beyond it a float no longer stands for one integer
_PROBE = 1000  # values looked at before a kind is tried on all of them
_FIRST_YEAR = 1000  # "%Y" reads the year of 3/4/24 as the year 24


@dataclass(frozen=True, slots=True)
class TextForm:
    """How numbers and dates are written: the decimal mark, and the date form when not ISO."""

    decimal: str = "."
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """The values of a column that do not fit its kind.

    ``rows`` are 0-based row numbers of the first few, ``values`` their texts.
    """

    column: str
    expected: Kind
    count: int
    rows: tuple[int, ...]
    values: tuple[str, ...]


PLAIN = TextForm()


def parse(text: pl.Series, kind: Kind, form: TextForm = PLAIN) -> tuple[pl.Series, Misfit | None]:
    """``text`` (stripped, missing as null) in the type of ``kind``, and what did not fit.

    Misfits are null in the returned series; NaN is null and no misfit.
    """
    if kind == "string":
        return text, None
    parsed = _PARSERS[kind](text, form)
    made = parsed.len() - parsed.null_count()
    given = text.len() - text.null_count()
    if made == given:
        return parsed, None
    wrong = parsed.is_null() & text.is_not_null()
    if kind in ("integer", "number"):
        wrong &= text.str.to_lowercase().is_in(["nan", "+nan", "-nan"]).not_().fill_null(True)
    return parsed, misfit_of(text, wrong, kind)


def misfit_of(values: pl.Series, wrong: pl.Series, kind: Kind) -> Misfit | None:
    """The misfit that a boolean series marks, None when it marks nothing."""
    count = int(wrong.sum())
    if not count:
        return None
    rows = wrong.arg_true().head(5)
    shown = tuple(_shorten(str(value)) for value in values.gather(rows).to_list())
    return Misfit(values.name, kind, count, tuple(rows.to_list()), shown)


def infer_kind(text: pl.Series, form: TextForm = PLAIN) -> Kind:
    """The narrowest kind that every value of ``text`` fits; string when there is no value.

    Looks at all values. Whole numbers with leading zeros (postcodes) and whole numbers
    beyond 64 bits stay text. Dates are recognised in ISO 8601 only, or as ``form.date``.
    """
    values = text.drop_nulls()
    if not values.len():
        return "string"
    head = values.head(_PROBE)
    for kind in _order(form):
        if _fits(head, kind, form) and _fits(values, kind, form):
            return kind
    return "string"


def has_leading_zeros(text: pl.Series) -> bool:
    """Whether some whole number is written with leading zeros, which a number would lose."""
    return bool(text.str.contains(r"^[+-]?0\d+$").any())


def _order(form: TextForm) -> tuple[Kind, ...]:
    if form.date is None:
        return ("boolean", "integer", "number", "date", "datetime")
    return ("datetime",) if "%H" in form.date or "%I" in form.date else ("date",)


def _fits(values: pl.Series, kind: Kind, form: TextForm) -> bool:
    """Whether a column of these values is of ``kind`` when nobody said so: stricter than parse."""
    if kind == "boolean":
        return bool(values.str.to_lowercase().is_in(["true", "false"]).all())
    if kind == "integer" and not values.str.contains(r"^[+-]?\d+$").all():
        return False
    if kind in ("integer", "number") and (
        has_leading_zeros(values) or values.str.contains(r"^[+-]?\d{19,}$").any()
    ):
        return False
    parsed, misfit = parse(values, kind, form)
    return misfit is None and parsed.null_count() < parsed.len()


def _integer(text: pl.Series, form: TextForm) -> pl.Series:
    parsed = text.cast(pl.Int64, strict=False)
    if parsed.null_count() == text.null_count():
        return parsed
    # "12.0" is how a whole number looks after a tool made the column floating.
    floats = _number(text, form)
    whole = (floats == floats.floor()) & (floats.abs() < _EXACT)
    as_integers = floats.set(~whole.fill_null(False), None).cast(pl.Int64)
    return parsed.fill_null(as_integers)


def _number(text: pl.Series, form: TextForm) -> pl.Series:
    if form.decimal == ",":
        pointed = text.str.contains(".", literal=True).fill_null(False)
        text = text.set(pointed, None).str.replace(",", ".", literal=True)
    return text.cast(pl.Float64, strict=False).fill_nan(None)


def _boolean(text: pl.Series, form: TextForm) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_WORDS, default=None, return_dtype=pl.Boolean)


def _date(text: pl.Series, form: TextForm) -> pl.Series:
    parsed = pl.Series(text.name, [None], dtype=pl.Date).new_from_index(0, text.len())
    for pattern in (form.date,) if form.date else DATE_FORMS:
        left = parsed.is_null() & text.is_not_null()
        if not left.any():
            break
        found = text.str.to_date(pattern, strict=False)
        parsed = parsed.fill_null(found.set((found.dt.year() < _FIRST_YEAR).fill_null(False), None))
    return parsed


def _datetime(text: pl.Series, form: TextForm) -> pl.Series:
    kind = polars_type("datetime")
    parsed = pl.Series(text.name, [None], dtype=kind).new_from_index(0, text.len())
    for pattern in (form.date,) if form.date else DATETIME_FORMS:
        left = parsed.is_null() & text.is_not_null()
        if not left.any():
            break
        found = text.str.to_datetime(pattern, strict=False, time_unit="us", exact=True)
        found = found.dt.replace_time_zone(None)
        parsed = parsed.fill_null(found.set((found.dt.year() < _FIRST_YEAR).fill_null(False), None))
    return parsed


_PARSERS: dict[Kind, Callable[[pl.Series, TextForm], pl.Series]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
