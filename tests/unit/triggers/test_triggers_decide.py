from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ratchet.triggers.decide import decide
from ratchet.triggers.facts import (
    Arrivals,
    Champion,
    DriftFacts,
    Facts,
    Granted,
    Manual,
    Measured,
    OpenRun,
    PastRun,
    PerformanceFacts,
    Spent,
)
from ratchet.triggers.settings import TriggersSettings
from ratchet.triggers.verdicts import Decision, Fire, Investigate, Skip

NOW = datetime(2026, 11, 21, 10, 17, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TRAINED = PastRun("r1", "first", "first:", "promoted", NOW - 5 * DAY, NOW - 5 * DAY, 60.0, 1000)
QUIET = Facts(
    at=NOW, champion=Champion(1, NOW - 5 * DAY), trained=TRAINED, last_run=TRAINED,
    arrivals=Arrivals(1000, 0, False, "f1"),
)  # fmt: skip


def policy(**given: object) -> TriggersSettings:
    return TriggersSettings.model_validate(given)


def cohort(value: float, *, rows: int = 2000, days: float = 1, version: int = 1) -> Measured:
    return Measured(value, 0.01, rows, NOW - days * DAY, version)


def quality(*values: float, baselines: tuple[float, ...] = (0.85,)) -> PerformanceFacts:
    return PerformanceFacts(
        1,
        "roc_auc",
        {"roc_auc": tuple(cohort(v, days=len(values) - i) for i, v in enumerate(values))},
        {"roc_auc": tuple(cohort(v, version=i + 1) for i, v in enumerate(baselines))},
    )


def rule(decision: Decision, name: str):
    return next(found for found in decision.rules if found.name == name)


def test_nothing_happens_when_nothing_happened() -> None:
    decision = decide(policy(schedule="0 2 * * *"), QUIET)
    assert decision.verdict == Skip("no rule holds", datetime(2026, 11, 22, 2, 0, tzinfo=UTC))
    assert [found.name for found in decision.rules] == [
        "performance", "regret", "estimated", "drift", "new_rows", "max_age", "schedule",
    ]  # fmt: skip


def test_the_first_model_and_another_try_with_another_source() -> None:
    empty = Facts(at=NOW, arrivals=Arrivals(fingerprint="f1"))
    fire = decide(policy(), empty).verdict
    assert isinstance(fire, Fire)
    assert (fire.trigger, fire.key) == ("first", "first:f1")
    assert isinstance(decide(policy(first=False), empty).verdict, Skip)
    after = replace(
        empty, last_run=replace(TRAINED, outcome="rejected"), answered={"first:f1": "r1"}
    )
    assert isinstance(decide(policy(), after).verdict, Skip)
    again = decide(policy(), replace(after, arrivals=Arrivals(fingerprint="f2"))).verdict
    assert isinstance(again, Fire)
    assert again.key == "first:f2"


def test_new_rows_are_counted_against_those_that_were_trained_on() -> None:
    some = replace(QUIET, arrivals=Arrivals(1499, 499, True, "f2"))
    assert rule(decide(policy(), some), "new_rows").threshold == 500
    assert isinstance(decide(policy(), some).verdict, Skip)
    enough = replace(QUIET, arrivals=Arrivals(1500, 500, True, "f2"))
    fire = decide(policy(), enough).verdict
    assert isinstance(fire, Fire)
    assert fire.key == "new_rows:r1:1"
    # A run of it came to nothing: as many again are another reason.
    failed = replace(enough, answered={"new_rows:r1:1": "r2"})
    assert isinstance(decide(policy(), failed).verdict, Skip)
    assert "answered by run r2" in rule(decide(policy(), failed), "new_rows").reason
    more = replace(failed, arrivals=Arrivals(2000, 1000, True, "f3"))
    assert isinstance(decide(policy(), more).verdict, Fire)


def test_a_reason_is_said_once() -> None:
    enough = replace(
        QUIET, arrivals=Arrivals(1500, 500, True, "f2"), rollout_in_progress="version 2"
    )
    waits = decide(policy(), enough).verdict
    assert isinstance(waits, Skip)
    assert waits.reason.startswith("new_rows: 500 new rows since run r1")
    assert waits.reason.count("new_rows:") == 1
    both = replace(enough, performance=quality(0.60))
    verdict = decide(policy(combine="all", new_rows="50%", performance={}), both).verdict
    assert isinstance(verdict, Skip)
    assert verdict.reason.startswith("performance: ")
    assert verdict.reason.count("performance:") == verdict.reason.count("new_rows:") == 1
    asked = replace(QUIET, champion=None, trained=None, rollout_in_progress="version 2")
    first = decide(policy(), asked).verdict
    assert isinstance(first, Skip)
    assert first.reason.startswith("first: nothing was ever trained; but")


def test_age_counts_when_there_is_something_new() -> None:
    old = replace(QUIET, at=NOW + 40 * DAY)
    assert isinstance(decide(policy(), old).verdict, Skip)
    assert "nothing new" in rule(decide(policy(), old), "max_age").reason
    fire = decide(policy(), replace(old, arrivals=Arrivals(None, None, True))).verdict
    assert isinstance(fire, Fire)
    assert fire.trigger == "max_age"


def test_the_age_at_which_training_pays() -> None:
    seen = replace(quality(0.85, 0.85, 0.85), growth=0.001)
    facts = replace(QUIET, performance=seen)
    cheap = policy(cost={"retrain": 16, "value": 1})  # sqrt(2 x 16 / (0.001 x 2000)) = 4 days
    assert rule(decide(cheap, facts), "max_age").threshold == 4
    assert rule(decide(policy(), facts), "max_age").threshold == 30


def test_quality_must_fall_by_more_than_margin_and_chance() -> None:
    for values, fires in (((0.84,), False), ((0.81,), False), ((0.79,), True)):
        verdict = decide(policy(), replace(QUIET, performance=quality(*values))).verdict
        assert isinstance(verdict, Fire) is fires, values
    # The baseline is the best of the last three, not the last one, and not the fourth last.
    newer = quality(0.79, baselines=(0.99, 0.86, 0.80, 0.79))
    found = rule(decide(policy(), replace(QUIET, performance=newer)), "performance")
    assert found.fired
    assert "0.86 when version 2 was new" in found.reason


def test_limits_of_a_metric() -> None:
    seen = replace(QUIET, performance=quality(0.83))
    off = {"statistical": False}
    for limit, fires in (
        ({"drop": 0.03}, False), ({"drop": 0.01}, True),
        ({"below": 0.8}, False), ({"below": 0.84}, True),
    ):  # fmt: skip
        verdict = decide(policy(performance=off | {"roc_auc": limit}), seen).verdict
        assert isinstance(verdict, Fire) is fires, limit
    errors = PerformanceFacts(1, "rmse", {"rmse": (cohort(3.0),)})
    high = policy(performance=off | {"rmse": {"below": 2.5}})
    assert isinstance(decide(high, replace(QUIET, performance=errors)).verdict, Fire)


def test_without_a_mature_cohort_nothing_is_judged() -> None:
    found = decide(policy(), replace(QUIET, performance=quality()))
    assert rule(found, "performance").value is None
    assert isinstance(found.verdict, Skip)


def test_regret_reaches_the_cost_of_training() -> None:
    lasting = replace(QUIET, performance=quality(0.83, 0.83, 0.83))  # 3 x 2000 x 0.02 = 120
    dear, cheap = ({"retrain": cost, "value": 1} for cost in (130, 110))
    assert isinstance(decide(policy(cost=dear), lasting).verdict, Fire) is False
    fire = decide(policy(cost=cheap), lasting).verdict
    assert isinstance(fire, Fire)
    assert (fire.trigger, fire.key) == ("regret", "regret:1:1")
    # As much again must be lost before it is a reason again.
    after = replace(lasting, answered={"regret:1:1": "r2"})
    assert isinstance(decide(policy(cost=cheap), after).verdict, Skip)


def test_models_that_do_not_help_are_tried_less_and_less() -> None:
    low = replace(QUIET, performance=quality(0.7), rejections=4)
    verdict = decide(policy(), low).verdict
    assert isinstance(verdict, Skip)
    assert verdict.until == TRAINED.started + 8 * DAY
    assert isinstance(decide(policy(), replace(low, at=NOW + 4 * DAY)).verdict, Fire)


def test_drift_alone_is_looked_into_unless_it_is_to_train() -> None:
    window = DriftFacts("w9", 0.4, 0.5, ("tenure", "plan"), True, in_a_row=2)
    facts = replace(QUIET, drift=window)
    found = decide(policy(), facts).verdict
    assert isinstance(found, Investigate)
    assert found.affordable
    blocked = decide(policy(), replace(facts, cooldown_until=NOW + HOUR)).verdict
    assert isinstance(blocked, Investigate)
    assert not blocked.affordable
    assert isinstance(decide(policy(drift={"action": "retrain"}), facts).verdict, Fire)
    assert isinstance(decide(policy(drift={"share": 0.5}), facts).verdict, Skip)
    assert isinstance(decide(policy(drift={"columns": ["age"]}), facts).verdict, Skip)
    assert isinstance(decide(policy(drift={"columns": ["plan"]}), facts).verdict, Investigate)
    once = replace(window, in_a_row=1)
    assert isinstance(decide(policy(), replace(facts, drift=once)).verdict, Skip)
    alarm = replace(once, alarming=True)
    assert isinstance(decide(policy(), replace(facts, drift=alarm)).verdict, Investigate)


def test_estimates_are_an_early_warning_and_a_bad_estimator_is_muted() -> None:
    seen = replace(quality(0.85), estimated={"roc_auc": (cohort(0.85), cohort(0.8), cohort(0.79))})
    facts = replace(QUIET, performance=seen)
    assert isinstance(decide(policy(), facts).verdict, Investigate)
    retrain = policy(estimated={"action": "retrain"})
    assert isinstance(decide(retrain, facts).verdict, Fire)
    muted = replace(seen, estimator_error={"roc_auc": 0.03})
    found = decide(policy(), replace(facts, performance=muted))
    assert isinstance(found.verdict, Skip)
    assert "muted" in rule(found, "estimated").reason


def test_a_scheduled_check_trains_only_when_needed() -> None:
    checks = policy(schedule={"name": "check", "cron": "0 */6 * * *"}, new_rows=100,
                    combine="check and new_rows")  # fmt: skip
    seen = {"check": NOW - 7 * HOUR}
    few = replace(QUIET, schedules=seen, arrivals=Arrivals(1050, 50, True, "f2"))
    found = decide(checks, few)
    assert isinstance(found.verdict, Skip)
    assert found.schedules == {"check": NOW}  # the check was made: it does not wait for rows
    many = replace(few, arrivals=Arrivals(1200, 200, True, "f2"))
    fire = decide(checks, many).verdict
    assert isinstance(fire, Fire)
    assert fire.key == "new_rows:r1:2&schedule:check:2026-11-21T06:00Z"
    late = decide(checks, replace(many, schedules=found.schedules))
    assert isinstance(late.verdict, Skip)
    # While a run is in progress nothing is checked, and nothing is lost.
    busy = decide(checks, replace(few, run_in_progress="somebody"))
    assert busy.schedules == seen


def test_all_and_two_schedules_with_settings_of_their_own() -> None:
    both = policy(new_rows=100, drift={"share": 0.3}, combine="all")
    rows = replace(QUIET, arrivals=Arrivals(1200, 200, True, "f2"))
    assert isinstance(decide(both, rows).verdict, Skip)
    drift = DriftFacts("w9", 0.4, 0.5, (), True, in_a_row=2)
    fire = decide(both, replace(rows, drift=drift)).verdict
    assert isinstance(fire, Fire)
    assert fire.trigger == "drift+new_rows"
    weekly = policy(schedule=[
        {"name": "daily", "cron": "0 2 * * *", "set": {"training.update": "refit"}},
        {"name": "weekly", "cron": "0 2 * * 6", "set": {"training.update": "retune"}},
    ])  # fmt: skip
    seen = {"daily": NOW - DAY, "weekly": NOW - 7 * DAY}  # Saturday: both are due
    fire = decide(weekly, replace(QUIET, schedules=seen)).verdict
    assert isinstance(fire, Fire)
    assert fire.overrides == {"training.update": "retune"}
    assert fire.trigger == "daily+weekly"


def test_a_schedule_waits_out_a_cooldown_and_is_not_lost() -> None:
    daily = policy(schedule="0 2 * * *", new_rows=None)
    facts = replace(QUIET, schedules={"schedule": NOW - DAY}, cooldown_until=NOW + HOUR)
    held = decide(daily, facts)
    assert isinstance(held.verdict, Skip)
    assert held.verdict.until == NOW + HOUR
    assert held.schedules == {"schedule": NOW - DAY}
    assert isinstance(decide(daily, replace(facts, at=NOW + HOUR)).verdict, Fire)


def test_a_rule_must_hold_for_the_debounce() -> None:
    slow = policy(debounce="2h", new_rows=100)
    facts = replace(QUIET, arrivals=Arrivals(1200, 200, True, "f2"))
    first = decide(slow, facts)
    assert isinstance(first.verdict, Skip)
    assert first.holding == {"new_rows": NOW}
    still = replace(facts, at=NOW + 2 * HOUR, holding=first.holding)
    assert isinstance(decide(slow, still).verdict, Fire)


def test_one_follow_up_once_the_window_holds_new_rows() -> None:
    run = replace(TRAINED, trigger="performance+new_rows")
    facts = replace(QUIET, trained=run, last_run=run, arrivals=Arrivals(1900, 900, True, "f2"))
    quiet = policy(new_rows=None)
    assert isinstance(decide(quiet, facts).verdict, Skip)
    full = replace(facts, arrivals=Arrivals(2000, 1000, True, "f2"))
    fire = decide(quiet, full).verdict
    assert isinstance(fire, Fire)
    assert fire.key == "follow_up:r1"
    later = replace(facts, at=NOW + 9 * DAY)
    assert isinstance(decide(quiet, later).verdict, Fire)
    again = replace(TRAINED, trigger="follow_up")
    assert isinstance(decide(quiet, replace(full, trained=again)).verdict, Skip)


def test_a_failed_run_is_tried_again_a_few_times() -> None:
    failed = replace(TRAINED, run_id="r2", outcome="failed", trigger="new_rows")
    facts = replace(QUIET, last_run=failed, failures=1)
    fire = decide(policy(), facts).verdict
    assert isinstance(fire, Fire)
    assert (fire.key, fire.trigger) == ("retry:r2", "new_rows")
    assert isinstance(decide(policy(), replace(facts, failures=4)).verdict, Skip)
    assert isinstance(decide(policy(retry=None), facts).verdict, Skip)


def test_a_run_that_was_left_open_goes_on_before_anything_else() -> None:
    left = OpenRun("r2", "weekly", "schedule:weekly:x", 1, {"training.update": "retune"})
    facts = replace(QUIET, open_run=left, manual=Manual(7), cooldown_until=NOW + DAY)
    fire = decide(policy(), facts).verdict
    assert isinstance(fire, Fire)
    assert (fire.resume, fire.overrides) == ("r2", {"training.update": "retune"})
    worn = replace(facts, open_run=replace(left, attempts=3))
    fire = decide(policy(), worn).verdict
    assert isinstance(fire, Fire)
    assert fire.key == "manual:7"


def test_a_request_passes_what_holds_others_back_once() -> None:
    facts = replace(
        QUIET, manual=Manual(7, "ann", "new prices"), cooldown_until=NOW + DAY,
        rollout_in_progress="version 2, running", spent=Spent(runs=9),
    )  # fmt: skip
    strict = policy(budget={"runs": 1})
    fire = decide(strict, facts).verdict
    assert isinstance(fire, Fire)
    assert fire.reason == "asked for by ann: new prices"
    assert isinstance(decide(strict, replace(facts, run_in_progress="x")).verdict, Skip)
    done = replace(facts, answered={"manual:7": "r2"})
    assert isinstance(decide(strict, done).verdict, Skip)


def test_a_run_that_never_begins_is_decided_on_again_with_longer_pauses() -> None:
    granted = Granted("new_rows:r1:1", "new_rows", "x", NOW, attempts=3)
    facts = replace(QUIET, granted=granted)
    waits = decide(policy(), replace(facts, at=NOW + timedelta(minutes=7))).verdict
    assert waits == Skip(
        "decided at 10:17 UTC, and its run is about to begin", NOW + timedelta(minutes=8)
    )
    assert isinstance(decide(policy(), replace(facts, at=NOW + timedelta(minutes=8))).verdict, Fire)
    over = replace(granted, waiting=False)
    assert isinstance(decide(policy(), replace(facts, granted=over)).verdict, Skip)


@pytest.mark.parametrize(
    ("budget", "spent", "allowed"),
    [
        ({"runs": 2}, Spent(runs=1), True),
        ({"runs": 2}, Spent(runs=2), False),
        ({"cpu": "60m"}, Spent(cpu_minutes=40, next_cpu_minutes=20), True),
        ({"cpu": "60m"}, Spent(cpu_minutes=40, next_cpu_minutes=21), False),
    ],
)
def test_the_budget(budget: dict[str, object], spent: Spent, allowed: bool) -> None:
    facts = replace(QUIET, arrivals=Arrivals(2000, 1000, True, "f2"), spent=spent)
    assert isinstance(decide(policy(budget=budget), facts).verdict, Fire) is allowed
