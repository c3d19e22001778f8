"""The lake on real Delta tables: versions, order, crashes, races and full disks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ratchet.clock import now
from ratchet.data import parts
from ratchet.data.digest import digest_frame
from ratchet.data.lake import Lake
from ratchet.data.schema import TableSchema
from ratchet.errors import ConfigError, ConflictError, DataError, StorageError, UsageError


class Frames:
    """A source that gives frames out of memory."""

    def __init__(self, *frames: pl.DataFrame, fingerprint: str | None = None) -> None:
        self.frames = frames
        self.read = 0
        self._fingerprint = fingerprint

    def describe(self) -> str:
        return "frames"

    def modified(self) -> datetime | None:
        return None

    def fingerprint(self) -> str | None:
        return self._fingerprint

    def schema(self) -> TableSchema:
        return TableSchema.from_polars(self.frames[0].schema)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        for frame in self.frames:
            self.read += 1
            yield frame


def table(start: int, stop: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": range(start, stop), "s": [f"row {i}" for i in range(start, stop)]},
        schema={"id": pl.Int64, "s": pl.String},
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "my lake [1] 100%"))


def content(lake: Lake, version: int | None = None) -> pl.DataFrame:
    found = lake.latest("data") if version is None else lake.snapshot("data", version)
    assert found is not None
    return lake.scan(found).collect()


def test_created_appended_replaced_unchanged(lake: Lake) -> None:
    assert lake.latest("data") is None
    assert lake.history("data") == ()
    made = lake.ingest("data", Frames(table(0, 10)))
    assert (made.change, made.snapshot.version, made.snapshot.rows) == ("created", 0, 10)
    assert made.snapshot.digest == digest_frame(table(0, 10))
    assert lake.ingest("data", Frames(table(0, 4), table(4, 10))).change == "unchanged"
    grown = lake.ingest("data", Frames(table(0, 7), table(7, 15)))
    assert (grown.change, grown.reason) == ("appended", "5 rows were added at the end")
    shrunk = lake.ingest("data", Frames(table(0, 3)))
    assert (shrunk.change, shrunk.reason) == ("replaced", "12 rows fewer than before")
    other = lake.ingest("data", Frames(table(1, 9)))
    assert (other.change, other.reason) == ("replaced", "rows that were there before have changed")
    wider = lake.ingest("data", Frames(table(1, 9).with_columns(new=pl.lit(1.5))))
    assert (wider.change, wider.reason) == ("replaced", 'column "new" (number) is new')
    history = lake.history("data")
    assert [(s.version, s.change, s.rows) for s in history] == [
        (0, "created", 10), (1, "appended", 15), (2, "replaced", 3), (3, "replaced", 8),
        (4, "replaced", 8),
    ]  # fmt: skip
    assert lake.latest("data") == history[-1] == wider.snapshot
    for version, frame in enumerate([table(0, 10), table(0, 15), table(0, 3), table(1, 9)]):
        assert content(lake, version).equals(frame)
        assert lake.snapshot("data", version) == history[version]
    assert all(now() - s.created < timedelta(minutes=5) for s in history)
    assert history[0].created.tzinfo == UTC


def test_every_kind_comes_back_and_kinds_may_change(lake: Lake) -> None:
    """Also into a table that was made without a point in time: Delta needs a feature for it."""
    lake.ingest("data", Frames(table(0, 3)))
    moment = datetime(2024, 1, 1, 12, 30, 15, 250)
    frame = pl.DataFrame(
        {
            "i": [1, None], "n": [1.5, float("inf")], "s": ["é", None], "b": [True, None],
            "d": [moment.date(), None], "t": [moment, None], "Odd (name) ,;{}=": ["", "x"],
        },
        schema_overrides={"t": pl.Datetime("us")},
    )  # fmt: skip
    made = lake.ingest("data", Frames(frame))
    assert made.change == "replaced"
    assert content(lake).equals(frame)
    assert content(lake, 0).equals(table(0, 3))
    turned = frame.select(pl.all().cast(pl.String))
    assert lake.ingest("data", Frames(turned)).change == "replaced"
    assert content(lake).equals(turned)


def test_order_is_kept_over_many_files_and_versions(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 100)
    shuffled = table(0, 1000).sample(fraction=1, shuffle=True, seed=3)
    for rows in (450, 700, 701, 1000):
        lake.ingest("data", Frames(*shuffled.head(rows).iter_slices(73)))
    latest = lake.latest("data")
    assert latest is not None
    assert latest.version == 3
    assert len(list((Path(str(lake._uri)) / "data").glob("*.parquet"))) > 8
    assert content(lake).equals(shuffled)
    batches = lake.scan(latest).collect_batches(chunk_size=64, maintain_order=True)
    assert pl.concat(list(batches)).equals(shuffled)
    assert lake.scan(latest, ["s"]).collect().equals(shuffled.select("s"))
    assert content(lake, 1).equals(shuffled.head(700))


def test_equal_fingerprints_are_not_read(lake: Lake) -> None:
    lake.ingest("data", Frames(table(0, 9), fingerprint="one"))
    same = Frames(table(0, 9), fingerprint="one")
    assert lake.ingest("data", same).change == "unchanged"
    assert same.read == 0
    rewritten = Frames(table(0, 9), fingerprint="two")
    for reads in (1, 1):  # read once, then remembered
        assert lake.ingest("data", rewritten).change == "unchanged"
        assert rewritten.read == reads
    assert len(lake.history("data")) == 1
    assert lake.ingest("data", Frames(table(0, 12), fingerprint="three")).change == "appended"
    back = Frames(table(0, 9), fingerprint="two")  # known, but of another version
    assert lake.ingest("data", back).change == "replaced"
    assert back.read == 1
    nameless = Frames(table(0, 9))
    assert lake.ingest("data", nameless).change == "unchanged"
    assert nameless.read == 1


def test_a_damaged_memory_only_costs_a_reading(lake: Lake) -> None:
    lake.ingest("data", Frames(table(0, 9), fingerprint="one"))
    lake.ingest("data", Frames(table(0, 9), fingerprint="two"))
    seen = Path(lake._uri) / "data" / "_ratchet_seen.json"
    for text in ("", "[]", '{"version": 0}', "\x00"):
        seen.write_text(text)
        again = Frames(table(0, 9), fingerprint="two")
        assert lake.ingest("data", again).change == "unchanged"
        assert again.read == 1


def test_versions_that_do_not_exist(lake: Lake) -> None:
    with pytest.raises(UsageError, match="It is empty"):
        lake.snapshot("data", 0)
    lake.ingest("data", Frames(table(0, 3)))
    for version in (1, -1):
        with pytest.raises(UsageError, match="versions 0 to 0") as caught:
            lake.snapshot("data", version)
        assert caught.value.exit_code == 2


def test_tables_are_apart(lake: Lake) -> None:
    lake.ingest("data", Frames(table(0, 3)))
    lake.ingest("feedback", Frames(table(0, 5)))
    assert [s.rows for t in ("data", "feedback") for s in lake.history(t)] == [3, 5]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ((), "no_rows"),
        ((table(0, 0),), "no_rows"),
        ((pl.DataFrame({"a": [1], "A": [2]}),), "duplicate_header"),
    ],
)
def test_what_cannot_be_kept(lake: Lake, frames: tuple[pl.DataFrame, ...], code: str) -> None:
    with pytest.raises(DataError) as caught:
        lake.ingest("data", Frames(*frames))
    assert caught.value.name == code
    assert lake.latest("data") is None


def test_a_source_that_fails_leaves_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 10)
    lake.ingest("data", Frames(table(0, 30)))
    before = sorted((Path(lake._uri) / "data").iterdir())

    class Broken(Frames):
        def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
            yield from super().batches()
            raise DataError("half way")

    with pytest.raises(DataError, match="half way"):
        lake.ingest("data", Broken(table(5, 60)))
    assert sorted((Path(lake._uri) / "data").iterdir()) == before
    assert content(lake).equals(table(0, 30))


def test_many_writers_lose_nothing(lake: Lake) -> None:
    """Eight at once: each version is one writer's whole table, and says so."""

    def write(n: int) -> str:
        try:
            return lake.ingest("data", Frames(table(n, n + 50 + n))).change
        except ConflictError:
            return "conflict"

    with ThreadPoolExecutor(8) as pool:
        changes = list(pool.map(write, range(8)))
    history = lake.history("data")
    made = [change for change in changes if change != "conflict"]
    assert len(history) == len(made) >= 1
    assert changes.count("created") == 1
    for snapshot in history:
        frame = lake.scan(snapshot).collect()
        assert frame.height == snapshot.rows
        assert digest_frame(frame) == snapshot.digest
        assert frame.equals(table(frame["id"][0], frame["id"][-1] + 1))


def test_a_writer_that_is_overtaken_looks_again(lake: Lake) -> None:
    lake.ingest("data", Frames(table(0, 10)))

    class Overtaken(Frames):
        def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
            yield from super().batches()
            if self.read == 1:
                lake.ingest("data", Frames(table(0, 12)))

    done = lake.ingest("data", Overtaken(table(0, 20)))
    assert (done.change, done.snapshot.version) == ("appended", 2)
    assert [s.rows for s in lake.history("data")] == [10, 12, 20]
    assert content(lake).equals(table(0, 20))

    class Hopeless(Overtaken):
        def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
            yield from Frames.batches(self)
            lake.ingest("data", Frames(table(0, 100 + self.read)))

    with pytest.raises(ConflictError, match="keep writing"):
        lake.ingest("data", Hopeless(table(0, 30)))
    assert content(lake).equals(table(0, 103))


CRASH = """
import sys, polars as pl
sys.path.insert(0, {tests!r})
from ratchet.data import parts
parts.PART_ROWS = 2000
from ratchet.data.lake import Lake
from test_data_lake import Frames, table
lake, n = Lake({lake!r}), 4000
while True:
    for frame in (table(0, n), table(0, n + 3000), table(7, n)):
        print("next", flush=True)
        lake.ingest("data", Frames(*frame.iter_slices(500)))
    n += 11
"""


def test_kill_minus_nine_anywhere(lake: Lake) -> None:
    """Killed at six moments, the lake is always whole, and goes on where it was."""
    code = textwrap.dedent(CRASH).format(tests=str(Path(__file__).parent), lake=lake._uri)
    for attempt in range(6):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(2 + attempt % 3):  # inside the second, third or fourth ingest
            assert process.stdout.readline() == b"next\n"
        deadline = time.monotonic() + 0.004 * attempt
        while time.monotonic() < deadline:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for snapshot in lake.history("data")[-2:]:
            frame = lake.scan(snapshot).collect()
            assert digest_frame(frame) == snapshot.digest
            assert frame.height == snapshot.rows
    done = lake.ingest("data", Frames(table(3, 9)))
    assert done.change == "replaced"
    assert done.snapshot.version > 3
    assert content(lake).equals(table(3, 9))


FULL = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from ratchet.data.lake import Lake
from ratchet.errors import StorageError
from test_data_lake import Frames, table
lake = Lake({lake!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    lake.ingest("data", Frames(table(0, 100_000)))
except StorageError as error:
    print(error.to_json()["code"], error.exit_code)
"""


@pytest.mark.parametrize("limit", [0, 50_000])
def test_a_full_disk_leaves_the_lake_as_it_was(lake: Lake, limit: int) -> None:
    """Files that may not grow: the writing fails as it does on a full disk."""
    lake.ingest("data", Frames(table(0, 10)))
    before = sorted((Path(lake._uri) / "data").rglob("*"))
    code = textwrap.dedent(FULL).format(
        tests=str(Path(__file__).parent), lake=lake._uri, limit=limit
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "storage 6\n"
    assert sorted((Path(lake._uri) / "data").rglob("*")) == before
    assert content(lake).equals(table(0, 10))
    assert lake.ingest("data", Frames(table(0, 12))).change == "appended"


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError) as caught:
        Lake(str(tmp_path / "file")).ingest("data", Frames(table(0, 3)))
    assert caught.value.where == "storage.lake"
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if os.access(closed, os.W_OK):  # root may write everywhere

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        Lake(str(closed)).ingest("data", Frames(table(0, 3)))


def test_a_lake_that_others_damaged(lake: Lake) -> None:
    made = lake.ingest("data", Frames(table(0, 3))).snapshot
    folder = Path(lake._uri) / "data"
    part = next(folder.glob("*.parquet"))
    part.rename(folder / "elsewhere")
    with pytest.raises(StorageError, match="is damaged") as caught:
        lake.scan(made)
    assert caught.value.name == "lake_damaged"
    log = folder / "_delta_log" / "00000000000000000000.json"
    log.write_text(log.read_text().replace('"ratchet"', '"other"'))
    with pytest.raises(StorageError, match="not made by Ratchet"):
        lake.latest("data")
    log.write_text("{")
    with pytest.raises(StorageError):
        lake.latest("data")


def test_other_delta_readers_see_the_table(lake: Lake) -> None:
    """The log carries rows, nulls and extremes, so that others need no scan for them."""
    from deltalake import DeltaTable

    moments = [datetime(2024, 1, day, 12, 0, 0, 250) for day in range(1, 6)]
    frame = table(0, 5).with_columns(
        n=pl.Series([1.5, None, float("inf"), 2.0, -1.0]),
        t=pl.Series(moments, dtype=pl.Datetime("us")),
    )
    lake.ingest("data", Frames(frame))
    opened = DeltaTable(f"{lake._uri}/data")
    stats = pl.DataFrame(opened.get_add_actions(flatten=True))
    assert stats["num_records"].to_list() == [5]
    assert (stats["min.id"].item(), stats["max.id"].item()) == (0, 4)
    assert stats["null_count.n"].item() == 1
    assert stats["max.t"].item().replace(tzinfo=None) == moments[-1]
    plain = Path(lake._uri).with_name("plain")
    Path(lake._uri).rename(plain)
    zoned = frame.with_columns(pl.col("t").dt.replace_time_zone("UTC"))
    assert pl.scan_delta(str(plain / "data")).collect().equals(zoned)


def test_a_long_history_is_never_cleaned(lake: Lake) -> None:
    """Past the checkpoint that Delta makes every hundred commits."""
    for n in range(1, 106):
        lake.ingest("data", Frames(table(0, n)))
    folder = Path(lake._uri) / "data" / "_delta_log"
    assert list(folder.glob("*.checkpoint.parquet"))
    assert len(list(folder.glob("*.json"))) == 105
    assert [s.rows for s in lake.history("data")] == list(range(1, 106))
    assert content(lake, 3).equals(table(0, 4))
    assert content(lake).equals(table(0, 105))


def test_remote_places(monkeypatch: pytest.MonkeyPatch) -> None:
    from ratchet.data.storage import storage_options

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9")
    assert storage_options("s3://bucket/lake")["AWS_ENDPOINT_URL"] == "http://localhost:9"  # type: ignore[index]
    assert storage_options("some/folder") is None
    writer = parts.PartWriter("gs://bucket/lake", 0)
    writer.add(table(0, 3))
    with pytest.raises(ConfigError, match="cannot lie at gs://bucket"):
        writer.finish()


def test_no_pyarrow_is_needed(lake: Lake, tmp_path: Path) -> None:
    """The lake and the sources of files work without the postgres extra."""
    code = textwrap.dedent(
        f"""
        import sys
        sys.modules["pyarrow"] = None
        from pathlib import Path
        import polars as pl
        from ratchet.data.lake import Lake
        from ratchet.data.settings import SourceSettings
        from ratchet.data.sources.open_source import open_source
        root = Path({str(tmp_path)!r})
        (root / "x.csv").write_text("a,t\\n1,2024-01-01 10:00\\n")
        lake = Lake({lake._uri!r})
        csv = open_source(SourceSettings(type="csv", path="x.csv"), root, columns=None)
        lake.ingest("data", csv)
        (root / "link").symlink_to(Path({lake._uri!r}) / "data")
        delta = open_source(SourceSettings(type="delta", path="link"), root, columns=None)
        print(pl.concat(list(delta.batches())).equals(lake.scan(lake.latest("data")).collect()))
        """
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "True\n"


def test_facts_are_json_in_the_commit(lake: Lake) -> None:
    made = lake.ingest("data", Frames(table(0, 3), fingerprint="one")).snapshot
    log = Path(lake._uri) / "data" / "_delta_log" / "00000000000000000000.json"
    infos = [json.loads(line).get("commitInfo") for line in log.read_text().splitlines()]
    facts = json.loads(next(info for info in infos if info)["ratchet"])
    assert facts == made.facts()
    assert facts["fingerprint"] == "one"
