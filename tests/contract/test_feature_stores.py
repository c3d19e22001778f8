"""Feature stores keep the same promises in SQLite and in Redis."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ratchet.data.schema import Column
from ratchet.errors import DataError
from ratchet.features.store.open_store import open_store
from ratchet.features.store.port import FeatureRow, FeatureSchema, FeatureStore, micros

START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SCHEMA = FeatureSchema.of([Column("tenure", "integer"), Column("contract", "string")])
OTHER = FeatureSchema.of([Column("tenure", "integer")])
THIRD = FeatureSchema.of([Column("charges", "number")])
_numbers = itertools.count(1)

Open = Callable[..., FeatureStore]


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis_server").url)
    return f"sqlite:///{tmp_path / 'state' / 'features.db'}"


@pytest.fixture
def project() -> str:
    return f"churn-{next(_numbers)}"


@pytest.fixture
def open_it(url: str, project: str) -> Iterator[Open]:
    """Opens stores at one address, by default of one project that no other test uses."""
    opened: list[FeatureStore] = []

    def opener(name: str = project) -> FeatureStore:
        opened.append(open_store(url, name))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@pytest.fixture
def store(open_it: Open) -> FeatureStore:
    return open_it()


def row(entity: str, at: datetime = START, contract: Any = "month", tenure: Any = 3) -> FeatureRow:
    """Values are in the order of SCHEMA's columns, which is that of their names."""
    return FeatureRow(entity, micros(at), (contract, tenure))


def tenure(store: FeatureStore, entity: str) -> Any:
    found = store.read([entity], SCHEMA)[0]
    return None if found is None else found.values["tenure"]


# -- reading and writing


def test_what_was_pushed_is_read(store: FeatureStore) -> None:
    assert store.push([row("a"), row("b", contract=None, tenure=7)], SCHEMA) == 2
    found = store.read(["b", "nobody", "a", "b"], SCHEMA)
    assert [None if each is None else dict(each.values) for each in found] == [
        {"contract": None, "tenure": 7},
        None,
        {"contract": "month", "tenure": 3},
        {"contract": None, "tenure": 7},
    ]
    assert found[0] is not None
    assert found[0].at == START


def test_nobody_asked_for_is_nobody_found(store: FeatureStore) -> None:
    assert store.read([], SCHEMA) == []
    assert store.push([], SCHEMA) == 0


def test_many_entities_are_read_at_once_in_their_order(store: FeatureStore) -> None:
    store.push((row(f"e{i}", tenure=i) for i in range(2_500)), SCHEMA)
    wanted = [f"e{i}" for i in range(2_499, -1, -1)]
    found = store.read([*wanted, "nobody"], SCHEMA)
    assert [each and each.values["tenure"] for each in found] == [*range(2_499, -1, -1), None]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (0.1 + 0.2, 0.1 + 0.2),
        (-0.0, -0.0),
        (1.7e308, 1.7e308),
        (float("nan"), None),
        (float("inf"), None),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (True, True),
        ("", ""),
        ("Zoë 🦊\0\n", "Zoë 🦊\0\n"),
        (date(2026, 11, 21), "2026-11-21"),
        (datetime(2026, 11, 21, 2, 49), "2026-11-21T02:49:00"),
        (datetime(2026, 11, 21, 2, 49, tzinfo=UTC), "2026-11-21T02:49:00"),
    ],
)
def test_values_come_back_as_json_has_them(store: FeatureStore, value: Any, kept: Any) -> None:
    store.push([row("a", contract=value)], SCHEMA)
    found = store.read(["a"], SCHEMA)[0]
    assert found is not None
    assert repr(found.values["contract"]) == repr(kept)


def test_a_value_that_no_column_can_hold_is_refused(store: FeatureStore) -> None:
    with pytest.raises(DataError, match="cannot be stored"):
        store.push([row("a", contract=object())], SCHEMA)


@pytest.mark.parametrize("entity", ["", "a:b", "*", "ü🦊", "a b\n", "x" * 2_000, "'; DROP TABLE"])
def test_any_text_names_an_entity(store: FeatureStore, entity: str) -> None:
    store.push([row(entity, tenure=9), row("other")], SCHEMA)
    assert tenure(store, entity) == 9


# -- the newest wins


def test_an_older_row_never_replaces_a_newer_one(store: FeatureStore) -> None:
    assert store.push([row("a", START, tenure=2)], SCHEMA) == 1
    assert store.push([row("a", START - timedelta(microseconds=1), tenure=1)], SCHEMA) == 0
    assert tenure(store, "a") == 2
    assert store.push([row("a", START + timedelta(microseconds=1), tenure=3)], SCHEMA) == 1
    assert tenure(store, "a") == 3


def test_of_one_moment_the_last_one_pushed_stays(store: FeatureStore) -> None:
    store.push([row("a", tenure=1), row("a", tenure=2)], SCHEMA)
    assert tenure(store, "a") == 2
    assert store.push([row("a", tenure=4)], SCHEMA) == 1
    assert tenure(store, "a") == 4


def test_times_far_away_are_told_apart(store: FeatureStore) -> None:
    old, far = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    assert store.push([row("a", far + timedelta(microseconds=3), tenure=2)], SCHEMA) == 1
    assert store.push([row("a", far + timedelta(microseconds=2), tenure=1)], SCHEMA) == 0
    assert store.push([row("b", old, tenure=1)], SCHEMA) == 1
    assert store.push([row("b", datetime(1969, 12, 31, tzinfo=UTC), tenure=2)], SCHEMA) == 1
    assert store.push([row("b", START, tenure=3)], SCHEMA) == 1
    assert (tenure(store, "a"), tenure(store, "b")) == (2, 3)


def test_writers_at_once_leave_the_newest(open_it: Open) -> None:
    """Threads push the same entities in different orders; the newest row of each stays."""
    writers = 4
    stamps = [START + timedelta(seconds=i) for i in range(60)]

    def write(number: int) -> None:
        mine = open_it()
        for at in stamps[number::writers][:: 1 if number % 2 else -1]:
            seconds = int((at - START).total_seconds())
            mine.push([row(f"e{i}", at, tenure=seconds) for i in range(5)], SCHEMA)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = open_it()
    assert {tenure(store, f"e{i}") for i in range(5)} == {59}


KILLED = """
import sys
from ratchet.features.store.open_store import open_store
from ratchet.features.store.port import FeatureRow, FeatureSchema
schema = FeatureSchema.from_json([["contract", "string"], ["tenure", "integer"]])

def rows():
    for number in range(45_000):
        if number == 42_000:
            print("far enough", flush=True)
            sys.stdin.read()
        yield FeatureRow(f"e{number}", 1, ("x", number))

open_store(*sys.argv[1:]).push(rows(), schema)
"""


def test_a_killed_push_leaves_whole_rows_and_can_be_repeated(
    url: str, project: str, open_it: Open
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, url, project],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"far enough\n"
    child.kill()
    child.communicate()
    store = open_it()
    found = store.read([f"e{i}" for i in range(45_000)], SCHEMA)
    kept = [each.values["tenure"] for each in found if each is not None]
    assert kept == list(range(len(kept)))
    assert 20_000 <= len(kept) <= 42_000
    assert store.current() is None
    assert store.push((FeatureRow(f"e{i}", 1, ("x", i)) for i in range(45_000)), SCHEMA) == 45_000


# -- time to live


def test_a_row_is_gone_when_its_time_is_over(store: FeatureStore) -> None:
    store.push([row("a")], SCHEMA, ttl=timedelta(milliseconds=30))
    store.push([row("b")], SCHEMA, ttl=timedelta(hours=1))
    store.push([row("c")], SCHEMA)
    _until(lambda: store.read(["a"], SCHEMA) == [None])
    assert None not in store.read(["b", "c"], SCHEMA)


def test_a_row_whose_time_is_over_stops_no_older_one(store: FeatureStore) -> None:
    store.push([row("a", START)], SCHEMA, ttl=timedelta(milliseconds=20))
    _until(lambda: store.read(["a"], SCHEMA) == [None])
    assert store.push([row("a", START - timedelta(days=1), tenure=8)], SCHEMA) == 1
    assert tenure(store, "a") == 8


def test_pushing_again_gives_a_row_new_life(store: FeatureStore) -> None:
    store.push([row("a")], SCHEMA, ttl=timedelta(milliseconds=20))
    store.push([row("a")], SCHEMA)
    threading.Event().wait(0.05)
    assert tenure(store, "a") == 3


def _until(happens: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if happens():
            return
        pause.wait(0.01)
    raise AssertionError("it did not happen in five seconds")


# -- schemas and projects


def test_schemas_never_meet(store: FeatureStore) -> None:
    store.push([row("a")], SCHEMA)
    assert store.read(["a"], OTHER) == [None]
    store.push([FeatureRow("a", micros(START), (5,))], OTHER)
    assert tenure(store, "a") == 3


def test_the_order_of_columns_is_no_other_schema() -> None:
    assert FeatureSchema.of(reversed(SCHEMA.columns)).digest == SCHEMA.digest
    assert FeatureSchema.from_json(SCHEMA.to_json()) == SCHEMA
    changed = FeatureSchema.of([Column("tenure", "number"), Column("contract", "string")])
    assert len({SCHEMA.digest, OTHER.digest, changed.digest}) == 3


def test_projects_never_meet(open_it: Open) -> None:
    mine, theirs = open_it(), open_it("somebody-else")
    mine.push([row("a")], SCHEMA)
    mine.publish(SCHEMA)
    assert theirs.read(["a"], SCHEMA) == [None]
    assert theirs.current() is None
    assert theirs.describe().schemas == ()


def test_readers_go_over_when_a_schema_is_published(open_it: Open) -> None:
    store, reader = open_it(), open_it()
    assert reader.current() is None
    store.push([row("a")], SCHEMA)
    assert reader.current() is None
    store.publish(SCHEMA)
    assert reader.current() == SCHEMA
    store.push([FeatureRow("a", micros(START), (5,))], OTHER)
    assert reader.current() == SCHEMA
    store.publish(OTHER)
    assert reader.current() == OTHER


def test_two_schemas_are_kept_and_older_ones_forgotten(store: FeatureStore) -> None:
    store.push([row("a")], SCHEMA)
    store.publish(SCHEMA)
    store.push([FeatureRow("a", micros(START), (5,))], OTHER)
    store.publish(OTHER)
    assert tenure(store, "a") == 3
    store.push([FeatureRow("a", micros(START), (1.5,))], THIRD)
    store.publish(THIRD)
    assert tenure(store, "a") is None
    assert None not in store.read(["a"], OTHER) + store.read(["a"], THIRD)
    assert [each.schema for each in store.describe().schemas] == [THIRD, OTHER]
    # Back again: what was forgotten starts from nothing.
    store.push([row("b")], SCHEMA)
    store.publish(SCHEMA)
    assert [each.schema for each in store.describe().schemas] == [SCHEMA, THIRD]
    assert (tenure(store, "a"), tenure(store, "b")) == (None, 3)


def test_forgetting_touches_no_other_project(open_it: Open, project: str) -> None:
    mine, theirs = open_it(), open_it(f"{project}:row")
    theirs.push([row("a")], SCHEMA)
    theirs.publish(SCHEMA)
    for schema, values in ((SCHEMA, ("x", 1)), (OTHER, (1,)), (THIRD, (1.5,))):
        mine.push([FeatureRow("a", 1, values)], schema)
        mine.publish(schema)
    assert tenure(theirs, "a") == 3


def test_what_is_there_is_described(store: FeatureStore) -> None:
    assert store.describe().schemas == ()
    store.push([row(f"e{i}", START + timedelta(days=i)) for i in range(3)], SCHEMA)
    store.push([row("short")], SCHEMA, ttl=timedelta(milliseconds=10))
    store.publish(SCHEMA)
    _until(lambda: store.describe().schemas[0].rows == 3)
    (found,) = store.describe().schemas
    assert (found.schema, found.oldest, found.newest) == (SCHEMA, START, START + timedelta(days=2))


# -- threads


def test_threads_share_a_store(store: FeatureStore) -> None:
    store.push([row(f"e{i}", tenure=i) for i in range(50)], SCHEMA)
    wrong: list[Any] = []

    def read() -> None:
        wrong.extend(i for i in range(50) if tenure(store, f"e{i}") != i)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_store_can_be_used_again(store: FeatureStore) -> None:
    store.push([row("a")], SCHEMA)
    store.close()
    assert tenure(store, "a") == 3


def test_a_store_answers_a_ping(store: FeatureStore) -> None:
    store.ping()
