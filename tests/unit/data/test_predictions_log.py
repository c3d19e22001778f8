"""The prediction log of one process: what it takes, refuses, syncs and seals."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ratchet.data.predictions import log as module
from ratchet.data.predictions import segments as files
from ratchet.data.predictions.log import LogFullError, LogPolicy, PredictionLog, ask_to_seal
from ratchet.data.predictions.segments import MARK, frame
from ratchet.data.predictions.streams import segments
from ratchet.errors import StorageError


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHORES", 0.01)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes that the files had when they were synced."""
    seen: list[int] = []

    def sync(handle: int) -> None:
        seen.append(os.fstat(handle).st_size)
        time.sleep(0.01)  # a disk that takes its time

    monkeypatch.setattr(files, "sync_data", sync)
    return seen


def payloads(stream: Path) -> list[bytes]:
    return [p for segment in segments(stream, alive=False) for p in segment.read().payloads]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    with PredictionLog.open(tmp_path / "a" / "log", LogPolicy()) as opened:
        yield opened


def test_what_was_appended_is_in_the_file_before_append_returns(log: PredictionLog) -> None:
    log.append(b"one")
    assert payloads(log.stream) == [b"one"]
    log.append([b"two", b"three"])
    assert payloads(log.stream) == [b"one", b"two", b"three"]
    log.append([])
    stats = log.stats
    assert (stats.records, stats.refused, stats.faults, stats.healthy) == (3, 0, 0, True)
    assert stats.written == len(frame(b"one") + frame(b"two") + frame(b"three"))


def test_a_log_that_took_nothing_leaves_nothing(tmp_path: Path) -> None:
    log = PredictionLog.open(tmp_path, LogPolicy())
    log.seal()
    log.close()
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_closed_it_is_sealed_and_takes_nothing_more(log: PredictionLog) -> None:
    log.append(b"one")
    log.close()
    assert [segment.path.suffix for segment in segments(log.stream, alive=False)] == [".seg"]
    with pytest.raises(StorageError):
        log.append(b"two")
    assert payloads(log.stream) == [b"one"]


def test_segments_are_sealed_by_size_by_hand_by_age_and_on_request(tmp_path: Path) -> None:
    size = len(frame(b"x" * 100))
    policy = LogPolicy(segment=len(MARK) + 2 * size)
    with PredictionLog.open(tmp_path, policy) as log:
        for _ in range(5):
            log.append(b"x" * 100)
        assert [s.number for s in segments(log.stream, alive=True)] == [0, 1]
        log.seal()
        log.seal()
        assert [s.number for s in segments(log.stream, alive=True)] == [0, 1, 2]
        log.append(b"y" * 1000)  # more than a segment: one of its own
        log.append(b"z")
        assert [s.number for s in segments(log.stream, alive=True)] == [0, 1, 2, 3]
        ask_to_seal(tmp_path)
        until(lambda: len(segments(log.stream, alive=True)) == 5)
        assert len(payloads(log.stream)) == 7
    with PredictionLog.open(tmp_path, LogPolicy(age=0.03)) as log:
        log.append(b"one")
        until(lambda: len(segments(log.stream, alive=True)) == 1)


def test_the_disk_has_it_within_the_exposure(tmp_path: Path, syncs: list[int]) -> None:
    with PredictionLog.open(tmp_path, LogPolicy(exposure=0.02)) as log:
        for number in range(50):
            log.append(b"%d" % number)
        until(lambda: bool(syncs) and syncs[-1] == len(MARK) + log.stats.written)
        until(lambda: log.stats.syncs == len(syncs))
        assert len(syncs) < 25  # they shared syncs
        assert 0 < log.stats.exposure < 5
        count = len(syncs)
        time.sleep(0.05)
        assert len(syncs) == count  # nothing new, nothing synced


def test_all_who_wait_share_a_sync_that_began_after_their_append(
    tmp_path: Path, syncs: list[int]
) -> None:
    async def request(log: PredictionLog, number: int) -> None:
        log.append(b"%d" % number)
        written = len(MARK) + log.stats.written
        await log.durable()
        assert max(syncs) >= written

    async def run(log: PredictionLog) -> None:
        for _ in range(5):
            await asyncio.gather(*(request(log, number) for number in range(40)))

    with PredictionLog.open(tmp_path, LogPolicy(fsync="always", exposure=60)) as log:
        asyncio.run(run(log))
        assert 5 <= len(syncs) <= 25  # for 200 appends
        assert log.stats.syncs == len(syncs)
        asyncio.run(log.durable())
        assert len(syncs) == log.stats.syncs


def test_group_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sync_data", lambda handle: time.sleep(0.2))
    with PredictionLog.open(tmp_path, LogPolicy(exposure=0.0)) as log:
        log.append(b"x")
        started = time.monotonic()
        asyncio.run(log.durable())
        assert time.monotonic() - started < 0.15


def test_who_is_cancelled_while_waiting_disturbs_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(files, "sync_data", lambda handle: gate.wait(10))

    async def run(log: PredictionLog) -> None:
        log.append(b"x")
        tasks = [asyncio.create_task(log.durable()) for _ in range(3)]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        gate.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in done] == [type(None), asyncio.CancelledError, type(None)]

    with PredictionLog.open(tmp_path, LogPolicy(fsync="always")) as log:
        asyncio.run(run(log))


def test_a_full_folder_refuses_and_takes_again_when_it_was_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MEASURE", 0.0)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "000000.seg").write_bytes(b"x" * 900)
    with PredictionLog.open(tmp_path, LogPolicy(max_disk=1000)) as log:
        log.append(b"y" * 40)
        with pytest.raises(LogFullError) as caught:
            log.append([b"small", b"y" * 100])
        assert caught.value.name == "log_full"
        assert "of 1000 bytes are taken" in caught.value.why
        assert "ratchet data compact" in caught.value.fix
        assert payloads(log.stream) == [b"y" * 40]
        assert log.stats.refused == 1
        (tmp_path / "other" / "000000.seg").unlink()
        log.append(b"y" * 100)
        assert payloads(log.stream) == [b"y" * 40, b"y" * 100]


def test_a_full_disk_leaves_no_half_record(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(b"one")
    real = os.write
    with monkeypatch.context() as patch:

        def write(handle: int, data: bytes) -> int:
            if len(data) < 8:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(handle, data[: len(data) // 2])

        patch.setattr(files.os, "write", write)
        with pytest.raises(LogFullError):
            log.append(b"two" * 20)
    log.append(b"three")
    assert payloads(log.stream) == [b"one", b"three"]
    assert (log.stats.refused, log.stats.faults, log.stats.records) == (1, 0, 2)


def test_a_half_record_that_cannot_be_taken_back_ends_the_segment(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(b"one")
    real = os.write
    with monkeypatch.context() as patch:

        def write(handle: int, data: bytes) -> int:
            if len(data) < 8:
                raise OSError(errno.EIO, "Input/output error")
            return real(handle, data[: len(data) // 2])

        def truncate(handle: int, size: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        patch.setattr(files.os, "write", write)
        patch.setattr(files.os, "ftruncate", truncate)
        with pytest.raises(StorageError) as caught:
            log.append(b"two" * 20)
        assert caught.value.name == "log_storage"
    log.append(b"three")
    first, second = (segment.read() for segment in segments(log.stream, alive=False))
    assert (first.payloads, first.damaged) == ((b"one",), 0)
    assert first.torn > 0
    assert second.payloads == (b"three",)


def test_after_a_failed_sync_nothing_is_taken_until_the_disk_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [True]

    def sync(handle: int) -> None:
        if broken[0]:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "sync_data", sync)

    async def request(log: PredictionLog) -> None:
        log.append(b"one")
        await log.durable()

    with PredictionLog.open(tmp_path, LogPolicy(fsync="always")) as log:
        with pytest.raises(StorageError, match="Input/output error"):
            asyncio.run(request(log))
        with pytest.raises(StorageError):
            log.append(b"two")
        with pytest.raises(StorageError):  # a second sync would say it went well
            asyncio.run(log.durable())
        assert not log.stats.healthy
        broken[0] = False
        until(lambda: log.stats.healthy)
        asyncio.run(request(log))
        assert log.stats.faults >= 1
        assert len(segments(log.stream, alive=False)) == 2
    assert payloads(log.stream) == [b"one", b"one"]


def test_waiting_during_a_sync_that_fails_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()

    def sync(handle: int) -> None:
        begun.set()
        gate.wait(10)
        raise OSError(errno.EIO, "Input/output error")

    async def run(log: PredictionLog) -> None:
        log.append(b"one")
        early = asyncio.create_task(log.durable())
        await asyncio.to_thread(begun.wait, 10)
        log.append(b"two")  # into the same file, whose pages the kernel will drop
        late = asyncio.create_task(log.durable())
        await asyncio.sleep(0)
        gate.set()
        answers = await asyncio.gather(early, late, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StorageError, StorageError]

    monkeypatch.setattr(files, "sync_data", sync)
    with PredictionLog.open(tmp_path, LogPolicy(fsync="always")) as log:
        asyncio.run(run(log))


def test_a_removed_folder_is_noticed(log: PredictionLog) -> None:
    log.append(b"one")
    shutil.rmtree(log.stream)
    until(lambda: not log.stats.healthy)
    with pytest.raises(StorageError, match="No such file"):
        log.append(b"two")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_without_its_thread_it_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(handle: int) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(files, "sync_data", sync)
    with PredictionLog.open(tmp_path, LogPolicy(fsync="always")) as log:
        log.append(b"one")
        with pytest.raises(StorageError):
            asyncio.run(log.durable())
        until(lambda: not log.stats.healthy)
        with pytest.raises(StorageError, match="the thread that syncs has ended"):
            log.append(b"two")
        monkeypatch.setattr(files, "sync_data", os.fsync)


def test_threads_share_it(tmp_path: Path) -> None:
    with PredictionLog.open(tmp_path, LogPolicy(segment=2000, exposure=0.001)) as log:

        def write(name: int) -> None:
            for number in range(200):
                log.append(b"%d/%d" % (name, number))

        threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = payloads(log.stream)
    assert sorted(found) == sorted(b"%d/%d" % (n, i) for n in range(4) for i in range(200))
    for name in range(4):  # each thread's in its order
        own = [payload for payload in found if payload.startswith(b"%d/" % name)]
        assert own == [b"%d/%d" % (name, number) for number in range(200)]


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught:
        PredictionLog.open(tmp_path / "file" / "log", LogPolicy())
    assert caught.value.name == "log_storage"
