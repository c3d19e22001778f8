"""Keeps decisions: each change of verdict or of a rule as an event, equal ones counted.

The event ``trigger_evaluated`` is also what the policy remembers: until when schedules were looked
at, since when rules hold, and the last decision to train. It must be written before the run starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ratchet.ids import digest_of
from ratchet.ledger.triggers import EVALUATED, REQUESTED
from ratchet.triggers.facts import Facts
from ratchet.triggers.verdicts import Decision, Fire, Investigate

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger

AT_LEAST = timedelta(hours=1)
"""How long a decision that stays the same goes without an event."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The last event, as the caller keeps it from one tick to the next.

    Attributes:
        state: what of a decision makes another event when it changes.
        equal: evaluations since then that said the same.
        seq: the event's number.
        new: this evaluation made the event.
        news: ... and its verdict or its trigger is another one than before.
    """

    state: str
    word: str
    at: datetime
    equal: int
    seq: int
    new: bool
    news: bool


def record_decision(
    ledger: Ledger, facts: Facts, decision: Decision, before: Recorded | None = None
) -> Recorded:
    """Write a decision if it changed, is to train, or an hour has passed; else count it.

    Args:
        before: what the last call gave; None: what the ledger's last event says.

    Raises:
        StorageError, UnreachableError, ConflictError: the ledger fails, or its lease was lost.
    """
    state = state_of(decision)
    if before is None:
        before = _last(ledger)
    if before is not None and decision.run is None:
        # A clock that was put back waits for nothing.
        recent = timedelta(0) <= facts.at - before.at < AT_LEAST
        if before.state == state and recent:
            return replace(before, equal=before.equal + 1, new=False, news=False)
    body = {
        **decision.to_json(),
        "at": facts.at,
        "state": state,
        "facts_digest": facts.digest(),
        "equal_before": 0 if before is None else before.equal,
        "granted": _granted(ledger, facts, decision),
    }
    seq = ledger.record(EVALUATED, body)
    news = before is None or before.word != _word(decision)
    return Recorded(state, _word(decision), facts.at, 0, seq, True, news)


def state_of(decision: Decision) -> str:
    """A digest of the verdict, its trigger, and which rules hold: not of values that move."""
    rules = [[rule.name, rule.holds, rule.fired] for rule in decision.rules]
    return digest_of([_word(decision), rules])


def request_run(ledger: Ledger, *, by: str, reason: str) -> int:
    """Ask for a run, which the next tick starts; the number of the request."""
    return ledger.record(REQUESTED, {"by": by, "reason": reason})


def _word(decision: Decision) -> str:
    verdict = decision.verdict
    key = verdict.key if isinstance(verdict, Fire | Investigate) else ""
    return f"{decision.word} {key}".strip()


def _granted(ledger: Ledger, facts: Facts, decision: Decision) -> dict[str, Any] | None:
    """The last decision to train: this one, or the one that was known before."""
    fire, before = decision.run, facts.granted
    newest = ledger.runs(1)
    after = newest[0].run_id if newest else None
    if fire is not None:
        again = before is not None and (before.key, before.resume) == (fire.key, fire.resume)
        return {
            "key": fire.key,
            "trigger": fire.trigger,
            "reason": fire.reason,
            "at": facts.at,
            "attempts": before.attempts + 1 if before is not None and again else 1,
            "overrides": dict(fire.overrides),
            "resume": fire.resume,
            "after": after,
        }
    last = ledger.events(kind=EVALUATED, limit=1)
    kept: dict[str, Any] | None = last[0].facts.get("granted") if last else None
    return kept


def _last(ledger: Ledger) -> Recorded | None:
    found = ledger.events(kind=EVALUATED, limit=1)
    if not found:
        return None
    facts = found[0].facts
    key = facts.get("key")
    word = facts["verdict"] if not key else f"{facts['verdict']} {key}"
    at = datetime.fromisoformat(facts["at"])
    return Recorded(facts["state"], word, at, 0, found[0].seq, False, False)
