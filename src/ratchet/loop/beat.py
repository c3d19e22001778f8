"""One loop per project folder: a locked file that also says when the loop last ticked.

The kernel frees the lock when its holder ends, however it ends, and neither a clock that is set
nor a machine that sleeps changes that. What is written in the file is for people and for the
health check: who holds it, and when it was last heard of.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ratchet.errors import StorageError
from ratchet.ledger.process import this_process

FILE = "beat.json"
_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Beat:
    """Whoever looks after a project.

    Attributes:
        ticked: when it was last heard of.
        every: seconds from one tick to the next.
        alive: whether it still runs.
    """

    pid: int
    host: str
    since: datetime
    ticked: datetime
    every: float
    alive: bool

    def describe(self) -> str:
        """The loop for people."""
        return (
            f"process {self.pid} on {self.host} since {self.since:%Y-%m-%d %H:%M:%S} UTC "
            f"(last heard of {self.ticked:%H:%M:%S})"
        )


class Held:
    """A project's file, locked by this process. ``hold`` makes it."""

    def __init__(
        self, handle: int, since: datetime, every: float, before: dict[str, Any] | None = None
    ) -> None:
        me = this_process()
        self._handle, self._every = handle, every
        self._before = before
        self._who = {"pid": me.pid, "host": me.host, "since": since.isoformat()}
        self.tick(since)

    def tick(self, at: datetime) -> None:
        """Say that the loop is alive."""
        told = {**self._who, "ticked": at.isoformat(), "every": self._every}
        if self._before is not None:
            told["before"] = self._before
        with suppress(OSError):  # a full disk must not end the loop; the lock is what counts
            os.pwrite(self._handle, json.dumps(told).encode().ljust(_LENGTH), 0)

    def release(self) -> None:
        """Let another loop have the project."""
        os.close(self._handle)


def hold(folder: Path, at: datetime, every: float, *, once: bool = False) -> Held | Beat:
    """Take the project whose loop folder this is; or whoever has it.

    A single tick (``once``) is no loop: when it is over, the file tells of the loop before it, if
    there was one, however the tick ended.

    Raises:
        StorageError: the folder cannot be written.
    """
    place = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be written",
            why=error.strerror or str(error),
            fix="give the user that runs the loop the right to write there",
            where=str(folder),
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        found = _read(place, alive=True)
        return found or Beat(0, "this machine", at, at, every, True)
    if not once:
        return Held(handle, at, every)
    return Held(handle, at, every, _lasting(_body(place)))


def read_beat(folder: Path) -> Beat | None:
    """Who looks after a project, or did last; None when nobody ever did."""
    place = folder / FILE
    try:
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        alive = False
    except BlockingIOError:
        alive = True
    finally:
        os.close(handle)
    return _read(place, alive=alive)


def _read(place: Path, *, alive: bool) -> Beat | None:
    try:
        body = _body(place)
        if not alive:
            body = _lasting(body)
        since, ticked = (datetime.fromisoformat(body[name]) for name in ("since", "ticked"))
        return Beat(body["pid"], body["host"], since, ticked, body["every"], alive)
    except (ValueError, KeyError, TypeError):
        return None


def _body(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lasting(body: dict[str, Any]) -> dict[str, Any]:
    """What is left of it when its holder is gone: of a single tick, what was there before."""
    before = body.get("before", body)
    return before if isinstance(before, dict) else {}
