"""Looks at a CSV nobody has described yet, for ``ratchet init``.

Every guess is a sentence in ``notes``, and goes into ``ratchet.yaml``: nothing is guessed
again when the file is read later. The dialect is guessed from the first records; kinds,
date forms and missing texts from the whole file, which is then read with them, so that
what is written down is known to work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ratchet.data.parsing import TextForm, has_leading_zeros, infer_kind
from ratchet.data.schema import Kind, TableSchema
from ratchet.data.settings import Encoding, SourceSettings
from ratchet.data.sources.csv import CsvSource
from ratchet.data.sources.csv_table import clean_text, read_texts, without_blank_rows
from ratchet.data.sources.dialect import Dialect, detect_dialect, detect_encoding
from ratchet.data.sources.files import find_files
from ratchet.data.sources.missing import KNOWN, ONLY_AMONG_NUMBERS, find_missing
from ratchet.data.sources.rawtext import RawText, load_text
from ratchet.errors import DataError

_DATES = (
    "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d",
    "%d %b %Y", "%d-%b-%Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%m/%d/%y", "%d/%m/%y",
    "%d.%m.%y", "%d-%b-%y",
)  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_TWINS = {
    "%m/%d/%Y": "%d/%m/%Y", "%m/%d/%y": "%d/%m/%y", "%d-%m-%Y": "%m-%d-%Y",
}  # fmt: skip
_DATE_LIKE = r"^\w{1,9}[-/. ,]+\w{1,9}[-/. ,]+\d"
_PROBE = 1000
_NAMES: dict[str, str] = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True, slots=True)
class Sniff:
    """What was found in a CSV: how to read it, its columns, and a sentence per guess."""

    separator: str
    encoding: Encoding
    quote: str | None
    header: bool
    missing: tuple[str, ...]
    decimal: str
    formats: tuple[tuple[str, str], ...]
    columns: TableSchema
    rows: int
    notes: tuple[str, ...]

    def source(self, path: str) -> dict[str, Any]:
        """``data.source`` for ratchet.yaml; what equals the default is left out."""
        found = _settings(path, self.encoding, self, self.missing, self.decimal, self.formats)
        plain = found.model_dump(exclude_defaults=True)
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        } | {"missing": list(self.missing)}

    def kinds(self) -> dict[str, Kind]:
        """``data.columns`` for ratchet.yaml."""
        return {column.name: column.kind for column in self.columns.columns}


def sniff_csv(path: str, root: Path) -> Sniff:
    """Look at the CSV file, folder or glob ``path``, seen from ``root``.

    Raises what reading it raises: ConfigError, StorageError, DataError.
    """
    files = find_files(path, root, "csv").paths
    encodings = {detect_encoding(file) for file in files}
    encoding: Encoding = "utf8" if encodings == {"utf8"} else next(iter(encodings - {"utf8"}))
    first = load_text(files[0], encoding)
    dialect = detect_dialect(first)
    plain = _settings(path, encoding, dialect, ("",), ".", ())
    texts = _read_all(first, [load_text(file, encoding) for file in files[1:]], plain)
    decimal = _detect_decimal(texts, dialect.separator)
    found = find_missing(texts, (TextForm(decimal), *_likely_dates(texts)))
    missing = ("", *found)
    settings = _settings(path, encoding, dialect, missing, decimal, ())
    held = {name for columns in found.values() for name in columns}
    texts = [clean_text(text, settings) if text.name in held else text for text in texts]
    kinds: dict[str, Kind] = {}
    formats: list[tuple[str, str]] = []
    notes = list(_describe(encoding, dialect, decimal, found, texts))
    for text in texts:
        kind, form = _settle(text, decimal)
        kinds[text.name] = kind
        if form is not None:
            formats.append((text.name, form))
        notes.extend(_remarks(text, kind, form))
    settings = _settings(path, encoding, dialect, missing, decimal, tuple(formats))
    rows = sum(batch.height for batch in CsvSource(settings, root, kinds).batches())
    return Sniff(
        separator=dialect.separator,
        encoding=encoding,
        quote=dialect.quote,
        header=dialect.header,
        missing=missing,
        decimal=decimal,
        formats=tuple(formats),
        columns=TableSchema.of(kinds),
        rows=rows,
        notes=tuple(notes),
    )


def _settings(
    path: str,
    encoding: Encoding,
    form: Dialect | Sniff,
    missing: tuple[str, ...],
    decimal: str,
    formats: tuple[tuple[str, str], ...],
) -> SourceSettings:
    return SourceSettings.model_validate(
        {
            "type": "csv",
            "path": path,
            "separator": form.separator,
            "encoding": encoding,
            "quote": form.quote,
            "header": form.header,
            "missing": missing,
            "decimal": decimal,
            "formats": dict(formats),
        }
    )


def _read_all(first: RawText, rest: list[RawText], settings: SourceSettings) -> list[pl.Series]:
    """Every column as stripped text, over all files."""
    frame, layout = read_texts(first, settings)
    frames = [frame]
    for raw in rest:
        more, other = read_texts(raw, settings)
        if set(other.names) != set(layout.names):
            odd = sorted(set(other.names) ^ set(layout.names))
            raise DataError(
                f"{raw.name} has other columns than {first.name}: {', '.join(odd[:5])}",
                fix="Files of one source need one header; move the odd file away",
                where=raw.name,
                code="files_differ",
            )
        frames.append(more.select(layout.names))
    texts = pl.concat(frames) if len(frames) > 1 else frame
    columns = [clean_text(series, settings) for series in texts.get_columns()]
    return without_blank_rows(pl.DataFrame(columns)).get_columns()


def _detect_decimal(texts: list[pl.Series], separator: str) -> str:
    """A comma when some column holds numbers with one, and none holds numbers with a point."""
    if separator == ",":
        return "."
    commas = False
    for text in texts:
        marks = (*KNOWN, *ONLY_AMONG_NUMBERS)
        values = text.filter(~text.is_in(marks).fill_null(True))
        if not values.head(_PROBE).str.contains(r"^[+-]?\d*[.,]?\d+([eE][+-]?\d+)?$").any():
            continue
        pattern = r"^[+-]?(\d+|\d*{}\d+)([eE][+-]?\d+)?$"
        shares = {mark: values.str.contains(pattern.format(f"[{mark}]")).mean() for mark in ".,"}
        whole = values.str.contains(r"^[+-]?\d+$").mean()
        if _is_most(shares[","], whole):
            commas = True
        elif _is_most(shares["."], whole):
            return "."
    return "," if commas else "."


def _is_most(share: Any, whole: Any) -> bool:
    return isinstance(share, float) and share > 0.9 and share > float(whole or 0.0)


def _likely_dates(texts: list[pl.Series]) -> Iterator[TextForm]:
    """The forms of the first date-like value of each column."""
    seen = set()
    for text in texts:
        head = text.drop_nulls().head(_PROBE)
        first = head.filter(head.str.contains(_DATE_LIKE)).head(1)
        for form in _forms() if first.len() else ():
            if form not in seen and infer_kind(first, TextForm(date=form)) != "string":
                seen.add(form)
                yield TextForm(date=form)


def _forms() -> Iterator[str]:
    yield from _DATES
    for day in _DATES:
        for time in _TIMES:
            yield f"{day} {time}"


def _settle(text: pl.Series, decimal: str) -> tuple[Kind, str | None]:
    kind = infer_kind(text, TextForm(decimal))
    head = text.drop_nulls().head(_PROBE)
    if kind != "string" or not head.len() or not head.str.contains(_DATE_LIKE).all():
        return kind, None
    for form in _forms():
        found = infer_kind(head, TextForm(date=form))
        if found != "string" and infer_kind(text, TextForm(date=form)) == found:
            return found, form
    return kind, None


def _describe(
    encoding: Encoding,
    dialect: Dialect,
    decimal: str,
    found: dict[str, tuple[str, ...]],
    texts: list[pl.Series],
) -> Iterator[str]:
    yield f"Fields are separated by a {_NAMES[dialect.separator]}."
    if encoding != "utf8":
        yield f"The text is encoded as {encoding}: it is not valid UTF-8."
    if dialect.quote != '"':
        mark = "by nothing" if dialect.quote is None else f"by {dialect.quote}"
        yield f"Fields are quoted {mark}."
    if not dialect.header:
        shown = f"column_1 to column_{len(texts)}"
        yield f"The first line looks like data, not like a header: the columns are {shown}."
    if decimal == ",":
        yield "Numbers have a decimal comma."
    for token, columns in found.items():
        more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
        yield f'"{token}" means missing (found in {", ".join(columns[:3])}{more}).'


def _remarks(text: pl.Series, kind: Kind, form: str | None) -> Iterator[str]:
    """What is worth knowing about the kind of one column."""
    name, values = text.name, text.drop_nulls()
    blank = text.len() - values.len()
    if form is not None:
        yield f'"{name}" holds a {kind} written as {form}.' + _twin(values, form)
    elif kind in ("date", "datetime"):
        yield f'"{name}" holds a {kind}.'
    if not values.len():
        yield f'"{name}" is missing in every row: it is kept as text.'
    elif kind in ("integer", "number") and blank:
        yield f'"{name}" is {kind} with {blank} missing.'
    if kind != "string" or not values.len():
        return
    if has_leading_zeros(values) and values.str.contains(r"^[+-]?\d+$").all():
        yield f'"{name}" has numbers with leading zeros: it is kept as text.'
    elif values.str.contains(r"^[+-]?\d+$").all():
        yield f'"{name}" has whole numbers beyond 64 bits: it is kept as text.'
    elif _is_most(values.str.contains(r"^\D?\d{1,3}([,.' ]\d{3})+([.,]\d+)?\D?$").mean(), 0.0):
        yield f'"{name}" seems to have numbers with thousands separators: it is kept as text.'
    else:
        numbers = values.cast(pl.Float64, strict=False)
        odd = values.filter(numbers.is_null())
        if odd.len() and odd.len() < 0.5 * values.len():
            shown = ", ".join(f'"{value}"' for value in odd.unique(maintain_order=True).head(3))
            count = "1 value" if odd.len() == 1 else f"{odd.len()} values"
            yield f'"{name}" is text because of {count} such as {shown}.'


def _twin(values: pl.Series, form: str) -> str:
    """A warning when the day and the month could be the other way round."""
    day, _, time = form.partition(" ") if form.count("%") > 3 else (form, "", "")
    other = _TWINS.get(day)
    if other is None:
        return ""
    other = f"{other} {time}".strip()
    if infer_kind(values, TextForm(date=other)) == "string":
        return ""
    return f" It could also be {other}: correct data.source.formats if so."
