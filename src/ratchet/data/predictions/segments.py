"""Segments, the files of the prediction log: written by one process, read by compaction.

A segment is a mark of eight bytes and then frames: the payload's length and its CRC-32, four
bytes each, least first, and the payload. A writer that dies can leave half a frame at the
end, and nothing else; half a frame was never acknowledged. A segment that grows is called
``000007.open``; sealed it is ``000007.seg`` and never changes again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from struct import Struct, error
from typing import Final
from zlib import crc32

from ratchet.errors import StorageError

MARK: Final = b"RATCHET1"
GROWING, SEALED = ".open", ".seg"
_HEAD: Final = Struct("<II")
_PAYLOAD: Final = b'{"type":"'
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# The data and what is needed to find it again; times of change may be lost.
sync_data = getattr(os, "fdatasync", os.fsync)


def frame(payload: bytes) -> bytes:
    """A payload as it lies in a segment. An empty one is refused with ValueError:

    zeros, which a power cut can leave at the end of a file, would read as such a frame.
    """
    if not payload:
        raise ValueError("an empty payload cannot be framed")
    return _HEAD.pack(len(payload), crc32(payload)) + payload


def join(payloads: Iterable[bytes]) -> bytes:
    """Several payloads as they lie in a segment."""
    return b"".join([frame(payload) for payload in payloads])


def is_full(fault: OSError) -> bool:
    """Whether there was no room: on the disk, in a quota, or below a limit of the process."""
    return fault.errno in _FULL


@dataclass(slots=True)
class GrowingSegment:
    """The segment that a writer appends to; not safe for several threads at once.

    Attributes:
        opened: when it was opened (monotonic seconds).
        size: its length in bytes.
        linked: whether its name in the folder has been synced.
        torn: half a frame lies at its end that could not be taken back: never append again.
    """

    path: Path
    handle: int
    opened: float
    size: int
    linked: bool = False
    torn: bool = False

    @classmethod
    def create(cls, stream: Path, number: int, opened: float) -> GrowingSegment:
        """A new one in a stream. Raises OSError and leaves nothing."""
        path = stream / f"{number:06d}{GROWING}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _write(handle, MARK)
        except OSError:
            os.close(handle)
            path.unlink()
            raise
        return cls(path, handle, opened, len(MARK))

    def append(self, data: bytes) -> None:
        """Write at the end, all or nothing. Raises OSError."""
        try:
            _write(self.handle, data)
        except OSError:
            try:
                os.ftruncate(self.handle, self.size)
            except OSError:
                self.torn = True
            raise
        self.size += len(data)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no frame."""
        return self.size <= len(MARK)

    def sync(self) -> None:
        """Wait until what was written survives a power cut. Raises OSError."""
        sync_data(self.handle)
        if not self.linked:
            sync_folder(self.path.parent)
            self.linked = True

    def seal(self) -> None:
        """Give it the name of a sealed segment; the handle stays open for ``sync``."""
        sealed = self.path.with_suffix(SEALED)
        self.path.rename(sealed)
        self.path = sealed

    def close(self) -> bool:
        """Close the handle, and remove an empty one; whether the disk let us."""
        try:
            os.close(self.handle)
            if self.is_empty:
                self.path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


def _write(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    if written != len(data):  # the disk or a limit is near: the rest says what it is
        rest = memoryview(data)[written:]
        while rest:
            rest = rest[os.write(handle, rest) :]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as a reader sees it."""

    path: Path
    number: int

    @property
    def size(self) -> int:
        """Its length in bytes. Raises StorageError."""
        try:
            return self.path.stat().st_size
        except OSError as fault:
            raise log_fault(self.path, fault) from None

    def read(self) -> Content:
        """Everything it holds. Raises StorageError when the disk does not give it."""
        try:
            return parse(self.path.read_bytes())
        except OSError as fault:
            raise log_fault(self.path, fault) from None


@dataclass(frozen=True, slots=True)
class Content:
    """What a segment holds.

    Attributes:
        payloads: of all sound frames, in the order they were written.
        torn: bytes at the end that are no whole frame: never acknowledged.
        damaged: bytes that were a frame once and no longer are. The disk did that.
    """

    payloads: tuple[bytes, ...]
    torn: int
    damaged: int


def parse(data: bytes) -> Content:
    """The content of a segment's bytes; never raises, whatever they are."""
    payloads: list[bytes] = []
    size, damaged = len(data), 0
    at = len(MARK)
    if not data.startswith(MARK):
        if size < at or not data.strip(b"\0"):
            return Content((), size, 0)
        following = _next_frame(data, 0, size)
        at = damaged = size if following is None else following
    while at < size:
        payload = _frame_at(data, at, size)
        if payload is not None:
            payloads.append(payload)
            at += _HEAD.size + len(payload)
            continue
        following = _next_frame(data, at + 1, size)
        if following is None:
            torn = _is_torn(data, at, size)
            rest = size - at
            return Content(tuple(payloads), rest if torn else 0, damaged + (0 if torn else rest))
        damaged += following - at
        at = following
    return Content(tuple(payloads), 0, damaged)


def _frame_at(data: bytes, at: int, size: int) -> bytes | None:
    try:
        length, checksum = _HEAD.unpack_from(data, at)
    except error:
        return None
    start = at + _HEAD.size
    if not length or start + length > size:
        return None
    payload = data[start : start + length]
    return payload if crc32(payload) == checksum else None


def _next_frame(data: bytes, at: int, size: int) -> int | None:
    """Where the next sound frame begins: every record of ours begins alike."""
    found = data.find(_PAYLOAD, at + _HEAD.size)
    while found >= 0:
        if _frame_at(data, found - _HEAD.size, size) is not None:
            return found - _HEAD.size
        found = data.find(_PAYLOAD, found + 1)
    return None


def _is_torn(data: bytes, at: int, size: int) -> bool:
    """Whether what begins at ``at`` and goes on to the end was never written as a whole."""
    if size - at < _HEAD.size:
        return True
    length, _ = _HEAD.unpack_from(data, at)
    whole = at + _HEAD.size + length <= size
    # After a power cut the end of a file can be zeros where data was on its way.
    return not whole or not length or data.endswith(b"\0")


def log_fault(path: Path, fault: OSError) -> StorageError:
    """The StorageError for a prediction log that cannot be read or written."""
    return StorageError(
        f"The prediction log cannot be read or written at {path}",
        why=fault.strerror or str(fault),
        fix="Check that the folder may be written and that the disk is healthy",
        where="serving.log",
        code="log_storage",
    )
