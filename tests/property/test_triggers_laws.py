"""What holds of every decision, whatever the policy and the facts."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ratchet.triggers.decide import decide
from ratchet.triggers.expression import evaluate, names_of, parse_expression
from ratchet.triggers.facts import (
    Arrivals,
    Champion,
    DriftFacts,
    Facts,
    Granted,
    Manual,
    Measured,
    PastRun,
    PerformanceFacts,
    Spent,
)
from ratchet.triggers.schedule import newest_due, next_due
from ratchet.triggers.settings import TriggersSettings
from ratchet.triggers.verdicts import Fire, Skip

NOW = datetime(2026, 11, 21, 10, 17, 3, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NAMES = ("nightly", "weekly", "new_rows", "max_age", "drift", "performance", "external")

policies = st.builds(
    lambda **given: TriggersSettings.model_validate(given),
    schedule=st.sampled_from(
        [
            [],
            [{"name": "nightly", "cron": "0 2 * * *"}, {"name": "weekly", "cron": "@weekly"}],
        ]
    ),
    new_rows=st.sampled_from([None, 100, "50%"]),
    max_age=st.sampled_from([None, "7d", "30d"]),
    drift=st.sampled_from([None, {}, {"share": 0.3, "action": "retrain", "windows": 1}]),
    external=st.booleans(),
    debounce=st.sampled_from([None, "1h"]),
    budget=st.sampled_from([None, {"runs": 3}, {"cpu": "60m", "per": "week"}]),
    cost=st.sampled_from([None, {"retrain": 20, "value": 1}]),
)
ago = st.integers(0, 60 * 24 * 60).map(lambda minutes: NOW - minutes * MINUTE)
measured = st.builds(Measured, st.floats(0.4, 1), st.floats(0.001, 0.1), st.integers(10, 5000), ago)
performance = st.builds(
    lambda cohorts, baselines, estimated: PerformanceFacts(
        3, "accuracy", {"accuracy": tuple(cohorts)}, {"accuracy": tuple(baselines)},
        {"accuracy": tuple(estimated)},
    ),
    st.lists(measured, max_size=3), st.lists(measured, max_size=4), st.lists(measured, max_size=3),
)  # fmt: skip
past = st.builds(
    lambda trigger, outcome, started, rows: PastRun(
        "r1", trigger, "old", outcome, started, started + MINUTE, 60.0, rows
    ),
    st.sampled_from(["manual", "performance", "drift+new_rows", "follow_up"]),
    st.sampled_from(["promoted", "rejected", "candidate", "failed", "skipped"]),
    ago,
    st.none() | st.integers(1, 5000),
)
facts_of_a_moment = st.builds(
    Facts,
    at=st.just(NOW),
    champion=st.none() | st.builds(Champion, st.just(3), ago),
    trained=st.none() | past,
    last_run=st.none() | past,
    failures=st.integers(0, 5),
    rejections=st.integers(0, 5),
    arrivals=st.builds(
        Arrivals, st.none(), st.none() | st.integers(0, 9000), st.none() | st.booleans(),
        st.sampled_from(["", "abc"]),
    ),
    drift=st.none()
    | st.builds(
        DriftFacts, st.just("w1"), st.floats(0, 1), st.none() | st.floats(0, 1),
        st.just(("tenure",)), st.booleans(), st.integers(1, 4), st.booleans(),
    ),
    performance=st.none() | performance,
    schedules=st.fixed_dictionaries({}, optional={"nightly": ago, "weekly": ago}),
    holding=st.fixed_dictionaries({}, optional={"drift": ago, "new_rows": ago}),
    spent=st.builds(Spent, st.integers(0, 5), st.floats(0, 90), st.floats(0, 30)),
    manual=st.none() | st.just(Manual(7, "ann", "why not")),
    granted=st.none()
    | st.builds(
        Granted, st.sampled_from(["drift:3:w1", "x"]), st.just("drift"), st.just("y"),
        ago, st.integers(1, 4), st.booleans(),
    ),
    answered=st.dictionaries(st.sampled_from(["manual:7", "drift:3:w1", "first:"]), st.just("r1")),
)  # fmt: skip


@given(policies, facts_of_a_moment)
@settings(max_examples=150, deadline=None)
def test_nothing_but_a_request_gets_past_cooldown_rollout_and_budget(policy, facts) -> None:
    for block in (
        {"cooldown_until": NOW + MINUTE},
        {"rollout_in_progress": "version 4, running"},
    ):
        verdict = decide(policy, replace(facts, **block)).verdict
        assert not isinstance(verdict, Fire) or verdict.trigger == "manual"
    assert isinstance(decide(policy, replace(facts, run_in_progress="somebody")).verdict, Skip)
    verdict, budget = decide(policy, facts).verdict, policy.budget
    if isinstance(verdict, Fire) and verdict.trigger != "manual" and budget is not None:
        assert budget.runs is None or facts.spent.runs < budget.runs
        minutes = facts.spent.cpu_minutes + facts.spent.next_cpu_minutes
        assert budget.cpu_minutes is None or minutes <= budget.cpu_minutes


@given(policies, facts_of_a_moment, st.integers(0, 30))
@settings(max_examples=150, deadline=None)
def test_the_same_facts_give_the_same_key_which_is_never_one_that_has_its_run(
    policy, facts, seconds
) -> None:
    first = decide(policy, facts)
    assert decide(policy, facts) == first
    if not isinstance(first.verdict, Fire):
        return
    key = first.verdict.key
    assert key not in facts.answered
    later = decide(policy, replace(facts, at=facts.at + timedelta(seconds=seconds))).verdict
    assert isinstance(later, Fire)
    assert later.key == key
    again = decide(policy, replace(facts, answered={key: "r9", **facts.answered})).verdict
    assert not isinstance(again, Fire) or again.key != key


@given(policies, facts_of_a_moment)
@settings(max_examples=100, deadline=None)
def test_a_decision_that_fires_is_given_time_and_then_made_again(policy, facts) -> None:
    verdict = decide(policy, replace(facts, granted=None)).verdict
    assume(isinstance(verdict, Fire))
    granted = Granted(
        verdict.key, verdict.trigger, verdict.reason, NOW, overrides=verdict.overrides
    )
    soon = decide(policy, replace(facts, granted=granted, at=NOW + timedelta(seconds=30))).verdict
    assert isinstance(soon, Skip)
    late = decide(policy, replace(facts, granted=granted, at=NOW + 5 * MINUTE)).verdict
    assert isinstance(late, Fire)
    assert late.key == verdict.key


texts = st.recursive(
    st.sampled_from(NAMES),
    lambda part: st.one_of(
        part.map(lambda one: f"not {one}"),
        part.map(lambda one: f"( {one})"),
        st.tuples(part, st.sampled_from(["and", "or"]), part).map(" ".join),
    ),
    max_leaves=12,
)


@given(texts, st.fixed_dictionaries(dict.fromkeys(NAMES, st.booleans())))
def test_expressions_mean_what_they_mean_in_python(text, holds) -> None:
    parsed = parse_expression(text)
    assert evaluate(parsed, holds) == eval(text, {"__builtins__": {}}, holds)
    assert set(names_of(parsed)) == {word for word in NAMES if re.search(rf"\b{word}\b", text)}


@given(
    st.lists(st.integers(-4 * 24 * 60, 6 * 24 * 60), min_size=1, max_size=25),
    st.sampled_from(["0 2 * * *", "*/10 * * * *", "@weekly"]),
)
@settings(max_examples=80, deadline=None)
@example([0, 1500, -1400, 1500, 10], "0 2 * * *")
def test_a_clock_that_jumps_sets_nothing_off_twice(jumps, cron) -> None:
    """A loop with ticks at any times, back and forth: each due time has at most one run."""
    policy = TriggersSettings.model_validate(
        {"schedule": cron, "new_rows": None, "max_age": None, "cooldown": None}
    )
    run = PastRun("r0", "first", "first:", "promoted", NOW - DAY, NOW - DAY)
    facts = Facts(at=NOW, champion=Champion(1, NOW - DAY), trained=run, last_run=run)
    keys: list[str] = []
    for jump in jumps:
        decision = decide(policy, facts)
        if isinstance(decision.verdict, Fire):
            keys.append(decision.verdict.key)
            facts = replace(facts, answered={**facts.answered, keys[-1]: f"r{len(keys)}"})
        facts = replace(facts, schedules=decision.schedules, at=facts.at + jump * MINUTE)
    assert len(keys) == len(set(keys))
    assert len(keys) <= len(jumps)


@given(st.integers(1, 400))
def test_a_schedule_that_was_slept_through_fires_once(days) -> None:
    policy = TriggersSettings.model_validate(
        {"schedule": "0 2 * * *", "new_rows": None, "max_age": None}
    )
    run = PastRun("r0", "first", "first:", "promoted", NOW, NOW)
    facts = Facts(
        at=NOW + days * DAY, champion=Champion(1, NOW), trained=run, last_run=run,
        schedules={"schedule": NOW},
    )  # fmt: skip
    first = decide(policy, facts)
    assert isinstance(first.verdict, Fire)
    after = replace(
        facts, at=facts.at + 10 * MINUTE, schedules=first.schedules,
        answered={first.verdict.key: "r1"},
    )  # fmt: skip
    assert isinstance(decide(policy, after).verdict, Skip)


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
)
crons = st.sampled_from(
    ["0 2 * * *", "30 2 * * *", "*/15 1-3 * * *", "0 * * * *", "@daily", "0 9 * * mon-fri"]
)


@given(crons, zones, st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)))
@settings(max_examples=150, deadline=None)
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 29, 1, 0))
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 1, 40))
def test_the_newest_and_the_next_time_meet(cron, zone, naive) -> None:
    at = naive.replace(tzinfo=UTC)
    newest, coming = newest_due(cron, zone, at), next_due(cron, zone, at)
    assert newest is not None
    assert coming is not None
    assert newest <= at < coming
    assert newest_due(cron, zone, coming) == coming
    assert newest_due(cron, zone, coming - timedelta(seconds=1)) == newest
    assert next_due(cron, zone, newest) == coming
    assert coming.astimezone(ZoneInfo(zone)).second == 0
