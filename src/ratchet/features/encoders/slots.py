"""What an encoder reads: one view of one column.

A view is a column seen in one way, the same for a block of rows and for a
single row:

- ``number``: float64, missing is NaN. NaN and infinity count as missing; larger
  values than float32 holds are held at its limit. Integers pass through
  float64, so beyond 2**53 they lose their last digits, and beyond 2**24 in
  the float32 matrix.
- ``text``: a string, missing is None; an empty string counts as missing.
- ``year month weekday hour``: parts of a date (Monday is 1), missing is NaN.
- ``instant``: days (date) or microseconds (datetime) since 1970, missing is NaN.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ratchet.data.schema import Kind

View: TypeAlias = Literal["number", "text", "year", "month", "weekday", "hour", "instant"]
Floats: TypeAlias = npt.NDArray[np.float64]
Matrix: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.integer[Any]]

#: The largest finite float32, as a float64.
LIMIT = float(np.finfo(np.float32).max)
NAN = float("nan")


class Slot(NamedTuple):
    """One view of one column; ``kind`` is the column's."""

    column: str
    view: View
    kind: Kind


def hold_number(value: float) -> float:
    """``value`` within float32's range; NaN and infinity become NaN."""
    if -LIMIT <= value <= LIMIT:
        return value
    if value != value or value in (float("inf"), float("-inf")):
        return NAN
    return LIMIT if value > 0 else -LIMIT


def hold_numbers(values: Floats) -> Floats:
    """:func:`hold_number` for an array; the array itself where nothing changes."""
    if bool((np.abs(values) > LIMIT).any()):
        values = np.clip(np.where(np.isinf(values), np.nan, values), -LIMIT, LIMIT)
    absent = np.isnan(values)
    # One NaN for all: there are many, and they would differ from a single row's in their bits.
    return np.where(absent, np.nan, values) if bool(absent.any()) else values
