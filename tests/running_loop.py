"""``ratchet loop`` and ``ratchet up`` as processes, for tests; and time that runs faster."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ratchet_cli import environment

PATIENCE = 240.0
"""Seconds for a thing to happen: a machine with much else to do is slow, a broken loop for ever."""


class Loop:
    """A loop at work; what it tells is in a file."""

    def __init__(self, project: Path, log: Path, *words: object, **variables: str) -> None:
        self.log = log
        with log.open("ab") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ratchet", *map(str, words), "--project", str(project)],
                env=environment(**variables),
                stdout=subprocess.PIPE,
                stderr=told,
                start_new_session=True,
            )

    def ready(self) -> dict[str, Any]:
        """What ``up --json`` says when its server answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        said: dict[str, Any] = json.loads(line)
        assert said["ok"], line
        found: dict[str, Any] = said["data"]
        return found

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [one for one in told if one.get("event") == kind]

    def wait_for(
        self, kind: str, number: int = 1, seconds: float = PATIENCE
    ) -> list[dict[str, Any]]:
        self.until(lambda: len(self.events(kind)) >= number, f"{number} x {kind}", seconds)
        return self.events(kind)

    def until(self, holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """What ``holds`` gives, once that is true; the loop must live until then."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < deadline, f"never: {what}\n{self.log.read_text()}"
            assert self.process.poll() is None, f"ended before: {what}\n{self.log.read_text()}"
            time.sleep(0.05)
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextmanager
def looping(project: Path, *words: object, **variables: str) -> Iterator[Loop]:
    # The log's name is its own: several loops work on one project.
    log = project.parent / f"loop-{time.monotonic_ns()}.log"
    made = Loop(project, log, *(words or ("loop",)), **variables)
    try:
        yield made
    finally:
        made.end()
