"""Looking features up while serving: shared reads, staleness, and a store that is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ratchet.data.schema import Column
from ratchet.errors import MissingExtraError, UnreachableError
from ratchet.features.store.open_store import open_store
from ratchet.features.store.port import FeatureRow, FeatureSchema, StoredRow, micros
from ratchet.serving import lookup as module
from ratchet.serving.http import ProblemError
from ratchet.serving.lookup import Lookup
from redis_server import RedisServer

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEMA = FeatureSchema.of([Column("contract", "string"), Column("tenure", "integer")])


class FakeStore:
    """A store elsewhere: counts reads, and may hold them up or fail them."""

    waits = True

    def __init__(self, rows: dict[str, StoredRow] | None = None) -> None:
        self.rows = rows or {}
        self.reads: list[list[str]] = []
        self.threads: set[int] = set()
        self.schema: FeatureSchema | None = SCHEMA
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0
        self.closed = False

    def current(self) -> FeatureSchema | None:
        self.asked += 1
        return self.schema

    def read(self, entities: Sequence[str], schema: FeatureSchema) -> list[StoredRow | None]:
        self.threads.add(threading.get_ident())
        self.reads.append(list(entities))
        self.gate.wait(5)
        if self.error is not None:
            raise self.error
        return [self.rows.get(entity) for entity in entities]

    def close(self) -> None:
        self.closed = True


def stored(tenure: int, age: timedelta = timedelta(0)) -> StoredRow:
    return StoredRow({"contract": "month", "tenure": tenure}, micros(NOW - age))


def ask(store: Any, **options: Any) -> Lookup:
    return Lookup(lambda: store, now=lambda: NOW, **options)


def test_rows_come_in_the_order_of_the_ids() -> None:
    store = FakeStore({"a": stored(1), "b": stored(2)})
    lookup = ask(store)

    async def main() -> None:
        assert await lookup.rows([]) == []
        found = await lookup.rows(["b", "x", "a"])
        assert [each and each.values["tenure"] for each in found] == [2, None, 1]

    asyncio.run(main())
    assert store.reads == [["b", "x", "a"]]
    assert threading.get_ident() not in store.threads
    lookup.close()
    assert store.closed


def test_requests_share_a_read_while_another_one_is_under_way() -> None:
    store = FakeStore({f"e{i}": stored(i) for i in range(10)})
    store.gate.clear()
    lookup = ask(store)

    async def main() -> None:
        first = asyncio.create_task(lookup.rows(["e0"]))
        while not store.reads:
            await asyncio.sleep(0.001)
        others = [asyncio.create_task(lookup.rows([f"e{i}", "e9"])) for i in range(1, 6)]
        await asyncio.sleep(0)
        store.gate.set()
        found = [await task for task in (first, *others)]
        assert [rows[0].values["tenure"] for rows in found] == [0, 1, 2, 3, 4, 5]
        assert all(rows[-1].values["tenure"] == 9 for rows in found[1:])

    asyncio.run(main())
    assert len(store.reads) == 2
    lookup.close()


def test_a_request_that_goes_away_takes_no_other_with_it() -> None:
    store = FakeStore({"a": stored(1)})
    store.gate.clear()
    lookup = ask(store)

    async def main() -> None:
        gone = asyncio.create_task(lookup.rows(["a"]))
        stays = asyncio.create_task(lookup.rows(["a"]))
        while not store.reads:
            await asyncio.sleep(0.001)
        gone.cancel()
        await asyncio.sleep(0)
        store.gate.set()
        assert (await stays)[0].values["tenure"] == 1

    asyncio.run(main())
    lookup.close()


def test_more_than_a_read_should_hold_begins_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 4)
    store = FakeStore({f"e{i}": stored(i) for i in range(9)})
    lookup = ask(store)

    async def main() -> None:
        found = await asyncio.gather(*(lookup.rows([f"e{i}", f"e{i + 1}"]) for i in range(8)))
        assert [[each.values["tenure"] for each in rows] for rows in found] == [
            [i, i + 1] for i in range(8)
        ]

    asyncio.run(main())
    assert [len(each) for each in store.reads] == [4, 4, 4, 4]
    lookup.close()


def test_a_store_on_this_machine_is_read_at_once(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'features.db'}", "churn")
    store.push([FeatureRow("a", micros(NOW), ("month", 3))], SCHEMA)
    store.publish(SCHEMA)
    lookup = ask(store)

    async def main() -> None:
        for ids in (["a"], ["a"], ["a"] * 200):
            found = await lookup.rows(ids)
            assert [dict(each.values) for each in found] == [
                {"contract": "month", "tenure": 3}
            ] * len(ids)

    asyncio.run(main())
    lookup.close()


def test_the_age_of_every_row_is_measured() -> None:
    ages: list[float] = []
    store = FakeStore({"a": stored(1, timedelta(hours=1)), "b": stored(2, timedelta(seconds=-5))})
    lookup = ask(store, measure=ages.append)
    asyncio.run(lookup.rows(["a", "x", "b"]))
    assert ages == [3600.0, -5.0]
    lookup.close()


COLUMNS = ("contract", "tenure")


def test_the_requests_own_values_win() -> None:
    store = FakeStore({"a": stored(1)})
    lookup = ask(store)
    found = asyncio.run(
        lookup.records(["a", "a"], [{}, {"tenure": None, "extra": 1}], (*COLUMNS, "elsewhere"))
    )
    assert found == [
        {"contract": "month", "tenure": 1},
        {"contract": "month", "tenure": None, "extra": 1},
    ]
    assert asyncio.run(lookup.records(["a"], [{}], ("tenure",))) == [{"tenure": 1}]
    lookup.close()


def problem(lookup: Lookup, *arguments: Any, **options: Any) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        asyncio.run(lookup.records(*arguments, **options))
    return caught.value


def test_an_unknown_entity_is_named() -> None:
    lookup = ask(FakeStore({"a": stored(1)}))
    found = problem(lookup, ["a", "who"], [{}, {"tenure": 1}], COLUMNS)
    assert (found.status, found.name, found.field) == (404, "unknown_id", "ids[1]")
    assert "who" in found.what
    assert problem(lookup, ["who"], [{}], COLUMNS, where="id").field == "id"
    whole = {"contract": "year", "tenure": 1}
    assert asyncio.run(lookup.records(["who"], [whole], COLUMNS)) == [whole]
    lookup.close()


def test_an_empty_store_says_that_nothing_was_pushed() -> None:
    store = FakeStore()
    store.schema = None
    lookup = ask(store, poll=0.0)
    assert "pushed yet" in problem(lookup, ["a"], [{}], COLUMNS).why
    store.schema, store.rows = SCHEMA, {"a": stored(1)}
    assert asyncio.run(lookup.records(["a"], [{}], COLUMNS))[0]["tenure"] == 1
    lookup.close()


def test_what_is_too_old_is_refused() -> None:
    store = FakeStore({"old": stored(1, timedelta(hours=2)), "new": stored(2, timedelta(hours=1))})
    lookup = ask(store, max_age=timedelta(hours=1))
    found = problem(lookup, ["new", "old"], [{}, {}], COLUMNS)
    assert (found.status, found.name, found.field) == (409, "features_stale", "ids[1]")
    whole = {"contract": "year", "tenure": 1}
    assert asyncio.run(lookup.records(["old"], [whole], COLUMNS)) == [whole]
    assert len(asyncio.run(lookup.records(["new"], [{}], COLUMNS))) == 1
    lookup.close()


def test_a_store_that_is_away_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    store = FakeStore({"a": stored(1)})
    store.error = UnreachableError("Redis does not answer")
    lookup = ask(store)
    found = problem(lookup, ["a"], [{}], COLUMNS)
    assert (found.status, found.name) == (503, "features_unavailable")
    assert (b"retry-after", b"1") in found.headers
    store.error = None
    assert problem(lookup, ["a"], [{}], COLUMNS).status == 503
    assert len(store.reads) == 1
    clock[0] += module.PAUSE
    assert asyncio.run(lookup.records(["a"], [{}], COLUMNS))[0]["tenure"] == 1
    lookup.close()


def test_those_who_wait_for_the_next_read_do_not_wait_twice() -> None:
    store = FakeStore()
    store.gate.clear()
    store.error = UnreachableError("Redis does not answer")
    lookup = ask(store)

    async def main() -> None:
        first = asyncio.create_task(lookup.rows(["a"]))
        while not store.reads:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(lookup.rows(["a"]))
        await asyncio.sleep(0)
        store.gate.set()
        for task in (first, second):
            with pytest.raises(ProblemError):
                await task

    asyncio.run(main())
    assert len(store.reads) == 1
    lookup.close()


def test_a_store_that_cannot_be_opened_is_a_503() -> None:
    def fail() -> Any:
        raise MissingExtraError.of("redis", "redis", "A feature store in Redis")

    lookup = Lookup(fail)
    assert "redis" in problem(lookup, ["a"], [{}], COLUMNS).why
    lookup.close()


def test_a_store_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    store = FakeStore({"a": stored(1)})
    store.gate.clear()
    lookup = ask(store)

    async def main() -> None:
        waiting = [asyncio.create_task(lookup.rows(["a"])) for _ in range(5)]
        turns = 0
        while not all(task.done() for task in waiting):
            await asyncio.sleep(0)
            turns += 1
        # The loop went on turning meanwhile: it served others.
        assert turns > 100
        for task in waiting:
            assert isinstance(task.exception(), ProblemError)
        store.gate.set()

    asyncio.run(main())
    lookup.close()


def test_readers_go_over_to_another_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    store = FakeStore({"a": stored(1)})
    lookup = ask(store, poll=1.0)
    for _ in range(5):
        asyncio.run(lookup.rows(["a"]))
    assert store.asked == 1
    clock[0] += 1.0
    asyncio.run(lookup.rows(["a"]))
    assert store.asked == 2
    lookup.close()


def test_redis_stopped_frozen_and_started_again(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    store = open_store(server.url, "churn")
    row = FeatureRow("a", micros(NOW), ("month", 3))

    def fill() -> None:
        store.push([row], SCHEMA)
        store.publish(SCHEMA)

    async def state(lookup: Lookup) -> int:
        start = time.monotonic()
        try:
            found = await lookup.rows(["a"])
        except ProblemError as error:
            assert time.monotonic() - start < 1.0
            return error.status
        return 200 if found[0] is not None else 404

    async def until(lookup: Lookup, status: int) -> None:
        async with asyncio.timeout(5):
            while await state(lookup) != status:
                await asyncio.sleep(0.02)

    async def main() -> None:
        lookup = Lookup(lambda: open_store(server.url, "churn"))
        fill()
        assert await state(lookup) == 200
        server.stop()
        assert await asyncio.gather(*(state(lookup) for _ in range(20))) == [503] * 20
        server.start()
        fill()
        await until(lookup, 200)
        server.freeze()
        assert await asyncio.gather(*(state(lookup) for _ in range(20))) == [503] * 20
        server.thaw()
        await until(lookup, 200)
        lookup.close()

    try:
        asyncio.run(main())
    finally:
        server.stop()
        store.close()
