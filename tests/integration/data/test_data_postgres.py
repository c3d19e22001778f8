"""A real PostgreSQL: its types, its refusals, and a password that is never shown."""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from postgres_server import PostgresServer, start_postgres
from ratchet.data.lake import Lake
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.postgres import PostgresSource, quote_table
from ratchet.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    RatchetError,
    UnreachableError,
)

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE SCHEMA "my shop";
CREATE TABLE "my shop"."Odd ""Table" (
  i2 int2, i8 int8, f4 float4, num numeric, money2 numeric(10,2), count numeric(12,0), b bool,
  txt text, fixed char(5), id uuid, js json, jb jsonb, ints int[], texts text[], d date,
  ts timestamp, tz timestamptz, t time, span interval, raw bytea, m mood, cash money, ip inet,
  "Odd Name; --" int
);
INSERT INTO "my shop"."Odd ""Table" VALUES
 (1, 9007199254740993, 1.5, 1234567.25, 1.25, 42, true, 'é', 'ab',
  '00000000-0000-0000-0000-00000000000a', '{"a": 1}', '{"b":2}', '{1,2}', '{x,"y z"}',
  '2024-02-29', '2024-01-02 03:04:05.5', '2024-01-02 03:04:05+02', '01:02:03', '1 day 2 hours',
  '\\x01ff', 'happy', '12.50', '127.0.0.1', 7),
 (NULL, NULL, 'NaN', 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  'infinity', '-infinity', 'infinity', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""
EXPECTED = {
    "i2": ("integer", 1),
    "i8": ("integer", 9007199254740993),
    "f4": ("number", 1.5),
    "num": ("number", 1234567.25),
    "money2": ("number", 1.25),
    "count": ("integer", 42),
    "b": ("boolean", True),
    "txt": ("string", "é"),
    "fixed": ("string", "ab"),
    "id": ("string", "00000000-0000-0000-0000-00000000000a"),
    "js": ("string", '{"a": 1}'),
    "jb": ("string", '{"b": 2}'),
    "ints": ("string", "[1,2]"),
    "texts": ("string", '["x","y z"]'),
    "d": ("date", "2024-02-29"),
    "ts": ("datetime", "2024-01-02 03:04:05.500000"),
    "tz": ("datetime", "2024-01-02 01:04:05"),
    "t": ("string", "01:02:03"),
    "span": ("number", 93600.0),
    "raw": ("string", "01ff"),
    "m": ("string", "happy"),
    "cash": ("number", 12.5),
    "ip": ("string", "127.0.0.1/32"),
    "Odd Name; --": ("integer", 7),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    import psycopg

    started = start_postgres(tmp_path_factory.mktemp("pg"))
    with psycopg.connect(started.url, autocommit=True) as connection:
        connection.execute(TYPES)
        connection.execute("CREATE TABLE t AS SELECT i id, i % 7 x FROM generate_series(1, 50) i")
        connection.execute("CREATE TABLE empty (id int)")
        connection.execute("CREATE TABLE secret_table (id int)")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'Pa55'")
    yield started
    started.stop()


def source(url: str, **given: Any) -> PostgresSource:
    order = given.pop("order_by", None)
    columns = given.pop("columns", None)
    return PostgresSource(
        SourceSettings.model_validate({"type": "postgres", "url": url, **given}), columns, order
    )


def rows(found: PostgresSource) -> pl.DataFrame:
    return pl.concat(list(found.batches()))


def test_every_type_has_a_sane_kind(server: PostgresServer) -> None:
    found = source(server.url, table='my shop."Odd ""Table"')
    schema = found.schema()
    frame = rows(found)
    assert {name: schema.kind(name) for name in schema.names} == {
        name: kind for name, (kind, _) in EXPECTED.items()
    }
    row = frame.filter(pl.col("i2") == 1).row(0, named=True)
    shown = {n: str(v) if EXPECTED[n][0] in ("date", "datetime") else v for n, v in row.items()}
    assert shown == {name: value for name, (_, value) in EXPECTED.items()}
    assert set(frame.filter(pl.col("i2").is_null()).row(0)) == {None}
    assert frame.schema == schema.polars()


def test_a_query_is_read_sorted_and_renamed(server: PostgresServer) -> None:
    query = "SELECT x AS label, -id AS id FROM t WHERE id <= 10 ORDER BY id; "
    frame = rows(source(server.url, query=query, order_by="id"))
    assert frame.columns == ["label", "id"]
    assert frame["id"].to_list() == list(range(-10, 0))
    by_all = rows(source(server.url, query=query))
    assert by_all.rows() == sorted(frame.rows())


def test_physical_order_does_not_change_the_digest(server: PostgresServer, tmp_path: Path) -> None:
    import psycopg

    lake = Lake(str(tmp_path))
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE moving AS SELECT i AS id, 'ä' || i AS s FROM generate_series(1, 99) i"
        )
        first = lake.ingest("data", source(server.url, table="moving", order_by="id"))
        connection.execute("CREATE TABLE other AS SELECT * FROM moving ORDER BY random()")
        connection.execute("DROP TABLE moving; ALTER TABLE other RENAME TO moving")
        again = lake.ingest("data", source(server.url, table="moving", order_by="id"))
        assert again.change == "unchanged"
        connection.execute("INSERT INTO moving VALUES (100, 'new')")
        grown = lake.ingest("data", source(server.url, table="moving", order_by="id"))
        assert (grown.change, grown.snapshot.rows) == ("appended", 100)
        connection.execute("UPDATE moving SET s = 'changed' WHERE id = 5")
        changed = lake.ingest("data", source(server.url, table="moving", order_by="id"))
        assert changed.change == "replaced"
    assert first.snapshot.version == 0
    assert changed.snapshot.version == 2


def test_large_tables_come_in_batches(server: PostgresServer) -> None:
    query = "SELECT i AS id, repeat('x', 200) AS s FROM generate_series(1, 200000) i"
    heights = [batch.height for batch in source(server.url, query=query, order_by="id").batches()]
    assert sum(heights) == 200_000
    assert len(heights) > 1


def leaks(error: BaseException, server: PostgresServer) -> list[str]:
    """Where any part of the password is seen in an error and all that hangs on it."""
    seen = "".join(traceback.format_exception(error))
    if isinstance(error, RatchetError):
        seen += str(error.to_json())
    parts = (server.password, "s3cret", "pass word", "pass%20word", "wr0ng")
    return [part for part in parts if part in seen]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("s3cret", "wr0ng"), "refuses the user name or the password"),
        (("ratchet:", "nobody:"), "refuses the user name or the password"),
        (("/postgres", "/nodb"), "The database does not exist"),
        (("127.0.0.1", "no.such.host.invalid"), "The host name is unknown"),
        (("%20", " "), ""),
        (("%2F", "/"), ""),
        (("127.0.0.1:", "127.0.0.1:x"), ""),
        (("127.0.0.1:", "127.0.0.1:99"), ""),
    ],
)
def test_an_unreachable_server_is_told_without_the_password(
    server: PostgresServer, change: tuple[str, str], why: str
) -> None:
    found = source(server.url.replace(*change), table="t")
    for act in (found.schema, lambda: rows(found)):
        with pytest.raises(UnreachableError) as caught:
            act()
        assert why in caught.value.why
        assert caught.value.__cause__ is None
        assert leaks(caught.value, server) == []
        assert "s3cret" not in found.describe()


def test_a_server_that_is_down(server: PostgresServer) -> None:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"postgresql://ratchet:s3cret@127.0.0.1:{port}/postgres"
    with pytest.raises(UnreachableError, match="Nothing listens") as caught:
        rows(source(url, table="t"))
    assert caught.value.exit_code == 6
    assert leaks(caught.value, server) == []


@pytest.mark.parametrize(
    ("given", "says", "fix"),
    [
        ({"table": "nope"}, 'relation "nope" does not exist', "taken exactly as written"),
        ({"table": "no_schema.t"}, "does not exist", "taken exactly as written"),
        ({"table": 't"; DROP TABLE t; --'}, "does not exist", "taken exactly as written"),
        ({"query": "SELECT nope FROM t"}, 'column "nope" does not exist', "psql"),
        ({"query": "SELEC 1"}, "syntax error", "psql"),
        ({"query": "SELECT 1 / (id - 5) AS x FROM t"}, "division by zero", "psql"),
        ({"query": "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d"}, "", "psql"),
        ({"query": "SELECT nextval('s') AS x FROM t"}, "", "psql"),
    ],
)
def test_what_the_server_refuses_is_a_data_error(
    server: PostgresServer, given: dict[str, str], says: str, fix: str
) -> None:
    import psycopg

    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE IF NOT EXISTS s")
        with pytest.raises(DataError) as caught:
            rows(source(server.url, **given))
        assert caught.value.name == "source_query"
        assert says in caught.value.why
        assert fix in caught.value.fix
        assert caught.value.__cause__ is None
        assert leaks(caught.value, server) == []
        count = connection.execute("SELECT count(*) FROM t").fetchone()
        assert count == (50,)


def test_a_table_that_may_not_be_read(server: PostgresServer) -> None:
    url = server.url.replace("ratchet:s3cret%2Fpass%20word@", "reader:Pa55@")
    with pytest.raises(DataError, match="permission denied") as caught:
        rows(source(url, table="secret_table"))
    assert "GRANT SELECT" in caught.value.fix
    assert "Pa55" not in str(caught.value.to_json())


def test_columns_with_one_name_and_no_rows(server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='more than one column "id"'):
        rows(source(server.url, query="SELECT a.id, b.id FROM t a JOIN t b USING (id)"))
    with pytest.raises(DataError, match="holds no rows"):
        Lake(str(tmp_path)).ingest("data", source(server.url, table="empty"))


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".", maxsplit=1)[0] in ("adbc_driver_postgresql", "pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError) as caught:
        source("postgresql://u:p@h/d", table="t").schema()
    assert caught.value.fix == "pip install 'ratchet-ml[postgres]'"


def test_addresses_and_names() -> None:
    with pytest.raises(ConfigError) as caught:
        source("mysql://u:secret@h/d", table="t")
    assert "secret" not in str(caught.value.to_json())
    url = "postgresql://u:p@h:5432/d?sslmode=require&password=p2"
    described = source(url, table="s.t").describe()
    assert described == "postgres h:5432/d s.t"
    assert quote_table("a.B") == '"a"."B"'
    assert quote_table('"a.b"."c""d"') == '"a.b"."c""d"'
    assert quote_table('x"; DROP TABLE y; --').count('"') % 2 == 0
    with pytest.raises(ConfigError):
        quote_table("")
    with pytest.raises(ConfigError):
        quote_table("a.b.c.d")
