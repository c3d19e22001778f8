"""A table and a single row give the same answer about each value."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from ratchet.errors import DataError
from ratchet.features.frame import canonical_series
from ratchet.features.values import canonical_value

EAST = timezone(timedelta(hours=2))

ACCEPTED = [
    ("integer", 3, 3),
    ("integer", 3.0, 3),
    ("integer", -(2**63), -(2**63)),
    ("integer", 2**63 - 1, 2**63 - 1),
    ("integer", np.int32(3), 3),
    ("integer", np.float32(3), 3),
    ("integer", float("inf"), None),
    ("number", 3, 3.0),
    ("number", 2**53 + 1, float(2**53 + 1)),
    ("number", 1e300, 1e300),
    ("number", np.float32(0.1), float(np.float32(0.1))),
    ("boolean", True, True),
    ("boolean", np.bool_(False), False),
    ("string", "x", "x"),
    ("string", "", ""),
    ("string", np.str_("x"), "x"),
    ("date", date(2024, 2, 29), date(2024, 2, 29)),
    ("date", "2024-02-29", date(2024, 2, 29)),
    ("date", datetime(2024, 2, 29, 23, 59), date(2024, 2, 29)),
    ("date", datetime(2024, 3, 1, 1, 0, tzinfo=EAST), date(2024, 2, 29)),
    ("date", np.datetime64("2024-02-29"), date(2024, 2, 29)),
    ("datetime", datetime(2024, 2, 29, 1, 2, 3, 4), datetime(2024, 2, 29, 1, 2, 3, 4)),
    ("datetime", datetime(2024, 2, 29, 1, tzinfo=EAST), datetime(2024, 2, 28, 23)),
    ("datetime", datetime(2024, 2, 29, 1, tzinfo=UTC), datetime(2024, 2, 29, 1)),
    ("datetime", date(2024, 2, 29), datetime(2024, 2, 29)),
    ("datetime", "2024-02-29", datetime(2024, 2, 29)),
    ("datetime", "2024-02-29 01:02", datetime(2024, 2, 29, 1, 2)),
    ("datetime", "2024-02-29T01:02:03.000004Z", datetime(2024, 2, 29, 1, 2, 3, 4)),
    ("datetime", "2024-02-29T01:02:03+02:00", datetime(2024, 2, 28, 23, 2, 3)),
    ("datetime", np.datetime64("2024-02-29T01", "ns"), datetime(2024, 2, 29, 1)),
]

REFUSED = [
    ("integer", 3.5),
    ("integer", "3"),
    ("integer", True),
    ("integer", 2**63),
    ("integer", 9.3e18),
    ("integer", date(2024, 1, 1)),
    ("number", "3.5"),
    ("number", ""),
    ("number", False),
    ("number", Decimal("3.5")),
    ("number", [1.0]),
    ("boolean", 1),
    ("boolean", 0.0),
    ("boolean", "true"),
    ("string", 3),
    ("string", True),
    ("string", b"x"),
    ("date", "29.02.2024"),
    ("date", "2023-02-29"),
    ("date", "20240229"),
    ("date", 20240229),
    ("datetime", "noon"),
    ("datetime", 1709168523),
]


@pytest.mark.parametrize(("kind", "value", "canonical"), ACCEPTED)
def test_a_value_becomes_what_its_column_holds(kind, value, canonical):
    single = canonical_value(value, kind, "x")
    assert single == canonical
    assert type(single) is type(canonical)
    column = np.array([value]) if isinstance(value, np.generic) else [value]
    assert canonical_series(pl.Series("x", column), kind).to_list() == [canonical]


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_a_value_of_another_kind_is_refused_by_name(kind, value):
    with pytest.raises(DataError, match='"x" must hold') as caught:
        canonical_value(value, kind, "x")
    assert caught.value.where == "x"
    assert caught.value.name == "wrong_type"
    with pytest.raises(DataError, match='"x" must hold'):
        canonical_series(pl.Series("x", [value]), kind)


@pytest.mark.parametrize("kind", ["integer", "number", "string", "boolean", "date", "datetime"])
@pytest.mark.parametrize("value", [None, float("nan"), np.float64("nan"), np.datetime64("NaT")])
def test_missing_is_missing_in_every_kind(kind, value):
    assert canonical_value(value, kind, "x") is None
    empty = canonical_series(pl.Series("x", [None, None]), kind)
    assert empty.null_count() == 2


def test_missing_as_pandas_writes_it():
    pandas = pytest.importorskip("pandas")
    assert canonical_value(pandas.NA, "string", "x") is None
    assert canonical_value(pandas.NaT, "datetime", "x") is None
    assert canonical_value(pandas.Timestamp("2024-02-29"), "date", "x") == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("kind", "dtype", "values", "canonical"),
    [
        ("integer", pl.Int8, [1, None], [1, None]),
        ("integer", pl.UInt64, [1, None], [1, None]),
        ("integer", pl.Float32, [1.0, float("nan")], [1, None]),
        ("number", pl.UInt16, [1, None], [1.0, None]),
        ("string", pl.Categorical, ["x", None], ["x", None]),
        ("string", pl.Enum(["x"]), ["x", None], ["x", None]),
        ("datetime", pl.Datetime("ms"), [datetime(2024, 1, 1), None], [datetime(2024, 1, 1), None]),
        ("date", pl.Datetime("ns", "UTC"), [datetime(2024, 1, 1, 5)], [date(2024, 1, 1)]),
    ],
)
def test_a_table_may_hold_narrower_types(kind, dtype, values, canonical):
    assert canonical_series(pl.Series("x", values, dtype=dtype), kind).to_list() == canonical


@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
def test_a_table_with_integers_beyond_64_bits_is_refused(value):
    with pytest.raises(DataError, match="whole number"):
        canonical_series(pl.Series("x", [value], dtype=pl.UInt64), "integer")


def test_an_integer_beyond_every_float_is_held_at_the_limit():
    assert canonical_value(10**400, "number", "x") > 1e307
    assert canonical_value(-(10**400), "number", "x") < -1e307
