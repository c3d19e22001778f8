"""What a project's health is told in: what is wrong, what was looked at, and the signs of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

Code = Literal[
    "failed", "slow", "stuck", "below_minimum", "no_data", "loop", "compaction", "server", "alerts"
]
CODES: tuple[Code, ...] = get_args(Code)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong.

    Attributes:
        since: when it began, as far as that is known.
        fix: what to do about it.
        evidence: JSON values.
    """

    code: Code
    what: str
    fix: str
    since: datetime | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As in ``ratchet health --json``."""
        since = None if self.since is None else self.since.isoformat()
        return {**asdict(self), "since": since}


@dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    Attributes:
        looked_at: the codes of what could be judged.
        not_judged: why the other ones could not, by code.
    """

    at: datetime
    problems: tuple[Problem, ...]
    looked_at: tuple[Code, ...]
    not_judged: Mapping[Code, str] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """As in ``ratchet health --json``."""
        return {
            "healthy": self.healthy,
            "at": self.at.isoformat(),
            "problems": [problem.to_json() for problem in self.problems],
            "looked_at": list(self.looked_at),
            "not_judged": dict(self.not_judged),
        }


@dataclass(frozen=True, slots=True)
class Pulse:
    """The loop: when it was last heard of, and how often it should be."""

    ticked: datetime
    every: timedelta
    alive: bool


@dataclass(frozen=True, slots=True)
class Backlog:
    """What of the prediction log is not in the lake.

    Attributes:
        bytes: of it.
        oldest: since when the oldest part is ready to be moved; None: nothing is.
        every: how often it is to be moved.
        room: bytes that the log may hold.
    """

    bytes: int
    oldest: datetime | None
    every: timedelta
    room: int


@dataclass(frozen=True, slots=True)
class Signs:
    """What the ledger cannot know; None: nobody could tell, or there is none.

    Attributes:
        arrivals: when the table got new rows, oldest first.
        max_age: how old the newest rows may be, if the project says so.
        server: why it does not answer predictions; empty when it does.
        minimum: the least value of a metric, with whether greater is better.
    """

    arrivals: tuple[datetime, ...] = ()
    max_age: timedelta | None = None
    loop: Pulse | None = None
    log: Backlog | None = None
    server: str | None = None
    minimum: Mapping[str, tuple[float, bool]] = field(default_factory=dict)


def show_span(span: timedelta) -> str:
    """A span as people say it: ``90 s``, ``12 min``, ``5 h``, ``3 days``."""
    seconds = span.total_seconds()
    for unit, size, least in (("days", 86400.0, 2.0), ("h", 3600.0, 2.0), ("min", 60.0, 2.0)):
        if seconds >= least * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
