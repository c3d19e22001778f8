"""The time a run promised, shared by the rungs of its ladder; time is the test's to tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ratchet import clock
from ratchet.errors import ConfigError
from ratchet.pipeline.allowance import Allowance
from ratchet.pipeline.graph import STEPS
from ratchet.pipeline.outcome import StepRecord
from ratchet.pipeline.run import _Session
from ratchet.pipeline.step import Silent, Step, StepOutput
from ratchet.training.settings import TrainingSettings

BUDGET = 100.0


class Hands:
    """What the clock shows."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def read(self) -> float:
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """A clock that moves when it is told to; the processor works all the time."""
    made = Hands()
    monkeypatch.setattr(clock, "monotonic", made.read)
    monkeypatch.setattr(clock, "processor", made.read)
    return made


def test_a_training_leaves_time_for_what_follows(hands: Hands) -> None:
    allowance = Allowance(clock.monotonic(), clock.processor())
    hands.now += 2.0
    assert allowance.training_ends(BUDGET) == 1_000 + BUDGET - 8.5 - 2


def test_many_rows_take_longer_afterwards(hands: Hands) -> None:
    allowance = Allowance(clock.monotonic(), clock.processor())
    few, many = (allowance.training_ends(BUDGET, rows) for rows in (10_000, 500_000))
    assert few - many == pytest.approx(2.5)
    assert allowance.training_ends(BUDGET) == many, "a further rung knows them too"


def test_the_least_share_is_granted_once(hands: Hands) -> None:
    allowance = Allowance(clock.monotonic(), clock.processor())
    hands.now += 90.0
    assert allowance.training_ends(BUDGET) == 1_090 + 0.4 * BUDGET
    hands.now += 60.0
    assert allowance.training_ends(BUDGET) == 1_090 + 0.4 * BUDGET, "not once more"
    assert not allowance.has_room(BUDGET)


def test_what_judging_took_before_it_will_take_again(hands: Hands) -> None:
    allowance = Allowance(clock.monotonic(), clock.processor())
    assert allowance.training_ends(BUDGET) == 1_000 + BUDGET - 8.5
    allowance.judging = 30.0
    assert allowance.training_ends(BUDGET) == 1_000 + BUDGET - 30


def test_without_a_budget_there_is_always_room(hands: Hands) -> None:
    allowance = Allowance(clock.monotonic(), clock.processor())
    allowance.training_ends(BUDGET)
    hands.now += 1e6
    assert allowance.has_room(None)
    assert not allowance.has_room(BUDGET)


class Said(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Climbing(_Session):
    """The ladder alone: trainings take ``takes`` seconds or all that they may, judging ``after``.

    Each rung is refused at the step ``refused``.
    """

    def __init__(
        self,
        hands: Hands,
        *,
        before: float,
        after: float,
        update: str,
        refused: str = "gate",
        takes: float = BUDGET,
    ) -> None:
        training = TrainingSettings.model_validate(
            {"update": update, "tuning": {"time": f"{BUDGET:g}s"}}
        )
        self.project = SimpleNamespace(settings=SimpleNamespace(training=training))  # type: ignore[assignment]
        self.request = SimpleNamespace(until=None)  # type: ignore[assignment]
        self.champion = {"version": 1}
        self.reporter: Any = Said()
        self.allowance = Allowance(clock.monotonic(), clock.processor())
        self.outputs: dict[str, StepOutput] = {}
        self.records: list[StepRecord] = []
        self.climbed = []
        self.hands, self.before, self.after = hands, before, after
        self.refused, self.takes = refused, takes
        self.trained: list[str] = []

    def _do(self, step: Step) -> StepOutput:
        began = self.hands.now
        facts: Mapping[str, Any] = {}
        if step.name == "features":
            self.hands.now += self.before
        elif step.name == "train":
            self.trained.append(self.update)
            ends = self.allowance.training_ends(BUDGET)
            self.hands.now = max(self.hands.now, min(ends, self.hands.now + self.takes))
        elif step.name == "gate":
            self.hands.now += self.after
        elif step.name == "register":
            facts = {"outcome": "rejected", "reason": "not proven better"}
        if step.name == self.refused:
            facts = {"verdict": {"passed": False, "reason": f"{self.update} was refused"}}
        output = StepOutput(step.name, Path(), facts, "0")
        self.outputs[step.name] = output
        took = self.hands.now - began
        self.records.append(StepRecord(step.name, "done", took, cached=False))
        return output


@pytest.mark.parametrize("before", [1.0, 20.0, 45.0])
@pytest.mark.parametrize("after", [1.0, 5.0])
def test_a_ladder_keeps_the_promise_of_its_run(hands: Hands, before: float, after: float) -> None:
    """Each rung may use all that it is given, and is refused at the end."""
    session = Climbing(hands, before=before, after=after, update="auto")
    outcome, reason = session._others(STEPS[1:])
    assert hands.now - 1_000 <= 1.1 * BUDGET
    assert session.trained == ["incremental"]
    assert outcome == "rejected"
    assert reason == (
        "not proven better; there was no time left for refit; raise training.tuning.time"
    )
    (note,) = session.reporter.notes
    assert "incremental was refused" in note
    assert session.climbed == []


@pytest.mark.parametrize(
    ("takes", "trained"),
    [
        (10.0, ["incremental", "refit", "retune"]),
        (40.0, ["incremental", "refit"]),
        (80.0, ["incremental"]),
    ],
)
def test_a_ladder_climbs_while_there_is_time(
    hands: Hands, takes: float, trained: list[str]
) -> None:
    session = Climbing(hands, before=1.0, after=2.0, update="auto", takes=takes)
    _, reason = session._others(STEPS[1:])
    assert session.trained == trained
    assert [climb.update for climb in session.climbed] == trained[:-1]
    assert ("no time left" in reason) == (len(trained) < 3)
    assert hands.now - 1_000 <= 1.1 * BUDGET


def test_what_cannot_be_made_does_not_lead_to_something_dearer_when_time_is_up(
    hands: Hands,
) -> None:
    session = Climbing(hands, before=1.0, after=1.0, update="refit", refused="train")
    with pytest.raises(ConfigError, match="no time left for retune") as caught:
        session._others(STEPS[1:])
    assert caught.value.name == "out_of_time"
    assert "refit was refused" in caught.value.why
    assert session.trained == ["refit"]
