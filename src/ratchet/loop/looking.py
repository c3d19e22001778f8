"""Looks at projects, one after the other, in a process that may be ended and started again.

Here nothing heavy is loaded and nothing waits: questions are put in a row, answers are taken when
they are there. A question that is not answered in its time costs the process its life, and the
project that it was about a pause; the others go on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ratchet import clock
from ratchet.loop.children import Child

_IDLE = 90.0
"""Seconds without a question after which the process ends and its memory is free."""
_MOST = 2000
"""Questions after which it is replaced: libraries keep what they once took."""


@dataclass(slots=True)
class Question:
    """Something for the looker to do.

    Attributes:
        about: whose answer it is; given back as it is.
        patience: seconds it may take.
    """

    about: Any
    body: Mapping[str, Any]
    patience: float
    asked: float = field(default=0.0)


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, its answer, and the seconds it took."""

    question: Question
    body: dict[str, Any]
    seconds: float


class Looking:
    """The looker and the row of questions before it."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()
        self._asked: Question | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = b""
        self._questions = 0
        self._idle_since = clock.monotonic()
        self.starts = 0

    @property
    def open(self) -> int:
        """Questions without an answer."""
        return len(self._waiting) + (self._asked is not None)

    @property
    def ear(self) -> int | None:
        """The descriptor at which an answer will be heard."""
        if self._process is None or self._process.stdout is None:
            return None
        return self._process.stdout.fileno()

    @property
    def pid(self) -> int | None:
        """The looker's process, while there is one."""
        return None if self._process is None else self._process.pid

    def ask(self, question: Question) -> None:
        """Put a question in the row."""
        self._waiting.append(question)

    def tend(self) -> list[Answered]:
        """Take what was answered, ask what waits; never waits itself."""
        answers = self._listen()
        if self._asked is None and self._waiting:
            failed = self._ask_next()
            if failed is not None:
                answers.append(failed)
        if self._asked is None and not self._waiting and self._process is not None:
            tired = self._questions >= _MOST
            if tired or clock.monotonic() - self._idle_since > _IDLE:
                self.stop()
        return answers

    def stop(self) -> None:
        """End the looker; what it was doing is safe to be cut off, and is done again."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        busy, self._asked = self._asked is not None, None
        if busy:
            process.kill()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ask_next(self) -> Answered | None:
        question = self._waiting.popleft()
        question.asked = clock.monotonic()
        try:
            process = self._process or self._start()
            assert process.stdin is not None
            process.stdin.write(json.dumps(question.body).encode() + b"\n")
            process.stdin.flush()
        except OSError as error:
            self.stop()
            return _lost(question, f"the process that looks cannot be used: {error.strerror}")
        self._asked = question
        return None

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ratchet.loop.looker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            process_group=0,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._heard, self._questions = b"", 0
        self.starts += 1
        return self._process

    def _listen(self) -> list[Answered]:
        if self._asked is None or self._process is None:
            return []
        question, late = self._asked, False
        while True:
            try:
                piece = os.read(self._process.stdout.fileno(), 1 << 16)  # type: ignore[union-attr]
            except BlockingIOError:
                break
            if not piece:
                return [self._mourn(question)]
            self._heard += piece
        line, ended, rest = self._heard.partition(b"\n")
        if ended:
            self._heard, self._asked = rest, None
            self._questions += 1
            self._idle_since = clock.monotonic()
            return [Answered(question, json.loads(line), clock.monotonic() - question.asked)]
        late = clock.monotonic() - question.asked > question.patience
        if not late:
            return []
        Child(self._process).send(signal.SIGKILL)
        self.stop()
        return [_lost(question, f"it took longer than {question.patience:g} s and was ended")]

    def _mourn(self, question: Question) -> Answered:
        assert self._process is not None
        code = self._process.wait()
        self._asked = None
        self.stop()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return _lost(question, f"the process that looked at it ended by {how}")


def _lost(question: Question, why: str) -> Answered:
    error = {
        "code": "look_died",
        "what": "The look at this project did not end",
        "why": why,
        "fix": "look at it alone: ratchet loop --once --project DIR",
        "where": "",
    }
    seconds = clock.monotonic() - question.asked
    return Answered(question, {"ok": False, "error": error}, seconds)
