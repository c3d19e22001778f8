"""How rollouts are kept, alike on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from kept_ledgers import Clock, Open
from sqlalchemy import text

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.rollouts import CHANGED, Begin, Move, Rollout
from ratchet.ledger.store import Ledger
from ratchet.ledger.traffic import Arm
from ratchet.rollout.settings import RolloutSettings

RULES = RolloutSettings(strategy="canary").rules
CANARY = Begin(
    2, "canary", "running", RULES, "run", "proven", "r2", stage=0, share=10.0, serves="canary"
)


def move(rollout: Rollout, **values: Any) -> Move:
    return Move(rollout.rollout_id, rollout.seq, "loop", "because", **values)


def shares(ledger: Ledger) -> dict[str, tuple[int, float]]:
    found = ledger.traffic()
    assert found is not None
    return {arm.name: (arm.version, arm.share) for arm in found.arms}


def champion(ledger: Ledger) -> int:
    found = ledger.champion()
    assert found is not None
    return found.version


def test_it_begins_with_its_traffic_and_its_alias(ledger: Ledger, clock: Clock) -> None:
    clock.at += timedelta(hours=1)
    made = ledger.begin_rollout(CANARY)
    assert (made.version, made.previous, made.status, made.stage) == (2, 1, "running", 0)
    assert (made.started, made.stage_started, made.rules["steps"]) == (
        clock.at,
        clock.at,
        [10.0, 50.0, 100.0],
    )
    traffic = ledger.traffic()
    assert traffic is not None
    assert (traffic.seq, traffic.salt, traffic.kind) == (made.record, made.salt, "canary")
    assert shares(ledger) == {"champion": (1, 90.0), "challenger": (2, 10.0)}
    challenger = ledger.current("challenger")
    assert challenger is not None
    assert challenger.version == 2
    assert ledger.live_rollout() == ledger.rollout(made.rollout_id) == made
    assert ledger.verify_chain().intact


def test_a_run_has_one_rollout_and_a_project_one_at_a_time(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    assert ledger.begin_rollout(CANARY) == made
    with pytest.raises(ConflictError, match="Version 2 is being rolled out") as caught:
        ledger.begin_rollout(replace(CANARY, run_id=None))
    assert caught.value.name == "rollout_in_progress"
    ended = ledger.move_rollout(move(made, status="aborted", serves="clear"))
    assert ledger.begin_rollout(CANARY) == ended, "a run that is continued does not begin again"
    again = ledger.begin_rollout(replace(CANARY, run_id=None))
    assert again.salt != made.salt


def test_it_widens_keeps_its_entities_and_is_promoted(ledger: Ledger, clock: Clock) -> None:
    made = ledger.begin_rollout(CANARY)
    clock.at += timedelta(hours=1)
    wider = ledger.move_rollout(move(made, stage=1, share=50.0, serves="canary"))
    assert shares(ledger)["challenger"] == (2, 50.0)
    assert wider.stage_started == clock.at > made.stage_started
    traffic = ledger.traffic()
    assert traffic is not None
    assert traffic.salt == made.salt
    clock.at += timedelta(hours=1)
    done = ledger.move_rollout(
        move(wider, status="promoted", stage=2, share=100.0, watch="on", serves="promote")
    )
    assert (done.promoted, done.ended, done.open, done.alive) == (clock.at, None, False, True)
    assert champion(ledger) == 2
    assert ledger.current("challenger") is None
    traffic = ledger.traffic()
    assert traffic is not None
    assert (traffic.kind, traffic.shadow, traffic.seq) == ("plain", (1,), done.record)
    assert ledger.deployments("champion")[-1].run_id == "r2"
    over = ledger.move_rollout(move(done, watch="clean", serves="clear"))
    traffic = ledger.traffic()
    assert traffic is not None
    assert traffic.plain
    assert (over.status, over.watch, over.alive, over.ended) == (
        "promoted",
        "clean",
        False,
        clock.at,
    )
    assert ledger.live_rollout() is None
    assert ledger.verify_chain().intact


def test_what_is_worse_after_the_promotion_goes_back_in_one_change(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    done = ledger.move_rollout(move(made, status="promoted", share=100.0, serves="promote"))
    assert done.watch == "off"
    ledger.move_rollout(move(done, status="rolled_back", watch="worse", serves="back"))
    assert champion(ledger) == 1
    traffic = ledger.traffic()
    assert traffic is not None
    assert (traffic.plain, traffic.pinned[1].threshold) == (True, 0.4)
    assert ledger.deployments("champion")[-1].action == "rollback"


def test_a_canary_that_goes_back_leaves_nothing(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    back = ledger.move_rollout(move(made, status="rolled_back", share=0.0, serves="clear"))
    assert shares(ledger) == {"champion": (1, 100.0)}
    assert ledger.current("challenger") is None
    assert ledger.version(2).status == "rejected"
    assert (back.open, back.ended is not None) == (False, True)


def test_of_two_moves_at_once_one_is_made(ledger: Ledger, open_it: Open) -> None:
    made = ledger.begin_rollout(CANARY)
    others, results = [open_it(), open_it()], []
    ready = threading.Barrier(2)

    def change(which: int) -> None:
        ready.wait()
        try:
            others[which].move_rollout(move(made, stage=1, share=50.0, serves="canary"))
            results.append("done")
        except ConflictError as error:
            results.append(error.name)

    threads = [threading.Thread(target=change, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "rollout_moved"]
    assert len(ledger.events(kind=CHANGED)) == 2
    assert ledger.verify_chain().intact


def test_what_somebody_else_changed_is_not_built_on(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    seen = ledger.position()
    other = ledger.set_traffic(
        [Arm("champion", 1, 100)], kind="plain", by="anna", reason="stop", expected_seq=seen
    )
    with pytest.raises(ConflictError, match="changed by somebody else"):
        ledger.move_rollout(move(made, stage=1, share=50.0, serves="canary"))
    assert ledger.rollout(made.rollout_id) == made
    ledger.move_rollout(move(made, status="aborted", serves="clear"))
    assert ledger.position() > other.seq, "the alias goes"
    traffic = ledger.traffic()
    assert traffic is not None
    assert traffic.seq == other.seq, "what anna asked for stays"


def test_a_move_that_fails_changes_nothing(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    ledger.deploy(2, expected_previous=1, by="anna", reason="now")
    events = len(ledger.events())
    with pytest.raises(ConflictError, match="The champion is version 2"):
        ledger.move_rollout(move(made, status="promoted", share=100.0, serves="promote"))
    assert len(ledger.events()) == events
    assert ledger.rollout(made.rollout_id) == made


def test_what_may_not_begin(ledger: Ledger, open_it: Open) -> None:
    with pytest.raises(UsageError, match="no version 9"):
        ledger.begin_rollout(replace(CANARY, version=9))
    with pytest.raises(ConflictError, match="champion already"):
        ledger.begin_rollout(replace(CANARY, version=1))
    with pytest.raises(ConflictError, match="gates did not pass"):
        ledger.begin_rollout(replace(CANARY, version=3, run_id=None))
    forced = ledger.begin_rollout(replace(CANARY, version=3, run_id=None, forced=True))
    ledger.move_rollout(move(forced, status="aborted", serves="clear"))
    ledger.set_traffic(
        [Arm("champion", 1, 50), Arm("other", 2, 50)],
        kind="experiment",
        by="a",
        reason="b",
        expected_seq=ledger.position(),
    )
    with pytest.raises(ConflictError, match="traffic is split"):
        ledger.begin_rollout(replace(CANARY, run_id=None))


def test_evidence_is_kept_without_an_event_until_it_decides(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    events = len(ledger.events())
    ledger.note_evidence(made.rollout_id, made.seq, {"requests": 7})
    assert len(ledger.events()) == events
    seen = ledger.rollout(made.rollout_id)
    assert (seen.evidence, seen.seq) == ({"requests": 7}, made.seq)
    ledger.note_evidence(made.rollout_id, made.seq - 1, {"requests": 9})
    assert ledger.rollout(made.rollout_id).evidence == {"requests": 7}
    ledger.move_rollout(move(made, stage=1, share=50.0, serves="canary", evidence={"requests": 8}))
    assert ledger.events(kind=CHANGED)[-1].facts["evidence"] == {"requests": 8}


def test_a_row_changed_behind_the_ledgers_back_is_found(ledger: Ledger) -> None:
    ledger.begin_rollout(CANARY)
    with ledger.database.write() as connection:
        connection.execute(
            text("update ratchet_rollouts set share = 99 where project = :p"),
            {"p": ledger.project},
        )
    breaks = ledger.verify_chain().breaks
    assert ["rollouts" in item.why for item in breaks] == [True]


def test_another_rollout_ends_a_watch(ledger: Ledger) -> None:
    made = ledger.begin_rollout(CANARY)
    ledger.move_rollout(move(made, status="promoted", share=100.0, watch="on", serves="promote"))
    ledger.begin_rollout(replace(CANARY, version=3, run_id=None, forced=True))
    assert ledger.rollout(made.rollout_id).watch == "ended"
    assert shares(ledger) == {"champion": (2, 90.0), "challenger": (3, 10.0)}
