"""What the loop does for one project at one time: everything that is due, part by part.

A part that fails is told of and does not keep the others from their work; the same fault again is
counted, and people hear of it when it does not go away.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet import clock
from ratchet.alerts.messages import compose
from ratchet.errors import RatchetError
from ratchet.loop.look import Done, Look, keep_memory, read_memory
from ratchet.loop.parts import (
    Part,
    advance_experiment,
    advance_rollout,
    align_aliases,
    check_health,
    collect_rows,
    compact_log,
    decide_next,
    deliver_alerts,
    note_settings,
    observe,
)
from ratchet.pipeline.store import storage_fault

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project

PATIENCE = 3
"""Looks in a row at which a part must fail before people are told."""
FAULT, RECOVERED = "loop_fault", "loop_recovered"
_FAULTS = "faults"

PARTS: tuple[tuple[str, Part], ...] = (
    ("settings", note_settings),
    ("aliases", align_aliases),
    ("log", compact_log),
    ("collect", collect_rows),
    ("monitoring", observe),
    ("rollout", advance_rollout),
    ("experiment", advance_experiment),
    ("decision", decide_next),
    ("health", check_health),
)
"""In their order; delivering alerts comes last, as all of them may have some."""
LAST: tuple[str, Part] = ("alerts", deliver_alerts)


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one look did.

    Attributes:
        position: the ledger's newest event before the look: what comes after it is news.
        did: by part, what was done.
        faults: by part, what went wrong, as JSON values.
        decision: of the policy; None when it could not be asked.
        wake: when to look again, if nothing moves before; None: nothing is waited for.
        seconds: how long it took.
    """

    project: str
    at: datetime
    position: int
    did: Mapping[str, Done] = field(default_factory=dict)
    faults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision: Mapping[str, Any] | None = None
    wake: datetime | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "project": self.project,
            "at": self.at.isoformat(),
            "position": self.position,
            "did": {part: {"says": one.says, **one.facts} for part, one in self.did.items()},
            "faults": {part: dict(error) for part, error in self.faults.items()},
            "decision": self.decision,
            "wake": None if self.wake is None else self.wake.isoformat(),
            "seconds": round(self.seconds, 4),
        }


def tick(project: Project, now: datetime, *, busy: str = "") -> TickReport:
    """Do for a project what is due at ``now``.

    Args:
        busy: what the caller is doing for the project already.

    Raises:
        StorageError, UnreachableError, ConfigError, MissingExtraError: its ledger cannot be
            used; nothing else of a project is looked at then.
    """
    began = clock.monotonic()
    with project.open_ledger() as ledger:
        look = Look(project, ledger, now, read_memory(project.state), busy)
        position = _head(ledger)
        did: dict[str, Done] = {}
        faults: dict[str, dict[str, Any]] = {}
        for name, part in PARTS:
            _attempt(look, name, part, did, faults)
        _note(look, faults)
        _attempt(look, *LAST, did, faults)
        keep_memory(project.state, look.memory)
    wake = min(look.wakes, default=None)
    seconds = clock.monotonic() - began
    return TickReport(project.name, now, position, did, faults, look.decision, wake, seconds)


def _head(ledger: Ledger) -> int:
    newest = ledger.events(limit=1)
    return newest[0].seq if newest else 0


def _attempt(
    look: Look, name: str, part: Part, did: dict[str, Done], faults: dict[str, dict[str, Any]]
) -> None:
    try:
        done = part(look)
    except RatchetError as error:
        faults[name] = error.to_json()
    except OSError as error:
        faults[name] = storage_fault(error).to_json()
    except MemoryError:
        faults[name] = RatchetError("The memory is used up", code="memory").to_json()
    except Exception as error:  # noqa: BLE001 - a daemon's edge: the other parts have work to do
        faults[name] = bug(error).to_json()
    else:
        if done is not None:
            did[name] = done


def bug(error: Exception) -> RatchetError:
    """What nobody foresaw, as a fault; without values, which may be somebody's data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return RatchetError(
        "This is a bug in Ratchet",
        why=type(error).__name__,
        fix="run `ratchet loop --once` with RATCHET_DEBUG=1 and report what it prints",
        where=place,
    )


def _note(look: Look, faults: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep new faults and those that ended as events; tell people of those that stay."""
    before: dict[str, Any] = look.memory.get(_FAULTS, {})
    after: dict[str, Any] = {}
    for part, error in faults.items():
        known = before.get(part, {})
        same = known.get("what") == error["what"]
        count = known.get("count", 0) + 1
        if not same:
            look.ledger.record(FAULT, {"part": part, "error": dict(error)})
        told = known.get("told", False)
        if count >= PATIENCE and not told:
            _tell(look, "unhealthy", part, f"{part} failed {count} times in a row: {_text(error)}")
            told = True
        after[part] = {"what": error["what"], "count": count, "told": told}
    for part, known in before.items():
        if part not in faults:
            look.ledger.record(RECOVERED, {"part": part, "after": known["count"]})
            if known["told"]:
                _tell(look, "recovered", part, f"{part} works again")
    if after or before:
        look.memory[_FAULTS] = after


def _tell(look: Look, occasion: Any, part: str, reason: str) -> None:
    look.ledger.enqueue(
        compose(
            look.project.settings.alerts,
            occasion,
            project=look.project.name,
            reason=f"the loop: {reason}",
            at=look.now,
            topic=f"loop:{part}",
        )
    )


def _text(error: Mapping[str, Any]) -> str:
    parts = (error["what"], error["why"], f"To fix it: {error['fix']}" if error["fix"] else "")
    return ". ".join(part.rstrip(".") for part in parts if part)
