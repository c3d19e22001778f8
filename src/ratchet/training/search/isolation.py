"""Fits that cannot be interrupted, in processes of their own that are ended when they are late.

A process trains one configuration after the other and lives as long as none is late. Arrays go
over as files, everything else as lines of JSON; the model stays there, only its scores come back.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ratchet import clock
from ratchet.training.attempt import Attempt
from ratchet.training.deadline import Deadline
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import Matrix, Targets, TrainingRows
from ratchet.training.scoring import score_all

FOLDER = "isolation"
"""The key in the cache of rows under which their files' folder is kept."""


class Isolation:
    """A pool of processes; ``close`` ends them all."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ratchet-fits-")
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._count = 0
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start a process now, that it is ready when it is needed."""
        with self._lock:
            self._idle.append(_Child())

    def fit(
        self,
        entrant: Entrant,
        rows: TrainingRows,
        score: tuple[Matrix, Targets],
        *,
        seed: int,
        threads: int,
        deadline: Deadline,
    ) -> Attempt:
        """Fit on ``rows`` and score X of ``score``; ended at the deadline, whatever it does."""
        started = clock.monotonic()
        if deadline.over:
            return Attempt(0.0, (), stopped=True)
        folder = self._files(rows, score[0])
        with self._lock:
            child = self._idle.pop() if self._idle else _Child()
            self._busy.add(child)
        request = _request(entrant, rows, folder, seed, threads)
        answer = child.ask(request, deadline)
        with self._lock:
            self._busy.discard(child)
            if answer is None:
                child.end()
            else:
                self._idle.append(child)
        seconds = clock.monotonic() - started
        if answer is None:
            late = deadline.over
            error = "" if late else "its process ended unexpectedly"
            return Attempt(seconds, (), error=error, stopped=late, rows=len(rows.y))
        notes = tuple(answer["notes"])
        if answer["error"]:
            return Attempt(seconds, notes, error=answer["error"], rows=len(rows.y))
        proba = np.load(answer["proba"])
        Path(answer["proba"]).unlink()
        return Attempt(
            seconds,
            notes,
            rounds=answer["rounds"],
            proba=proba,
            scores=score_all(score[1], proba),
            rows=len(rows.y),
        )

    def close(self) -> None:
        """End every process and remove the files."""
        with self._lock:
            for child in (*self._idle, *self._busy):
                child.end()
            self._idle.clear()
        self._folder.cleanup()

    def _files(self, rows: TrainingRows, X: Matrix) -> Path:
        """The folder with these rows, written once as long as the rows are kept."""
        cache = rows.cache if rows.cache is not None else {}
        with self._lock:
            known: Path | None = cache.get(FOLDER)
            if known is not None:
                return known
            self._count += 1
            folder = Path(self._folder.name) / str(self._count)
            folder.mkdir()
            np.save(folder / "X.npy", rows.X)
            np.save(folder / "y.npy", rows.y)
            np.save(folder / "score.npy", X)
            if rows.weight is not None:
                np.save(folder / "weight.npy", rows.weight)
            cache[FOLDER] = folder
            return folder


class _Child:
    """One process; its answers come through a thread, so that waiting for one can end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ratchet.training.search.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            text=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, request: dict[str, Any], deadline: Deadline) -> dict[str, Any] | None:
        """The answer, or None if it is late or the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError:
            return None
        try:
            wait = None if deadline.left == float("inf") else deadline.left
            line = self._answers.get(timeout=wait)
        except queue.Empty:
            return None
        answer: dict[str, Any] | None = json.loads(line) if line else None
        return answer

    def end(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")  # it has ended: nothing more will come


def _close(pipe: Any) -> None:
    try:
        pipe.close()
    except OSError:
        return  # what was left to write has no reader any more


def _request(
    entrant: Entrant, rows: TrainingRows, folder: Path, seed: int, threads: int
) -> dict[str, Any]:
    kind = type(entrant.algorithm)
    path = getattr(entrant.algorithm, "path", None)
    return {
        "module": kind.__module__,
        "class": kind.__qualname__,
        "arguments": [] if path is None else [entrant.algorithm.name, path],
        "params": dict(entrant.params),
        "folder": str(folder),
        "weighted": rows.weight is not None,
        "categorical": list(rows.categorical),
        "names": list(rows.names),
        "classes": rows.classes,
        "seed": seed,
        "threads": threads,
    }
