"""The names of a CSV's columns, and where its rows begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ratchet.data.settings import SourceSettings
from ratchet.data.sources.rawtext import RawText
from ratchet.errors import DataError


@dataclass(frozen=True, slots=True)
class Layout:
    """Column names, and how many lines and bytes come before the first row."""

    names: tuple[str, ...]
    lines: int
    offset: int


def read_layout(raw: RawText, settings: SourceSettings) -> Layout:
    """The layout of a file, read from its first record that is not blank.

    Raises DataError ``duplicate_header`` or ``no_rows``.
    """
    before = 0
    for line, record in raw.records(settings.separator, settings.quote):
        if is_blank(record):
            before = line
            continue
        lines = line if settings.header else before
        names = clean_names(record) if settings.header else number_names(len(record))
        _require_unique(names, raw.name, line)
        return Layout(names, lines, _offset(raw.data, lines))
    raise no_rows(raw.name)


def is_blank(record: Sequence[str]) -> bool:
    """Whether a record is an empty line."""
    return not record or (len(record) == 1 and not record[0].strip())


def clean_names(header: Sequence[str]) -> tuple[str, ...]:
    """Header fields without blanks around them; a blank one becomes ``column_N``."""
    return tuple(name.strip() or f"column_{n}" for n, name in enumerate(header, 1))


def number_names(count: int) -> tuple[str, ...]:
    """``column_1`` to ``column_count``, for a file without a header."""
    return tuple(f"column_{n}" for n in range(1, count + 1))


def no_rows(name: str) -> DataError:
    """The DataError for a file that holds a header at most."""
    return DataError(
        f"{name} holds no rows",
        why="There is nothing below the header",
        fix="Check what writes the file",
        where=name,
        code="no_rows",
    )


def _offset(data: bytes, lines: int) -> int:
    offset = 0
    for _ in range(lines):
        offset = data.find(b"\n", offset) + 1 or len(data)
    return offset


def _require_unique(names: Sequence[str], file: str, line: int) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        shown = ", ".join(f'"{name}"' for name in repeated[:5])
        raise DataError(
            f"The header of {file} names {shown} more than once",
            why="Nobody could tell the columns apart",
            fix="Rename the columns; if the first line is no header, set data.source.header: false",
            where=f"{file}:{line}",
            code="duplicate_header",
        )
