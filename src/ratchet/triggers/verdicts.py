"""What a decision can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Fire:
    """Train now.

    Attributes:
        key: the trigger's: a key sets off at most one run.
        trigger: the names of the rules, joined by ``+``.
        overrides: settings of this run, as with ``--set``.
        resume: the unfinished run to go on with, in place of a new one.
    """

    reason: str
    key: str
    trigger: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Do nothing; ``until`` is when time alone may change that, None when it cannot."""

    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Investigate:
    """Look closer: fetch labels sooner, try a challenger in the shadow, tell; do not promote.

    Attributes:
        key: of the case: what was seen, of which champion, since when.
        affordable: neither cooldown, rollout nor budget is in the way of training a challenger.
        until: when time alone may change that, as of ``Skip``.
        run: makes the challenger; None where there is to be none, and ``reason`` says why.
    """

    reason: str
    key: str
    trigger: str
    affordable: bool
    until: datetime | None = None
    run: Fire | None = None


Verdict: TypeAlias = Fire | Skip | Investigate


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """A rule as it is told: ``fired`` when it holds, has held long enough, and has no run yet."""

    name: str
    fired: bool
    holds: bool
    value: float | str | None
    threshold: float | str | None
    reason: str
    action: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and what every rule saw.

    Attributes:
        schedules: by name, until when its times have been looked at after this decision.
        holding: by rule, since when it holds.
    """

    verdict: Verdict
    rules: tuple[RuleVerdict, ...]
    schedules: Mapping[str, datetime]
    holding: Mapping[str, datetime]

    @property
    def run(self) -> Fire | None:
        """The run to begin, whether for what serves or to look closer."""
        if isinstance(self.verdict, Investigate):
            return self.verdict.run
        return self.verdict if isinstance(self.verdict, Fire) else None

    @property
    def word(self) -> str:
        """``fire``, ``skip`` or ``investigate``."""
        return type(self.verdict).__name__.lower()

    def to_json(self) -> dict[str, Any]:
        """The decision as JSON values; times stay times."""
        return {
            "verdict": self.word,
            **asdict(self.verdict),
            "rules": [asdict(rule) for rule in self.rules],
            "schedules": dict(self.schedules),
            "holding": dict(self.holding),
        }
