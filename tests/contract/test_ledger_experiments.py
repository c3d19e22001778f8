"""How experiments are kept, alike on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from kept_ledgers import START, Clock
from sqlalchemy import text

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.experiments import CHANGED, Experiment, Trial, Turn
from ratchet.ledger.rollouts import Begin, Move
from ratchet.ledger.store import Ledger
from ratchet.rollout.settings import RolloutSettings

TRIAL = Trial(
    "fewer-surprises", 1, 2, 30.0, "accuracy", START + timedelta(days=14),
    {"alpha": 0.05, "apply": False}, "me", "try it",
)  # fmt: skip
CANARY = Begin(
    2, "canary", "running", RolloutSettings(strategy="canary").rules, "run", "proven", None,
    stage=0, share=10.0, serves="canary",
)  # fmt: skip


def turn(found: Experiment, **values: Any) -> Turn:
    return Turn(found.experiment_id, found.seq, "loop", "because", **values)


def shares(ledger: Ledger) -> dict[str, tuple[int, float]]:
    found = ledger.traffic()
    assert found is not None
    return {arm.name: (arm.version, arm.share) for arm in found.arms}


def test_it_begins_with_its_traffic_under_a_salt_of_its_own(ledger: Ledger) -> None:
    made = ledger.begin_experiment(TRIAL)
    assert (made.status, made.a, made.b, made.share, made.verdict) == ("running", 1, 2, 30.0, None)
    traffic = ledger.traffic()
    assert traffic is not None
    assert (traffic.kind, traffic.salt, traffic.seq) == ("experiment", made.salt, made.record)
    assert made.salt
    assert shares(ledger) == {"champion": (1, 70.0), "challenger": (2, 30.0)}
    assert ledger.live_experiment() == ledger.experiment("fewer-surprises") == made
    assert ledger.experiment(made.experiment_id) == made
    assert ledger.verify_chain().intact
    ended = ledger.turn_experiment(turn(made, status="stopped", clear=True))
    again = ledger.begin_experiment(replace(TRIAL, name="once-more"))
    assert again.salt != ended.salt, "who was together once is not together again"


def test_one_experiment_or_rollout_at_a_time_and_the_error_says_which(ledger: Ledger) -> None:
    made = ledger.begin_experiment(TRIAL)
    for attempt in (
        lambda: ledger.begin_experiment(replace(TRIAL, name="another")),
        lambda: ledger.begin_rollout(CANARY),
    ):
        with pytest.raises(ConflictError, match="fewer-surprises is running") as caught:
            attempt()
        assert caught.value.name == "experiment_in_progress"
    waiting = ledger.turn_experiment(turn(made, status="waiting", clear=True))
    with pytest.raises(ConflictError, match="is waiting"):
        ledger.begin_rollout(CANARY)
    ledger.turn_experiment(turn(waiting, status="decided", verdict="not enough evidence"))
    rollout = ledger.begin_rollout(CANARY)
    with pytest.raises(ConflictError, match="Version 2 is being rolled out") as caught:
        ledger.begin_experiment(replace(TRIAL, name="another"))
    assert caught.value.name == "rollout_in_progress"
    ledger.move_rollout(
        Move(rollout.rollout_id, rollout.seq, "me", "enough", status="aborted", serves="clear")
    )
    assert ledger.begin_experiment(replace(TRIAL, name="another")).open


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"a": 2, "b": 1}, ConflictError, "champion_changed"),
        ({"b": 1}, UsageError, "already_champion"),
        ({"b": 9}, UsageError, "no_version"),
        ({"b": 3}, ConflictError, "gate_not_passed"),
        ({"share": 0.0}, UsageError, "bad_split"),
        ({"share": 100.0}, UsageError, "bad_split"),
        ({"share": float("nan")}, UsageError, "bad_split"),
        ({"name": "../x"}, UsageError, "bad_name"),
        ({"name": ""}, UsageError, "bad_name"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    ledger: Ledger, changes: dict[str, Any], error: type[Exception], code: str
) -> None:
    before = ledger.traffic()
    for attempt in (ledger.rehearse_experiment, ledger.begin_experiment):
        with pytest.raises(error) as caught:
            attempt(replace(TRIAL, **changes))
        if code != "no_version":
            assert caught.value.name == code  # type: ignore[attr-defined]
    assert ledger.traffic() == before
    assert ledger.experiments() == ()


def test_a_rehearsal_keeps_nothing(ledger: Ledger) -> None:
    before = ledger.traffic(), ledger.events()
    ledger.rehearse_experiment(TRIAL)
    assert (ledger.traffic(), ledger.events()) == before
    assert ledger.experiments() == ()
    assert ledger.begin_experiment(TRIAL).open


def test_a_forced_one_may_begin_and_a_name_is_used_once(ledger: Ledger) -> None:
    made = ledger.begin_experiment(replace(TRIAL, b=3, forced=True))
    assert made.rules["forced"] is True
    ledger.turn_experiment(turn(made, status="stopped", clear=True))
    with pytest.raises(UsageError, match="There was an experiment fewer-surprises"):
        ledger.begin_experiment(TRIAL)


def test_its_end_gives_the_traffic_back_in_the_same_change(ledger: Ledger, clock: Clock) -> None:
    made = ledger.begin_experiment(TRIAL)
    clock.at += timedelta(days=8)
    done = ledger.turn_experiment(
        turn(made, status="decided", verdict="worse", evidence={"n": 5}, clear=True)
    )
    assert shares(ledger) == {"champion": (1, 100.0)}
    assert (done.stopped, done.decided, done.verdict) == (clock.at, clock.at, "worse")
    assert ledger.live_experiment() is None
    assert [event.facts["status"] for event in ledger.events(kind=CHANGED)] == [
        "running",
        "decided",
    ]
    assert ledger.verify_chain().intact


def test_what_somebody_else_put_in_force_stays(ledger: Ledger) -> None:
    made = ledger.begin_experiment(TRIAL)
    ledger.deploy(2, expected_previous=1, by="me", reason="at once")
    ledger.turn_experiment(turn(made, status="stopped", clear=True))
    assert shares(ledger) == {"champion": (2, 100.0)}


def test_of_two_turns_one_is_made_and_findings_of_an_older_look_are_left(ledger: Ledger) -> None:
    made = ledger.begin_experiment(TRIAL)
    ledger.note_findings(made.experiment_id, made.seq, {"looks": 1})
    assert ledger.experiment(made.name).evidence == {"looks": 1}
    ledger.turn_experiment(turn(made, status="waiting", clear=True))
    with pytest.raises(ConflictError) as caught:
        ledger.turn_experiment(turn(made, status="stopped"))
    assert caught.value.name == "experiment_moved"
    ledger.note_findings(made.experiment_id, made.seq, {"looks": 2})
    assert ledger.experiment(made.name).evidence == {"looks": 1}


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE ratchet_experiments SET verdict = 'better' WHERE project = :project",
        "UPDATE ratchet_experiments SET rules = '{}' WHERE project = :project",
        "DELETE FROM ratchet_experiments WHERE project = :project",
    ],
)
def test_an_experiment_that_was_changed_by_hand_is_found(ledger: Ledger, edit: str) -> None:
    made = ledger.begin_experiment(TRIAL)
    ledger.turn_experiment(turn(made, status="decided", verdict="worse", clear=True))
    with ledger.database.write() as connection:
        connection.execute(text(edit), {"project": ledger.project})
    report = ledger.verify_chain()
    assert [item.why for item in report.breaks] == [
        "the experiments do not say what this event says"
    ]
