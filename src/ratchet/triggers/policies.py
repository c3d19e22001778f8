"""The rules: what each sees in the facts, against which limit, and why. Pure functions.

A rule ``holds`` while its condition is true. Its ``key`` names the evidence, not the moment: the
same evidence has the same key however often it is looked at, and a key sets off at most one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ratchet.config.durations import parse_duration
from ratchet.triggers.costs import best_interval
from ratchet.triggers.facts import Facts
from ratchet.triggers.quality import judge_estimate, judge_quality, judge_regret
from ratchet.triggers.rule_settings import Action
from ratchet.triggers.schedule import newest_due, next_due
from ratchet.triggers.settings import ScheduleSettings, TriggersSettings, rows_of

FALLING = frozenset({"performance", "regret", "estimated", "drift"})
"""The rules that a follow-up comes after."""

_DAY = timedelta(days=1)
_APART = timedelta(minutes=5)
"""The clocks of machines that share a ledger differ by less."""
_LONGEST_BACKOFF = 30 * _DAY


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule sees.

    Attributes:
        holds: its condition is true.
        value: what it looked at, and ``threshold`` what that is held against.
        action: ``investigate``: it never trains on its own.
        key: what tells its evidence from other evidence; empty while it does not hold.
        until: when it may hold at the earliest, as far as time alone decides.
        overrides: settings of the run that it sets off.
    """

    name: str
    holds: bool
    value: float | str | None
    threshold: float | str | None
    reason: str
    action: Action = "retrain"
    key: str = ""
    until: datetime | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)


def evaluate_rules(policy: TriggersSettings, facts: Facts) -> tuple[Rule, ...]:
    """Every configured rule, in the order in which one of several gives a run its name."""
    found: list[Rule] = []
    if policy.performance is not None:
        found.append(_performance(policy, facts))
        if policy.performance.regret:
            found.append(_regret(policy, facts))
    if policy.estimated is not None:
        found.append(_estimated(policy, facts))
    if policy.drift is not None:
        found.append(_drift(policy, facts))
    if policy.external:
        found.append(_external(facts))
    if policy.new_rows is not None:
        found.append(_new_rows(policy, facts))
    if policy.max_age is not None:
        found.append(_max_age(policy, facts))
    found += [_schedule(schedule, facts) for schedule in policy.schedule]
    return tuple(found)


def follow_up(policy: TriggersSettings, facts: Facts) -> Rule | None:
    """One more run after one that falling quality set off; None where there is nothing of it."""
    settings, run = policy.follow_up, facts.trained
    if settings is None or run is None or not FALLING.intersection(run.trigger.split("+")):
        return None
    wanted, new = rows_of(settings.rows, run.rows), facts.arrivals.new
    enough = wanted is not None and new is not None and new >= wanted
    due = None if settings.after is None else run.finished + parse_duration(settings.after)
    late = due is not None and facts.at >= due and facts.arrivals.changed is not False
    seen = "rows not counted" if new is None else f"{new:,} new rows"
    holds = enough or late
    reason = f"{seen} since run {run.run_id} ({run.trigger})"
    if due is not None:
        reason += f", or {due:%Y-%m-%d %H:%M} UTC"
    key = f"follow_up:{run.run_id}" if holds else ""
    return Rule("follow_up", holds, new, wanted, reason, key=key, until=None if late else due)


def _performance(policy: TriggersSettings, facts: Facts) -> Rule:
    settings, seen = policy.performance, facts.performance
    assert settings is not None
    if seen is None or not any(seen.cohorts.values()):
        return Rule("performance", False, None, None, "no cohort with enough labels yet")
    found = judge_quality(settings, seen)
    key = f"performance:{seen.version}:{_stamp(found.until)}"
    return _backed_off(
        Rule("performance", found.fell, found.value, found.threshold, found.reason, key=key), facts
    )


def _regret(policy: TriggersSettings, facts: Facts) -> Rule:
    settings, seen, cost = policy.performance, facts.performance, policy.cost
    assert settings is not None
    if cost is None:
        return Rule("regret", False, None, None, "off: triggers.cost is not set")
    if seen is None or not seen.cohorts.get(seen.metric):
        return Rule("regret", False, None, cost.retrain, "no cohort with enough labels yet")
    found = judge_regret(seen, cost)
    # Each further time that the cost of a run was lost is new evidence.
    times = int(found.amount / cost.retrain)
    key = f"regret:{seen.version}:{times}"
    return _backed_off(
        Rule("regret", found.fell, found.value, found.threshold, found.reason, key=key), facts
    )


def _estimated(policy: TriggersSettings, facts: Facts) -> Rule:
    settings, seen = policy.estimated, facts.performance
    assert settings is not None
    if seen is None or not seen.estimated.get(seen.metric):
        return Rule("estimated", False, None, None, "no estimate yet", settings.action)
    found = judge_estimate(settings, policy.performance, seen)
    key = f"estimated:{seen.version}:{_stamp(found.until)}"
    rule = Rule(
        "estimated", found.fell, found.value, found.threshold, found.reason, settings.action, key
    )
    return _backed_off(rule, facts)


def _drift(policy: TriggersSettings, facts: Facts) -> Rule:
    settings, seen = policy.drift, facts.drift
    assert settings is not None
    if seen is None:
        return Rule("drift", False, None, settings.share, "no window yet", settings.action)
    named = [column for column in seen.columns if column in settings.columns]
    value: float | str
    threshold: float | str
    if settings.share is not None:
        value, threshold = seen.share, settings.share
        beyond = seen.share >= settings.share and (not settings.columns or bool(named))
    elif settings.columns:
        value, threshold = ", ".join(named) or "none", "any of " + ", ".join(settings.columns)
        beyond = bool(named)
    elif seen.importance is not None:
        value, threshold = seen.importance, settings.importance
        beyond = seen.importance > settings.importance
    else:
        value, threshold = seen.share, "any column"
        beyond = seen.drifted
    long = seen.alarming or seen.in_a_row >= settings.windows
    what = seen.reason or f"{seen.share:.0%} of the columns drifted"
    reason = f"{what}; window {seen.in_a_row} of {settings.windows}" if beyond else what
    if beyond and seen.alarming:
        reason = f"{what}; at twice a threshold"
    version = 0 if facts.champion is None else facts.champion.version
    key = f"drift:{version}:{seen.window}"
    rule = Rule("drift", beyond and long, value, threshold, reason, settings.action, key)
    return _backed_off(rule, facts)


def _external(facts: Facts) -> Rule:
    changed = facts.arrivals.changed
    if facts.trained is None or changed is None:
        return Rule("external", False, None, "changed", "nobody looked at the source")
    said = "the source changed since the last run" if changed else "the source is as it was"
    key = f"external:{facts.arrivals.fingerprint}" if changed else ""
    return Rule("external", changed, "changed" if changed else "same", "changed", said, key=key)


def _new_rows(policy: TriggersSettings, facts: Facts) -> Rule:
    assert policy.new_rows is not None
    run, new = facts.trained, facts.arrivals.new
    if run is None:
        return Rule("new_rows", False, None, None, "nothing was trained yet")
    limit = rows_of(policy.new_rows, run.rows)
    if limit is None or new is None:
        return Rule("new_rows", False, new, limit, "the source does not tell how many rows it has")
    reason = f"{new:,} new rows since run {run.run_id}, {limit:,} are wanted"
    holds = new >= limit
    key = f"new_rows:{run.run_id}:{new // limit}" if holds else ""
    return Rule("new_rows", holds, new, limit, reason, key=key)


def _max_age(policy: TriggersSettings, facts: Facts) -> Rule:
    assert policy.max_age is not None
    run = facts.trained
    if run is None:
        return Rule("max_age", False, None, policy.max_age, "nothing was trained yet")
    limit, why = _age_limit(policy, facts)
    age = facts.at - run.started
    due = run.started + limit
    value, threshold = round(age / _DAY, 2), round(limit / _DAY, 2)
    reason = f"{value:g} days since run {run.run_id}, {threshold:g} are allowed{why}"
    old = age >= limit
    if old and facts.arrivals.changed is False and not facts.arrivals.new:
        return Rule("max_age", False, value, threshold, f"{reason}; but there is nothing new")
    key = f"max_age:{run.run_id}:{age // limit}" if old else ""
    until = None if old else due
    return Rule("max_age", old, value, threshold, reason, key=key, until=until)


def _age_limit(policy: TriggersSettings, facts: Facts) -> tuple[timedelta, str]:
    """``max_age``, or the interval that costs least where that is shorter, and why."""
    assert policy.max_age is not None
    limit, seen, cost = parse_duration(policy.max_age), facts.performance, policy.cost
    if cost is None or seen is None or not seen.growth:
        return limit, ""
    cohorts = seen.cohorts.get(seen.metric, ())
    times = [cohort.until for cohort in cohorts if cohort.until is not None]
    if len(times) < 2 or times[-1] <= times[0]:
        return limit, ""
    daily = sum(cohort.rows for cohort in cohorts[1:]) / ((times[-1] - times[0]) / _DAY)
    best = best_interval(cost.retrain, seen.growth, cost.value * daily)
    if best is None or best >= limit:
        return limit, ""
    # Never more than once a day on an extrapolation.
    return max(best, _DAY), f" ({seen.metric} falls by {seen.growth:.2g} a day)"


def _schedule(schedule: ScheduleSettings, facts: Facts) -> Rule:
    at = facts.at.replace(second=0, microsecond=0)
    coming = next_due(schedule.cron, schedule.timezone, at)
    looked = facts.schedules.get(schedule.name)
    said = f"{schedule.cron} ({schedule.timezone})"
    upcoming = "never" if coming is None else f"{coming:%Y-%m-%d %H:%M} UTC"
    waiting = Rule(
        schedule.name, False, None, said, f"next at {upcoming}", until=coming,
        overrides=schedule.set,
    )  # fmt: skip
    due = newest_due(schedule.cron, schedule.timezone, at)
    # A clock that was put back must not make a schedule wait until it has caught up.
    if due is None or looked is None or due <= min(looked, facts.at):
        return waiting
    run = facts.last_run
    # A run of the future was noted before the clock was put back: it answers nothing of now.
    done = run is not None and due <= run.started <= facts.at + _APART
    if run is not None and done and not schedule.set and run.outcome != "failed":
        return waiting
    return Rule(
        schedule.name, True, f"{due:%Y-%m-%d %H:%M} UTC", said,
        f"due since {due:%Y-%m-%d %H:%M} UTC",
        key=f"schedule:{schedule.name}:{due:%Y-%m-%dT%H:%MZ}", until=coming,
        overrides=schedule.set,
    )  # fmt: skip


def _backed_off(rule: Rule, facts: Facts) -> Rule:
    """The rule, waiting longer after each model in a row that did not help.

    Where the world became harder to tell, no new model brings the old quality back.
    """
    if not rule.holds:
        return Rule(rule.name, False, rule.value, rule.threshold, rule.reason, rule.action)
    if facts.rejections < 2 or facts.trained is None:
        return rule
    wait = min(_LONGEST_BACKOFF, _DAY * (1 << min(facts.rejections - 1, 10)))
    until = facts.trained.started + wait
    if facts.at >= until:
        return rule
    reason = (
        f"{rule.reason}; {facts.rejections} models in a row were rejected, so not before "
        f"{until:%Y-%m-%d %H:%M} UTC"
    )
    return Rule(rule.name, False, rule.value, rule.threshold, reason, rule.action, until=until)


def _stamp(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
