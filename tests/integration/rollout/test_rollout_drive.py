"""Rollouts over a real ledger and lake, with traffic routed as the server routes it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ratchet.errors import UnreachableError, UsageError
from ratchet.ledger.rollouts import CHANGED
from ratchet.ledger.traffic import Arm
from ratchet.pipeline.rolling import goes_on
from ratchet.rollout import approval, drive
from ratchet.rollout.settings import RolloutSettings
from ratchet.serving.router import Router
from rollout_world import Behaviour, World

BAD = Behaviour(errors=0.2)


def soon(rng: np.random.Generator, truth: np.ndarray) -> np.ndarray:
    """Labels that take an hour."""
    return np.full(len(truth), 3600.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def walk(world: World, steps: int, minutes: float = 40, requests: int = 1200) -> list[str]:
    did = []
    for _ in range(steps):
        world.serve(minutes, requests)
        step = world.advance()
        did.append("none" if step is None else step.did)
    return did


def test_a_version_that_is_no_worse_is_promoted_in_steps(world: World) -> None:
    world.start(watch=False)
    assert world.advance() is not None
    assert world.shares() == {"champion": 90.0, "challenger": 10.0}
    assert walk(world, 1) == ["widened"]
    assert (world.shares()["challenger"], world.registry.shown) == (
        50.0,
        {"champion": "1", "challenger": "2"},
    )
    assert walk(world, 1) == ["promoted"]
    assert (world.champion(), world.registry.shown) == (2, {"champion": "2"})
    assert world.advance() is None
    assert world.ledger.deployments("champion")[-1].run_id == "r2"
    assert world.ledger.verify_chain().intact


def test_neither_time_nor_requests_alone_are_enough(world: World) -> None:
    world.start()
    world.serve(5, 5000)
    step = world.advance()
    assert step is not None
    assert (step.did, "min to go" in step.reason) == ("held", True)
    world.at += timedelta(hours=1)
    patient = World(world.folder / "b") if (world.folder / "b").mkdir() is None else world
    patient.start()
    patient.serve(120, 500)
    step = patient.advance()
    assert step is not None
    assert (step.did, "of 1,000 requests" in step.reason) == ("held", True)
    assert patient.shares()["challenger"] == 10.0


def look_until_decided(world: World, looks: int) -> drive.Step:
    """Requests and looks in turn, until something is decided."""
    for _ in range(looks):
        world.serve(20, 2500)
        step = world.advance()
        assert step is not None
        if step.did != "held":
            break
    return step


@pytest.mark.parametrize(
    ("behaviour", "test"),
    [
        (Behaviour(errors=0.2), "failing"),
        (Behaviour(errors=0.03), "errors"),
        (Behaviour(micros=8000), "slow_95"),
        (Behaviour(shift=3.0), "scores"),
        (Behaviour(errors=0.01, code="score_not_finite"), "finite"),
    ],
)
def test_what_is_worse_goes_back(world: World, behaviour: Behaviour, test: str) -> None:
    world.behaviours[2] = behaviour
    world.serve(24 * 60, 2000)
    world.start(hold="4h", minimum=50_000)
    step = look_until_decided(world, 12)
    assert step.did == "rolled_back"
    assert test in [finding.test for finding in step.findings if finding.against]
    assert (world.champion(), world.shares()) == (1, {"champion": 100.0})
    assert world.registry.shown == {"champion": "1"}
    assert world.ledger.version(2).status == "rejected"
    assert world.advance() is None


@pytest.mark.parametrize(("fast", "did"), [("1ms", "rolled_back"), ("50ms", "held")])
def test_a_slower_version_that_is_fast_enough_stays(world: World, fast: str, did: str) -> None:
    world.behaviours[2] = Behaviour(micros=8000)
    world.serve(24 * 60, 2000)
    world.start(hold="4h", minimum=50_000, fast=fast)
    step = look_until_decided(world, 4)
    assert step.did == did
    found = next(finding for finding in step.findings if finding.test == "slow_95")
    assert ("no requests over the champion's 95th percentile and 50 ms" in found.says) == (
        did == "held"
    )


def test_a_version_that_does_not_load_goes_back_at_once(world: World) -> None:
    rollout = world.start()
    assert rollout.record is not None
    world.ledger.note_serving(rollout.record, 2, "its digest is wrong")
    step = world.advance()
    assert step is not None
    assert (step.did, step.reason) == ("rolled_back", "it does not load: its digest is wrong")


def test_worse_quality_goes_back_when_its_labels_are_in(world: World) -> None:
    world.label_delay = soon
    world.behaviours[2] = Behaviour(noise=3.0)
    world.serve(24 * 60, 3000)
    world.start(steps=(30, 100), hold="2d", score_shift=1)
    for _ in range(10):
        world.serve(120, 1500)
        step = world.advance()
        assert step is not None
        if step.did != "held":
            break
    assert step.did == "rolled_back"
    assert [finding.test for finding in step.findings if finding.against] == ["quality"]


def test_the_watch_takes_a_version_back_that_proves_worse_later(world: World) -> None:
    world.label_delay = lambda rng, truth: np.full(len(truth), 6 * 3600.0)
    world.behaviours[2] = Behaviour(noise=1.5)
    world.serve(48 * 60, 3000)
    world.start()
    assert walk(world, 2) == ["widened", "promoted"]
    assert (world.champion(), world.shadow()) == (2, (1,))
    did = walk(world, 6, minutes=180, requests=600)
    assert "rolled_back" in did
    assert (world.champion(), world.shares(), world.shadow()) == (1, {"champion": 100.0}, ())
    assert world.registry.shown == {"champion": "1"}
    ended = world.ledger.rollouts()[0]
    assert (ended.status, ended.watch) == ("rolled_back", "worse")
    assert world.ledger.verify_chain().intact


def test_the_watch_of_a_good_version_ends_and_leaves_no_shadow(world: World) -> None:
    world.label_delay = soon
    world.serve(24 * 60, 2000)
    world.start()
    assert walk(world, 2) == ["widened", "promoted"]
    did = walk(world, 4, minutes=600, requests=300)
    assert did == ["held", "held", "clean", "none"]
    assert (world.champion(), world.shadow()) == (2, ())
    assert world.ledger.rollouts()[0].watch == "clean"


def test_without_labels_the_watch_ends_by_itself(world: World) -> None:
    world.start(watch_for="2d")
    assert walk(world, 2) == ["widened", "promoted"]
    assert walk(world, 3, minutes=24 * 60, requests=50) == ["held", "clean", "none"]
    assert world.ledger.rollouts()[0].watch == "unknown"


def test_a_shadow_that_does_not_load_is_let_go(world: World) -> None:
    world.start()
    assert walk(world, 2) == ["widened", "promoted"]
    record = world.ledger.position()
    world.ledger.note_serving(record, 1, "its file is gone")
    step = world.advance()
    assert step is not None
    assert (step.did, step.rollout.watch, world.shadow()) == ("ended", "ended", ())
    assert world.champion() == 2


def test_a_shadow_answers_nobody_until_it_has_proven_itself(world: World) -> None:
    world.label_delay = soon
    world.serve(24 * 60, 2000)
    world.start(strategy="shadow", labels=200)
    assert (world.shares(), world.shadow()) == ({"champion": 100.0}, (2,))
    world.serve(40, 1200)
    step = world.advance()
    assert step is not None
    assert (step.did, "of 200 labels" in step.reason) == ("held", True)
    world.serve(40, 1200)
    assert walk(world, 1) == ["widened"]
    assert (world.shares(), world.shadow()) == ({"champion": 90.0, "challenger": 10.0}, ())


def test_a_shadow_that_scores_worse_goes_back_on_few_labels(world: World) -> None:
    world.label_delay = soon
    world.behaviours[2] = Behaviour(noise=2.0)
    world.serve(24 * 60, 2000)
    world.start(strategy="shadow", hold="1d", score_shift=1)
    assert "rolled_back" in walk(world, 5, requests=600)
    findings = world.ledger.rollouts()[0].evidence["findings"]
    assert [each["test"] for each in findings if each["against"]] == ["quality_paired"]


def test_an_approval_is_waited_for(world: World) -> None:
    world.start(approval=True)
    assert world.shares() == {"champion": 100.0}
    assert walk(world, 2) == ["waits", "waits"]
    approval.approve(world.ledger, 2, by="anna", reason="looks good")
    assert world.shares() == {"champion": 90.0, "challenger": 10.0}
    assert world.ledger.rollouts()[0].rules["approved_by"] == "anna"
    with pytest.raises(UsageError, match="does not wait"):
        approval.approve(world.ledger, 2, by="anna", reason="again")
    assert walk(world, 2) == ["widened", "promoted"]


def test_what_does_not_wait_is_told_what_to_do_instead(world: World) -> None:
    def told(version: int) -> tuple[str, str]:
        with pytest.raises(UsageError, match="does not wait") as caught:
            approval.approve(world.ledger, version, by="anna", reason="yes")
        return caught.value.why, caught.value.fix

    assert told(1) == ("it is champion already", "see what serves with: ratchet rollout show")
    assert told(2) == ("no version does", "roll it out with: ratchet rollout start 2")
    world.start(approval=True)
    assert told(3) == ("version 2 does", "ratchet approve 2")
    approval.approve(world.ledger, 2, by="anna", reason="looks good")
    assert "ratchet rollout start" not in told(2)[1]


def test_a_paused_rollout_does_not_say_that_it_goes_on_by_itself(world: World) -> None:
    assert "after 30 min and enough requests it gets 50 %" in goes_on(world.start())
    drive.pause(world.ledger, by="anna", reason="a holiday")
    told = goes_on(world.ledger.rollouts()[0])
    assert "it gets 50 %" not in told
    assert "until `ratchet rollout resume`" in told


def test_a_rejected_version_stays_out(world: World) -> None:
    world.start(strategy="manual")
    with pytest.raises(UsageError, match="only with a reason"):
        approval.reject(world.ledger, 2, by="anna", reason=" ")
    approval.reject(world.ledger, 2, by="anna", reason="the summer is over")
    assert (world.champion(), world.ledger.version(2).status) == (1, "rejected")
    assert world.advance() is None


def test_approving_what_waits_by_hand_promotes_at_once(world: World) -> None:
    world.start(strategy="manual")
    approval.approve(world.ledger, 2, by="anna", reason="go", registry=lambda: world.registry)
    assert (world.champion(), world.registry.shown, world.advance()) == (2, {"champion": "2"}, None)


def test_a_pause_stops_steps_but_not_the_way_back(world: World) -> None:
    world.start()
    drive.pause(world.ledger, by="anna", reason="holiday")
    assert walk(world, 2) == ["held", "held"]
    drive.resume(world.ledger, by="anna", reason="back")
    assert walk(world, 1) == ["widened"]
    drive.pause(world.ledger, by="anna", reason="holiday")
    world.behaviours[2] = BAD
    assert walk(world, 2) == ["rolled_back", "none"]


def test_an_abort_leaves_the_champion(world: World) -> None:
    world.start()
    drive.abort(world.ledger, by="anna", reason="no", registry=lambda: world.registry)
    assert (world.shares(), world.registry.shown) == ({"champion": 100.0}, {"champion": "1"})
    with pytest.raises(UsageError, match="No version is being rolled out"):
        drive.abort(world.ledger, by="anna", reason="no")


@pytest.mark.parametrize("who", ["cleared", "promoted", "another", "gone"])
def test_a_rollout_ends_when_somebody_else_decides(world: World, who: str) -> None:
    world.start()
    ledger, seen = world.ledger, world.ledger.position()
    if who == "cleared":
        arms = [Arm("champion", 1, 100)]
        ledger.set_traffic(arms, kind="plain", by="anna", reason="stop", expected_seq=seen)
    elif who == "gone":
        ledger.deploy(None, expected_previous=1, by="anna", reason="off", action="remove")
    else:
        version = 2 if who == "promoted" else 3
        ledger.deploy(version, expected_previous=1, by="anna", reason="now")
    step = world.advance()
    assert step is not None
    assert (step.did, "anna" in step.reason or who == "gone") == ("ended", True)
    assert step.rollout.status == ("promoted" if who == "promoted" else "aborted")
    assert ledger.current("challenger") is None
    assert world.advance() is None


class KilledError(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_the_next_call_goes_on(
    world: World, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each transition: before its transaction, and after it with the aliases behind."""
    world.label_delay = soon
    world.serve(24 * 60, 2000)
    world.start()
    die = True
    move, note = world.ledger.move_rollout, world.ledger.note_evidence

    def dying(*given, **named):
        nonlocal die
        if die and not after:
            die = False
            raise KilledError
        made = move(*given, **named)
        if die:
            die = False
            raise KilledError
        return made

    monkeypatch.setattr(world.ledger, "move_rollout", dying)
    for _ in range(40):
        world.serve(150, 1100)
        try:
            step = world.advance()
        except KilledError:
            assert world.champion() in (1, 2)
            continue
        if step is not None and step.changed:
            die = True
        if step is None:
            break
    assert note is not None
    assert step is None
    assert world.champion() == 2
    assert world.shares() == {"champion": 100.0}
    assert world.shadow() == ()
    promotions = [row for row in world.ledger.deployments("champion") if row.run_id == "r2"]
    assert len(promotions) == 1
    statuses = [event.facts["status"] for event in world.ledger.events(kind=CHANGED)]
    assert statuses == ["running", "running", "promoted", "promoted"]
    assert world.ledger.verify_chain().intact


def test_with_mlflow_away_the_rollout_goes_on_and_the_aliases_follow(world: World) -> None:
    world.start(watch=False)
    world.registry.fault = UnreachableError("MLflow does not answer")
    world.serve(40, 1200)
    step = world.advance()
    assert step is not None
    assert (step.did, "does not answer" in step.behind) == ("widened", True)
    world.registry.fault = None
    assert walk(world, 1) == ["promoted"]
    assert world.registry.shown == {"champion": "2"}


def test_what_a_step_goes_by_does_not_change_under_way(world: World) -> None:
    rollout = world.start(alpha=0.02)
    assert rollout.rules["alpha"] == 0.02
    with pytest.raises(ValueError, match="last step is 100"):
        world.start(version=3, steps=(10, 50))
    assert world.ledger.rollout(rollout.rollout_id).rules == rollout.rules


def test_few_entities_do_not_make_a_share_of_errors_look_large(world: World) -> None:
    """Three of seven customers are in the canary of 10 %, and fail as often as the others."""
    world.behaviours = {1: Behaviour(errors=0.03), 2: Behaviour(errors=0.03)}
    while True:
        drive.start(
            world.ledger,
            2,
            "canary",
            RolloutSettings(hold="4h", minimum=100_000, score_shift=1).rules,
            by="anna",
            reason="again",
        )
        traffic = world.ledger.traffic()
        assert traffic is not None
        picked = [Router(traffic).pick(f"e{number}").name for number in range(7)]
        if picked.count("challenger") == 3:
            break
        drive.abort(world.ledger, by="anna", reason="another salt")
    for _ in range(4):
        world.serve(20, 2500, entities=7)
        step = world.advance()
        assert step is not None
        assert step.did == "held"
    assert world.ledger.rollouts()[0].evidence["ours"]["requests"] > 3000
