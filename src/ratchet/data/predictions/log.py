"""The prediction log of one server process: what ``append`` took survives the process.

A record is written to the kernel in one call before ``append`` returns, so no way of dying
loses it; a thread brings it to the disk soon after (``exposure``), which is what a power cut
asks for. Who needs that before answering awaits ``durable``: all who wait share one sync.
Reading is compaction's, which takes sealed segments only.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Final, Literal

from ratchet.clock import monotonic, now
from ratchet.data.predictions.room import Room
from ratchet.data.predictions.segments import (
    GrowingSegment,
    frame,
    is_full,
    join,
    log_fault,
    sync_folder,
)
from ratchet.data.predictions.streams import remove_empty, take_lock
from ratchet.data.predictions.waiters import Waiters
from ratchet.errors import StorageError
from ratchet.ids import token

SEAL_REQUEST: Final = "seal"
_CHORES, _HEED, _MEASURE = 1.0, 0.1, 0.2


class LogFullError(StorageError):
    """The prediction log has no room; nothing of what was to be written is in it."""

    code = "log_full"


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """How a log keeps what it takes.

    Attributes:
        fsync: group = a power cut can undo the last ``exposure`` seconds; always =
            ``durable`` waits for the disk.
        exposure: seconds.
        max_disk: bytes that the whole folder may hold before appends are refused.
        segment: bytes after which a segment is sealed.
        age: seconds after which one is sealed that did not fill up.
    """

    fsync: Literal["group", "always"] = "group"
    exposure: float = 0.05
    max_disk: int = 1_000_000_000
    segment: int = 16 << 20
    age: float = 60.0


@dataclass(frozen=True, slots=True)
class LogStats:
    """What a log has done since it was opened.

    Attributes:
        waiting: bytes in the folder that are not in the lake yet, other processes' too.
        records: records taken; ``written``: their bytes.
        syncs: how often the disk was waited for; ``sync_seconds``: how long the last time.
        exposure: the longest that a record was not on the disk yet, in seconds.
        refused: appends that found no room.
        faults: times the disk failed to write or sync.
        healthy: whether appends are taken; False after a fault, until the disk works again.
    """

    waiting: int
    records: int
    written: int
    syncs: int
    sync_seconds: float
    exposure: float
    refused: int
    faults: int
    healthy: bool


class PredictionLog:
    """Appends records for one process; threads may share it. Open it after forking.

    ``append`` and ``durable`` raise StorageError: LogFullError when there is no room, any
    other when the disk fails; then nothing was written, and later appends may work again.
    """

    def __init__(self, stream: Path, lock: int, policy: LogPolicy) -> None:
        self._stream, self._lock, self._policy = stream, lock, policy
        self._mutex = Lock()
        self._wake, self._urgent, self._stopping = Event(), Event(), Event()
        self._segment: GrowingSegment | None = None
        self._sealed: list[GrowingSegment] = []
        self._number = 0
        self._dirty = False
        self._fault: OSError | None = None
        self._written = self._synced = self._undone = 0
        self._records = self._syncs = self._refused = self._faults = 0
        self._sync_seconds = self._exposure = self._dirty_since = 0.0
        self._asked = self._seal_request()
        self._room = Room(stream.parent, policy.max_disk)
        self._room.measure(0.0)
        self._waiters = Waiters()
        self._thread = Thread(target=self._keep, name="ratchet-log", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, folder: Path, policy: LogPolicy) -> PredictionLog:
        """A new stream in a folder, which is made. Raises StorageError when it cannot be."""
        name = f"{now():%Y%m%dT%H%M%S%f}-{token()}"
        hidden = folder / f".{name}"
        try:
            hidden.mkdir(parents=True)
            lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            # Nobody sees the stream before it is held: one whose lock is free is dead.
            take_lock(lock)
            stream = hidden.rename(folder / name)
            sync_folder(folder)
        except OSError as fault:
            raise log_fault(folder, fault) from None
        return cls(stream, lock, policy)

    @property
    def stream(self) -> Path:
        """The folder that this log alone writes to."""
        return self._stream

    def append(self, payload: bytes | Sequence[bytes]) -> None:
        """Take one record, or several as one: all of them or none."""
        if isinstance(payload, bytes):
            data, records = frame(payload), 1
        elif payload:
            data, records = join(payload), len(payload)
        else:
            return
        with self._mutex:
            segment = self._ready(len(data))
            try:
                segment.append(data)
            except OSError as fault:
                raise self._refuse(fault) from None
            self._written += len(data)
            self._room.take(len(data))
            self._records += records
            if self._dirty:
                return
            self._dirty, self._dirty_since = True, monotonic()
        self._wake.set()

    async def durable(self) -> None:
        """Return when everything appended before survives a power cut (fsync "always").

        With fsync "group" it returns at once.
        """
        if self._policy.fsync != "always":
            return
        with self._mutex:
            if self._undone and self._written <= self._undone:
                raise self._fault_now()
            if self._synced >= self._written:
                return
            waiter = self._waiters.join()
            first = len(self._waiters) == 1
        if first:
            self._urgent.set()
            self._wake.set()
        await waiter

    def seal(self) -> None:
        """End the segment that grows, so that compaction may take it."""
        with self._mutex:
            self._seal()
        self._wake.set()

    @property
    def stats(self) -> LogStats:
        """What it has done so far."""
        with self._mutex:
            return LogStats(
                waiting=self._room.used,
                records=self._records,
                written=self._written,
                syncs=self._syncs,
                sync_seconds=self._sync_seconds,
                exposure=self._exposure,
                refused=self._refused,
                faults=self._faults,
                healthy=self._fault is None,
            )

    def close(self) -> None:
        """Sync, seal, and give the stream to compaction; a second time it does nothing."""
        with self._mutex:
            if self._stopping.is_set():
                return
            self._stopping.set()
        self._urgent.set()
        self._wake.set()
        self._thread.join()
        self.seal()
        self._sync()
        remove_empty(self._stream)
        os.close(self._lock)

    def __enter__(self) -> PredictionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Called with the mutex held.

    def _ready(self, size: int) -> GrowingSegment:
        """The segment for the next ``size`` bytes."""
        if self._stopping.is_set() or self._fault is not None:
            raise self._fault_now()
        try:
            lack = self._room.lacks(size, _MEASURE)
        except OSError as fault:
            raise self._refuse(fault) from None
        if lack:
            self._refused += 1
            raise self._full(lack)
        segment = self._segment
        if segment is not None and (
            segment.torn or (segment.size + size > self._policy.segment and not segment.is_empty)
        ):
            self._seal()
            segment = None
        return self._create() if segment is None else segment

    def _create(self) -> GrowingSegment:
        try:
            segment = GrowingSegment.create(self._stream, self._number, monotonic())
        except OSError as fault:
            raise self._refuse(fault) from None
        self._segment, self._number = segment, self._number + 1
        return segment

    def _seal(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        self._sealed.append(segment)
        if not segment.is_empty:
            try:
                segment.seal()
            except OSError:  # compaction takes it as it is when this process has ended
                self._faults += 1

    def _refuse(self, fault: OSError) -> StorageError:
        if is_full(fault):
            self._refused += 1
            return self._full(fault.strerror or str(fault))
        self._faults += 1
        return log_fault(self._stream, fault)

    def _full(self, why: str) -> LogFullError:
        return LogFullError(
            "The prediction log is full",
            why=why,
            fix="Let `ratchet data compact` move it into the lake, or raise serving.log.max_disk",
            where="serving.log.max_disk",
        )

    def _fault_now(self) -> StorageError:
        return log_fault(self._stream, self._fault or OSError("it was closed, or a sync failed"))

    # The thread's; it alone closes segments.

    def _keep(self) -> None:
        try:
            self._keep_synced()
        finally:
            with self._mutex:
                if not self._stopping.is_set():  # a bug: then nothing more is promised
                    self._fail(OSError("the thread that syncs has ended"))

    def _keep_synced(self) -> None:
        chores = monotonic()
        while not self._stopping.is_set():
            self._wake.wait(_HEED)
            if self._dirty:  # the others share a sync, unless somebody waits for it
                self._urgent.wait(self._leisure())
            self._wake.clear()
            self._urgent.clear()
            self._sync()
            if monotonic() - chores >= _CHORES or self._seal_request() != self._asked:
                chores = monotonic()
                self._do_chores()

    def _leisure(self) -> float:
        """Seconds that a record may wait for others: each sync takes the interpreter for a moment.

        A fifth of what the policy allows is left for the disk, or twice what it took last.
        """
        allowed = self._policy.exposure
        return max(0.0, allowed - max(allowed / 5, 2 * self._sync_seconds))

    def _sync(self) -> None:
        """Bring everything written so far to the disk, and tell who waits for it."""
        with self._mutex:
            self._dirty, since = False, self._dirty_since
            sealed, self._sealed = self._sealed, []
            waiters, self._waiters = self._waiters, Waiters()
            growing, written, synced = self._segment, self._written, self._synced
        fault: OSError | None = OSError("the sync was not finished")
        try:
            segments = [*sealed, growing] if growing else sealed
            fault = self._wait_for_disk(segments, since) if written > synced else None
        finally:
            with self._mutex:
                self._faults += sum(not segment.close() for segment in sealed)
                self._synced = max(written, self._synced)
                if fault is not None:
                    # What the kernel could not write it may have dropped: a second sync that
                    # succeeds says nothing about it. So that segment is left.
                    self._fail(fault)
            waiters.tell(None if fault is None else log_fault(self._stream, fault))

    def _wait_for_disk(self, segments: Sequence[GrowingSegment], since: float) -> OSError | None:
        started, fault = monotonic(), None
        for segment in segments:
            try:
                segment.sync()
            except OSError as error:
                fault = error
        ended = monotonic()
        with self._mutex:
            self._syncs += len(segments)
            self._sync_seconds = ended - started
            self._exposure = max(self._exposure, ended - since)
        return fault

    def _do_chores(self) -> None:
        with self._mutex:
            segment = self._segment
            asked, self._asked = self._asked, self._seal_request()
            try:
                self._room.measure(0.0)
                if segment is not None:
                    segment.path.stat()  # else it was removed: what is appended goes nowhere
            except OSError as fault:
                self._fail(fault)
            if segment is not None and (
                asked != self._asked or monotonic() - segment.opened >= self._policy.age
            ):
                self._seal()
        if self._fault is not None:
            self._probe()

    def _fail(self, fault: OSError) -> None:
        """Take no append before the disk has proven itself (see ``_probe``)."""
        self._fault, self._faults = fault, self._faults + 1
        self._undone = self._synced = self._written
        self._waiters.tell(log_fault(self._stream, fault))
        self._waiters = Waiters()
        self._seal()

    def _probe(self) -> None:
        """After a fault: take appends again once a new segment has reached the disk."""
        try:
            with self._mutex:
                segment = self._segment or self._create()
            segment.sync()
        except (OSError, StorageError):
            with self._mutex:
                self._seal()
            return
        with self._mutex:
            self._fault = None

    def _seal_request(self) -> int:
        """When somebody last asked all writers of the folder to seal (see ``ask_to_seal``)."""
        try:
            return (self._stream.parent / SEAL_REQUEST).stat().st_mtime_ns
        except OSError:
            return 0


def ask_to_seal(folder: Path) -> None:
    """Ask the writers of a log to seal what they have; they do within about a tenth of a second."""
    try:
        (folder / SEAL_REQUEST).touch()
    except OSError as fault:
        raise log_fault(folder, fault) from None
