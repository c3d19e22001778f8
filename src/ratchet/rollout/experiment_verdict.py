"""Whether an experiment has its verdict: a pure function of what was seen of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ratchet.ledger.experiments import Experiment, Verdict

if TYPE_CHECKING:
    from ratchet.rollout.comparison import Comparison


def judge(
    found: Experiment, seen: Comparison, failing: str, now: datetime
) -> tuple[Verdict | None, str]:
    """The verdict, None while there is none yet, and why."""
    if failing:
        return "worse", failing
    if seen.blocked:
        return "not enough evidence", f"the result may not be read: {seen.blocked}"
    told = _told(found, seen)
    days = (now - found.started).total_seconds() / 86_400
    if seen.proven == "worse":
        return "worse", told
    if seen.proven == "better" and (days >= found.rules["least_days"] or found.stopped):
        return "better", told
    if seen.proven == "better":
        return None, f"{told}; concluded after {found.rules['least_days']:g} days"
    if found.status == "waiting" and _all_in(found, seen, now):
        return "not enough evidence", told
    return None, told


def _all_in(found: Experiment, seen: Comparison, now: datetime) -> bool:
    """Whether nothing more can come of an experiment that assigns nobody any more."""
    from ratchet.rollout.evidence import GRACE

    assert found.stopped is not None
    wait = seen.labels_after
    if wait is None:  # nobody ever saw enough labels: as long again as it took
        wait = found.rules["days"] * 86_400.0
    settled = timedelta(seconds=wait + found.rules["window"]) + GRACE
    return now >= found.stopped + settled


def _told(found: Experiment, seen: Comparison) -> str:
    """What the comparison says, in a sentence."""
    result = seen.estimate
    if result is None:
        if seen.labels_after is None:
            return "too few labels came to tell how long they take (--labels-after says it)"
        return "no entity of both versions has its labels yet"
    count = f"{result.entities:,} entities"
    if result.low is None or result.high is None:
        return f"{count} count, which is too few to say anything"
    way = "better" if result.better >= 0 else "worse"
    ends = f"{result.low:+.4f} to {result.high:+.4f}"
    told = (
        f"version {found.b} is {way} by {abs(result.better):.4f} in {found.metric} "
        f"({ends}, {1 - found.rules['alpha']:.0%} at all looks; {count})"
    )
    margin = found.rules["margin"]
    if not seen.proven and max(-result.low, result.high) < margin:
        return f"{told}: no difference of {margin:g} or more"
    return told
