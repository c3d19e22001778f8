"""Small projects for the loop, and a daemon that is driven by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ratchet.loop.daemon import Daemon, Plan
from ratchet.loop.journal import Journal
from ratchet.loop.numbers import Numbers
from ratchet.loop.projects import Opening

FILE = """\
project: {name}
data:
  source: {{type: csv, path: data.csv}}
  target: y
triggers: {{first: false, new_rows: null, max_age: null}}
"""


def make_project(folder: Path, name: str | None = None, extra: str = "") -> Path:
    """A project that nothing is to be done for."""
    folder.mkdir(parents=True, exist_ok=True)
    text = FILE.format(name=name or folder.name)
    (folder / "ratchet.yaml").write_text(text + extra, encoding="utf-8")
    (folder / "data.csv").write_text("x,y\n1,0\n2,1\n", encoding="utf-8")
    return folder


class Driven:
    """A daemon whose ticks the test takes; its journal is ``events``."""

    def __init__(self, folder: Path, *, every: float = 30.0, **more: Any) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        journal = Journal(lambda line: None)
        journal.tell = self._hear  # type: ignore[method-assign]
        folder.mkdir(parents=True, exist_ok=True)
        numbers = Numbers(folder / "metrics.prom")
        plan = Plan(folder, Opening(), 4 << 30, every=every, **more)
        self.daemon = Daemon(plan, journal, numbers)

    def _hear(self, event: str, project: str = "", /, **facts: Any) -> None:
        self.events.append((event, project, facts))

    def heard(self, event: str, project: str | None = None) -> list[dict[str, Any]]:
        return [
            facts for kind, name, facts in self.events if kind == event and project in (None, name)
        ]

    def ward(self, name: str) -> Any:
        return next(ward for ward in self.daemon.wards.values() if ward.name == name)

    def tick(self) -> None:
        """One tick, and everything that comes of it."""
        self.daemon.tick()
        self.until(lambda: not self.daemon.looking.open)

    def until(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.events
            self.daemon._work()
            time.sleep(0.005)

    def close(self) -> None:
        self.daemon._stop()
