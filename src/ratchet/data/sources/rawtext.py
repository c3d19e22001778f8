"""The bytes of a CSV file as UTF-8 text, guarded against what is no text at all."""

from __future__ import annotations

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ratchet.data.settings import Encoding
from ratchet.data.sources.files import unreadable
from ratchet.errors import DataError

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 16
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f"))
_CODECS: dict[Encoding, str] = {"latin1": "latin-1", "cp1252": "cp1252", "utf16": "utf-16"}
_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
}


@dataclass(frozen=True, slots=True)
class RawText:
    """A file's text in UTF-8, in memory: a mapped file that shrinks would kill the process."""

    name: str
    data: bytes

    def sample(self, size: int) -> bytes:
        """The first ``size`` bytes, without a byte order mark."""
        return self.data[:size].removeprefix(_BOM)

    def line_of(self, offset: int) -> int:
        """The 1-based line of a byte."""
        return self.data.count(b"\n", 0, offset) + 1

    def lines(self) -> Iterator[str]:
        """The lines with their line ends. Raises DataError ``encoding``."""
        start, size = 0, len(self.data)
        while start < size:
            end = self.data.find(b"\n", start) + 1 or size
            line = self.data[start:end]
            try:
                yield line.removeprefix(_BOM if start == 0 else b"").decode()
            except UnicodeDecodeError:
                raise wrong_encoding(self.name, self.line_of(start), "utf8") from None
            start = end

    def records(self, separator: str, quote: str | None) -> Iterator[tuple[int, list[str]]]:
        """Each record and the number of its last line, read leniently and slowly."""
        limit = csv.field_size_limit(sys.maxsize)
        try:
            reader = csv.reader(
                self.lines(),
                delimiter=separator,
                quotechar=quote,
                quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
            )
            for record in reader:
                yield reader.line_num, record
        except csv.Error as error:
            raise DataError(
                f"{self.name} is no well-formed CSV",
                why=str(error),
                fix="Save the file anew as CSV",
                where=self.name,
                code="csv_malformed",
            ) from None
        finally:
            csv.field_size_limit(limit)


def load_text(path: Path, encoding: Encoding) -> RawText:
    """The text of a file, plain or gzipped, whatever its ending says.

    Raises DataError: ``empty_file``, ``no_text`` (binary content, NUL bytes), ``encoding``
    or ``gzip_damaged``; StorageError when the file cannot be read.
    """
    name = path.name
    data = load_bytes(path)
    if encoding != "utf8":
        data = _transcode(data, encoding, name)
    _guard(name, data)
    if b"\n" not in data and b"\r" in data:
        data = data.replace(b"\r", b"\n")
    return RawText(name, data)


def load_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked when they are gzip, whatever the file's ending says."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(str(path), error) from None
    return _unzip(data, path.name) if data.startswith(b"\x1f\x8b") else data


def wrong_encoding(name: str, line: int, encoding: Encoding) -> DataError:
    """The DataError for bytes that are not text in ``encoding``."""
    other = "utf8" if encoding == "utf16" else "latin1"
    return DataError(
        f"Line {line} of {name} is not {encoding} text",
        fix=f"Set data.source.encoding: {other}, or save the file as UTF-8",
        where=f"{name}:{line}",
        code="encoding",
    )


def _unzip(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{name} is a damaged gzip file",
            why=str(error),
            fix="Copy or download the file again",
            where=name,
            code="gzip_damaged",
        ) from None


def _transcode(data: bytes, encoding: Encoding, name: str) -> bytes:
    try:
        return data.decode(_CODECS[encoding]).encode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise wrong_encoding(name, line, encoding) from None


def _guard(name: str, data: bytes) -> None:
    kind = next((what for magic, what in _MAGIC.items() if data.startswith(magic)), None)
    nul = data.find(b"\0")
    head = data[:_CHUNK]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        why, fix = "It is UTF-16 text", "Set data.source.encoding: utf16, or save it as UTF-8"
    elif kind is not None or nul >= 0:
        line = data.count(b"\n", 0, max(nul, 0)) + 1
        why = f"It is {kind}" if kind else f"Line {line} holds a NUL byte, which no text has"
        fix = "Save the table as CSV (UTF-8) or Parquet, and name that file"
    elif len(head.translate(None, _CONTROL)) < 0.98 * len(head):
        why = "It is full of control characters"
        fix = "Save the table as CSV (UTF-8) or Parquet, and name that file"
    elif not head.removeprefix(_BOM).strip():
        raise _empty(name)
    else:
        return
    raise DataError(f"{name} is no CSV text", why=why, fix=fix, where=name, code="no_text")


def _empty(name: str) -> DataError:
    return DataError(
        f"{name} is empty",
        fix="Check what writes the file: a header and rows are expected",
        where=name,
        code="empty_file",
    )
