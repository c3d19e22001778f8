"""How a rollout stands: its stages so far, what may have broken, and its evidence as it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ratchet.ledger.health import FAILED, RECOVERED
from ratchet.ledger.rollouts import CHANGED, Rollout
from ratchet.ledger.tables import moment
from ratchet.rollout.pair import Pair, Stage, stages_of

if TYPE_CHECKING:
    from ratchet.ledger.events import Event
    from ratchet.ledger.reader import LedgerReader
    from ratchet.rollout.canary import Finding, Verdict
    from ratchet.rollout.evidence import Evidence


def pair_of(
    ledger: LedgerReader, rollout: Rollout, classes: Callable[[int], tuple[Any, ...]]
) -> Pair:
    """The rollout's two versions, as its evidence is gathered for them."""
    wanted = classes(rollout.version), classes(rollout.previous)
    loss = rollout.rules["loss"]
    if loss == "auto":
        loss = "brier" if wanted[0] else "absolute_error"
    return Pair(
        version=rollout.version,
        previous=rollout.previous,
        stages=stages(ledger, rollout),
        promoted=rollout.promoted,
        classes={rollout.version: wanted[0], rollout.previous: wanted[1]},
        loss=loss,
        labels_after=rollout.rules["labels_after"],
        fast=rollout.rules.get("fast", 0.0),
        kept=rollout.evidence.get("settled", {}),
    )


def stages(ledger: LedgerReader, rollout: Rollout) -> tuple[Stage, ...]:
    """The stages of a rollout so far, from its events."""
    found: list[Stage] = []
    for event in ledger.events(kind=CHANGED):
        facts = event.facts
        if facts["rollout_id"] != rollout.rollout_id:
            continue
        stage = Stage(_since(event, found), facts["stage"], facts["share"] / 100.0)
        if not found or found[-1] != stage:
            # What began later than this was noted before the clock was put back.
            found = [each for each in found if each.since <= stage.since] + [stage]
    return stages_of(found)


def _since(event: Event, known: Sequence[Stage]) -> datetime:
    """When the stage of a change began."""
    facts = event.facts
    if "stage_started" in facts:
        return moment(facts["stage_started"])
    # Written by an earlier Ratchet.
    now = facts["stage"], facts["share"] / 100.0
    same = bool(known) and (known[-1].number, known[-1].share) == now
    return known[-1].since if same else event.at


def broken(ledger: LedgerReader, rollout: Rollout, version: int) -> str:
    """Why a server could not load a version, and has not since; empty when none could not."""
    if rollout.record is None:
        return ""
    why = ""
    for event in ledger.events(after=rollout.record):
        facts = event.facts
        if event.kind in (FAILED, RECOVERED) and (
            (facts["record"], facts["version"]) == (rollout.record, version)
        ):
            why = facts["why"] if event.kind == FAILED else ""
    return why


def facts_of(found: Evidence, verdict: Verdict, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """The evidence as it is kept: what it came to, not the rows."""
    return {
        "until": found.until.isoformat(),
        "verdict": type(verdict).__name__.lower(),
        "reason": verdict.reason,
        "requests": found.requests,
        "ours": {"requests": found.ours[0], "errors": found.ours[1]},
        "others": {"requests": found.others[0], "errors": found.others[1]},
        "labels": {
            "paired": len(found.quality.paired),
            "ours": int(found.quality.chosen.sum()),
            "others": int((~found.quality.chosen).sum()),
        },
        "findings": [finding.to_json() for finding in findings],
        "settled": dict(found.settled),
    }


def has_labels(found: Evidence) -> bool:
    """Whether any label could be used."""
    return bool(len(found.quality.paired) or len(found.quality.chosen))
