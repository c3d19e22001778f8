"""One look at a project: what is known while it lasts, and what is kept until the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project

FOLDER = "loop"
_FILE = "state.json"


@dataclass(frozen=True, slots=True)
class Done:
    """Something that a part of a look did.

    Attributes:
        says: for people, one clause.
        facts: for programs, JSON values.
    """

    says: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Look:
    """A look while it lasts.

    Attributes:
        memory: JSON values kept from one look to the next; losing them costs work, nothing else.
        busy: what the loop is doing for the project already.
        wakes: moments at which time alone may make something due.
        decision: what was decided, as JSON values, once that was done.
    """

    project: Project
    ledger: Ledger
    now: datetime
    memory: dict[str, Any]
    busy: str = ""
    wakes: list[datetime] = field(default_factory=list)
    decision: dict[str, Any] | None = None

    def wake(self, at: datetime | None) -> None:
        """Look again at this time, if nothing happens before."""
        if at is not None:
            self.wakes.append(max(at, self.now))

    def due(self, what: str, every: timedelta) -> bool:
        """Whether something is due that is done every so often."""
        last = self._last(what)
        # Never done; or long ago; or at a time that is still to come, as the clock was put back.
        return last is None or not last <= self.now < last + every

    def again(self, what: str, every: timedelta) -> None:
        """Look again when it is due the next time."""
        last = self._last(what)
        if last is not None:
            self.wake(last + every)

    def done(self, what: str) -> None:
        """Note that it was done now."""
        self.memory[what] = self.now.isoformat()

    def _last(self, what: str) -> datetime | None:
        with suppress(KeyError, TypeError, ValueError):
            return datetime.fromisoformat(self.memory[what])
        return None


def read_memory(state: Path) -> dict[str, Any]:
    """What the last look kept; nothing when it cannot be read."""
    with suppress(OSError, ValueError):
        body = json.loads((state / FOLDER / _FILE).read_text(encoding="utf-8"))
        if isinstance(body, dict):
            return body
    return {}


def keep_memory(state: Path, memory: Mapping[str, Any]) -> None:
    """Keep it for the next look, unless it is as it was. Raises StorageError."""
    if dict(memory) == read_memory(state):
        return
    folder = state / FOLDER
    with storing():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{_FILE}"
        partial.write_text(json.dumps(memory), encoding="utf-8")
        partial.rename(folder / _FILE)
