"""Moves the prediction log into the lake; ``ratchet data compact`` calls it.

Every segment goes into the lake exactly once: the commit that brings its rows also says that
they were taken, and only then the segment is removed. Whoever dies in between leaves
segments that the next one finds taken, and removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Final

import polars as pl

from ratchet.clock import monotonic, now
from ratchet.data.lake import Lake
from ratchet.data.predictions.log import ask_to_seal
from ratchet.data.predictions.rows import Rows
from ratchet.data.predictions.segments import Segment, log_fault
from ratchet.data.predictions.streams import DAMAGED, held, remove_empty, segments, streams
from ratchet.data.predictions.tables import FAILURES, FEEDBACK, PREDICTIONS, ServedTable
from ratchet.data.predictions.upkeep import merge_small_files

LOCK: Final = "compaction.lock"
BATCH_BYTES: Final = 16 << 20
"""The most of the log that one commit takes: what bounds the memory. Rows that were logged
together take some four times as much here as there."""
_POLL: Final = 0.05
_BEGINNING: Final = 60.0
"""Seconds after which nobody is still making a stream."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one compaction did.

    Attributes:
        segments: segments that were removed from the log.
        served: rows added to ``predictions``; ``feedback`` and ``failed`` likewise.
        bytes: what the removed segments had taken.
        torn: bytes of half-written records, which were never acknowledged.
        damaged: segments the disk had damaged, or that hold records of another version of
            Ratchet: what could be read is in the lake, the file is in ``damaged/`` of the log.
        busy: somebody else was compacting; nothing was done.
    """

    segments: int = 0
    served: int = 0
    feedback: int = 0
    failed: int = 0
    bytes: int = 0
    torn: int = 0
    damaged: int = 0
    busy: bool = False


def compact(
    folder: Path,
    lake: Lake,
    *,
    as_of: datetime | None = None,
    patience: float = 0.0,
    seal: float = 0.0,
) -> Compacted:
    """Move everything sealed, and everything dead writers left, into the lake.

    Args:
        folder: the log's.
        lake: gets the tables ``predictions``, ``feedback`` and ``failures``.
        as_of: the moment that the commits are stamped with; now when left out.
        patience: seconds to wait for another compaction of the same log to end.
        seal: seconds to wait for the writers that live to seal what they have taken so far,
            which takes them about a tenth of one; 0 = leave what is growing for the next time.

    Raises:
        StorageError: the log or the lake cannot be read or written; what was not moved stays.
        ConflictError: the same segments were taken by somebody without the log's lock.
    """
    if not folder.is_dir():
        return Compacted()
    if seal:
        _let_seal(folder, seal)
    deadline = monotonic() + patience
    while True:
        try:
            with held(folder / LOCK) as mine:
                if mine:
                    return _Compaction(folder, lake, as_of or now()).run()
        except OSError as fault:
            raise log_fault(folder, fault) from None
        if monotonic() >= deadline:
            return Compacted(busy=True)
        sleep(_POLL)


_Waiting = tuple[str, Segment]
"""A segment and the name of its stream."""


@dataclass(frozen=True, slots=True)
class _Target:
    table: ServedTable
    rows: Callable[[Rows], pl.DataFrame]


class _Compaction:
    def __init__(self, folder: Path, lake: Lake, as_of: datetime) -> None:
        self._folder = folder
        self._stamp = as_of.isoformat()
        self._targets = {
            "served": _Target(
                ServedTable(lake.place("predictions"), PREDICTIONS), Rows.predictions
            ),
            "feedback": _Target(ServedTable(lake.place("feedback"), FEEDBACK), Rows.feedback),
            "failed": _Target(ServedTable(lake.place("failures"), FAILURES), Rows.failures),
        }

    def run(self) -> Compacted:
        done = Compacted()
        found = _find(self._folder)
        for batch in _batches(found):
            done = self._move(batch, done)
        for stream in found:
            if stream.dead:
                remove_empty(stream.path)
        _clear(self._folder, now())
        if done.segments:
            for target in self._targets.values():
                merge_small_files(target.table.place)
        return done

    def _move(self, batch: Sequence[_Waiting], done: Compacted) -> Compacted:
        """Bring a batch into the tables, then remove it."""
        last = {stream: segment.number for stream, segment in batch}
        taken = {name: one.table.taken(tuple(last)) for name, one in self._targets.items()}
        frames: dict[str, list[pl.DataFrame]] = {name: [] for name in self._targets}
        torn, damaged = 0, []
        for stream, segment in batch:
            content = segment.read()
            rows = Rows(content.payloads)
            torn += content.torn
            if content.damaged or rows.unread:
                damaged.append((stream, segment))
            for name, target in self._targets.items():
                if segment.number > taken[name][stream]:
                    frames[name].append(target.rows(rows))
        added = {name: self._append(name, frames[name], taken[name], last) for name in frames}
        return replace(
            done,
            segments=done.segments + len(batch),
            served=done.served + added["served"],
            feedback=done.feedback + added["feedback"],
            failed=done.failed + added["failed"],
            bytes=done.bytes + self._remove(batch, damaged),
            torn=done.torn + torn,
            damaged=done.damaged + len(damaged),
        )

    def _append(
        self,
        name: str,
        frames: Sequence[pl.DataFrame],
        taken: Mapping[str, int],
        last: Mapping[str, int],
    ) -> int:
        """Add what one table gets; the number of rows."""
        rows = sum(frame.height for frame in frames)
        if rows:
            # Never a lower number than is there: that would be taken twice later on.
            new = {stream: number for stream, number in last.items() if number > taken[stream]}
            self._targets[name].table.append(pl.concat(frames), new, taken, self._stamp)
        return rows

    def _remove(self, batch: Sequence[_Waiting], damaged: Sequence[_Waiting]) -> int:
        """Remove segments that are in the lake; the damaged ones are kept aside."""
        size = 0
        try:
            for stream, segment in batch:
                size += segment.size
                if (stream, segment) in damaged:
                    aside = self._folder / DAMAGED
                    aside.mkdir(exist_ok=True)
                    segment.path.rename(aside / f"{stream}-{segment.path.name}")
                else:
                    segment.path.unlink()
        except OSError as fault:
            raise log_fault(self._folder, fault) from None
        return size


@dataclass(frozen=True, slots=True)
class _Stream:
    path: Path
    dead: bool
    segments: tuple[Segment, ...]


def _let_seal(folder: Path, patience: float) -> None:
    """Have the living seal the segments that grow now; who does not is left for later."""
    deadline = monotonic() + patience
    growing = [path for one in _find(folder) if not one.dead for path in one.path.glob("*.open")]
    if growing:
        ask_to_seal(folder)
    while any(path.exists() for path in growing) and monotonic() < deadline:
        sleep(_POLL)


def _find(folder: Path) -> list[_Stream]:
    found = []
    for path in streams(folder):
        try:
            # Whether it is dead first: only what is dead does not grow while it is listed.
            with held(path / "lock") as dead:
                found.append(_Stream(path, dead, segments(path, alive=not dead)))
        except FileNotFoundError:
            continue  # its writer ended, and left nothing
        except OSError as fault:
            raise log_fault(path, fault) from None
    return found


def _clear(folder: Path, moment: datetime) -> None:
    """Remove streams that a writer began to make and died before it showed them."""
    for hidden in folder.glob(".*"):
        with suppress(FileNotFoundError, NotADirectoryError), held(hidden / "lock") as dead:
            if dead and moment.timestamp() - hidden.stat().st_mtime > _BEGINNING:
                remove_empty(hidden)


def _batches(found: Sequence[_Stream]) -> Iterator[list[_Waiting]]:
    """All segments in parts of bounded size; those of one stream stay in their order."""
    batch: list[_Waiting] = []
    room = BATCH_BYTES
    for stream in found:
        for segment in stream.segments:
            size = segment.size
            if batch and size > room:
                yield batch
                batch, room = [], BATCH_BYTES
            batch.append((stream.path.name, segment))
            room -= size
    if batch:
        yield batch
