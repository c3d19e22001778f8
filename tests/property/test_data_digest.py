import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.digest import ContentDigest, digest_frame
from ratchet.data.schema import TableSchema

DTYPES = {
    "i": (pl.Int64(), st.integers(-5, 5)),
    "n": (pl.Float64(), st.floats(allow_nan=False)),
    "s": (pl.String(), st.text(alphabet="aé\0", max_size=3)),
    "b": (pl.Boolean(), st.booleans()),
    "d": (pl.Date(), st.dates(dt.date(2024, 1, 1), dt.date(2024, 1, 5))),
    "t": (pl.Datetime("us"), st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 5))),
}
SCHEMA = pl.Schema({name: dtype for name, (dtype, _) in DTYPES.items()})
ROWS = st.tuples(*[st.none() | values for _, values in DTYPES.values()])


def frame_of(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_how_a_table_is_cut_does_not_matter(rows: list[Any], cuts: list[int]) -> None:
    frame = frame_of(rows)
    digest = ContentDigest(TableSchema.from_polars(frame.schema))
    at = 0
    for cut in sorted({min(cut, frame.height) for cut in cuts} | {frame.height}):
        digest.update(frame.slice(at, cut - at))
        at = cut
        assert digest.rows == cut
        assert digest.hexdigest() == digest_frame(frame.head(cut))
    assert digest.hexdigest() == digest_frame(frame)


@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6), st.lists(ROWS, min_size=1, max_size=6))
def test_only_equal_content_has_an_equal_digest(first: list[Any], second: list[Any]) -> None:
    one, two = frame_of(first), frame_of(second)
    bits = [frame.with_columns(pl.col("n").reinterpret(signed=True)).rows() for frame in (one, two)]
    assert (digest_frame(one) == digest_frame(two)) == (bits[0] == bits[1])


@pytest.mark.parametrize(
    "other",
    [
        pl.DataFrame({"a": ["x", "yz"], "b": [1, 2]}),
        pl.DataFrame({"a": ["", "xyz"], "b": [1, 2]}),
        pl.DataFrame({"a": [None, "xyz"], "b": [1, 2]}),
        pl.DataFrame({"a": ["xy", "z"], "b": [1, None]}),
        pl.DataFrame({"a": ["xy", "z"], "b": [1, 0]}),
        pl.DataFrame({"a": ["xy", "z"], "b": [1.0, 2.0]}),
        pl.DataFrame({"b": [1, 2], "a": ["xy", "z"]}),
        pl.DataFrame({"a": ["z", "xy"], "b": [2, 1]}),
        pl.DataFrame({"a": ["xy"], "b": [1]}),
    ],
)
def test_every_kind_of_difference_shows(other: pl.DataFrame) -> None:
    frame = pl.DataFrame({"a": ["xy", "z"], "b": [1, 2]})
    assert digest_frame(other) != digest_frame(frame)


def test_a_frame_of_other_columns_is_refused() -> None:
    digest = ContentDigest(TableSchema.of({"a": "integer"}))
    with pytest.raises(ValueError, match="not those of the digest"):
        digest.update(pl.DataFrame({"a": ["x"]}))


def test_long_texts_are_joined_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"a": ["x" * 50, None, "y" * 70, "", "z" * 30]})
    whole = digest_frame(frame)
    monkeypatch.setattr("ratchet.data.digest._TEXT_AT_ONCE", 60)
    assert digest_frame(frame) == whole


def test_digests_are_the_same_forever() -> None:
    """They name data versions in ledgers and bundles; a changed digest retrains everybody."""
    rows = [(1, 2.5, "é", True, dt.date(2024, 1, 1), dt.datetime(2024, 1, 1, 12)), (None,) * 6]
    assert digest_frame(frame_of(rows)) == PINNED


PINNED = "a909baf40c7c969d9464cb889f2caf962dcc139c52737c8abcd374da7596cdd3"
