"""Text into kinds, and any Polars type into kinds."""

import datetime as dt

import polars as pl
import pytest

from ratchet.data.canonical import canonical, convert, refuse_rows
from ratchet.data.parsing import TextForm, infer_kind, parse
from ratchet.data.schema import Kind
from ratchet.errors import DataError


def text(*values: str | None) -> pl.Series:
    return pl.Series("c", values, dtype=pl.String)


@pytest.mark.parametrize(
    ("kind", "form", "given", "parsed", "misfits"),
    [
        (
            "integer",
            TextForm(),
            ["1", "+2", "-3", "4.0", "1e3", None],
            [1, 2, -3, 4, 1000, None],
            [],
        ),
        ("integer", TextForm(), ["nan", "x", "3.5", "9" * 20], [None] * 4, ["x", "3.5", "9" * 20]),
        (
            "number",
            TextForm(),
            ["1", "2.5", "NaN", ".5", "1_0"],
            [1.0, 2.5, None, 0.5, None],
            ["1_0"],
        ),
        ("number", TextForm(), ["inf", "-Infinity"], [float("inf"), float("-inf")], []),
        ("number", TextForm(","), ["1,5", "2", "1.5"], [1.5, 2.0, None], ["1.5"]),
        (
            "boolean",
            TextForm(),
            ["true", "FALSE", "Yes", "0", "2"],
            [True, False, True, False, None],
            ["2"],
        ),
        (
            "date",
            TextForm(),
            ["2024-02-01", "2024-13-01"],
            [dt.date(2024, 2, 1), None],
            ["2024-13-01"],
        ),
        (
            "date",
            TextForm(date="%d.%m.%Y"),
            ["1.2.2024", "1.2.24"],
            [dt.date(2024, 2, 1), None],
            ["1.2.24"],
        ),
        ("string", TextForm(), ["1", None], ["1", None], []),
    ],
)
def test_parse(
    kind: Kind, form: TextForm, given: list[str | None], parsed: list[object], misfits: list[str]
) -> None:
    series, misfit = parse(text(*given), kind, form)
    assert series.to_list() == parsed
    assert list(misfit.values if misfit else ()) == misfits
    if misfit:
        assert misfit.count == len(misfits)
        assert [given[row] for row in misfit.rows] == misfits


def test_datetimes_of_many_forms_become_utc() -> None:
    series, misfit = parse(
        text(
            "2024-01-02",
            "2024-01-02 03:04",
            "2024-01-02T03:04:05.25",
            "2024-01-02T03:04:05Z",
            "2024-01-02 03:04:05+02:00",
        ),
        "datetime",
    )
    assert misfit is None
    assert series.dtype == pl.Datetime("us")
    assert series.to_list() == [
        dt.datetime(2024, 1, 2),
        dt.datetime(2024, 1, 2, 3, 4),
        dt.datetime(2024, 1, 2, 3, 4, 5, 250_000),
        dt.datetime(2024, 1, 2, 3, 4, 5),
        dt.datetime(2024, 1, 2, 1, 4, 5),
    ]


def test_at_most_five_misfits_are_shown_and_long_ones_shortened() -> None:
    _, misfit = parse(text(*["x" * 100] * 9), "integer")
    assert misfit is not None
    assert misfit.count == 9
    assert misfit.rows == (0, 1, 2, 3, 4)
    assert all(len(value) == 40 for value in misfit.values)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (["1", "-2", None], "integer"),
        (["1", "2.5"], "number"),
        (["1.0", "2"], "number"),
        (["01", "2"], "string"),
        (["007", "2.5"], "string"),
        (["0", "10"], "integer"),
        (["9" * 19, "1"], "string"),
        (["true", "False"], "boolean"),
        (["yes", "no"], "string"),
        (["2024-01-01"], "date"),
        (["2024-01-01", "2024-01-01 10:00"], "datetime"),
        (["01.02.2024"], "string"),
        (["nan", "1"], "number"),
        (["nan"], "string"),
        ([None], "string"),
        (["1"] * 2000 + ["x"], "string"),
    ],
)
def test_infer_the_narrowest_kind(given: list[str | None], kind: Kind) -> None:
    assert infer_kind(text(*given)) == kind


def test_infer_with_a_form() -> None:
    assert infer_kind(text("01.02.2024"), TextForm(date="%d.%m.%Y")) == "date"
    assert infer_kind(text("01.02.2024 10:00"), TextForm(date="%d.%m.%Y %H:%M")) == "datetime"
    assert infer_kind(text("1,5", "2"), TextForm(",")) == "number"


def test_every_polars_type_has_a_kind() -> None:
    moment = dt.datetime(2024, 7, 1, 12)
    frame = pl.DataFrame(
        {
            "i8": pl.Series([1, None], dtype=pl.Int8),
            "f32": pl.Series([float("nan"), 0.5], dtype=pl.Float32),
            "decimal": pl.Series(["1.25", None]).cast(pl.Decimal(10, 2)),
            "category": pl.Series(["a", None], dtype=pl.Categorical),
            "zoned": pl.Series([moment, None]).dt.replace_time_zone("Europe/Berlin"),
            "ns": pl.Series([moment, None]).cast(pl.Datetime("ns")),
            "time": [dt.time(1, 2, 3), None],
            "bytes": [b"\x01\xff", None],
            "list": [[1, 2], None],
            "struct": [{"a": 'say "hi"'}, None],
            "span": [dt.timedelta(seconds=90), None],
            "nothing": [None, None],
        }
    )
    made, misfits = canonical(frame)
    assert misfits == []
    assert made.row(0) == (
        1,
        None,
        1.25,
        "a",
        dt.datetime(2024, 7, 1, 10),
        moment,
        "01:02:03",
        "01ff",
        "[1,2]",
        '{"a":"say \\"hi\\""}',
        90.0,
        None,
    )
    assert made.row(1) == (None, 0.5, *[None] * 10)
    assert set(map(str, made.dtypes)) <= {
        "Int64", "Float64", "String", "Datetime(time_unit='us', time_zone=None)",
    }  # fmt: skip


def test_integers_beyond_64_bits_are_no_silent_nulls() -> None:
    frame = pl.DataFrame({"big": pl.Series([2**63], dtype=pl.UInt64)})
    _, misfits = canonical(frame)
    assert misfits[0].values == (str(2**63),)
    made, misfits = canonical(frame, {"big": "string"})
    assert misfits == []
    assert made.item() == str(2**63)
    assert canonical(frame, {"big": "number"})[0].item() == 2.0**63


@pytest.mark.parametrize(
    ("given", "kind", "made", "misfits"),
    [
        ([1, None], "number", [1.0, None], 0),
        ([1.0, 2.5, float("inf")], "integer", [1, None, None], 2),
        ([0, 1, 2], "boolean", [False, True, None], 1),
        ([0.0, 1.0], "boolean", [False, True], 0),
        ([True, None], "integer", [1, None], 0),
        ([" 5 ", "", "x"], "integer", [5, None, None], 1),
        ([dt.date(2024, 1, 1)], "datetime", [dt.datetime(2024, 1, 1)], 0),
        (
            [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 1)],
            "date",
            [dt.date(2024, 1, 1), None],
            1,
        ),
        ([1, 2], "date", [None, None], 2),
        ([True, None], "string", ["true", None], 0),
    ],
)
def test_convert_loses_nothing_unseen(
    given: list[object], kind: Kind, made: list[object], misfits: int
) -> None:
    series, misfit = convert(pl.Series("c", given), kind)
    assert series.to_list() == made
    assert (misfit.count if misfit else 0) == misfits


def test_misfits_of_a_batch_name_the_row_of_the_source() -> None:
    _, misfits = canonical(pl.DataFrame({"a": ["1", "x"]}), {"a": "integer"})
    with pytest.raises(
        DataError, match=r'Column "a": 1 value does not fit .* "x" \(row 102\)'
    ) as c:
        refuse_rows(misfits, 100, "file")
    assert c.value.name == "type_mismatch"
    assert "data.columns.a" in c.value.fix
