"""How a CSV is written: its encoding, separator, quotes, and whether it has a header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ratchet.data.settings import Encoding
from ratchet.data.sources.csv_layout import clean_names, is_blank
from ratchet.data.sources.rawtext import RawText, load_bytes
from ratchet.errors import DataError

SEPARATORS = (",", ";", "\t", "|")
_RECORDS = 500
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?$")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?.*)?$")


@dataclass(frozen=True, slots=True)
class Dialect:
    """The form of a CSV, and its first records without blank lines."""

    separator: str
    quote: str | None
    header: bool
    records: tuple[tuple[str, ...], ...]


def detect_encoding(path: Path) -> Encoding:
    """The encoding of a file: UTF-8 when all of it is; else what Windows or the web wrote."""
    data = load_bytes(path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        special = any(
            byte in data for byte in (b"\x80", b"\x91", b"\x92", b"\x93", b"\x94", b"\x96")
        )
        undefined = any(byte in data for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d"))
        return "cp1252" if special and not undefined else "latin1"
    return "utf8"


def detect_dialect(raw: RawText) -> Dialect:
    """The separator and quote that cut the first 500 records most evenly and cleanly."""
    best: tuple[float, str, str | None, list[tuple[str, ...]]] | None = None
    for quote in _quotes(raw):
        for separator in SEPARATORS:
            records = _first_records(raw, separator, quote)
            score = _score(records, separator)
            if best is None or score > best[0]:
                best = (score, separator, quote, records)
    if best is None or best[0] <= 0:
        separator, quote = ",", '"'
        records = _first_records(raw, separator, quote)
    else:
        _, separator, quote, records = best
    return Dialect(separator, quote, has_header(records), tuple(records))


def has_header(records: Sequence[Sequence[str]]) -> bool:
    """Whether the first record names the columns of the others.

    A value that is a number, a date or blank names nothing, unless it names a column that
    holds none such; without any, a first record whose texts come again below is data.
    """
    if len(records) < 2:
        return bool(records) and not any(_is_value(cell) for cell in records[0])
    first, rest = records[0], records[1:]
    contrast = 0
    for position, cell in enumerate(first):
        below = [row[position] for row in rest if position < len(row) and row[position].strip()]
        values = sum(_is_value(text) for text in below)
        if below and values > 0.8 * len(below):
            contrast += -1 if _is_value(cell) else 1
    if contrast:
        return contrast > 0
    if any(_is_value(cell) for cell in first):
        return False
    names = clean_names(first)
    if len(set(names)) < len(names):
        return False
    again = sum(
        any(position < len(row) and row[position] == cell for row in rest)
        for position, cell in enumerate(first)
    )
    return again == 0


def _quotes(raw: RawText) -> tuple[str | None, ...]:
    sample = raw.sample(1 << 18).decode(errors="replace")
    double = sum(
        sample.count(f'{mark}"') + sample.count(f'"{mark}') for mark in (*SEPARATORS, "\n")
    )
    single = sum(
        sample.count(f"{mark}'") + sample.count(f"'{mark}") for mark in (*SEPARATORS, "\n")
    )
    if single > 20 and single > 4 * double:
        return ("'", '"')
    return ('"',) if double else ('"', None)


def _first_records(raw: RawText, separator: str, quote: str | None) -> list[tuple[str, ...]]:
    try:
        found = (record for _, record in raw.records(separator, quote) if not is_blank(record))
        return [tuple(record) for record in islice(found, _RECORDS)]
    except DataError:
        return []


def _score(records: Sequence[Sequence[str]], separator: str) -> float:
    """Evenness of the widths, the first above all, times cleanness; 0 for a single column."""
    if not records:
        return 0.0
    width, count = Counter(len(record) for record in records).most_common(1)[0]
    if width < 2:
        return 0.0
    others = [mark for mark in SEPARATORS if mark != separator]
    cells = [cell.strip() for record in records for cell in record]
    dirty = sum(
        (any(mark in cell for mark in others) and not _is_value(cell))
        or cell.startswith(("'", '"')) != cell.endswith(("'", '"'))
        for cell in cells
    )
    even = count / len(records) * (1.0 if len(records[0]) == width else 0.25)
    return even * (1 - dirty / len(cells)) ** 2 * (1 - 0.1 / width)


def _is_value(cell: str) -> bool:
    text = cell.strip()
    return bool(_NUMBER.match(text) or _DATE.match(text))
