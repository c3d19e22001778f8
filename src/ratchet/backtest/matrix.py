"""Every model of the past against every later row, made once for all policies and kept on disk.

A file for each training point, written aside and renamed when whole, in a folder named by what
the models follow from: rows, labels, recipe, code. A replay that was killed goes on with what is
there; one over the same rows trains nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from ratchet.backtest import learning as learning_module
from ratchet.backtest.learning import Fit, Learning, fit_at
from ratchet.backtest.stream import Stream
from ratchet.errors import RatchetError
from ratchet.ids import token
from ratchet.pipeline.store import storing, write_atomic

if TYPE_CHECKING:
    from ratchet.project import Project

FOLDER: Final = "backtest"
_KEPT: Final = 3
_WORTH_PROCESSES: Final = 2_000_000
"""Rows to learn from in all, below which starting processes takes longer than it saves."""

_TOLD: Final = ("known", "cut", "tested", "cpu", "threshold", "start")

OnPoint = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The fits of all training points, by the period they were made after.

    ``made`` were trained now, the others were there; ``cores`` trained side by side.
    """

    fits: dict[int, Fit]
    made: int
    cores: int


def key_of(project: Project, stream: Stream, learning: Learning) -> str:
    """The digest of all that the fits follow from."""
    from ratchet.data.digest import digest_frame
    from ratchet.ids import digest_of, digest_of_file
    from ratchet.pipeline.cache import code_digest, user_code_digest

    training = learning.training.model_dump(mode="json", by_alias=True)
    for name in ("cores", "memory"):
        training.pop(name)
    return digest_of(
        {
            "code": [code_digest(), digest_of_file(Path(learning_module.__file__))],
            "functions": user_code_digest(project),
            "rows": digest_frame(stream.frame),
            "ends": [end.isoformat() for end in stream.ends],
            "bounds": stream.bounds.tolist(),
            "delay": stream.delay.total_seconds(),
            "task": stream.task.to_json(),
            "roles": [stream.roles.time, *stream.roles.features(stream.schema)],
            "training": training,
            "features": learning.features.model_dump(mode="json", by_alias=True, exclude={"store"}),
            "split": learning.split.model_dump(mode="json"),
        }
    )


def fill_matrix(
    project: Project,
    stream: Stream,
    learning: Learning,
    *,
    fresh: bool = False,
    on_point: OnPoint | None = None,
) -> Matrix:
    """All fits: those that are kept, and the others made now, side by side.

    Args:
        fresh: forget what is kept.
        on_point: told how many of how many are there.

    Raises:
        RatchetError: a training failed.
        StorageError: the folder cannot be written.
    """
    project.prepare_state()
    folder = project.state / FOLDER / key_of(project, stream, learning)[:16]
    with storing():
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    _forget(folder)
    points = list(stream.points)
    fits = {point: fit for point in points if (fit := _read(folder, point)) is not None}
    missing = [point for point in points if point not in fits]
    cores = _cores(stream, learning, missing)
    for point, fit in _made(folder, stream, learning, missing, cores):
        _write(folder, point, fit)
        fits[point] = fit
        if on_point is not None:
            on_point(len(fits), len(points))
    return Matrix({point: fits[point] for point in points}, len(missing), cores)


def _cores(stream: Stream, learning: Learning, missing: Sequence[int]) -> int:
    from ratchet.training.cores import available_cores

    work = sum(stream.known(point) for point in missing)
    if work < _WORTH_PROCESSES:
        return 1
    return min(learning.training.cores or available_cores(), max(len(missing), 1))


def _made(
    folder: Path, stream: Stream, learning: Learning, missing: Sequence[int], cores: int
) -> Iterator[tuple[int, Fit]]:
    if cores == 1:
        for point in missing:
            yield point, fit_at(stream, learning, point)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from dataclasses import replace
    from multiprocessing import get_context

    rows = folder / f"rows-{token()}.arrow"
    with storing():
        stream.frame.write_ipc(rows)
    bare = replace(stream, frame=pl.DataFrame())
    try:
        # A forked process would inherit locks of Polars' threads; these start anew.
        with ProcessPoolExecutor(
            cores, get_context("spawn"), _begin, (rows, bare, learning)
        ) as pool:
            # The long ones first: none is left alone at the end.
            waiting = [pool.submit(_fit, point) for point in sorted(missing, reverse=True)]
            for done in as_completed(waiting):
                point, fit, fault = done.result()
                if fault is not None:
                    pool.shutdown(cancel_futures=True)
                    kind, told = fault
                    raise kind(**told)
                yield point, fit
    except BrokenProcessPool:
        raise RatchetError(
            "A process that trained a model of the past ended by itself",
            why="it was killed, or memory was short",
            fix="run the same command again: what was trained is kept; --set training.cores=1 "
            "trains one model at a time",
        ) from None
    finally:
        rows.unlink(missing_ok=True)


_ours: dict[str, Any] = {}
"""What a worker process works on: set once, when it starts."""


def _begin(rows: Path, bare: Stream, learning: Learning) -> None:
    from dataclasses import replace

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    frame = pl.read_ipc(rows)
    _ours.update(stream=replace(bare, frame=frame), learning=learning)


def _fit(point: int) -> tuple[int, Any, tuple[type[RatchetError], dict[str, str]] | None]:
    # A fault's fields travel, and not the fault: an exception is pickled without them.
    try:
        return point, fit_at(_ours["stream"], _ours["learning"], point), None
    except RatchetError as error:
        told = {name: getattr(error, name) for name in ("what", "why", "fix", "where")}
        return point, None, (type(error), told | {"code": error.name})


def _write(folder: Path, point: int, fit: Fit) -> None:
    with storing():
        partial = folder / f".{point:05d}.{token()}"  # two replays may be at the same rows
        with partial.open("wb") as file:
            np.save(file, fit.scores, allow_pickle=False)
        partial.rename(folder / f"{point:05d}.npy")
    told = {name: getattr(fit, name) for name in _TOLD}
    write_atomic(folder / f"{point:05d}.json", json.dumps(told))


def _read(folder: Path, point: int) -> Fit | None:
    told, scores = folder / f"{point:05d}.json", folder / f"{point:05d}.npy"
    if not told.is_file() or not scores.is_file():
        return None
    body = json.loads(told.read_text(encoding="utf-8"))
    return Fit(scores=np.load(scores, mmap_mode="r", allow_pickle=False), **body)


def _forget(newest: Path) -> None:
    """Matrices of old replays are large and soon of no use."""
    others = [path for path in newest.parent.iterdir() if path.is_dir() and path != newest]
    for old in sorted(others, key=lambda path: path.stat().st_mtime)[: -(_KEPT - 1)]:
        shutil.rmtree(old, ignore_errors=True)
