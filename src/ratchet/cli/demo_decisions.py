"""What was decided, from the ledger's events: runs, the policy's verdicts, steps of rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.ledger.events import Event

_ROLLED: Mapping[str, tuple[str, str]] = {
    "promoted": ("good", "Promoted"),
    "rolled_back": ("bad", "Rolled back"),
    "aborted": ("warn", "Aborted"),
    "awaiting_approval": ("info", "Waits"),
    "paused": ("info", "Paused"),
    "shadow": ("info", "Shadow"),
    "running": ("info", "Canary"),
}
RUN_BADGES: Mapping[str, tuple[str, str]] = {
    "promoted": ("good", "Promoted"),
    "candidate": ("info", "Passed"),
    "rejected": ("bad", "Rejected"),
    "failed": ("bad", "Failed"),
    "skipped": ("none", "Skipped"),
}
_VERDICT: Mapping[str, tuple[str, str]] = {
    "fire": ("warn", "Train"),
    "investigate": ("warn", "Look closer"),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Something that was decided.

    Attributes:
        mark: its number on the time axis; those of one day share it.
        style, label: how it ended, as a badge.
        about: what it is about.
        why: the reason, as the ledger has it.
    """

    mark: int
    at: datetime
    style: str
    label: str
    about: str
    why: str


def number_decisions(events: Sequence[Event]) -> tuple[Decision, ...]:
    """The decisions in their order, those of one day under one number."""
    made: list[Decision] = []
    day: date | None = None
    mark = 0
    for at, (style, label), about, why in _decisions(events):
        if day != at.astimezone(UTC).date():
            day, mark = at.astimezone(UTC).date(), mark + 1
        made.append(Decision(mark, at, style, label, about, why))
    return tuple(made)


def _decisions(events: Sequence[Event]) -> Iterator[tuple[datetime, tuple[str, str], str, str]]:
    from ratchet.ledger.rollouts import CHANGED
    from ratchet.ledger.triggers import EVALUATED

    stages: dict[str, tuple[Any, ...]] = {}
    triggers: dict[str, str] = {}
    seen: set[str] = set()
    for event in sorted(events, key=lambda one: one.seq):
        facts = event.facts
        if event.kind == "run_started" and event.run_id is not None:
            triggers[event.run_id] = str(facts.get("trigger", ""))
        elif event.kind == "run_finished":
            trigger = triggers.get(event.run_id or "", "")
            about = "Run by hand" if trigger == "manual" else f"Run set off by {trigger}"
            yield event.at, RUN_BADGES[facts["outcome"]], about, facts["reason"]
        elif event.kind == EVALUATED and facts["verdict"] in _VERDICT:
            told = f"{facts['verdict']}:{facts.get('trigger')}"
            # A closer look at what was looked at already is no news.
            if facts["verdict"] == "fire" or told not in seen:
                seen.add(told)
                yield event.at, _VERDICT[facts["verdict"]], "Policy", facts["reason"]
        elif event.kind == CHANGED and facts["by"] != "run":
            # How a run's rollout begins the run itself tells.
            yield from _step(event, stages)


def _step(
    event: Event, stages: dict[str, tuple[Any, ...]]
) -> Iterator[tuple[datetime, tuple[str, str], str, str]]:
    """A step of a rollout, or the end of its watch."""
    facts = event.facts
    now = (facts["status"], facts["share"], facts["watch"])
    before = stages.get(facts["rollout_id"])
    stages[facts["rollout_id"]] = now
    about = f"Version {facts['version']}"
    if before is not None and now[:2] == before[:2]:
        if facts["watch"] == "clean":
            yield event.at, ("good", "No worse"), f"{about}, watched", facts["reason"]
        return
    style, label = _ROLLED[facts["status"]]
    if facts["status"] == "running":
        label = f"{facts['share']:g} %"
    if before is None or facts["status"] != "promoted" or facts["watch"] != before[2]:
        yield event.at, (style, label), about, facts["reason"]
