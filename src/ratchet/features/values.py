"""One raw value as a column of its kind holds it: the answers for a single row.

``frame.py`` gives the same answers for a table. Missing (None, NaN, infinity,
pandas' NA and NaT) is None everywhere. A value of another kind is refused, as
guessing would answer a client's mistake with a wrong score:

- integer: whole numbers of 64 bits, also written 3.0;
- number: integers and floats;
- boolean: True and False only; string: text only;
- date and datetime: such values or ISO text; times with a zone become UTC, a
  date column takes the day of a datetime.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np

from ratchet.data.schema import Kind
from ratchet.errors import DataError

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATETIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?")
_ARTICLE = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "date": "a date such as 2026-11-21",
    "datetime": "a time such as 2026-11-21T02:49:00",
}


def canonical_value(value: Any, kind: Kind, column: str) -> Any:
    """``value`` as column ``column`` of ``kind`` holds it; None when missing.

    Raises:
        DataError: it is a value of another kind.
    """
    if isinstance(value, np.generic):
        value = _python_value(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    match kind:
        case "integer" if isinstance(value, int | float) and not isinstance(value, bool):
            if value == int(value) and _LOWEST <= value <= _HIGHEST:
                return int(value)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return _float(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "string" if isinstance(value, str):
            return str(value)
        case "date" | "datetime":
            moment = _moment(value)
            if moment is not None:
                return moment.date() if kind == "date" else moment
        case _:
            pass
    raise wrong_value(column, kind, f"It holds {value!r:.60}")


def wrong_value(column: str, kind: Kind, why: str) -> DataError:
    """The error for a value that column ``column`` cannot hold."""
    return DataError(
        f'Column "{column}" must hold {_ARTICLE[kind]}',
        why=why,
        fix="Send values of the kind the model was trained on; null means missing",
        where=column,
        code="wrong_type",
    )


def _python_value(value: np.generic[Any]) -> Any:
    if isinstance(value, np.datetime64):
        return value.astype("datetime64[us]").item()
    return value.item()


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        # An integer beyond float64: the encoders hold it at float32's limit anyway.
        return 1.7e308 if value > 0 else -1.7e308


def _moment(value: Any) -> datetime | None:
    """A date, a time or ISO text as a naive UTC time; None if it is nothing of this."""
    if isinstance(value, str):
        value = _read_iso(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return datetime.combine(value, time())
    return None


def _read_iso(text: str) -> datetime | None:
    if not (_DATE.fullmatch(text) or _DATETIME.fullmatch(text)):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
