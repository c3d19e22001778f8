from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.data.settings import SourceSettings
from ratchet.data.sources.csv import CsvSource
from ratchet.data.sources.sniff import Sniff, sniff_csv
from ratchet.data.suggest import suggest_roles
from ratchet.errors import DataError


def sniff(folder: Path, data: bytes, name: str = "x.csv") -> Sniff:
    (folder / name).write_bytes(data)
    return sniff_csv(name, folder)


@pytest.mark.parametrize(
    ("data", "found", "kinds"),
    [
        (b"a,b\n1,x\n2,y\n", {}, {"a": "integer", "b": "string"}),
        (b"a;b\n1,5;x\n2;y\n", {"separator": ";", "decimal": ","}, {"a": "number", "b": "string"}),
        (b"a;b\n1,5;1.5\n2,5;2.5\n", {"separator": ";"}, {"a": "string", "b": "number"}),
        (b'a;b\n1;"x, y"\n2;z, w\n', {"separator": ";"}, {"a": "integer", "b": "string"}),
        (b"a\tb\n1\t2\n", {"separator": "\t"}, {"a": "integer", "b": "integer"}),
        (b"a|b\n1|2\n3|4\n", {"separator": "|"}, {"a": "integer", "b": "integer"}),
        (b"a,b\n" + b"'x,y','z'\n" * 30, {"quote": "'"}, {"a": "string", "b": "string"}),
        (b"a,b\n1,x|y\n2,z|w\n", {}, {"a": "integer", "b": "string"}),
        (b"a\n1\n2\n", {}, {"a": "integer"}),
        (b"1,x\n2,y\n", {"header": False}, {"column_1": "integer", "column_2": "string"}),
        (b"r,s\nb,s\nr,m\n", {"header": False}, {"column_1": "string", "column_2": "string"}),
        (b"name,city\nann,rome\nbob,paris\n", {}, {"name": "string", "city": "string"}),
        (b"n\nM\xfcller\nx\n", {"encoding": "latin1"}, {"n": "string"}),
        (b"n\n\x93M\x94\nx\n", {"encoding": "cp1252"}, {"n": "string"}),
        (
            "n,v\nMüller,1\n".encode("utf-16"),
            {"encoding": "utf16"},
            {"n": "string", "v": "integer"},
        ),
        (b"\xef\xbb\xbfn\n1\n", {}, {"n": "integer"}),
        (b",a\n0,x\n1,y\n", {}, {"column_1": "integer", "a": "string"}),
        (b"a,b\ntrue,2024-01-01\nFalse,\n", {}, {"a": "boolean", "b": "date"}),
        (b"t\n2024-01-01T00:00:00Z\n2024-01-01T01:00:00+02:00\n", {}, {"t": "datetime"}),
    ],
)
def test_form_and_kinds(
    tmp_path: Path, data: bytes, found: dict[str, Any], kinds: dict[str, str]
) -> None:
    sniffed = sniff(tmp_path, data)
    source = sniffed.source("x.csv")
    assert source == {"type": "csv", "path": "x.csv", "missing": [""], **found}
    assert sniffed.kinds() == kinds


@pytest.mark.parametrize(
    ("data", "missing", "kinds"),
    [
        (b"a,b\n?,1\n2,NA\nnan,3\n", ("", "?", "NA", "nan"), {"a": "integer", "b": "integer"}),
        (b"a,b\n-,x\n2,y\n", ("", "-"), {"a": "integer", "b": "string"}),
        (b"a,b\n-,x\ny,z\n", ("",), {"a": "string", "b": "string"}),
        (b"a,b\nnone,1\n0.5,2\n", ("", "none"), {"a": "number", "b": "integer"}),
        (b"a,b\nnone,1\nsome,2\n", ("",), {"a": "string", "b": "integer"}),
        (b"a;b\n01.02.2024;1\n-;2\n", ("", "-"), {"a": "date", "b": "integer"}),
        (b"a, b\n1 ,\n ,2\n", ("",), {"a": "integer", "b": "integer"}),
    ],
)
def test_missing_texts(
    tmp_path: Path, data: bytes, missing: tuple[str, ...], kinds: dict[str, str]
) -> None:
    sniffed = sniff(tmp_path, data)
    assert sniffed.missing == missing
    assert sniffed.kinds() == kinds
    for token in missing[1:]:
        assert any(f'"{token}" means missing' in note for note in sniffed.notes)


@pytest.mark.parametrize(
    ("dates", "form", "ambiguous"),
    [
        ("15.02.2024 01.03.2024", "%d.%m.%Y", False),
        ("02/15/2024 03/01/2024", "%m/%d/%Y", False),
        ("15/02/2024 03/01/2024", "%d/%m/%Y", False),
        ("02/05/2024 03/01/2024", "%m/%d/%Y", True),
        ("2/15/24 3/1/24", "%m/%d/%y", False),
        ("15-Jan-2024 03-Feb-2024", "%d-%b-%Y", False),
    ],
)
def test_date_forms(tmp_path: Path, dates: str, form: str, ambiguous: bool) -> None:
    sniffed = sniff(tmp_path, ("d;v\n" + "".join(f"{d};1\n" for d in dates.split())).encode())
    assert sniffed.formats == (("d", form),)
    assert sniffed.columns.kind("d") == "date"
    assert any("It could also be" in note for note in sniffed.notes) is ambiguous


def test_times_of_day_in_date_forms(tmp_path: Path) -> None:
    sniffed = sniff(tmp_path, b"d,v\n2/15/2024 3:04 PM,1\n3/1/2024 11:00 AM,2\n")
    assert sniffed.formats == (("d", "%m/%d/%Y %I:%M %p"),)
    assert sniffed.columns.kind("d") == "datetime"


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"a,b\n01234,1\n99999,2\n", '"a" has numbers with leading zeros: it is kept as text.'),
        (b"a,b\n" + b"9" * 20 + b",1\n", '"a" has whole numbers beyond 64 bits'),
        (b'a,b\n"1,234",1\n"2,345.5",2\n', '"a" seems to have numbers with thousands separators'),
        (b"a,b\n1,1\n2,2\n3,3\nfoo,4\n", '"a" is text because of 1 value such as "foo".'),
        (b"a,b\n1,1\n,2\n\n", '"a" is integer with 1 missing.'),
        (b"a,b\n,1\n,2\n", '"a" is missing in every row: it is kept as text.'),
        (b"1,2\n3,4\n", "looks like data, not like a header"),
        (b"a;b\n1;2\n3;4\n", "Fields are separated by a semicolon."),
    ],
)
def test_every_guess_is_a_sentence(tmp_path: Path, data: bytes, note: str) -> None:
    assert any(note in sentence for sentence in sniff(tmp_path, data).notes)


def test_a_kind_must_hold_on_the_last_row_too(tmp_path: Path) -> None:
    sniffed = sniff(tmp_path, b"a,b\n" + b"1,2\n" * 5000 + b"x,2.5\n")
    assert sniffed.kinds() == {"a": "string", "b": "number"}
    assert sniffed.rows == 5001


def test_a_folder_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "many" / "2.csv").write_text("b,a\n1.5,?\n")
    sniffed = sniff_csv("many", tmp_path)
    assert sniffed.kinds() == {"a": "integer", "b": "number"}
    assert (sniffed.rows, sniffed.missing) == (2, ("", "?"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"a,b\n", "no_rows"),
        (b"a,a\n1,2\n3,4\n", "duplicate_header"),
        (b"a,b\n1,2\n3\n", "ragged_rows"),
        (bytes(range(256)), "no_text"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, data: bytes, code: str) -> None:
    with pytest.raises(DataError) as caught:
        sniff(tmp_path, data)
    assert caught.value.name == code


def test_what_is_written_down_reads_the_file(tmp_path: Path) -> None:
    sniffed = sniff(tmp_path, b"d;x;y\n01.02.2024;1,5;-\n02.02.2024;?;3\n")
    source = SourceSettings.model_validate(sniffed.source("x.csv"))
    frame = pl.concat(list(CsvSource(source, tmp_path, sniffed.kinds()).batches()))
    assert [str(value) for value in frame.row(0)] == ["2024-02-01", "1.5", "None"]
    assert [str(value) for value in frame.row(1)] == ["2024-02-02", "None", "3"]


def table(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"y": ["Yes", "No"] * 15, **columns})


def test_roles_are_guessed() -> None:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 30), eager=True)
    frame = table(
        row=range(100, 130),
        customerID=[f"c{i}" for i in range(30)],
        account_id=range(0, 90, 3),
        born=days,
        BirthDate=days,
        snapshot=days,
        filled=pl.Series([None, *days[1:]]),
        amount=[0.5 * i for i in range(30)],
        group=["a"] * 30,
    )
    guess = suggest_roles(frame, "y")
    assert guess.id == "customerID"
    assert guess.time == "snapshot"
    assert guess.exclude == ("account_id", "row")
    assert guess.positive == "Yes"
    assert guess.task.kind == "binary"
    for name in ("customerID", "snapshot", "account_id", "row", "Yes"):
        assert any(name in note for note in guess.notes)


def test_nothing_is_guessed_from_nothing() -> None:
    frame = table(paid=[1, 1] * 15, code=[f"k{i % 29}" for i in range(30)], a=[None] + [1] * 29)
    guess = suggest_roles(frame, "y")
    assert (guess.id, guess.time, guess.exclude) == (None, None, ())
    with pytest.raises(DataError, match='no column "Y"') as caught:
        suggest_roles(frame, "Y")
    assert caught.value.fix == 'Set data.target to "y"'


def test_other_tasks_are_told() -> None:
    frame = pl.DataFrame({"many": ["a", "b", "c"], "price": [0.5, 1.5, 2.5]})
    assert suggest_roles(frame, "many").task.kind == "multiclass"
    assert suggest_roles(frame, "price").positive is None
