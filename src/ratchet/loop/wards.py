"""A project as the loop has it in mind: whether it holds it, and when it is to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.loop.beat import Beat, Held, hold
from ratchet.loop.projects import Mark, Opening, Signs, Watched, config_files, mark, watch

State = Literal["new", "idle", "looking", "held", "away", "fault", "unreadable"]

_FIRST_WAIT, _LONGEST_WAIT = 15.0, 900.0
_RETRY = 300.0


@dataclass(slots=True)
class Ward:
    """One project.

    Attributes:
        watched: its settings; None while they cannot be read.
        configured: how its files of settings stood when they were read.
        lock: its folder, held by this loop.
        claimed: whether its part of a shared ledger is this loop's.
        holder: who else has it.
        signs, head: how its files and its ledger stood when it was last looked at.
        wake: when it is to be looked at, if nothing moves.
        look_by: the same by the monotonic clock, for what cannot be seen to move.
        faults: looks in a row that failed; ``rests`` until then.
        report: of the last look, and ``fault`` of what failed, as JSON values.
        run: how its last run ended.
    """

    root: Path
    watched: Watched | None = None
    configured: tuple[Mark, ...] = ()
    lock: Held | None = None
    claimed: bool = False
    holder: str = ""
    signs: Signs | None = None
    head: int = -1
    wake: datetime | None = None
    look_by: float = 0.0
    faults: int = 0
    rests: float = 0.0
    looking: bool = False
    state: State = "new"
    report: Mapping[str, Any] | None = None
    fault: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None
    looked: datetime | None = None
    verdict: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The project's name; its folder's while nobody knows."""
        return self.root.name if self.watched is None else self.watched.name

    def read(self, opening: Opening) -> bool:
        """Read the settings if they are new, changed, or were unreadable a while ago.

        Returns:
            Whether they were read anew, well or not.
        """
        marks = tuple(map(mark, config_files(self.root, opening)))
        rested = self.watched is None and clock.monotonic() >= self.rests
        if marks == self.configured and not rested:
            return False
        self.configured = marks
        self.signs = None
        try:
            self.watched = watch(self.root, opening)
        except RatchetError as error:
            # What was read before may not be what is wanted now: nothing is done with it.
            self.watched = None
            self.fail(error.to_json(), "unreadable")
            self.rests = clock.monotonic() + _RETRY
            return True
        self.faults, self.fault, self.rests = 0, None, 0.0
        self.state = "idle" if self.lock is not None else "new"
        return True

    def take(self, at: datetime, every: float, *, once: bool = False) -> bool:
        """Lock the project's folder, if no other loop has it; whether that is news."""
        if self.lock is not None or self.watched is None or clock.monotonic() < self.rests:
            return False
        try:
            found = hold(self.watched.state, at, every, once=once)
        except RatchetError as error:
            self.fail(error.to_json(), "fault")
            return True
        if isinstance(found, Beat):
            news = not self.holder
            self.holder, self.state = found.describe(), "held"
            return news
        self.lock, self.holder, self.state = found, "", "idle"
        return True

    def leave(self) -> None:
        """Let another loop have the project."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def fail(self, error: Mapping[str, Any], state: State) -> None:
        """Note a fault: the project rests for a while, longer each time."""
        self.faults += 1
        self.fault, self.state = error, state
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self.faults - 1, 10))
        self.rests = clock.monotonic() + wait
        self.signs = None

    def wants(self, now: datetime, head: int, signs: Signs) -> bool:
        """Whether it is to be looked at."""
        if clock.monotonic() < self.rests:
            return False
        due = self.wake is not None and now >= self.wake
        return due or clock.monotonic() >= self.look_by or (head, signs) != (self.head, self.signs)

    def to_json(self) -> dict[str, Any]:
        """What is known of it, for a report."""
        return {
            "project": self.name,
            "root": str(self.root),
            "state": self.state,
            "held_by": self.holder or None,
            "look": self.report,
            "run": self.run,
            "fault": self.fault,
        }
