from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ratchet.cli.demo_decisions import number_decisions
from ratchet.ledger.events import Event

START = datetime(2025, 5, 1, 9, tzinfo=UTC)


def event(seq: int, day: float, kind: str, run_id: str | None = None, **facts: Any) -> Event:
    return Event(seq, START + timedelta(days=day), kind, run_id, facts, "", "")


def rollout(seq: int, day: float, status: str, share: float, **more: Any) -> Event:
    facts: Mapping[str, Any] = {
        "rollout_id": "r", "version": 2, "status": status, "share": share, "watch": "off",
        "by": "rollout", "reason": f"because of {seq}",
    }  # fmt: skip
    return event(seq, day, "rollout_changed", None, **{**facts, **more})


def test_decisions_of_a_day_share_a_number_and_steps_tell_their_share() -> None:
    events = [
        event(1, 0, "run_started", "a", trigger="performance"),
        rollout(2, 0, "running", 10.0, by="run"),
        event(3, 0.1, "run_finished", "a", outcome="candidate", reason="better"),
        rollout(4, 9, "running", 50.0),
        rollout(5, 11, "promoted", 100.0, watch="on"),
        rollout(6, 20, "promoted", 100.0, watch="clean"),
    ]
    found = number_decisions(events[::-1])
    assert [(one.mark, one.label, one.about) for one in found] == [
        (1, "Passed", "Run set off by performance"),
        (2, "50 %", "Version 2"),
        (3, "Promoted", "Version 2"),
        (4, "No worse", "Version 2, watched"),
    ]
    assert found[1].why == "because of 4"


def test_a_version_that_goes_back_after_its_promotion_is_told_of() -> None:
    found = number_decisions(
        [rollout(1, 0, "promoted", 100.0, watch="on"), rollout(2, 5, "rolled_back", 0.0)]
    )
    assert [(one.style, one.label) for one in found] == [
        ("good", "Promoted"),
        ("bad", "Rolled back"),
    ]


def test_the_same_reason_to_look_closer_is_told_once_and_each_training_is() -> None:
    def verdict(seq: int, word: str) -> Event:
        trigger = {"fire": "performance", "investigate": "drift", "skip": None}[word]
        facts = {"verdict": word, "trigger": trigger, "reason": f"{seq}"}
        return event(seq, seq, "trigger_evaluated", None, **facts)

    words = ("skip", "investigate", "skip", "investigate", "fire", "fire")
    found = number_decisions([verdict(seq, word) for seq, word in enumerate(words)])
    assert [(one.label, one.why) for one in found] == [
        ("Look closer", "1"),
        ("Train", "4"),
        ("Train", "5"),
    ]
