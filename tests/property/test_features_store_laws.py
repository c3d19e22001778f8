"""Laws of the feature store: no future, and one answer however the rows come."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.schema import Column, TableSchema
from ratchet.features.store.as_of import point_in_time
from ratchet.features.store.materialise import (
    Pushed,
    entity_column,
    materialise,
    newest_rows,
    want,
)
from ratchet.features.store.packing import entity_text, pack, stamp_of, stamped, unpacker
from ratchet.features.store.port import FeatureSchema, micros
from ratchet.features.store.sqlite import SqliteStore

START = datetime(2026, 1, 1)
TABLE = TableSchema.of({"id": "string", "at": "datetime", "v": "integer"})
TYPES = {"id": pl.String, "at": pl.Datetime("us"), "v": pl.Int64}

moments = st.one_of(st.none(), st.integers(0, 12).map(lambda hour: START + timedelta(hours=hour)))
entities = st.sampled_from(["a", "b", "c", None])
events = st.lists(st.tuples(entities, moments), max_size=25)
cuts = st.lists(st.integers(0, 25), max_size=4)


def history_of(pairs: list[tuple[str | None, datetime | None]]) -> pl.DataFrame:
    """A history whose every row has a value of its own."""
    rows = [(entity, at, place) for place, (entity, at) in enumerate(pairs)]
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def known(history: pl.DataFrame, entity: str | None, at: datetime | None) -> int | None:
    """What was known of an entity at a time, told as plainly as it can be."""
    best: tuple[datetime, int] | None = None
    for other, when, value in history.iter_rows():
        if None in (entity, at, other, when) or other != entity or when > at:
            continue
        if best is None or (when, value) >= best:
            best = (when, value)
    return None if best is None else best[1]


def pieces(frame: pl.DataFrame, at: list[int]) -> list[pl.DataFrame]:
    """The frame in pieces, some of them empty."""
    ends = [0, *sorted(min(cut, frame.height) for cut in at), frame.height]
    return [frame[start:end] for start, end in pairwise(ends)]


@given(events, events)
def test_a_joined_row_knows_the_newest_before_it_and_no_future(asked: Any, told: Any) -> None:
    rows = history_of(asked).rename({"v": "row"})
    history = history_of(told)
    joined = point_in_time(rows, history, by="id", time="at")
    assert joined.frame.drop("v").equals(rows)
    wanted = [known(history, entity, at) for entity, at, _ in rows.iter_rows()]
    assert joined.frame["v"].to_list() == wanted
    assert joined.found == sum(value is not None for value in wanted)


@given(events, events, st.integers(0, 12))
def test_what_comes_later_changes_no_joined_row(asked: Any, told: Any, hour: int) -> None:
    cut = START + timedelta(hours=hour)
    rows = history_of(asked).filter(pl.col("at") <= cut).rename({"v": "row"})
    history = history_of(told)
    past = history.filter(pl.col("at") <= cut)
    whole = point_in_time(rows, history, by="id", time="at").frame
    assert whole.equals(point_in_time(rows, past, by="id", time="at").frame)


@given(events, events, st.integers(1, 12))
def test_knowledge_that_is_too_old_counts_as_missing(asked: Any, told: Any, hours: int) -> None:
    rows, history = history_of(asked).rename({"v": "row"}), history_of(told)
    age = timedelta(hours=hours)
    found = point_in_time(rows, history, by="id", time="at", max_age=age).frame["v"].to_list()
    whole = point_in_time(rows, history, by="id", time="at").frame["v"].to_list()
    for (_, at, _), limited, value in zip(rows.iter_rows(), found, whole, strict=True):
        fresh = value is not None and at - history["at"][value] <= age
        assert limited == (value if fresh else None)


@settings(max_examples=40, deadline=None)
@given(events, st.integers(0, 12), cuts, st.randoms(use_true_random=False))
def test_the_store_holds_what_a_join_says_was_known(
    told: Any, hour: int, at: list[int], shuffle: Any
) -> None:
    """Pushed as of a time in whatever pieces, the store answers as the join for that time does."""
    history, cut = history_of(told), START + timedelta(hours=hour)
    wanted = want(TABLE, ["v"], by="id", time="at", as_of=cut.replace(tzinfo=UTC))
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "features.db", "laws")
        done = materialise(pieces(history, at), wanted, store)
        found = store.read(["a", "b", "c"], wanted.schema)
        again = materialise(pieces(history, at), wanted, store)
        repeated = store.read(["a", "b", "c"], wanted.schema)
        store.close()
    rows = pl.DataFrame(
        {"id": ["a", "b", "c"], "at": [cut] * 3}, schema_overrides={"at": TYPES["at"]}
    )
    joined = point_in_time(rows, history, by="id", time="at").frame["v"].to_list()
    assert [each and each.values["v"] for each in found] == joined
    assert found == repeated
    later = sum(
        when is not None and when > cut for entity, when, _ in history.iter_rows() if entity
    )
    nameless = history["id"].null_count()
    undated = history.filter(pl.col("id").is_not_null())["at"].null_count()
    counts = (history.height, later, nameless, undated)
    for each in (done, again):
        assert (each.rows, each.later, each.nameless, each.undated) == counts


@settings(max_examples=40, deadline=None)
@given(events, cuts)
def test_without_a_time_the_last_row_stays(told: Any, at: list[int]) -> None:
    history = history_of(told)
    wanted = want(TABLE, ["v"], by="id", time=None)
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "features.db", "laws")
        materialise(pieces(history, at), wanted, store)
        found = store.read(["a", "b", "c"], wanted.schema)
        store.close()
    last = {entity: place for place, (entity, _) in enumerate(told)}
    assert [each and each.values["v"] for each in found] == [last.get(e) for e in "abc"]


@given(events)
def test_a_piece_gives_each_entity_one_row(told: Any) -> None:
    wanted = want(TABLE, ["v"], by="id", time="at")
    newest, found = newest_rows(history_of(told), wanted, START)
    assert newest.to_series(0).is_unique().all()
    assert found == Pushed(
        len(told),
        0,
        0,
        sum(entity is None for entity, _ in told),
        sum(entity is not None and at is None for entity, at in told),
    )


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
)


@given(st.lists(scalars, max_size=8), st.datetimes(timezones=st.just(UTC)))
def test_packed_values_come_back(values: list[Any], at: datetime) -> None:
    schema = FeatureSchema.of([Column(f"c{i}", "string") for i in range(len(values))])
    raw = stamped(micros(at), pack(values))
    row = unpacker(schema)(raw[8:], stamp_of(raw))
    assert [repr(value) for value in row.values.values()] == [repr(value) for value in values]
    assert row.at == at


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_stamped_bytes_sort_as_times_do(a: datetime, b: datetime) -> None:
    left, right = stamped(micros(a), b"")[:8], stamped(micros(b), b"")[:8]
    assert (left < right) == (a < b)
    assert (left == right) == (a == b)


@given(
    st.one_of(
        st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1).map(
            lambda values: pl.Series(values, dtype=pl.Int64)
        ),
        st.lists(st.floats(-1e15, 1e15).map(lambda x: round(x, 3)), min_size=1).map(
            lambda values: pl.Series([*values, float("nan"), float("inf")], dtype=pl.Float64)
        ),
        st.lists(st.one_of(st.none(), st.text()), min_size=1).map(
            lambda values: pl.Series(values, dtype=pl.String)
        ),
        st.lists(st.booleans(), min_size=1).map(pl.Series),
        st.lists(st.dates(date(1900, 1, 1)), min_size=1).map(
            lambda values: pl.Series(values, dtype=pl.Date)
        ),
        st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), min_size=1).map(
            lambda values: pl.Series(values, dtype=pl.Datetime("us"))
        ),
    )
)
def test_a_column_names_entities_as_single_values_do(values: pl.Series) -> None:
    named = values.alias("x").to_frame().select(entity_column("x", values.dtype)).to_series()
    assert named.to_list() == [entity_text(value) for value in values.to_list()]
