"""CSV as people have it: every file either gives the right rows or says what is wrong."""

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.data.settings import SourceSettings
from ratchet.data.sources.csv import CsvSource
from ratchet.errors import ConfigError, ConflictError, DataError, RatchetError, StorageError

Read = Callable[..., pl.DataFrame]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(data: bytes, kinds: Any = None, name: str = "x.csv", **form: Any) -> pl.DataFrame:
        (tmp_path / name).write_bytes(data)
        settings = SourceSettings.model_validate({"type": "csv", "path": name, **form})
        return pl.concat(list(CsvSource(settings, tmp_path, kinds).batches()))

    return read


@pytest.mark.parametrize(
    ("data", "form", "rows"),
    [
        (b"a,b\n1,x\n2,y\n", {}, [(1, "x"), (2, "y")]),
        (b"a,b\r\n1,x\r\n\r\n2,y\r\n", {}, [(1, "x"), (2, "y")]),
        (b"a,b\r1,x\r2,y\r", {}, [(1, "x"), (2, "y")]),
        (b"\xef\xbb\xbfa,b\n1,x\n", {}, [(1, "x")]),
        (b"a,b\n1,x", {}, [(1, "x")]),
        (b"\n\na,b\n\n1,x\n\n\n", {}, [(1, "x")]),
        (b"a, b\n 1 , x\n?, ?\n3,  \n", {}, [(1, "x"), (3, None)]),
        (b'a,b\n1,"x, ""y""\nz"\n', {}, [(1, 'x, "y"\nz')]),
        (b'a,b\n1,""\n"",y\n', {}, [(1, None), (None, "y")]),
        (b'a,b\n1,5" pipe\n2,x"y"\n', {}, [(1, '5" pipe'), (2, 'x"y"')]),
        (b'a,b\n1,x\n2,"', {}, [(1, "x"), (2, None)]),
        (b'a,b\n1,""\n2,"z,"', {}, [(1, None), (2, "z,")]),
        (b"a\tb\n1\tx\n", {"separator": "\t"}, [(1, "x")]),
        (b"a;b\n1,5;x\n2;y\n", {"separator": ";", "decimal": ","}, [(1.5, "x"), (2.0, "y")]),
        (b"a,b\n1,'x,y'\n", {"quote": "'"}, [(1, "x,y")]),
        (b'a,b\n1,"x\n', {"quote": None}, [(1, '"x')]),
        (b"1,x\n2,y\n", {"header": False}, [(1, "x"), (2, "y")]),
        (b"\n1,x\n", {"header": False}, [(1, "x")]),
        (b"a,b\n1,caf\xe9\n", {"encoding": "latin1"}, [(1, "café")]),
        (b"a,b\n1,\x93x\x94\n", {"encoding": "cp1252"}, [(1, "“x”")]),
        ("a,b\n1,é\n".encode("utf-16"), {"encoding": "utf16"}, [(1, "é")]),
        (gzip.compress(b"a,b\n1,x\n", mtime=0), {}, [(1, "x")]),
        (b"a,b\n1,NA\n2,-\n", {"missing": ["-"]}, [(1, "NA"), (2, None)]),
        (b"a,b\nNaN,1\ninf,2\n", {}, [(None, 1), (float("inf"), 2)]),
        (b"a,b,c\n1,x,\n2,y,\n", {}, [(1, "x", None), (2, "y", None)]),
        (b'a,b,c\n1,"x,y",\n\n2,y,\n', {}, [(1, "x,y", None), (2, "y", None)]),
        (b"a,b\n,\n1,x\n ,?\n", {}, [(1, "x")]),
        (b"a\n1\n\n2\n", {}, [(1,), (None,), (2,)]),
        (b"a\n1\n\n\n", {}, [(1,), (None,), (None,)]),
        (b'a\n1\n""\n?\n2', {}, [(1,), (None,), (None,), (2,)]),
        (b"\n\na\n\nx\n", {}, [(None,), ("x",)]),
        (b'a\nx"y\n\n"z"\n', {}, [('x"y',), (None,), ("z",)]),
        (b"1\n\n2\n", {"header": False}, [(1,), (None,), (2,)]),
    ],
)
def test_rows(read: Read, data: bytes, form: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    assert read(data, **form).rows() == rows


@pytest.mark.parametrize(
    ("data", "form", "code", "says"),
    [
        (b"", {}, "empty_file", "is empty"),
        (b" \n\n", {}, "empty_file", "is empty"),
        (gzip.compress(b"", mtime=0), {}, "empty_file", "is empty"),
        (b"a,b\n", {}, "no_rows", "holds no rows"),
        (b"a,b", {}, "no_rows", "holds no rows"),
        (b"a,b\n\n,\n", {}, "no_rows", "holds no rows"),
        (b"a, a ,b\n1,2,3\n", {}, "duplicate_header", 'names "a" more than once'),
        (
            b"a,b,c\n1,2,3\n4,5\n",
            {},
            "ragged_rows",
            "Line 3 of x.csv has 2 fields, but the header has 3",
        ),
        (b'a,b,c\n1,"x,y",3\n\n4,"5"\n', {}, "ragged_rows", "Line 4 of x.csv has 2 fields"),
        (b"a,b\n1,2\n1,2,3\n", {}, "ragged_rows", "Line 3 of x.csv has 3 fields"),
        (b"1,2\n1\n", {"header": False}, "ragged_rows", "but the first line has 2"),
        (b'a,b\n1,"x\n2,y\n3,z\n', {}, "csv_malformed", "opens in line 2 of x.csv is never closed"),
        (b"a,b\n1,\x002\n", {}, "no_text", "Line 2 holds a NUL byte"),
        (b"PK\x03\x04....", {}, "no_text", "Excel"),
        (b"PAR1....", {}, "no_text", "a Parquet file"),
        ("a,b\n1,é\n".encode("utf-16"), {}, "no_text", "utf16"),
        (bytes(range(1, 32)) * 9, {}, "no_text", "control characters"),
        (b"a,b\n1,x\n2,caf\xe9\n", {}, "encoding", "Line 3 of x.csv is not utf8"),
        (b"a,b\n1,\x81\n", {"encoding": "cp1252"}, "encoding", "Line 2 of x.csv is not cp1252"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-6], {}, "gzip_damaged", "damaged gzip"),
    ],
)
def test_what_is_wrong_is_said(
    read: Read, data: bytes, form: dict[str, Any], code: str, says: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(data, **form)
    assert caught.value.name == code
    assert says in str(caught.value)
    assert caught.value.fix
    assert caught.value.where


def test_names_are_cleaned_and_blank_ones_numbered(read: Read) -> None:
    assert read(b", a ,,b\xc3\xa9 (%)\n1,2,3,4\n").columns == [
        "column_1",
        "a",
        "column_3",
        "bé (%)",
    ]
    assert read(b"1,2\n", header=False).columns == ["column_1", "column_2"]
    assert read(b'"a\nb",c\n1,2\n').columns == ["a\nb", "c"]


@pytest.mark.parametrize(
    ("data", "kinds", "says"),
    [
        (
            b"a,b\n1,1\n2,oops\n3,3\n",
            {"a": "integer", "b": "integer"},
            'Column "b": 1 value does not fit the kind integer: "oops" (line 3)',
        ),
        (
            b'a,b\n"x\ny",1\n\nz,q\n',
            {"a": "string", "b": "integer"},
            '"q" (line 5)',
        ),
        (
            b"a\n" + b"x\n" * 9,
            {"a": "number"},
            '9 values do not fit the kind number: "x" (line 2), "x" (line 3), "x" (line 4), "x"',
        ),
        (b"a,b\n01.02.2024,1\n", {"a": "date", "b": "integer"}, "does not fit the kind date"),
        (b"a\n" + b"x" * 10_000_000 + b"\n", {"a": "integer"}, '"' + "x" * 37 + '..."'),
    ],
)
def test_a_value_that_does_not_fit_is_never_nulled(
    read: Read, data: bytes, kinds: dict[str, str], says: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(data, kinds)
    assert caught.value.name == "type_mismatch"
    assert says in caught.value.what
    assert "data.source.missing" in caught.value.fix
    assert "data.columns." in caught.value.fix


def test_pinned_and_inferred_kinds_give_the_same_rows(read: Read) -> None:
    data = b"i,n,s,b,d,t\n1,1.5, x ,true,2024-01-01,2024-01-01 10:00\n,?,y,False,,\n"
    kinds = {
        "i": "integer",
        "n": "number",
        "s": "string",
        "b": "boolean",
        "d": "date",
        "t": "datetime",
    }
    assert read(data).equals(read(data, kinds))
    padded = data.replace(b",", b" , ")
    assert read(padded).equals(read(data, kinds))
    assert read(padded, kinds).equals(read(data, kinds))


def test_pinned_kinds_may_be_wider_or_fewer_than_the_file(read: Read) -> None:
    frame = read(b"a,b\n1,2\n3,4.0\n", {"a": "string", "b": "integer", "gone": "date"})
    assert frame.rows() == [("1", 2), ("3", 4)]
    assert read(b"a,new\n1,2\n", {"a": "number"}).rows() == [(1.0, 2)]


def test_a_huge_cell_is_read(read: Read) -> None:
    frame = read(b"a,b\n1," + b"x" * 10_000_000 + b"\n2,y\n")
    assert frame["b"].str.len_bytes().to_list() == [10_000_000, 1]
    assert read(b"a,b\n1," + b"x" * 10_000_000 + b'"\n2,y\n')["b"].str.len_bytes()[0] == 10_000_001


def test_date_forms_come_from_the_settings(read: Read) -> None:
    frame = read(b"d\n01.02.2024\n", formats={"d": "%d.%m.%Y"})
    assert str(frame.item()) == "2024-02-01"
    assert read(b"d\n01.02.2024\n").item() == "01.02.2024"


def test_no_library_error_escapes_whatever_the_bytes(read: Read) -> None:
    rng = random.Random(20261121)
    refused = 0
    for _ in range(400):
        data = bytes(rng.choices(b'ab1.-,,\n\n" \r\x00\xff;', k=rng.randrange(60)))
        kinds = rng.choice([None, {"a": "integer", "b": "string", "column_1": "number"}])
        try:
            read(data, kinds, header=rng.random() < 0.5)
        except RatchetError:
            refused += 1
    assert 100 < refused < 400


def test_files_with_one_header_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "a.csv").write_text("x,y,z\n1,,\n2,,7\n")
    (folder / "b.csv").write_text("y,x,z\n2.5,3.5,8\n")
    (folder / "_hidden.csv").write_text("other\n1\n")
    (folder / "note.md").write_text("not data")
    for path in ("many", "many/[ab].csv"):
        source = CsvSource(SourceSettings(type="csv", path=path), tmp_path, None)
        assert source.schema().to_json() == [["x", "number"], ["y", "number"], ["z", "integer"]]
        rows = pl.concat(list(source.batches())).rows()
        assert rows == [(1.0, None, None), (2.0, None, 7), (3.5, 2.5, 8)]
        assert "2 files" in source.describe()
    (folder / "c.csv").write_text("x,w\n1,2\n")
    with pytest.raises(DataError, match=r'c.csv has other columns.*lacks "y"'):
        list(CsvSource(SourceSettings(type="csv", path="many"), tmp_path, None).batches())


def test_columns_and_batches(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(600_000), "b": "x"}).write_csv(tmp_path / "x.csv")
    source = CsvSource(SourceSettings(type="csv", path="x.csv"), tmp_path, None)
    batches = list(source.batches(["b"]))
    assert [batch.height for batch in batches] == [262_144, 262_144, 75_712]
    assert batches[0].columns == ["b"]
    assert pl.concat(list(source.batches()))["a"].equals(pl.Series("a", range(600_000)))


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("nope.csv", "source_missing", "nope.csv does not exist"),
        ("no/such.csv", "source_missing", "does not exist either"),
        ("*.tsv", "source_missing", "no csv file in"),
        ("empty", "source_missing", "no csv file in"),
        ("x.json", "format_unknown", ".csv .tsv .txt"),
        ("*.json", "format_unknown", "is no csv file"),
        ("x.parquet", "format_unknown", "Set data.source.type to parquet"),
    ],
)
def test_paths_that_lead_nowhere(tmp_path: Path, path: str, code: str, says: str) -> None:
    (tmp_path / "x.json").write_text("{}")
    (tmp_path / "x.parquet").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as caught:
        CsvSource(SourceSettings(type="csv", path=path), tmp_path, None)
    assert caught.value.name == code
    assert says in str(caught.value)
    assert caught.value.where == "data.source.path"


def test_absolute_and_home_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (str(tmp_path / "x.csv"), "~/x.csv"):
        source = CsvSource(SourceSettings(type="csv", path=path), Path("/nowhere"), None)
        assert next(source.batches()).item() == 1


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    source = CsvSource(SourceSettings(type="csv", path="x.csv"), tmp_path, None)
    file.chmod(0)
    if os.access(file, os.R_OK):  # root may read everything

        def refuse(self: Path, *_: object) -> None:
            raise PermissionError(13, "Permission denied", str(self))

        monkeypatch.setattr(Path, "open", refuse)
        monkeypatch.setattr(Path, "read_bytes", refuse)
    for act in (source.fingerprint, lambda: list(source.batches())):
        with pytest.raises(StorageError, match="Permission denied"):
            act()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    source = CsvSource(SourceSettings(type="csv", path="x.csv"), tmp_path, None)
    source.fingerprint()
    file.write_text("a\n1\n2\n")
    with pytest.raises(ConflictError, match="changed while it was read"):
        list(source.batches())


def test_the_fingerprint_covers_bytes_and_reading(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")

    def fingerprint(kinds: Any = None, **form: Any) -> str:
        settings = SourceSettings.model_validate({"type": "csv", "path": "x.csv", **form})
        return CsvSource(settings, tmp_path, kinds).fingerprint()

    first = fingerprint()
    os.utime(file, (1, 1))
    assert fingerprint() == first
    assert fingerprint({"a": "number"}) != first
    assert fingerprint(missing=["1"]) != first
    file.write_text("a\n2\n")
    assert fingerprint() != first
    source = CsvSource(SourceSettings(type="csv", path="x.csv"), tmp_path, None)
    assert source.modified().timestamp() == pytest.approx(file.stat().st_mtime)
