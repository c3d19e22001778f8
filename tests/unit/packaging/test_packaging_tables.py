"""Data in whatever form a caller has it."""

from datetime import date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ratchet.data.schema import Column
from ratchet.errors import DataError
from ratchet.packaging.tables import from_records, read_table


def series(values, **given):
    return read_table(pd.DataFrame({"c": pd.Series(values, **given)}), ["c"])["c"]


@pytest.mark.parametrize(
    ("values", "given", "expected"),
    [
        ([1, 2], {}, [1, 2]),
        ([1.5, np.nan], {}, [1.5, None]),
        ([1, None], {"dtype": "Int64"}, [1, None]),
        ([True, False], {}, [True, False]),
        ([True, None], {"dtype": "boolean"}, [True, None]),
        (["a", None], {}, ["a", None]),
        (["a", np.nan], {"dtype": object}, ["a", None]),
        (["a", None], {"dtype": "category"}, ["a", None]),
        ([True, None], {"dtype": object}, [True, None]),
        ([None, None], {"dtype": object}, [None, None]),
        (
            [datetime(2026, 1, 1, 5), None],
            {"dtype": "datetime64[ns]"},
            [datetime(2026, 1, 1, 5), None],
        ),
        ([date(2026, 1, 1), None], {"dtype": object}, [date(2026, 1, 1), None]),
    ],
)
def test_pandas_columns(values, given, expected):
    got = series(values, **given)
    if got.dtype.is_float():
        got = got.fill_nan(None)
    assert got.to_list() == expected


def test_pandas_times_with_a_zone_become_utc():
    got = series(pd.to_datetime(["2026-01-01T05:00+02:00"]))
    assert got.to_list() == [datetime(2026, 1, 1, 3)]


def test_pandas_columns_of_several_types_are_refused():
    with pytest.raises(DataError) as caught:
        series([1, "a"], dtype=object)
    assert caught.value.where == "c"


def test_columns_twice_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["c", "c"])
    with pytest.raises(DataError, match="several columns"):
        read_table(frame, ["c"])


def test_only_columns_that_are_there_and_asked_for_are_taken():
    data = {"a": [1, 2], "b": [3, 4], "z": [5, 6]}
    for frame in (pl.DataFrame(data), pl.DataFrame(data).lazy(), pd.DataFrame(data)):
        got = read_table(frame, ["z", "a", "missing"])
        assert got.to_dict(as_series=False) == {"z": [5, 6], "a": [1, 2]}


def test_anything_that_streams_arrow():
    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return pl.DataFrame({"a": [1, 2]}).__arrow_c_stream__(requested_schema)

    assert read_table(Stream(), ["a"])["a"].to_list() == [1, 2]


@pytest.mark.parametrize("data", [None, 3, "text", {"a"}, pl.Series([1])])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(DataError) as caught:
        read_table(data, ["a"])
    assert caught.value.name == "not_a_table"


def test_records_become_columns_of_their_kinds():
    inputs = [Column("n", "integer"), Column("s", "string"), Column("d", "date")]
    got = from_records([{"n": 3.0, "s": "a", "d": "2026-01-02"}, {"s": None}], inputs)
    assert got.schema == {"n": pl.Int64, "s": pl.String, "d": pl.Date}
    assert got.rows() == [(3, "a", date(2026, 1, 2)), (None, None, None)]
    with pytest.raises(DataError):
        from_records([{"n": "three"}], inputs)
