"""One CSV file into a frame of canonical types.

First the fast way: Polars parses straight into the pinned types. Where that fails (padded
values, stray text) everything is read as text and parsed value by value, and where even
that fails the rows go one by one through Python's reader, which knows the line of what is
wrong. All three give the same values: blanks around a value are removed, missing texts
are null, and rows in which everything is missing (blank lines) are dropped, but where there
is one column only: there such a line is a missing value.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import polars as pl

from ratchet.data.canonical import refuse_misfits
from ratchet.data.parsing import Misfit, TextForm, infer_kind, parse
from ratchet.data.schema import Kind, polars_type
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.csv_layout import Layout, is_blank, no_rows, read_layout
from ratchet.data.sources.rawtext import RawText
from ratchet.errors import DataError

_POLARS_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def read_table(
    raw: RawText, settings: SourceSettings, pinned: Mapping[str, Kind] | None = None
) -> pl.DataFrame:
    """The rows of a file, in its order. Columns without a pinned kind get the narrowest.

    Raises DataError: ``type_mismatch``, ``ragged_rows``, ``csv_malformed``, ``encoding``,
    ``duplicate_header`` or ``no_rows``.
    """
    frame, layout = read_texts(raw, settings, pinned)
    columns, misfits = [], []
    waiting = frame.get_columns()[::-1]
    del frame  # each text column goes as soon as it is parsed
    while waiting:
        made, wrong = _finish(waiting.pop(), settings, pinned or {})
        columns.append(made)
        if wrong is not None:
            misfits.append(wrong)
    if misfits:
        lines = _lines_of(raw, settings, layout, misfits)
        refuse_misfits(misfits, lambda rows: [f"line {lines[row]}" for row in rows], raw.name)
    table = without_blank_rows(pl.DataFrame(columns))
    if not table.height:
        raise no_rows(raw.name)
    return table


def read_texts(
    raw: RawText, settings: SourceSettings, pinned: Mapping[str, Kind] | None = None
) -> tuple[pl.DataFrame, Layout]:
    """Every record of a file (blank lines too), numbers typed where pinned, the rest text."""
    layout = read_layout(raw, settings)
    if layout.offset >= len(raw.data):
        raise no_rows(raw.name)
    types = _types(layout.names, settings, pinned or {})
    frame = None
    if not _ends_in_open_quote(raw, settings):
        frame = _read(raw.data, settings, layout, types)
        if frame is None and pinned:
            frame = _read(raw.data, settings, layout, dict.fromkeys(types, pl.String()))
    if frame is not None and not _has_full_rows(frame, raw, settings, layout):
        frame = None
    if frame is None:
        frame = _read_rewritten(raw, settings, layout)
    return frame, layout


def clean_text(text: pl.Series, settings: SourceSettings) -> pl.Series:
    """Texts without blanks around them, null where they mean a missing value."""
    stripped = text.str.strip_chars()
    tokens = [token.strip() for token in settings.missing]
    return stripped.set(stripped.is_in(["", *tokens]).fill_null(False), None)


def _types(
    names: tuple[str, ...], settings: SourceSettings, pinned: Mapping[str, Kind]
) -> dict[str, pl.DataType]:
    typed: tuple[Kind, ...] = ("integer", "number") if settings.decimal == "." else ("integer",)
    return {
        name: polars_type(kind) if (kind := pinned.get(name)) in typed and kind else pl.String()
        for name in names
    }


def _read(
    data: bytes, settings: SourceSettings, layout: Layout, types: Mapping[str, pl.DataType]
) -> pl.DataFrame | None:
    """What Polars makes of it; None when it refuses."""
    tokens = {"", " ", *settings.missing}
    try:
        return pl.read_csv(
            data,
            has_header=False,
            skip_lines=layout.lines,
            schema=dict(types),
            separator=settings.separator,
            quote_char=settings.quote,
            null_values=sorted(tokens),
            glob=False,
        )
    except _POLARS_FAULTS:
        return None


def _read_rewritten(raw: RawText, settings: SourceSettings, layout: Layout) -> pl.DataFrame:
    """The rows through Python's reader: slow, lenient about quotes, strict about widths."""
    width = len(layout.names)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    last = begin = layout.lines
    for line, record in raw.records(settings.separator, settings.quote):
        if line <= layout.lines:
            continue
        if is_blank(record):
            record = [""] * width
        elif len(record) != width:
            raise _ragged(raw.name, begin + 1, line, len(record), width, settings)
        writer.writerow(record)
        last, begin = begin + 1, line
    _require_closed_quote(raw, settings, last, begin)
    plain = SourceSettings(type="csv", path=settings.path, missing=settings.missing)
    types = dict.fromkeys(layout.names, pl.String())
    frame = _read(buffer.getvalue().encode(), plain, Layout(layout.names, 0, 0), types)
    if frame is None:
        raise DataError(
            f"{raw.name} is no well-formed CSV",
            fix="Check data.source.separator and data.source.quote, or save the file anew",
            where=raw.name,
            code="csv_malformed",
        )
    return frame


def _require_closed_quote(raw: RawText, settings: SourceSettings, begin: int, end: int) -> None:
    """Raise DataError when the last record runs over lines to the end without a closing quote."""
    if settings.quote is None or begin >= end:
        return
    if not raw.data.rstrip(b"\r\n").endswith(settings.quote.encode()):
        raise DataError(
            f"A quote that opens in line {begin} of {raw.name} is never closed",
            why=f"It runs on to the end of the file, line {end}",
            fix="Correct the line; or, if quotes mean nothing here, set data.source.quote: null",
            where=f"{raw.name}:{begin}",
            code="csv_malformed",
        )


def _ends_in_open_quote(raw: RawText, settings: SourceSettings) -> bool:
    """Whether the file's last field is a lone quote, on which Polars 2.1 panics."""
    if settings.quote is None:
        return False
    tail = raw.data[-1024:].rstrip(b"\r\n")
    before = tail[-2:-1]
    return tail.endswith(settings.quote.encode()) and before in (
        b"",
        b"\n",
        b"\r",
        settings.separator.encode(),
    )


def _has_full_rows(
    frame: pl.DataFrame, raw: RawText, settings: SourceSettings, layout: Layout
) -> bool:
    """Whether no row is short: Polars fills short rows with nulls without a word.

    A short row misses its last field, so only files with such rows are counted out:
    separators in the file = separators between fields + those inside quoted texts.
    False means "perhaps not": the slow reader then knows for sure.
    """
    last = frame.get_column(layout.names[-1])
    if not last.null_count() or frame.width == 1:
        return True
    blank = _blank_rows(frame)
    if (last.is_null() == blank).all():
        return True
    inside = 0
    if settings.quote is not None and settings.quote.encode() in raw.data:
        texts = frame.select(pl.selectors.string())
        counts = texts.select(pl.all().str.count_matches(settings.separator, literal=True).sum())
        inside = sum(counts.row(0)) if counts.width else 0
    found = raw.data.count(settings.separator.encode(), layout.offset)
    return not blank.any() and found == (frame.width - 1) * frame.height + inside


def _finish(
    series: pl.Series, settings: SourceSettings, pinned: Mapping[str, Kind]
) -> tuple[pl.Series, Misfit | None]:
    if series.dtype == pl.Float64:
        return (series.fill_nan(None) if series.is_nan().any() else series), None
    if series.dtype != pl.String:
        return series, None
    text = clean_text(series, settings)
    form = TextForm(settings.decimal, settings.formats.get(series.name))
    return parse(text, pinned.get(series.name) or infer_kind(text, form), form)


def _blank_rows(frame: pl.DataFrame) -> pl.Series:
    return frame.select(pl.all_horizontal(pl.all().is_null())).to_series()


def without_blank_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` without rows in which everything is missing.

    Of a single column a blank line is how a missing value is written: those rows stay.
    """
    if frame.width == 1 or not all(series.null_count() for series in frame.get_columns()):
        return frame
    blank = _blank_rows(frame)
    return frame.filter(~blank) if blank.any() else frame


def _lines_of(
    raw: RawText, settings: SourceSettings, layout: Layout, misfits: list[Misfit]
) -> dict[int, int]:
    """The line on which each named row ends, found by reading up to the last of them."""
    wanted = {row for misfit in misfits for row in misfit.rows}
    last = max(wanted)
    lines: dict[int, int] = {}
    row = -1
    for line, _ in raw.records(settings.separator, settings.quote):
        if line <= layout.lines:
            continue
        row += 1
        if row in wanted:
            lines[row] = line
        if row >= last:
            break
    return lines


def _ragged(
    name: str, begin: int, end: int, fields: int, width: int, settings: SourceSettings
) -> DataError:
    header = "the header" if settings.header else "the first line"
    if end > begin:
        why = f"It runs on to line {end}: a quote that opens there is closed late or never"
    elif fields > width:
        why = f"A separator ({settings.separator}) inside a value needs quotes around the value"
    else:
        why = "Something is missing at its end"
    return DataError(
        f"Line {begin} of {name} has {fields} fields, but {header} has {width}",
        why=why,
        fix="Correct the line, or the program that writes the file",
        where=f"{name}:{begin}",
        code="ragged_rows",
    )
