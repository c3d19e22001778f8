"""From the prediction log into a real lake: once, whoever dies, and whatever the disk does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO

import polars as pl
import pytest

from ratchet.data.lake import Lake
from ratchet.data.predictions import compaction, upkeep
from ratchet.data.predictions.compaction import Compacted, compact
from ratchet.data.predictions.log import LogPolicy, PredictionLog
from ratchet.data.predictions.pinned import pin_table
from ratchet.data.predictions.records import Failed, Feedback, Served, encode
from ratchet.data.predictions.streams import held
from ratchet.data.predictions.tables import FAILURES, ServedTable
from ratchet.errors import ConflictError, StorageError

PROGRAM = Path(__file__).with_name("predictions_programs.py")
AT = datetime(2026, 11, 21, 23, 59, 59, 999_999, tzinfo=UTC)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def served(name: str, at: datetime = AT) -> bytes:
    return encode(Served(name, micros(at), 3, "champion", {"a": 1}, [0.25, 0.75], "Yes"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "my lake [1] 100%"))


def rows(lake: Lake, table: str = "predictions") -> pl.DataFrame:
    return read(Path(lake.place(table)))


def read(place: Path) -> pl.DataFrame:
    from deltalake import DeltaTable

    if not place.is_dir():
        return pl.DataFrame({"prediction_id": []}, schema={"prediction_id": pl.String})
    return pl.DataFrame(DeltaTable(str(place)).to_pyarrow_table())


def ids(lake: Lake) -> list[str]:
    return sorted(rows(lake)["prediction_id"].to_list())


def write(folder: Path, *names: str) -> None:
    with PredictionLog.open(folder, LogPolicy()) as log:
        log.append([served(name) for name in names])


def test_the_columns_of_the_tables(folder: Path, lake: Lake) -> None:
    then = AT + timedelta(microseconds=1)
    with PredictionLog.open(folder, LogPolicy()) as log:
        log.append(served("p1"))
        features = {"é": "\u2028", "n": 10**30, "x": None, "y": 1.0}
        log.append(
            encode(
                Served("p2", micros(then), 4, "shadow", features, [1.5], None, "e", 120, "p1", "r")
            )
        )
        log.append(encode(Feedback("k1", micros(then), True, prediction="p1", observed=1)))
        log.append(encode(Feedback("k2", micros(then), 2.5, entity="e", time=0, source="batch")))
        log.append(encode(Failed("p3", micros(AT), 4, "challenger", "timeout", 9)))
        log.append(encode(Failed("p4", micros(AT), 4, "shadow", "timeout", entity="e")))
        log.append(b'{"type":"of another time"}')
    done = compact(folder, lake)
    assert done == Compacted(1, 2, 2, 2, done.bytes, damaged=1)
    assert rows(lake).sort("at").to_dicts() == [
        {
            "prediction_id": "p1",
            "at": AT,
            "version": 3,
            "arm": "champion",
            "entity": None,
            "label": '"Yes"',
            "scores": [0.25, 0.75],
            "features": '{"a":1}',
            "micros": 0,
            "of": None,
            "request": None,
            "day": date(2026, 11, 21),
        },
        {
            "prediction_id": "p2",
            "at": then,
            "version": 4,
            "arm": "shadow",
            "entity": "e",
            "label": None,
            "scores": [1.5],
            "features": '{"é":"\u2028","n":1000000000000000000000000000000,"x":null,"y":1.0}',
            "micros": 120,
            "of": "p1",
            "request": "r",
            "day": date(2026, 11, 22),
        },
    ]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert rows(lake, "feedback").sort("key").select(pl.exclude("at", "day")).rows() == [
        ("k1", "true", "p1", None, None, epoch + timedelta(microseconds=1), "api"),
        ("k2", "2.5", None, "e", epoch, then, "batch"),
    ]
    assert rows(lake, "failures").rows() == [
        ("p3", AT, 4, "challenger", "timeout", 9, None, date(2026, 11, 21)),
        ("p4", AT, 4, "shadow", "timeout", 0, "e", date(2026, 11, 21)),
    ]


def test_a_table_of_an_older_ratchet_gets_the_columns_it_lacks(folder: Path, lake: Lake) -> None:
    from deltalake import DeltaTable

    older = {name: kind for name, kind in FAILURES.items() if name != "entity"}
    place = lake.place("failures")
    row = {"id": "old", "at": AT, "version": 1, "arm": "champion", "error": "x", "micros": 0}
    ServedTable(place, older).append(
        pl.DataFrame([row], schema=older), {"elsewhere": 0}, {"elsewhere": -1}, AT.isoformat()
    )
    assert pin_table(lake, "failures").scan().collect()["entity"].to_list() == [None]
    for number in range(upkeep.MANY):
        with PredictionLog.open(folder, LogPolicy()) as log:
            # What an older Ratchet left in the log says nothing of an entity either.
            log.append(encode(Failed(f"{number}", micros(AT), 1, "champion", "x", entity="e")))
            log.append(
                b'{"type":"failed","id":"old-%d","at":%d,"version":1,"arm":"champion","error":"x"}'
                % (number, micros(AT))
            )
        assert compact(folder, lake).failed == 2
    found = pin_table(lake, "failures").scan(["id", "entity"]).collect()
    assert dict(found.rows())["old"] is None
    assert found.filter(pl.col("entity") == "e").height == upkeep.MANY
    assert found.height == 2 * upkeep.MANY + 1
    done = [commit["operation"] for commit in DeltaTable(place).history()]
    assert done.count("ADD COLUMN") == 1
    assert "OPTIMIZE" in done, "files with and without the column are merged"


def test_nothing_to_do_is_nothing_done(folder: Path, lake: Lake) -> None:
    assert compact(folder, lake) == Compacted()
    write(folder)
    assert compact(folder, lake) == Compacted()
    assert not Path(lake.place("predictions")).exists()


def test_many_segments_are_one_commit_and_the_log_is_empty_after(folder: Path, lake: Lake) -> None:
    from deltalake import DeltaTable

    for number in range(3):
        with PredictionLog.open(folder, LogPolicy(segment=1)) as log:
            for one in range(4):
                log.append(served(f"{number}-{one}"))
    done = compact(folder, lake, as_of=AT)
    assert (done.segments, done.served, done.busy) == (12, 12, False)
    table = DeltaTable(lake.place("predictions"))
    assert table.version() == 1  # made, and one commit
    assert table.history(1)[0]["ratchet_log"] == AT.isoformat()
    assert [path.name for path in folder.iterdir()] == ["compaction.lock"]


def test_the_growing_segment_of_the_living_is_left_alone(folder: Path, lake: Lake) -> None:
    with PredictionLog.open(folder, LogPolicy()) as log:
        log.append(served("sealed"))
        log.seal()
        log.append(served("growing"))
        assert compact(folder, lake).served == 1
        assert ids(lake) == ["sealed"]
        log.append(served("later"))
    assert compact(folder, lake).served == 2
    assert ids(lake) == ["growing", "later", "sealed"]


def test_the_living_seal_when_they_are_asked_to(folder: Path, lake: Lake) -> None:
    with PredictionLog.open(folder, LogPolicy()) as log, PredictionLog.open(folder, LogPolicy()):
        log.append(served("growing"))
        assert compact(folder, lake, seal=10).served == 1
        started = time.monotonic()
        assert compact(folder, lake, seal=10) == Compacted()  # nothing grows: nobody is waited for
        assert time.monotonic() - started < 5
        log.append(served("later"))
    (dead,) = folder.glob("*/000001.seg")
    dead.rename(dead.with_suffix(".open"))  # as a killed writer leaves it
    started = time.monotonic()
    assert compact(folder, lake, seal=10).served == 1
    assert time.monotonic() - started < 5


def test_what_a_writer_left_as_it_began_is_removed_in_time(folder: Path, lake: Lake) -> None:
    write(folder, "one")
    for name, age in ((".old", 3600), (".new", 0)):
        (folder / name).mkdir()
        (folder / name / "lock").touch()
        os.utime(folder / name, (time.time() - age,) * 2)
    compact(folder, lake)
    assert sorted(path.name for path in folder.iterdir()) == [".new", "compaction.lock"]


def test_damage_is_told_and_the_file_kept(folder: Path, lake: Lake) -> None:
    write(folder, "one", "two", "three")
    write(folder, "four")
    (damaged, _) = sorted(folder.rglob("*.seg"))
    data = damaged.read_bytes()
    at = data.index(b'"two"')
    damaged.write_bytes(data[:at] + b"#" + data[at + 1 :])
    done = compact(folder, lake)
    assert (done.served, done.segments, done.damaged) == (3, 2, 1)
    assert ids(lake) == ["four", "one", "three"]
    (kept,) = (folder / "damaged").iterdir()
    assert kept.name == f"{damaged.parent.name}-{damaged.name}"
    assert b'#two"' in kept.read_bytes()
    assert compact(folder, lake) == Compacted()


def test_a_second_batch_does_not_take_back_what_a_larger_first_one_took(
    folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that died had taken four segments of a stream; the next one goes two by two."""
    with PredictionLog.open(folder, LogPolicy(segment=1)) as log:
        for number in range(4):
            log.append(served(f"a{number}"))
    shutil.copytree(folder, folder.with_name("copy"))
    compact(folder, lake)
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    write(folder, "b")
    monkeypatch.setattr(compaction, "BATCH_BYTES", 1)
    done = compact(folder, lake)
    assert (done.segments, done.served) == (5, 1)
    assert ids(lake) == ["a0", "a1", "a2", "a3", "b"]


def test_two_at_once_one_waits_or_leaves(folder: Path, lake: Lake) -> None:
    write(folder, "one")
    with held(folder / compaction.LOCK) as mine:
        assert mine
        assert compact(folder, lake) == Compacted(busy=True)
        waiting: list[Compacted] = []
        thread = threading.Thread(target=lambda: waiting.append(compact(folder, lake, patience=30)))
        thread.start()
        time.sleep(0.1)
        assert not waiting
    thread.join()
    assert waiting[0].served == 1


def test_many_processes_compact_one_log_while_it_is_written(folder: Path, lake: Lake) -> None:
    stop = threading.Event()
    done: list[Compacted] = []

    def run() -> None:
        while not stop.is_set():
            done.append(compact(folder, lake, patience=10))

    expected = []
    with PredictionLog.open(folder, LogPolicy(segment=500)) as log:
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(60):
            expected.append(f"p{number:03d}")
            log.append(served(expected[-1]))
            time.sleep(0.005)
        stop.set()
        for thread in threads:
            thread.join()
    last = compact(folder, lake)
    assert ids(lake) == expected
    assert sum(one.served for one in done) + last.served == 60


def test_somebody_without_the_lock_cannot_store_it_twice(
    folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log on a disk whose locks do nothing: the tables refuse the second."""
    write(folder, "one")
    shutil.copytree(folder, folder.with_name("copy"))
    write(folder.with_name("other"), "zero")
    compact(folder.with_name("other"), lake)  # the table is there
    look = compaction.ServedTable.taken

    def taken(self: compaction.ServedTable, streams: tuple[str, ...]) -> dict[str, int]:
        found = look(self, streams)
        monkeypatch.setattr(compaction.ServedTable, "taken", look)
        compact(folder.with_name("copy"), lake)  # between the other's look and its commit
        return found

    monkeypatch.setattr(compaction.ServedTable, "taken", taken)
    with pytest.raises(ConflictError):
        compact(folder, lake)
    again = compact(folder, lake)
    assert (again.segments, again.served) == (1, 0)
    assert ids(lake) == ["one", "zero"]


def test_many_small_files_become_one(
    folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake import DeltaTable

    monkeypatch.setattr(upkeep, "MANY", 3)
    place = lake.place("predictions")
    files = []
    for number in range(4):
        write(folder, f"p{number}")
        with PredictionLog.open(folder, LogPolicy()) as log:
            log.append(served(f"q{number}", AT + timedelta(days=number + 1)))
        compact(folder, lake)
        files.append(DeltaTable(place).get_add_actions(flatten=True).num_rows)
    assert files == [2, 4, 4, 6]  # the third time, the three files of 21 November became one
    assert ids(lake) == [f"{name}{number}" for name in "pq" for number in range(4)]
    write(folder, "again")
    with PredictionLog.open(folder, LogPolicy(segment=1)) as log:
        log.append(served("again"))
    assert compact(folder, lake).served == 2


def test_a_lake_that_cannot_be_written_keeps_the_log(
    folder: Path, lake: Lake, tmp_path: Path
) -> None:
    write(folder, "one")
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StorageError):
        compact(folder, Lake(str(blocked / "lake")))
    assert compact(folder, lake).served == 1


def test_a_commit_that_fails_leaves_no_file_behind(
    folder: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deltalake import DeltaTable

    write(folder, "one")

    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(DeltaTable, "create_write_transaction", fail)
        with pytest.raises(StorageError, match="the disk is gone"):
            compact(folder, lake)
    assert list(Path(lake.place("predictions")).rglob("*.parquet")) == []
    assert compact(folder, lake).served == 1


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@pytest.mark.parametrize("after", [1, 7, 60, 700, 2500])
def test_killed_while_it_writes_nothing_acknowledged_is_missing(
    after: int, folder: Path, lake: Lake
) -> None:
    with program("writer", str(folder), "5000") as process:
        out = lines(process.stdout)
        acknowledged = [out.readline().strip() for _ in range(after)]
        compacted = compact(folder, lake)  # while it writes
        acknowledged += [out.readline().strip() for _ in range(after)]
        process.kill()
        acknowledged += [line.strip() for line in out if line.endswith("\n")]
    last = compact(folder, lake)
    found = ids(lake)
    assert len(set(found)) == len(found) == compacted.served + last.served
    assert set(acknowledged) <= set(found)
    # Only the one that was being answered may be there without having been acknowledged.
    assert len(found) <= len(acknowledged) + 1
    assert sorted(rows(lake, "feedback")["prediction_id"]) == found
    assert segments_left(folder) == 0


def segments_left(folder: Path) -> int:
    return sum(path.suffix in (".seg", ".open") for path in folder.rglob("*"))


def test_below_a_limit_of_files_no_half_record_is_left(folder: Path, lake: Lake) -> None:
    with program("limited", str(folder), "20000") as process:
        *acknowledged, end = lines(process.stdout).read().split()
    assert end == "full"
    (growing,) = folder.rglob("*.open")
    assert growing.stat().st_size <= 20_000
    done = compact(folder, lake)
    assert (done.torn, done.damaged) == (0, 0)
    assert ids(lake) == sorted(acknowledged)


def test_killed_at_any_step_of_a_compaction_nothing_is_lost_or_stored_twice(
    folder: Path, tmp_path: Path
) -> None:
    expected = []
    for stream in range(2):
        with PredictionLog.open(folder, LogPolicy(segment=1)) as log:
            for number in range(2):
                expected.append(f"{stream}-{number}")
                label = Feedback(expected[-1], 0, "Yes", prediction=expected[-1])
                log.append([served(expected[-1]), encode(label)])
    with program("compactor") as process:

        def run(name: str, step: int, after: float) -> int:
            ask = {
                "folder": str(tmp_path / name / "log"),
                "lake": str(tmp_path / name / "lake"),
                "step": step,
                "after": after,
            }
            lines(process.stdin).write(json.dumps(ask) + "\n")
            lines(process.stdin).flush()
            return int(lines(process.stdout).readline())

        def check(name: str, step: int, after: float) -> int:
            shutil.copytree(folder, tmp_path / name / "log")
            steps = run(name, step, after)
            assert run(name, 0, 0) >= 0
            lake = Lake(str(tmp_path / name / "lake"))
            assert ids(lake) == expected, name
            assert sorted(rows(lake, "feedback")["key"]) == expected, name
            assert segments_left(tmp_path / name / "log") == 0
            return steps

        steps = check("whole", 0, 0)
        assert steps > 20
        died = [check(f"step-{step}", step, 0) for step in range(1, steps + 1)]
        assert died == [-1] * steps
        timed = [check(f"after-{after}", 0, after / 1000) for after in range(4, 60, 8)]
        assert -1 in timed
