"""Moving the prediction log into the lake while the server runs, in a process of its own.

Writing tables takes a library and a processor that a serving process has no room for, and what
goes wrong there must not reach an answer.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ratchet import clock
from ratchet.data.predictions.segments import GROWING, MARK, SEALED
from ratchet.data.predictions.streams import streams
from ratchet.serving.board import Board

PATIENCE = 3
"""Passes that fail in a row before somebody is told."""
_LONGEST = 900.0
_POLITE = 10


@dataclass(slots=True)
class _Pass:
    process: subprocess.Popen[bytes]
    out: IO[bytes]
    err: IO[bytes]
    started: float


class Mover:
    """Starts the command that moves the log, and keeps count of how it ends.

    Args:
        command: the program and its arguments; it prints one JSON object.
        folder: the log's folder; where nothing waits, nothing is started.
        every: seconds from one start to the next.
        board: where the counts are kept.
    """

    def __init__(self, command: Sequence[str], folder: Path, every: float, board: Board) -> None:
        self._command, self._folder, self._every = list(command), folder, every
        self._board = board
        self._due = clock.monotonic()
        self._pass: _Pass | None = None

    def tick(self) -> str | None:
        """Look after the pass that runs, or start one that is due; never waits.

        Returns:
            What somebody should be told: that it failed ``PATIENCE`` times in a row.
        """
        if self._pass is not None:
            return self._look()
        if clock.monotonic() >= self._due:
            self._due = clock.monotonic() + self._every
            if something_waits(self._folder):
                self._start()
        return None

    def finish(self, within: float) -> str | None:
        """Let the pass that runs end, and make a last one when something still waits.

        Args:
            within: seconds; what is not done by then goes on alone, or with the next start.
        """
        ends = clock.monotonic() + within
        told = self._wait(ends)
        if not self._moves() and something_waits(self._folder):
            self._start()
            told = self._wait(ends) or told
        return told

    def _wait(self, ends: float) -> str | None:
        told = None
        while self._moves() and clock.monotonic() < ends:
            told = self._look()
            if self._moves():
                time.sleep(0.02)
        return told

    def _moves(self) -> bool:
        return self._pass is not None

    def _start(self) -> None:
        # Files, not pipes: nobody reads while it runs. They are closed when it has ended.
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                # Ctrl-C on the terminal is for the server, which knows how to end. The session
                # stays the server's: Linux heeds niceness only inside of one (autogroup).
                process_group=0,
            )
        except OSError as error:
            self._note_failure(error.strerror or str(error))
            return
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _POLITE)
        self._pass = _Pass(process, out, err, clock.monotonic())

    def _look(self) -> str | None:
        running = self._pass
        if running is None:
            return None
        seconds = clock.monotonic() - running.started
        code = running.process.poll()
        if code is None:
            if seconds > _LONGEST:
                running.process.kill()
            return None
        self._pass = None
        self._board["compaction_seconds"] = seconds
        with running.out, running.err:
            if code == 0:
                self._board["compactions"] += 1
                self._board["compaction_failures_in_a_row"] = 0
                self._board["compacted_at"] = clock.now().timestamp()
                return None
            return self._note_failure(_reason(running, code))

    def _note_failure(self, why: str) -> str | None:
        self._board["compaction_failures"] += 1
        self._board["compaction_failures_in_a_row"] += 1
        failures = int(self._board["compaction_failures_in_a_row"])
        # Back off: what fails is mostly the lake being away, and each pass costs a processor.
        self._due = clock.monotonic() + self._every * min(2 ** (failures - 1), 16)
        if failures != PATIENCE:
            return None
        return f"The prediction log is not moved into the lake ({failures} times in a row): {why}"


def something_waits(folder: Path) -> bool:
    """Whether any segment of the log holds a record; one that grows is sealed when it is asked."""
    with suppress(OSError):
        for stream in streams(folder):
            for file in stream.iterdir():
                if file.suffix in (GROWING, SEALED) and file.stat().st_size > len(MARK):
                    return True
    return False


def _reason(ended: _Pass, code: int) -> str:
    ended.out.seek(0)
    with suppress(ValueError, KeyError, TypeError, IndexError):
        error = json.loads(ended.out.read(65536).decode().splitlines()[-1])["error"]
        return ": ".join(part for part in (error["what"], error["why"]) if part)
    ended.err.seek(0)
    lines = ended.err.read(65536).decode(errors="replace").strip().splitlines()
    if code < 0:
        return f"it was ended by signal {signal.Signals(-code).name}"
    return lines[-1] if lines else f"it ended with exit code {code}"
