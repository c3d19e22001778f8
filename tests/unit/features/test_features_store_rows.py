"""From tables to stored rows and to training rows: kinds, roles, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ratchet.data.schema import TableSchema
from ratchet.errors import DataError, UsageError
from ratchet.features.settings import FeaturesSettings
from ratchet.features.store.as_of import point_in_time
from ratchet.features.store.materialise import materialise, missing_columns, want
from ratchet.features.store.sqlite import SqliteStore

KINDS: dict[str, Any] = {
    "customer": "integer",
    "seen": "date",
    "tenure": "integer",
    "charges": "number",
    "joined": "date",
    "last": "datetime",
    "plan": "string",
    "active": "boolean",
    "churn": "string",
}
TABLE = TableSchema.of(KINDS)
FRAME = pl.DataFrame(
    {
        "customer": [1, 2, 1],
        "seen": [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 2)],
        "tenure": [1, 2, 3],
        "charges": [1.5, float("inf"), 0.1],
        "joined": [date(2020, 1, 1), None, date(2020, 1, 1)],
        "last": [datetime(2026, 1, 1, 2, 3, 4), None, datetime(2026, 1, 1)],
        "plan": ["a", "b", None],
        "active": [True, None, False],
        "churn": ["yes", "no", "no"],
    },
    schema=TABLE.polars(),
)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = SqliteStore(tmp_path / "features.db", "churn")
    yield store
    store.close()


def test_rows_are_stored_as_requests_would_bring_them(store: SqliteStore) -> None:
    columns = ["tenure", "charges", "joined", "last", "plan", "active"]
    wanted = want(TABLE, columns, by="customer", time="seen")
    told: list[int] = []
    done = materialise(
        [FRAME[:1], FRAME[1:]], wanted, store, progress=lambda p: told.append(p.rows)
    )
    assert (done.rows, done.stored, told) == (3, 3, [1, 3])
    first, second = store.read(["1", "2"], wanted.schema)
    assert first is not None
    assert second is not None
    assert first.values == {
        "tenure": 3,
        "charges": 0.1,
        "joined": "2020-01-01",
        "last": "2026-01-01T00:00:00",
        "plan": None,
        "active": False,
    }
    assert second.values["charges"] is None
    assert first.at == datetime(2026, 3, 2, tzinfo=UTC)
    assert store.current() == wanted.schema


def test_only_what_is_wanted_is_read(store: SqliteStore) -> None:
    wanted = want(TABLE, ["plan", "tenure", "nowhere"], by="customer", time="seen")
    assert wanted.columns == ("customer", "seen", "plan", "tenure")
    assert missing_columns(["plan", "nowhere"], TABLE) == ("nowhere",)
    materialise([FRAME.select(wanted.columns)], wanted, store)
    assert store.read(["1"], wanted.schema)[0] is not None


def test_an_id_can_be_a_feature_too(store: SqliteStore) -> None:
    wanted = want(TABLE, ["customer", "tenure"], by="customer", time=None)
    materialise([FRAME.select(wanted.columns)], wanted, store)
    found = store.read(["2"], wanted.schema)[0]
    assert found is not None
    assert found.values == {"customer": 2, "tenure": 2}


def test_nothing_is_published_where_there_is_nothing(store: SqliteStore) -> None:
    wanted = want(TABLE, ["tenure"], by="customer", time="seen")
    assert materialise([], wanted, store).rows == 0
    assert store.current() is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"by": None, "time": None}, "no_entity_column"),
        ({"by": "client", "time": None}, "column_missing"),
        ({"by": "customer", "time": "when"}, "column_missing"),
        ({"by": "customer", "time": "tenure"}, "time_kind"),
        ({"by": "customer", "time": None, "as_of": datetime(2026, 1, 1)}, "no_time_column"),
    ],
)
def test_what_cannot_be_pushed(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        want(TABLE, ["plan"], **asked)
    assert caught.value.name == code


def test_a_join_keeps_the_rows_own_values_and_order() -> None:
    rows = pl.DataFrame(
        {
            "customer": [2, 1, 3],
            "seen": [datetime(2026, 3, 2, 12), datetime(2026, 3, 1), datetime(2026, 3, 9)],
            "churn": ["x", "y", "z"],
        }
    )
    joined = point_in_time(rows, FRAME, by="customer", time="seen")
    assert joined.left_out == ("churn",)
    assert joined.frame.columns == ["customer", "seen", "churn", *list(KINDS)[2:-1]]
    assert joined.frame["churn"].to_list() == ["x", "y", "z"]
    assert joined.frame["tenure"].to_list() == [2, 1, None]
    assert joined.frame.schema["joined"] == pl.Date
    assert joined.found == 2
    fresh = point_in_time(rows, FRAME, by="customer", time="seen", max_age=timedelta(hours=1))
    assert fresh.frame["tenure"].to_list() == [None, 1, None]


def test_entities_of_other_types_are_the_same() -> None:
    rows = pl.DataFrame({"customer": ["1", "2"], "seen": [date(2026, 4, 1)] * 2})
    joined = point_in_time(rows, FRAME, by="customer", time="seen")
    assert joined.frame["tenure"].to_list() == [3, 2]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (FRAME.drop("customer"), "column_missing"),
        (FRAME.drop("seen"), "column_missing"),
        (FRAME.with_columns(seen=pl.lit("2026-01-01")), "time_kind"),
    ],
)
def test_what_cannot_be_joined(rows: pl.DataFrame, code: str) -> None:
    for frames in ((rows, FRAME), (FRAME, rows)):
        with pytest.raises(DataError) as caught:
            point_in_time(*frames, by="customer", time="seen")
        assert caught.value.name == code


def test_a_time_to_live_is_a_duration() -> None:
    assert FeaturesSettings().store.ttl is None
    assert FeaturesSettings.model_validate({"store": {"ttl": "30d"}}).store.ttl == "30d"
    with pytest.raises(ValueError, match="no duration"):
        FeaturesSettings.model_validate({"store": {"ttl": "soon"}})
