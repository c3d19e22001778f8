"""What comes of drift that only investigates: labels are asked for, and one challenger is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ratchet.ledger.triggers import only_looks
from ratchet.triggers.cases import ask_for_labels
from ratchet.triggers.decide import decide
from ratchet.triggers.facts import (
    Arrivals,
    Champion,
    DriftFacts,
    Facts,
    Granted,
    Measured,
    PastRun,
    PerformanceFacts,
    Spent,
)
from ratchet.triggers.settings import TriggersSettings
from ratchet.triggers.verdicts import Decision, Fire, Investigate, Skip

NOW = datetime(2026, 11, 21, 10, 17, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TRAINED = PastRun("r1", "first", "first:", "promoted", NOW - 5 * DAY, NOW - 5 * DAY, 60.0, 1000)
MOVED = Facts(
    at=NOW, champion=Champion(1, NOW - 5 * DAY), trained=TRAINED, last_run=TRAINED,
    arrivals=Arrivals(1100, 100, True, "f2"),
    drift=DriftFacts("2026-11-21T10:00:00+00:00", 0.4, 0.5, ("tenure", "plan"), True, in_a_row=2),
)  # fmt: skip
KEY = "case:drift:1:2026-11-21"


def policy(**given: object) -> TriggersSettings:
    return TriggersSettings.model_validate(given)


def look(facts: Facts, **given: object) -> Investigate:
    found = decide(policy(**given), facts).verdict
    assert isinstance(found, Investigate), found
    return found


def test_a_challenger_is_trained_on_what_is_new_and_says_so() -> None:
    found = look(MOVED)
    assert found.key == KEY
    assert "a challenger is trained on 100 new rows" in found.reason
    assert found.run is not None
    assert found.run.key == KEY, "what the run answers is the case"
    assert (found.run.trigger, only_looks(found.run.trigger)) == ("investigate:drift", True)
    assert not only_looks("drift")
    assert decide(policy(), MOVED).run == found.run


@pytest.mark.parametrize(
    ("given", "settings", "why"),
    [
        ({"arrivals": Arrivals(1009, 9, True, "f2")}, {}, "9 labelled rows are newer"),
        ({"arrivals": Arrivals(1000, 0, False, "f1")}, {}, "at least 10 are needed"),
        ({"arrivals": Arrivals(None, None, False, "f1")}, {}, "nothing new"),
        ({}, {"investigate": {"challenger": False}}, "challenger is off"),
        ({"cooldown_until": NOW + HOUR}, {}, "cooldown"),
        ({"looked_until": NOW + HOUR}, {}, "the last one was begun lately"),
        ({"shadow_taken": "version 2 is looked at already"}, {}, "version 2 is looked at"),
        ({"rollout_in_progress": "version 2, running"}, {}, "a rollout is in progress"),
        ({"spent": Spent(runs=3)}, {"budget": {"runs": 3}}, "budget of 3 runs"),
    ],
)
def test_without_a_challenger_people_are_asked_and_hear_why(
    given: dict[str, object], settings: dict[str, object], why: str
) -> None:
    found = look(replace(MOVED, **given), **settings)  # type: ignore[arg-type]
    assert found.run is None
    assert "no challenger: " in found.reason
    assert why in found.reason
    assert found.key == KEY, "the same case, whether there is a challenger or not"


def test_a_source_that_cannot_count_but_changed_is_new() -> None:
    found = look(replace(MOVED, arrivals=Arrivals(None, None, True, "f2")))
    assert found.run is not None
    assert "on what is new" in found.reason


def test_each_window_of_lasting_drift_is_the_same_case() -> None:
    began = decide(policy(), MOVED)
    assert MOVED.drift is not None
    for hours in (1, 5, 30):
        later = replace(
            MOVED,
            at=NOW + hours * HOUR,
            drift=replace(MOVED.drift, window=f"w{hours}"),
            holding=began.holding,
        )
        assert look(later).key == KEY
        done = replace(later, answered={KEY: "r2"})
        found = decide(policy(), done)
        assert isinstance(found.verdict, Skip), "a case has one challenger"
        told = next(rule for rule in found.rules if rule.name == "drift")
        assert (told.holds, told.fired) == (True, False)
        assert told.reason.endswith("answered by run r2")
    # It went away and came again on another day, or another version serves: another case.
    again = replace(MOVED, at=NOW + 3 * DAY, answered={KEY: "r2"})
    assert look(again).key == "case:drift:1:2026-11-24"
    other = replace(MOVED, champion=Champion(2, NOW), answered={KEY: "r2"})
    assert look(other).key == "case:drift:2:2026-11-21"


def test_what_falls_for_certain_trains_at_once_though_a_challenger_is_looked_at() -> None:
    value = {"roc_auc": (Measured(0.7, 0.01, 2000, NOW - DAY, 1),)}
    base = {"roc_auc": (Measured(0.85, 0.01, 2000, NOW - 5 * DAY, 1),)}
    fallen = replace(
        MOVED,
        performance=PerformanceFacts(1, "roc_auc", value, base),
        shadow_taken="version 2 is looked at already",
        looked_until=NOW + DAY,
    )
    found = decide(policy(), fallen).verdict
    assert isinstance(found, Fire)
    assert found.trigger == "performance", "drift that only investigates has no part in it"


def test_a_challenger_that_never_began_is_made_as_one_again_and_a_failed_one_too() -> None:
    run = look(MOVED).run
    assert run is not None
    lost = Granted(run.key, run.trigger, run.reason, NOW - HOUR)
    again = decide(policy(), replace(MOVED, granted=lost)).verdict
    assert isinstance(again, Fire)
    assert (again.key, again.trigger) == (run.key, "investigate:drift")
    failed = replace(TRAINED, run_id="r2", trigger=run.trigger, key=run.key, outcome="failed")
    broken = replace(MOVED, last_run=failed, failures=1, answered={KEY: "r2"})
    retry = decide(policy(), broken).verdict
    assert isinstance(retry, Fire)
    assert (retry.key, retry.trigger) == ("retry:r2", "investigate:drift")


def test_no_follow_up_comes_after_a_look() -> None:
    looked = replace(TRAINED, run_id="r2", trigger="investigate:drift", outcome="candidate")
    quiet = replace(
        MOVED, drift=None, trained=looked, last_run=looked, arrivals=Arrivals(9000, 8000, True, "x")
    )
    names = [rule.name for rule in decide(policy(new_rows=None), quiet).rules]
    assert "follow_up" not in names


def test_two_rules_are_two_cases_of_one_challenger() -> None:
    seen = PerformanceFacts(
        1, "roc_auc", baselines={"roc_auc": (Measured(0.85, 0.01, 2000, NOW - 5 * DAY, 1),)},
        estimated={"roc_auc": tuple(Measured(0.7, 0.01, 900, NOW - n * DAY) for n in (2, 1))},
    )  # fmt: skip
    found = look(replace(MOVED, performance=seen))
    assert found.trigger == "estimated+drift"
    assert found.key == f"case:estimated:1:2026-11-21&{KEY}"
    assert found.run is not None
    assert found.run.trigger == "investigate:estimated+drift"
    rest = look(replace(MOVED, performance=seen, answered={KEY: "r2"}))
    assert rest.trigger == "estimated"


def test_people_are_told_of_which_predictions_labels_are_wanted() -> None:
    assert MOVED.drift is not None
    told = replace(MOVED.drift, since="2026-11-20T00:00:00+00:00", rows=4100, unlabelled=3900)
    text = ask_for_labels(replace(MOVED, drift=told))
    assert "of the 4,100 predictions of version 1 from 2026-11-20 00:00 UTC to 2026-11-21" in text
    assert "3,900 have none" in text
    assert "tenure, plan moved" in text
    assert "version 1 answered lately" in ask_for_labels(MOVED), "where nobody counted"


def test_the_decision_is_json() -> None:
    told = decide(policy(), MOVED).to_json()
    assert told["verdict"] == "investigate"
    assert told["run"]["trigger"] == "investigate:drift"
    assert isinstance(decide(policy(), MOVED), Decision)
