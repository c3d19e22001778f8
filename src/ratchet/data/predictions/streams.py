"""Streams of the prediction log: one folder of segments for each writer.

A writer holds the lock on its stream's file ``lock`` as long as it lives; when the lock is
free the writer is gone, and nobody will ever write there again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ratchet.data.predictions.segments import GROWING, SEALED, Segment

DAMAGED: Final = "damaged"
"""The folder of segments that the disk has damaged; no stream."""


def streams(folder: Path) -> tuple[Path, ...]:
    """The streams of a log, oldest first."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path for path in folder.iterdir() if _is_stream(path)))


def _is_stream(path: Path) -> bool:
    return path.is_dir() and path.name != DAMAGED and not path.name.startswith(".")


def segments(stream: Path, *, alive: bool) -> tuple[Segment, ...]:
    """What may be taken from a stream, in order; raises FileNotFoundError where there is none.

    All of a dead one. Of one that is written to, those below its growing segment: whoever
    takes number n may hold all below n for taken.
    """
    names = _segment_names(stream)
    if alive:
        # A name that changes while a folder is read can be missed. Segments are sealed in
        # their order, so all below the last that was seen are there at the second look.
        last = max((_number(name) for name in names if name.endswith(SEALED)), default=-1)
        names = _segment_names(stream)
        growing = [_number(name) for name in names if name.endswith(GROWING)]
        end = min([last + 1, *growing])
        names = [name for name in names if _number(name) < end]
    return tuple(Segment(stream / name, _number(name)) for name in names)


def _segment_names(stream: Path) -> list[str]:
    names = [path.name for path in stream.iterdir() if path.suffix in (GROWING, SEALED)]
    return sorted(names, key=_number)


def _number(name: str) -> int:
    return int(name.partition(".")[0])


def disk_use(folder: Path) -> int:
    """Bytes in all segments of a log; what disappears meanwhile is not counted."""
    total = 0
    for stream in streams(folder):
        with suppress(FileNotFoundError), os.scandir(stream) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
    return total


def remove_empty(stream: Path) -> None:
    """Remove a stream that nobody writes to and that holds no segment."""
    with suppress(OSError):  # what stays of it is removed the next time
        if not segments(stream, alive=False):
            (stream / "lock").unlink(missing_ok=True)
            stream.rmdir()


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Try to hold the lock of a file; whether that worked. Raises OSError."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield take_lock(handle)
    finally:
        os.close(handle)


def take_lock(handle: int) -> bool:
    """Lock an open file until it is closed; False when somebody else holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
