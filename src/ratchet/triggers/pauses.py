"""How long nothing trains: after a training, after a run that came to nothing, after a look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ratchet.config.durations import parse_duration
from ratchet.ledger.triggers import RunHead
from ratchet.triggers.facts import Observed
from ratchet.triggers.schedule import shortest_gap
from ratchet.triggers.settings import TriggersSettings

_DAY = timedelta(days=1)
_SHORT = timedelta(minutes=15)
_LONGEST_RETRY = 2 * _DAY


def cooldown_of(
    policy: TriggersSettings, trained: RunHead | None, observed: Observed, now: datetime
) -> timedelta:
    """How long nothing trains after a training began."""
    if policy.cooldown is None:
        return timedelta(0)
    if policy.cooldown != "auto":
        return parse_duration(policy.cooldown)
    seen = observed.performance
    training = timedelta(seconds=3 * ((trained.seconds if trained else None) or 0.0))
    lag = None if seen is None else seen.label_lag
    longest = max(_DAY, training, lag or timedelta(0))
    if policy.combine != "any":
        return longest
    gap = shortest_gap([(each.cron, each.timezone) for each in policy.schedule], now)
    return longest if gap is None else min(longest, gap * 3 / 4)


def cooldown_until(
    policy: TriggersSettings,
    ended: Sequence[RunHead],
    trained: RunHead | None,
    observed: Observed,
    now: datetime,
) -> datetime | None:
    """Until when nothing trains for what serves, unless somebody asks for it.

    Args:
        ended: the runs that ended, newest first.
        trained: the newest of them that trained for what serves.
    """
    until = []
    if trained is not None:
        length = cooldown_of(policy, trained, observed, now)
        until.append(_after(trained.started, length, now))
    last = ended[0] if ended else None
    if last is not None and not last.trained and last.outcome != "skipped":
        assert last.finished is not None
        until.append(_after(last.finished, _pause(policy, ended), now))
    known = [moment for moment in until if moment is not None]
    return max(known, default=None)


def looked_until(
    policy: TriggersSettings, ended: Sequence[RunHead], observed: Observed, now: datetime
) -> datetime | None:
    """Until when nothing is looked closer at: it spends as much as any training."""
    last = next((head for head in ended if head.only_looks), None)
    if last is None:
        return None
    return _after(last.started, cooldown_of(policy, last, observed, now), now)


def _after(start: datetime, length: timedelta, now: datetime) -> datetime | None:
    # A start further in the future than any pause was written by a clock that was wrong.
    return None if not length or start > now + length else start + length


def _pause(policy: TriggersSettings, ended: Sequence[RunHead]) -> timedelta:
    """After a run without a model: twice as long after each failure in a row."""
    first = _SHORT if policy.retry is None else parse_duration(policy.retry.after)
    failures = in_a_row(ended, "failed")
    return min(_LONGEST_RETRY, first * (1 << min(max(failures - 1, 0), 20)))


def in_a_row(heads: Sequence[RunHead], outcome: str) -> int:
    """How many of the newest ended so, without a break."""
    count = 0
    for head in heads:
        if head.outcome != outcome:
            break
        count += 1
    return count
