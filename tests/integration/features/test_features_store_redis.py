"""A feature store in a real Redis: away, slow, refusing, and back again."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ratchet.data.schema import Column
from ratchet.errors import ConfigError, MissingExtraError, StorageError, UnreachableError
from ratchet.features.store.open_store import open_store
from ratchet.features.store.port import FeatureRow, FeatureSchema, FeatureStore
from redis_server import RedisServer

SCHEMA = FeatureSchema.of([Column("tenure", "integer")])
PASSWORD = "s3cret-pass"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"), password=PASSWORD)
    yield server
    server.stop()


@pytest.fixture
def store(server: RedisServer) -> Iterator[FeatureStore]:
    store = open_store(server.url, "churn")
    yield store
    store.close()


def test_it_comes_back_when_redis_does(server: RedisServer, store: FeatureStore) -> None:
    store.push([FeatureRow("a", 1, (3,))], SCHEMA)
    assert store.read(["a"], SCHEMA)[0] is not None
    server.stop()
    for _ in range(2):
        with pytest.raises(UnreachableError, match="does not answer"):
            store.read(["a"], SCHEMA)
    server.start()
    assert store.read(["a"], SCHEMA) == [None]
    # The script that keeps the newest row has to be given to the new server, too.
    assert store.push([FeatureRow("a", 1, (3,))], SCHEMA) == 1
    assert store.read(["a"], SCHEMA)[0] is not None


def test_a_restart_between_two_reads_is_not_noticed(
    server: RedisServer, store: FeatureStore
) -> None:
    store.ping()
    server.stop()
    server.start()
    assert store.read(["a"], SCHEMA) == [None]


def test_a_frozen_redis_is_given_up_within_a_second(
    server: RedisServer, store: FeatureStore
) -> None:
    store.ping()
    fresh = open_store(server.url, "churn")
    server.freeze()
    try:
        for each in (store, fresh):
            start = time.monotonic()
            with pytest.raises(UnreachableError):
                each.read(["a"], SCHEMA)
            assert time.monotonic() - start < 1.0
    finally:
        server.thaw()
    fresh.close()
    assert store.read(["nobody"], SCHEMA) == [None]


def test_a_wrong_password_is_told_without_showing_it(server: RedisServer) -> None:
    store = open_store(server.url.replace(PASSWORD, "wrong-pass"), "churn")
    with pytest.raises(UnreachableError) as caught:
        store.read(["a"], SCHEMA)
    assert "wrong-pass" not in str(caught.value.to_json())
    assert "password" in caught.value.fix
    without = open_store(server.url.replace(f":{PASSWORD}@", ""), "churn")
    with pytest.raises(UnreachableError, match="password"):
        without.read(["a"], SCHEMA)


def test_a_redis_that_takes_no_more_is_told(server: RedisServer, store: FeatureStore) -> None:
    from redis import Redis

    with Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", "1")
        admin.config_set("maxmemory-policy", "noeviction")
        try:
            with pytest.raises(StorageError, match="refuses"):
                store.push([FeatureRow("z", 1, (3,))], SCHEMA)
        finally:
            admin.config_set("maxmemory", "0")
    assert store.push([FeatureRow("z", 1, (3,))], SCHEMA) == 1


def test_rows_end_by_redis_own_clock(server: RedisServer, store: FeatureStore) -> None:
    from redis import Redis

    store.push([FeatureRow("t", 1, (3,))], SCHEMA, ttl=timedelta(hours=2))
    with Redis.from_url(server.url) as admin:
        left = admin.pttl(f"ratchet:churn:row:{SCHEMA.digest}:t")
        assert 7_190_000 < left <= 7_200_000
        store.push([FeatureRow("t", 1, (3,))], SCHEMA)
        assert admin.pttl(f"ratchet:churn:row:{SCHEMA.digest}:t") == -1


@pytest.mark.parametrize("url", ["redis://x:y", "redis://user:hunter2@host:port/0"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        open_store(url, "churn")
    assert "hunter2" not in str(caught.value.to_json())


def test_without_redis_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(MissingExtraError) as caught:
        open_store("redis://127.0.0.1:1/0", "churn")
    assert caught.value.fix == "pip install 'ratchet-ml[redis]'"


def test_a_socket_file_is_an_address_too(tmp_path: Path) -> None:
    store = open_store(f"unix://{tmp_path / 'none.sock'}", "churn")
    with pytest.raises(UnreachableError):
        store.ping()
