"""Performance as of a moment: what was answered or observed later changes nothing."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.data.lake import Lake
from ratchet.data.task import Task
from ratchet.monitoring.labelled import Watched
from ratchet.monitoring.performance import Question, measure
from served_rows import at, labelled, put, served

WATCHED = {1: Watched(1, Task("binary", ("no", "yes")), 0.5)}
HOURS = 240


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(40, 400))
    predictions, feedback = [], []
    for n in range(count):
        score, hours = float(rng.random()), float(rng.uniform(0, HOURS))
        label = "yes" if score >= 0.5 else "no"
        predictions.append(served(f"p{n:04d}", hours, scores=[1 - score, score], label=label))
        for _ in range(int(rng.choice([0, 1, 1, 1, 2]))):
            seen = hours + float(rng.exponential(30))
            said = str(rng.choice(["no", "yes"]))
            feedback.append(labelled(f"p{n:04d}", said, seen, key=f"{n} {seen}"))
    return predictions, feedback


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.floats(24, HOURS))
def test_nothing_that_was_observed_later_is_used(
    history: tuple[list[Any], list[Any]], hours: float
) -> None:
    predictions, feedback = history
    moment = at(hours)
    micro = int(moment.timestamp() * 1e6)
    before = [row for row in predictions if row.at <= micro]
    said = [one for one in feedback if one.at <= micro]
    question = Question(as_of=moment, metric="accuracy")
    with TemporaryDirectory() as folder:
        whole = put(Path(folder) / "whole", [*predictions, *feedback])
        past = Lake(str(Path(folder) / "past"))
        put(Path(folder) / "past", [*before, *said])
        now, then = (measure(lake, WATCHED, question) for lake in (whole, past))
    assert now.to_json() == then.to_json()
    assert all(one.labelled <= one.predictions for one in now.cohorts)
    assert sum(one.predictions for one in now.cohorts) == len(before)
