"""What to do now: a pure function of the policy and the facts.

In this order: wait for a run that runs; go on with one that was left open; do what somebody asked
for; start a run that was decided on and never began; wait for a rollout; try a failed run again;
train for the first time; follow up; then the rules, as they are combined. A cooldown, a rollout and
the budget hold everything back but what somebody asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ratchet.config.durations import parse_duration
from ratchet.triggers.cases import case_of, look_closer, since_when
from ratchet.triggers.expression import evaluate, names_of
from ratchet.triggers.facts import Facts
from ratchet.triggers.policies import Rule, evaluate_rules, follow_up
from ratchet.triggers.settings import RULES, TriggersSettings
from ratchet.triggers.verdicts import Decision, Fire, RuleVerdict, Skip, Verdict

MOST_ATTEMPTS = 3
"""How often a run that was left open is gone on with."""

_SLOW_START, _LONGEST_WAIT = timedelta(minutes=2), timedelta(days=1)


def decide(policy: TriggersSettings, facts: Facts) -> Decision:
    """What to do, given what is known. Pure: the same facts give the same decision and key."""
    rules = evaluate_rules(policy, facts)
    follow = follow_up(policy, facts)
    holding = {rule.name: since_when(rule, facts) for rule in rules if rule.holds}
    ready = tuple(rule for rule in rules if rule.holds and not _waits(policy, rule, facts))
    wanted = _combined(policy, ready, facts)
    verdict = _first_of(policy, facts, rules, follow, wanted)
    pending = {rule.name for rule in ready} if _still_wanted(facts, verdict, wanted) else set()
    schedules = {
        each.name: facts.at
        if each.name not in pending
        else min(facts.at, facts.schedules.get(each.name, facts.at))
        for each in policy.schedule
    }
    shown = (*rules, follow) if follow is not None else rules
    told = tuple(_told(policy, rule, facts) for rule in shown)
    return Decision(verdict, told, schedules, holding)


def _first_of(
    policy: TriggersSettings,
    facts: Facts,
    rules: Sequence[Rule],
    follow: Rule | None,
    wanted: Fire | None,
) -> Verdict:
    if facts.run_in_progress:
        return Skip(f"a run is in progress: {facts.run_in_progress}")
    asked = _left_open(facts) or _asked(facts)
    if asked is not None:
        return _not_yet(facts, asked) or asked
    again = _granted(facts) or _retry(policy, facts)
    if again is None:
        again = _first(policy, facts) or _followed(follow, facts) or wanted
    block = _block(policy, facts)
    if again is not None:
        if block is not None:
            return Skip(f"{_named(again)}; but {block.reason}", block.until)
        return _not_yet(facts, again) or again
    until = _soonest(policy, facts, (*rules, follow) if follow is not None else rules)
    odd = [
        rule
        for rule in sorted(rules, key=_place)
        if rule.holds and rule.action == "investigate" and not _waits(policy, rule, facts)
    ]
    return look_closer(policy, facts, odd, block, until) or Skip(_nothing(rules), until)


def _named(fire: Fire) -> str:
    """What is wanted and why; the reason of rules names them already."""
    first = fire.trigger.partition("+")[0]
    named = fire.reason.startswith(f"{first}: ")
    return fire.reason if named else f"{fire.trigger}: {fire.reason}"


# -- what goes before the rules ------------------------------------------------------------


def _left_open(facts: Facts) -> Fire | None:
    run = facts.open_run
    if run is None or run.attempts >= MOST_ATTEMPTS:
        return None
    reason = f"run {run.run_id} was left open by a process that died; it goes on"
    return Fire(reason, run.key or f"open:{run.run_id}", run.trigger, run.overrides, run.run_id)


def _asked(facts: Facts) -> Fire | None:
    asked = facts.manual
    if asked is None or f"manual:{asked.seq}" in facts.answered:
        return None
    by = f" by {asked.by}" if asked.by else ""
    why = f": {asked.reason}" if asked.reason else ""
    return Fire(f"asked for{by}{why}", f"manual:{asked.seq}", "manual")


def _granted(facts: Facts) -> Fire | None:
    found = facts.granted
    if found is None or not found.waiting or found.key in facts.answered:
        return None
    if found.resume is not None or found.trigger == "manual":
        return None
    return Fire(found.reason, found.key, found.trigger, found.overrides)


def _not_yet(facts: Facts, fire: Fire) -> Skip | None:
    """A run that was decided on may be about to begin; one that never begins is not hurried."""
    found = facts.granted
    if found is None or (fire.key, fire.resume) != (found.key, found.resume):
        return None
    begins = found.at + min(_LONGEST_WAIT, _SLOW_START * (1 << min(found.attempts - 1, 20)))
    # A time in the future was written before the clock was put back: nobody waits for it.
    if found.at <= facts.at < begins:
        return Skip(f"decided at {found.at:%H:%M} UTC, and its run is about to begin", begins)
    return None


def _retry(policy: TriggersSettings, facts: Facts) -> Fire | None:
    run, settings = facts.last_run, policy.retry
    if settings is None or run is None or run.outcome != "failed":
        return None
    key = f"retry:{run.run_id}"
    if facts.failures > settings.times or key in facts.answered:
        return None
    reason = f"run {run.run_id} failed; attempt {facts.failures + 1} of {settings.times + 1}"
    return Fire(reason, key, run.trigger)


def _first(policy: TriggersSettings, facts: Facts) -> Fire | None:
    if not policy.first or facts.champion is not None or facts.trained is not None:
        return None
    # After a first run that came to nothing, another source is another try.
    key = f"first:{facts.arrivals.fingerprint[:16]}"
    return None if key in facts.answered else Fire("nothing was ever trained", key, "first")


def _followed(rule: Rule | None, facts: Facts) -> Fire | None:
    if rule is None or not rule.holds or rule.key in facts.answered:
        return None
    return Fire(rule.reason, rule.key, rule.name)


# -- the rules -----------------------------------------------------------------------------


def _combined(policy: TriggersSettings, ready: Sequence[Rule], facts: Facts) -> Fire | None:
    """The run that the rules together want."""
    there = {rule.name for rule in ready}
    scheduled = {each.name for each in policy.schedule}
    expression = policy.expression
    if policy.combine == "any":
        able = (rule for rule in ready if rule.action == "retrain")
        return _fire([rule for rule in able if rule.key not in facts.answered], facts)
    holds = {name: name in there for name in policy.rules}
    holds["schedule"] = bool(there & scheduled)
    if expression is None:
        names = policy.written
        true = all(holds[name] for name in names)
    else:
        names = names_of(expression)
        true = evaluate(expression, holds)
    if not true:
        return None
    meant = set(names) | (scheduled if "schedule" in names else set())
    return _fire([rule for rule in ready if rule.name in meant], facts)


def _fire(rules: Sequence[Rule], facts: Facts) -> Fire | None:
    """One run for all of the rules: of several schedules that are due, the last one's settings.

    The key of rules that need each other holds the evidence of all of them.
    """
    if not rules:
        return None
    ordered = sorted(rules, key=_place)
    overrides = {name: value for rule in rules for name, value in rule.overrides.items()}
    key = "&".join(rule.key for rule in ordered)
    if key in facts.answered:
        return None
    reason = "; ".join(f"{rule.name}: {rule.reason}" for rule in ordered)
    return Fire(reason, key, "+".join(rule.name for rule in ordered), overrides)


def _place(rule: Rule) -> int:
    return RULES.index(rule.name) if rule.name in RULES else len(RULES)


def _block(policy: TriggersSettings, facts: Facts) -> Skip | None:
    """What holds a run back that nobody asked for."""
    if facts.rollout_in_progress:
        return Skip(f"a rollout is in progress: {facts.rollout_in_progress}")
    until = facts.cooldown_until
    if until is not None and facts.at < until:
        return Skip(f"the cooldown lasts until {until:%Y-%m-%d %H:%M} UTC", until)
    budget, spent = policy.budget, facts.spent
    if budget is None:
        return None
    if budget.runs is not None and spent.runs >= budget.runs:
        return Skip(f"the budget of {budget.runs} runs a {budget.per} is used up")
    minutes = budget.cpu_minutes
    if minutes is not None and spent.cpu_minutes + spent.next_cpu_minutes > minutes:
        return Skip(
            f"the budget of {budget.cpu} of processor time a {budget.per} does not allow another "
            f"run: {spent.cpu_minutes:.0f} minutes are used, and one takes about "
            f"{spent.next_cpu_minutes:.0f}"
        )
    return None


# -- small things --------------------------------------------------------------------------


def _waits(policy: TriggersSettings, rule: Rule, facts: Facts) -> bool:
    """Whether the rule must hold for longer first."""
    if policy.debounce is None or rule.key.startswith("schedule:"):
        return False
    return facts.at - since_when(rule, facts) < parse_duration(policy.debounce)


def _still_wanted(facts: Facts, verdict: Verdict, wanted: Fire | None) -> bool:
    """Whether the rules want a run that they do not get now: their schedules stay due."""
    if wanted is None:
        # What a run finds may change the answer: the check at this time is made after it.
        return bool(facts.run_in_progress)
    return not (isinstance(verdict, Fire) and verdict.key == wanted.key)


def _told(policy: TriggersSettings, rule: Rule, facts: Facts) -> RuleVerdict:
    reason, fired = rule.reason, rule.holds
    if rule.holds and _waits(policy, rule, facts):
        fired = False
        reason = (
            f"{reason}; holds since {since_when(rule, facts):%H:%M} UTC, {policy.debounce} wanted"
        )
    elif rule.holds and (run := _answer(rule, facts)) is not None:
        fired = False
        reason = f"{reason}; answered by run {run}"
    return RuleVerdict(
        rule.name, fired, rule.holds, rule.value, rule.threshold, reason, rule.action
    )


def _answer(rule: Rule, facts: Facts) -> str | None:
    """The run that the rule's evidence set off, for what serves or to look closer."""
    found = facts.answered.get(rule.key)
    if found is None and rule.action == "investigate":
        found = facts.answered.get(case_of(rule, facts))
    return found


def _nothing(rules: Sequence[Rule]) -> str:
    held = [rule.name for rule in rules if rule.holds]
    if not rules:
        return "no rule is set"
    return f"not enough: only {', '.join(held)}" if held else "no rule holds"


def _soonest(policy: TriggersSettings, facts: Facts, rules: Sequence[Rule]) -> datetime | None:
    """When time alone may change what the rules say."""
    times = [rule.until for rule in rules if rule.until is not None]
    if policy.debounce is not None:
        wait = parse_duration(policy.debounce)
        times += [since_when(rule, facts) + wait for rule in rules if rule.holds]
    return min((time for time in times if time > facts.at), default=None)
