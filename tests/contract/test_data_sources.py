"""Every source keeps the promises of the port, and gives the same rows for the same table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from postgres_server import PostgresServer, start_postgres
from ratchet.data.digest import ContentDigest, digest_frame
from ratchet.data.lake import Lake
from ratchet.data.schema import KINDS, TableSchema, polars_type
from ratchet.data.settings import SourceSettings
from ratchet.data.sources.open_source import open_source
from ratchet.data.sources.port import Source
from ratchet.errors import DataError

N = 300
FRAME = pl.DataFrame(
    {
        "id": range(N),
        "amount": [None if i % 7 == 0 else i / 4 for i in range(N)],
        "name": [None if i % 5 == 0 else f"n ö {i % 9}" for i in range(N)],
        "flag": [None if i % 11 == 0 else i % 2 == 0 for i in range(N)],
        "day": [None if i % 13 == 0 else dt.date(2024, 1, 1 + i % 28) for i in range(N)],
        "at": [None if i % 3 else dt.datetime(2024, 1, 1, 9, 0, i % 60, 25) for i in range(N)],
    },
    schema={
        "id": pl.Int64, "amount": pl.Float64, "name": pl.String, "flag": pl.Boolean,
        "day": pl.Date, "at": pl.Datetime("us"),
    },
)  # fmt: skip
SCHEMA = TableSchema.from_polars(FRAME.schema)

Opener = Callable[[pl.DataFrame], Source]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    started = start_postgres(tmp_path_factory.mktemp("contract_pg"))
    yield started
    started.stop()


@pytest.fixture(
    params=["csv", "csv_folder", "parquet", "parquet_folder", "delta", "postgres", "production"]
)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Puts a frame where a source of one kind finds it, and opens that source."""
    kind: str = request.param
    url = request.getfixturevalue("server").url if kind == "postgres" else ""

    def put(frame: pl.DataFrame) -> Source:
        if kind == "postgres":
            _insert(frame, url)
            settings = SourceSettings(type="postgres", url=url, table="t")
            return open_source(settings, tmp_path, columns=None, order_by="id")
        if kind == "production":
            return _collected(frame, tmp_path)
        place = tmp_path / kind
        for old in place.glob("*.*"):
            old.unlink()
        settings = SourceSettings.model_validate(
            {"type": kind.removesuffix("_folder"), "path": kind}
        )
        _WRITERS[kind](frame, place)
        if settings.type != "delta" and not kind.endswith("folder"):
            settings = settings.model_copy(update={"path": f"{kind}/x.{kind}"})
        return open_source(settings, tmp_path, columns=None)

    return put


def _write_csv(frame: pl.DataFrame, place: Path) -> None:
    place.mkdir(exist_ok=True)
    frame.write_csv(place / "x.csv", quote_style="non_numeric")


def _write_csvs(frame: pl.DataFrame, place: Path) -> None:
    place.mkdir(exist_ok=True)
    for number, part in enumerate(frame.iter_slices(140)):
        part.write_csv(place / f"{number}.csv")


def _write_parquet(frame: pl.DataFrame, place: Path) -> None:
    place.mkdir(exist_ok=True)
    frame.write_parquet(place / "x.parquet", row_group_size=70)


def _write_parquets(frame: pl.DataFrame, place: Path) -> None:
    place.mkdir(exist_ok=True)
    for number, part in enumerate(frame.iter_slices(140)):
        part.write_parquet(place / f"{number}.parquet")


def _write_delta(frame: pl.DataFrame, place: Path) -> None:
    from deltalake import write_deltalake

    mode = "overwrite"
    for part in frame.iter_slices(140):
        write_deltalake(
            str(place), part, mode=mode, schema_mode="overwrite" if mode == "overwrite" else None
        )
        mode = "append"


def _insert(frame: pl.DataFrame, url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS t")
        connection.execute(
            "CREATE TABLE t (id int, amount numeric(10,2), name text, flag bool, day date,"
            " at timestamp)"
        )
        with connection.cursor().copy("COPY t FROM STDIN") as copy:
            for row in frame.sample(fraction=1, shuffle=True, seed=1).rows():
                copy.write_row(row)


def _collected(frame: pl.DataFrame, root: Path) -> Source:
    """The first rows as a file, the others as if they had been collected after them."""
    for name, part in (("base", frame.head(100)), ("rest", frame.slice(100))):
        part.write_parquet(root / f"{name}.parquet")
    rest = SourceSettings(type="parquet", path="rest.parquet")
    Lake(str(root / "served")).ingest("collected", open_source(rest, root, columns=None))
    base = {"type": "parquet", "path": "base.parquet"}
    settings = {"type": "production", "base": base, "path": str(root / "served")}
    return open_source(SourceSettings.model_validate(settings), root, columns=None)


_WRITERS = {
    "csv": _write_csv,
    "csv_folder": _write_csvs,
    "parquet": _write_parquet,
    "parquet_folder": _write_parquets,
    "delta": _write_delta,
}


def test_the_same_table_has_the_same_rows_types_and_digest(opener: Opener) -> None:
    source = opener(FRAME)
    assert source.schema() == SCHEMA
    batches = list(source.batches())
    assert all(batch.schema == FRAME.schema for batch in batches)
    assert pl.concat(batches).equals(FRAME)
    digest = ContentDigest(SCHEMA)
    for batch in source.batches():
        digest.update(batch)
    assert digest.hexdigest() == digest_frame(FRAME)


def test_only_the_asked_columns_come_in_the_asked_order(opener: Opener) -> None:
    frame = pl.concat(list(opener(FRAME).batches(["name", "id"])))
    assert frame.equals(FRAME.select("name", "id"))


def test_equal_fingerprints_mean_equal_rows(opener: Opener) -> None:
    first = opener(FRAME).fingerprint()
    changed = opener(FRAME.with_columns(amount=pl.col("amount") + 1)).fingerprint()
    assert first is None or first != changed
    assert (first is None) == (changed is None)


def test_the_description_and_the_time_are_sensible(opener: Opener) -> None:
    source = opener(FRAME)
    assert source.describe().split()[0] in ("csv", "parquet", "delta", "postgres")
    assert "s3cret" not in source.describe()
    modified = source.modified()
    assert modified is None or modified.tzinfo is not None


def test_a_lake_sees_growth_and_change(opener: Opener, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    half = FRAME.head(150)
    assert lake.ingest("data", opener(half)).change == "created"
    assert lake.ingest("data", opener(half)).change == "unchanged"
    grown = lake.ingest("data", opener(FRAME))
    assert (grown.change, grown.snapshot.rows) == ("appended", N)
    assert lake.scan(grown.snapshot).collect().equals(FRAME)
    changed = FRAME.with_columns(amount=-pl.col("amount"))
    replaced = lake.ingest("data", opener(changed))
    assert replaced.change == "replaced"
    assert lake.scan(replaced.snapshot).collect().equals(changed)
    assert lake.scan(lake.snapshot("data", 0)).collect().equals(half)


def test_pinned_kinds_are_kept_or_refused(tmp_path: Path, server: PostgresServer) -> None:
    """One table, five ways in: a text that is no number is an error from all of them."""
    frame = FRAME.select("id", "amount", "name", "flag", "day", "at")
    root = tmp_path
    _write_csv(frame, root / "csv")
    _write_parquet(frame, root / "parquet")
    _write_delta(frame, root / "delta")
    _insert(frame, server.url)
    ways = [
        SourceSettings(type="csv", path="csv/x.csv"),
        SourceSettings(type="parquet", path="parquet"),
        SourceSettings(type="delta", path="delta"),
        SourceSettings(type="postgres", url=server.url, table="t"),
    ]
    wide = {"id": "number", "day": "datetime"}
    for settings in ways:
        source = open_source(settings, root, columns=wide, order_by="id")  # type: ignore[arg-type]
        made = pl.concat(list(source.batches()))
        assert made["id"].to_list() == [float(i) for i in range(N)]
        assert made["day"].dtype == polars_type("datetime")
        for columns in ({"name": "number"}, {"amount": "integer"}, {"id": "date"}):
            with pytest.raises(DataError) as caught:
                list(open_source(settings, root, columns=columns).batches())  # type: ignore[arg-type]
            assert caught.value.name == "type_mismatch"
            assert f'Column "{next(iter(columns))}"' in caught.value.what


def test_the_kinds_are_all_tried_here() -> None:
    assert {column.kind for column in SCHEMA.columns} == set(KINDS)
