"""Segments of the prediction log: what a reader makes of any bytes, and which it may take."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.data.predictions import segments as module
from ratchet.data.predictions import streams as folders
from ratchet.data.predictions.segments import (
    MARK,
    Content,
    GrowingSegment,
    frame,
    is_full,
    join,
    parse,
)
from ratchet.data.predictions.streams import DAMAGED, disk_use, held, segments, streams
from ratchet.errors import StorageError

RECORDS = [b'{"type":"failed","id":"%d"}' % number for number in range(4)]


def test_a_whole_segment_gives_its_payloads_in_order() -> None:
    assert parse(MARK + join(RECORDS)) == Content(tuple(RECORDS), 0, 0)
    assert parse(MARK) == Content((), 0, 0)
    assert parse(b"") == Content((), 0, 0)


def test_cut_at_every_byte_the_whole_frames_stay_and_the_rest_is_torn() -> None:
    data = MARK + join(RECORDS)
    ends = [len(MARK) + len(join(RECORDS[:number])) for number in range(5)]
    for cut in range(len(data)):
        whole = sum(end <= cut for end in ends[1:])
        start = ends[whole] if cut >= len(MARK) else 0
        assert parse(data[:cut]) == Content(tuple(RECORDS[:whole]), cut - start, 0), cut


@pytest.mark.parametrize("zeros", [1, 7, 8, 9, 4096])
def test_zeros_that_a_power_cut_leaves_are_torn_not_records(zeros: int) -> None:
    data = MARK + join(RECORDS)
    assert parse(data + b"\0" * zeros) == Content(tuple(RECORDS), zeros, 0)
    half = data[:-20] + b"\0" * 20
    torn = len(frame(RECORDS[3]))
    assert parse(half) == Content(tuple(RECORDS[:3]), torn, 0)
    assert parse(b"\0" * zeros) == Content((), zeros, 0)


def test_an_empty_payload_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        frame(b"")
    with pytest.raises(ValueError, match="empty"):
        join([b"x", b""])


def test_damage_costs_one_record_and_is_told() -> None:
    data = bytearray(MARK + join(RECORDS))
    size = len(frame(RECORDS[0]))
    for at in range(len(MARK) + size, len(MARK) + 2 * size):  # any byte of the second frame
        changed = bytearray(data)
        changed[at] ^= 0xFF
        content = parse(bytes(changed))
        assert content == Content((RECORDS[0], RECORDS[2], RECORDS[3]), 0, size), at


def test_a_damaged_last_frame_and_a_damaged_mark_are_told() -> None:
    data = bytearray(MARK + join(RECORDS))
    data[-1] ^= 0xFF
    assert parse(bytes(data)) == Content(tuple(RECORDS[:3]), 0, len(frame(RECORDS[3])))
    data = bytearray(MARK + join(RECORDS))
    data[0] ^= 0xFF
    assert parse(bytes(data)) == Content(tuple(RECORDS), 0, len(MARK))
    assert parse(b"something else entirely").damaged == 23


def test_only_what_lies_below_a_growing_segment_is_taken_from_the_living(tmp_path: Path) -> None:
    for name in ("000002.seg", "000000.seg", "lock", "000001.open", "note.txt"):
        (tmp_path / name).touch()
    assert [s.number for s in segments(tmp_path, alive=True)] == [0]
    assert [s.number for s in segments(tmp_path, alive=False)] == [0, 1, 2]
    (tmp_path / "000001.open").rename(tmp_path / "000001.seg")
    (tmp_path / "1000000.open").touch()  # seven digits come after six
    assert [s.number for s in segments(tmp_path, alive=True)] == [0, 1, 2]
    assert [s.number for s in segments(tmp_path, alive=False)] == [0, 1, 2, 1_000_000]


def test_a_name_that_changes_while_the_folder_is_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first look misses 000001, which was being renamed, and sees 000002 sealed after it.
    (tmp_path / "000001.seg").touch()
    (tmp_path / "000002.seg").touch()
    looks = iter([["000002.seg"], ["000001.seg", "000002.seg", "000003.seg"]])
    monkeypatch.setattr(folders, "_segment_names", lambda stream: next(looks))
    assert [s.number for s in segments(tmp_path, alive=True)] == [1, 2]


def test_streams_are_folders_that_writers_have_shown(tmp_path: Path) -> None:
    assert streams(tmp_path / "none") == ()
    for name in ("b", "a", ".hidden", DAMAGED):
        (tmp_path / name).mkdir()
        (tmp_path / name / "000000.seg").write_bytes(b"12345")
    (tmp_path / "compaction.lock").touch()
    assert [path.name for path in streams(tmp_path)] == ["a", "b"]
    assert disk_use(tmp_path) == 10


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with held(tmp_path / "lock") as first:
        assert first
        with held(tmp_path / "lock") as second:
            assert not second
    with held(tmp_path / "lock") as third:
        assert third


def failing_write(after: int, code: int) -> Callable[[int, bytes], int]:
    """An os.write that takes some bytes and then fails."""
    left = [after]
    real = os.write

    def write(handle: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(code, os.strerror(code))
        taken = real(handle, data[: left[0]])
        left[0] -= taken
        return taken

    return write


@pytest.mark.parametrize("after", [0, 1, 9, 30])
def test_half_a_frame_is_taken_back(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = GrowingSegment.create(tmp_path, 0, 0.0)
    segment.append(frame(RECORDS[0]))
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", failing_write(after, errno.ENOSPC))
        with pytest.raises(OSError, match="No space") as caught:
            segment.append(join(RECORDS[1:3]))
    assert is_full(caught.value)
    segment.append(frame(RECORDS[3]))
    segment.close()
    content = parse(segment.path.read_bytes())
    assert content == Content((RECORDS[0], RECORDS[3]), 0, 0)


def test_a_short_write_that_can_go_on_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    segment = GrowingSegment.create(tmp_path, 0, 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", lambda handle, data: real(handle, bytes(data[:5])))
        segment.append(join(RECORDS))
    segment.close()
    assert parse(segment.path.read_bytes()) == Content(tuple(RECORDS), 0, 0)


def test_a_segment_without_a_record_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    GrowingSegment.create(tmp_path, 0, 0.0).close()
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", failing_write(3, errno.EDQUOT))
        with pytest.raises(OSError, match=os.strerror(errno.EDQUOT)):
            GrowingSegment.create(tmp_path, 1, 0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "000000.seg").mkdir()
    (found,) = segments(tmp_path, alive=False)
    with pytest.raises(StorageError) as caught:
        found.read()
    assert caught.value.name == "log_storage"
