"""What is looked into: a case is what rules saw, of which champion, since when.

Drift lasts: each window of it is another one, and all of them are one case. People are asked for
labels once for a case, and at most one challenger is trained for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ratchet.ledger.triggers import looking_trigger
from ratchet.triggers.facts import Facts
from ratchet.triggers.policies import Rule
from ratchet.triggers.settings import TriggersSettings
from ratchet.triggers.verdicts import Fire, Investigate, Skip

_LEAST_NEW: Final = 0.01
"""New rows, of those that the champion learned from, below which another model is the same one."""


def since_when(rule: Rule, facts: Facts) -> datetime:
    """Since when the rule holds; a time in the future is one that a clock put back left."""
    return min(facts.holding.get(rule.name, facts.at), facts.at)


def case_of(rule: Rule, facts: Facts) -> str:
    """The key of the case that a rule which holds is part of.

    By the day on which it began: what comes and goes within a day is one case.
    """
    version = 0 if facts.champion is None else facts.champion.version
    return f"case:{rule.name}:{version}:{since_when(rule, facts):%Y-%m-%d}"


def look_closer(
    policy: TriggersSettings,
    facts: Facts,
    rules: Sequence[Rule],
    block: Skip | None,
    until: datetime | None,
) -> Investigate | None:
    """What comes of rules that hold and only investigate; None where all was done that is to be.

    Args:
        rules: in their order.
        block: what holds every run back that nobody asked for.
        until: when time alone may change what the rules say.
    """
    cases = {case_of(rule, facts): rule for rule in rules}
    new = {key: rule for key, rule in cases.items() if key not in facts.answered}
    if not new:
        return None
    key = "&".join(new)
    trigger = "+".join(rule.name for rule in new.values())
    reason = "; ".join(f"{rule.name}: {rule.reason}" for rule in new.values())
    why_not = _why_no_challenger(policy, facts, block)
    if why_not:
        return Investigate(
            f"{reason}; no challenger: {why_not.reason}", key, trigger, block is None,
            _earlier(until, why_not.until),
        )  # fmt: skip
    rows = facts.arrivals.new
    on = "what is new" if rows is None else f"{rows:,} new rows"
    run = Fire(f"{reason}; a challenger for the shadow, on {on}", key, looking_trigger(trigger))
    return Investigate(
        f"{reason}; a challenger is trained on {on}, and answers in the shadow only",
        key, trigger, affordable=True, until=until, run=run,
    )  # fmt: skip


def ask_for_labels(facts: Facts) -> str:
    """Which labels would tell most, for people."""
    seen, champion = facts.drift, facts.champion
    version = "the champion" if champion is None else f"version {champion.version}"
    if seen is None or seen.since is None or seen.rows is None or seen.unlabelled is None:
        return (
            f"Hand in the labels of what {version} answered lately (POST /v1/feedback): only they "
            "say whether the model suffers."
        )
    until = datetime.fromisoformat(seen.window)
    begin = datetime.fromisoformat(seen.since)
    moved = f" Most of all where {', '.join(seen.columns)} moved." if seen.columns else ""
    return (
        f"Hand in labels sooner (POST /v1/feedback): of the {seen.rows:,} predictions of {version} "
        f"from {_at(begin)} to {_at(until)}, {seen.unlabelled:,} have none, and only labels say "
        f"whether the model suffers.{moved} Which first: `ratchet monitor --wanted FILE`."
    )


def _why_no_challenger(policy: TriggersSettings, facts: Facts, block: Skip | None) -> Skip | None:
    if not policy.investigate.challenger:
        return Skip("triggers.investigate.challenger is off")
    if facts.shadow_taken:
        return Skip(facts.shadow_taken)
    if block is not None:
        return block
    wait = facts.looked_until
    if wait is not None and facts.at < wait:
        return Skip(f"the last one was begun lately, the next one may be at {_at(wait)}", wait)
    return _nothing_new(facts)


def _nothing_new(facts: Facts) -> Skip | None:
    """What is to be learned from must be newer than what the champion learned from."""
    arrivals, run = facts.arrivals, facts.trained
    if arrivals.new is None:
        return None if arrivals.changed else Skip("the source has nothing new to learn from")
    least = 1 if run is None or run.rows is None else max(1, round(_LEAST_NEW * run.rows))
    if arrivals.new >= least:
        return None
    return Skip(
        f"{arrivals.new:,} labelled rows are newer than what was trained on, at least {least:,} "
        "are needed"
    )


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min((time for time in (first, second) if time is not None), default=None)


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
