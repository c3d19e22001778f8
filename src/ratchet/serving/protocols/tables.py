"""Tables as data frames and CSV files write them, as records in the kinds of the signature.

pandas keeps a number column as text when a single cell is blank and reads a text column of
digits as numbers, and in a CSV file everything is text. What is read here is what training read
from its file, and what ``registry.pyfunc`` makes of the same rows. A value that fits no reading
stays as it is: the codec refuses it, and names it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ratchet.serving.http import ProblemError

if TYPE_CHECKING:
    from ratchet.data.schema import Kind
    from ratchet.serving.codec import Expected

Record = dict[str, Any]
Reader = Callable[[Any], Any]

MISSING = frozenset(("", "?", "NA", "N/A", "NaN", "null", "NULL"))
"""Texts of a CSV file that mean a missing value: the default of ``data.source.missing``."""

# What else pandas takes for missing; in a column of numbers or times it can mean nothing else.
_BLANK = MISSING | frozenset(
    ("nan", "-nan", "-NaN", "None", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NaT", "1.#QNAN")
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_ABSENT = object()


def settle(records: Sequence[Record], inputs: Iterable[Expected]) -> None:
    """Read the values of ``records`` in the kinds of ``inputs``, in place.

    A column that some of the records have is missing in the others, as in a data frame.

    Raises:
        ProblemError: 400, which names the columns that no record has.
    """
    absent = []
    for column in inputs:
        name, reader, plain = column.name, _READERS[column.kind], _PLAIN[column.kind]
        seen = False
        for record in records:
            value = record.get(name, _ABSENT)
            if value is _ABSENT:
                record[name] = None
                continue
            seen = True
            if type(value) is not plain and value is not None:
                record[name] = reader(value)
        if not seen and column.required:
            absent.append(name)
    if absent and records:
        raise missing_columns(absent)


def missing_columns(names: Sequence[str]) -> ProblemError:
    """The problem of columns that are not there."""
    told = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return ProblemError(
        400,
        "missing_column",
        f"The model reads {'a column that is' if len(names) == 1 else 'columns that are'} not "
        f"there: {told}",
        fix="send every column of the model's signature; null means missing",
        field=names[0],
    )


def read_csv(body: bytes, inputs: Sequence[Expected]) -> list[Record]:
    """The rows of a CSV file with a header line: comma, double quotes, UTF-8.

    Cells are texts still, stripped, and None where they are blank; ``settle`` reads them.

    Raises:
        ProblemError: 400: it cannot be read as such a file, or lacks columns.
    """
    try:
        text = body.decode("utf-8-sig")
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [name.strip() for name in next(lines, [])]
        check_header(header, inputs)
        return [_csv_record(header, row, lines.line_num) for row in lines if row]
    except UnicodeDecodeError as error:
        raise ProblemError(400, "bad_csv", "The body is not UTF-8") from error
    except csv.Error as error:
        raise ProblemError(400, "bad_csv", "The body is not valid CSV", why=str(error)) from error


def columns_to_records(columns: Mapping[str, Any]) -> list[Record]:
    """Rows from columns: lists of one length, or single values, which count for every row.

    Raises:
        ProblemError: 400: the lists have several lengths.
    """
    lengths = {len(values) for values in columns.values() if isinstance(values, list)}
    if len(lengths) > 1:
        told = ", ".join(f"{n}" for n in sorted(lengths))
        raise ProblemError(
            400, "uneven_columns", "The columns have different lengths", why=f"there are {told}"
        )
    rows = lengths.pop() if lengths else 1
    full = [values if isinstance(values, list) else [values] * rows for values in columns.values()]
    names = tuple(columns)
    if not names:
        return []
    return [dict(zip(names, row, strict=True)) for row in zip(*full, strict=True)]


def required(columns: Iterable[Expected]) -> list[str]:
    """The names of the columns that must be there."""
    return [column.name for column in columns if column.required]


def check_header(header: Sequence[Any], columns: Sequence[Expected]) -> None:
    """Refuse a table that lacks a column, or has one twice.

    Raises:
        ProblemError: 400, which names it.
    """
    if len(set(map(str, header))) != len(header):
        for column in columns:
            if header.count(column.name) > 1:
                what = f'Several columns are named "{column.name}"'
                raise ProblemError(400, "column_twice", what, field=column.name)
    absent = [name for name in required(columns) if name not in header]
    if absent:
        raise missing_columns(absent)


def _csv_record(header: Sequence[str], row: list[str], line: int) -> Record:
    if len(row) > len(header):
        raise ProblemError(
            400,
            "bad_csv",
            f"Line {line} has {len(row)} cells, and the header has {len(header)}",
            field=f"line {line}",
        )
    cells = [None if (text := cell.strip()) in MISSING else text for cell in row]
    cells += [None] * (len(header) - len(cells))
    return dict(zip(header, cells, strict=True))


def _integer(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if text in _BLANK:
            return None
        if _WHOLE.fullmatch(text):
            return int(text)
        value = float(text) if _NUMBER.fullmatch(text) else value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if text in _BLANK:
            return None
        return float(text) if _NUMBER.fullmatch(text) else value
    return value


def _boolean(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return None if text in _BLANK else _WORDS.get(text.lower(), value)
    return value


def _string(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _time(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        return None if text in _BLANK else text
    return value


_READERS: dict[Kind, Reader] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "date": _time,
    "datetime": _time,
}
_PLAIN: dict[Kind, type] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "string": str,
    "date": type(None),
    "datetime": type(None),
}
