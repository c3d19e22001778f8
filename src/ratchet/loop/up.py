"""A server beside the loop: a process of its own, started, watched and ended with it.

The server outlives a loop that is killed: it goes on answering, and the next one finds it.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.ledger.process import process_start, this_process
from ratchet.loop.children import Child, named
from ratchet.loop.journal import Journal

_NOTE, _OUT = "serve.json", "serve.out"
_LIVED = 60.0
"""Seconds after which a server's end is no sequel of its start."""
_LONGEST_WAIT = 60.0
_LOOK = 0.05
_RESTART = "the server ended"


class ServerError(RatchetError):
    """The server could not be started at all; as it said so itself."""

    def __init__(self, error: Mapping[str, Any], code: int) -> None:
        super().__init__(
            error["what"],
            why=error["why"],
            fix=error["fix"],
            where=error["where"],
            code=error["code"],
        )
        self.exit_code = code  # type: ignore[misc]


class Served:
    """The server of one project.

    Args:
        command: starts it; it prints one JSON object when it is ready.
        folder: the loop's folder of the project.
        patience: seconds that it may take to end.
        announce: is called once, with what it said when it was ready.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        patience: float,
        journal: Journal,
        announce: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._command, self._folder, self._patience = list(command), folder, patience
        self._journal, self._announce = journal, announce
        self._child: Child | None = None
        self._ready: Mapping[str, Any] | None = None
        self._announced = False
        self._lives = 0
        self._due = clock.monotonic()
        self._ends = 0.0

    @property
    def pid(self) -> int | None:
        """The server's process, while there is one."""
        return None if self._child is None else self._child.pid

    def tend(self) -> None:
        """Start it when it is not there, hear whether it is ready, notice its end.

        Raises:
            ServerError: the first one could not start.
        """
        if self._child is None:
            if clock.monotonic() >= self._due:
                self._child = self._adopt() or self._start()
            return
        if self._ready is None:
            self._listen()
        if self._child.ended():
            self._note_end(self._child)

    def begin_to_stop(self) -> None:
        """Tell it to finish what it was asked."""
        self._ends = clock.monotonic() + self._patience
        if self._child is not None:
            self._child.ask(signal.SIGTERM)

    def stop(self, hurry: Callable[[], bool]) -> None:
        """See it end."""
        child = self._child
        if child is None:
            return
        while not child.ended():
            if hurry() or clock.monotonic() > self._ends:
                child.send(signal.SIGKILL)
            time.sleep(_LOOK)
        (self._folder / _NOTE).unlink(missing_ok=True)
        self._journal.tell("server_stopped", code=child.code)

    def _start(self) -> Child:
        child = Child.start(self._command, self._folder / _OUT)
        # So that a loop that comes after this one finds it.
        me = this_process()
        note = {**asdict(me), "pid": child.pid, "started": process_start(child.pid)}
        (self._folder / _NOTE).write_text(json.dumps(note), encoding="utf-8")
        self._ready = None
        self._journal.tell("server_started", pid=child.pid)
        return child

    def _adopt(self) -> Child | None:
        """The server that an earlier loop left."""
        with suppress(OSError, ValueError, TypeError):
            found = named(**json.loads((self._folder / _NOTE).read_text(encoding="utf-8")))
            if found is not None:
                self._journal.tell("server_adopted", pid=found.pid)
                return Child(found)
        return None

    def _listen(self) -> None:
        said = self._said()
        if said is None or not said["ok"]:
            return
        self._ready = said["data"]
        self._journal.tell("server_ready", url=said["data"]["url"], pid=said["data"]["pid"])
        if not self._announced:
            self._announced = True
            self._announce(said["data"])

    def _said(self) -> dict[str, Any] | None:
        with suppress(OSError, ValueError, IndexError, KeyError):
            lines = (self._folder / _OUT).read_text(encoding="utf-8").splitlines()
            body = json.loads(lines[-1])
            if isinstance(body, dict) and "ok" in body:
                return body
        return None

    def _note_end(self, child: Child) -> None:
        said, code = self._said(), child.code
        self._child = None
        if not self._announced and said is not None and not said["ok"]:
            raise ServerError(said["error"], code or 1)
        self._lives = 1 if child.seconds > _LIVED else self._lives + 1
        wait = 0.0 if self._lives == 1 else min(_LONGEST_WAIT, 2.0 ** (self._lives - 2))
        self._due = clock.monotonic() + wait
        why = said["error"]["what"] if said is not None and not said["ok"] else _RESTART
        self._journal.tell("server_ended", code=code, why=why, again_in=wait)
