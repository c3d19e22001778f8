"""What is known as of a moment: against a slow and plain reading of the rules."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.data.collected import ROW
from ratchet.data.predictions import collect as collecting
from ratchet.data.predictions.collect import collect
from ratchet.data.predictions.due import Rules
from ratchet.data.predictions.joined import joined
from ratchet.data.predictions.outcomes import outcomes, resolve
from ratchet.data.predictions.records import Feedback, Served
from ratchet.data.schema import TableSchema
from served_rows import at, feedback_frame, labelled, micros, predictions_frame, put, served

HOURS = st.integers(0, 12)
ENTITIES = st.sampled_from(["C1", "C2"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Served], list[Feedback]]:
    count = draw(st.integers(1, 6))
    predictions = [
        served(f"p{n}", draw(HOURS), entity=draw(st.none() | ENTITIES), features={"n": n})
        for n in range(count)
    ]
    shadows = [
        served(f"s{row.id}", 12, of=row.id, arm="shadow", entity=row.entity)
        for row in predictions
        if draw(st.booleans())
    ]
    names = st.sampled_from([*(row.id for row in predictions), "nobody"])
    feedback = []
    for number in range(draw(st.integers(0, 10))):
        by_id = draw(st.booleans())
        feedback.append(
            labelled(
                draw(names) if by_id else None,
                draw(st.sampled_from(["x", "y"])),
                draw(HOURS),
                observed=draw(st.none() | HOURS),
                entity=None if by_id else draw(ENTITIES),
                time=None if by_id else draw(st.none() | HOURS),
                key=draw(st.sampled_from(["k1", "k2", f"own {number}"])),
            )
        )
    return [*predictions, *shadows], feedback


def plainly(predictions: list[Served], feedback: list[Feedback], as_of: int) -> dict[str, Any]:
    """Prediction to label and moment, one feedback after the other."""
    real = [row for row in predictions if row.of is None and row.at <= as_of]
    said: dict[str, list[Feedback]] = {}
    for one in feedback:
        seen = one.at if one.observed is None else one.observed
        if seen > as_of:
            continue
        of = one.prediction
        if of is None:
            when = min(one.at, seen if one.time is None else one.time)
            meant = [row for row in real if row.entity == one.entity and row.at <= when]
            if not meant:
                continue
            of = max(meant, key=lambda row: (row.at, row.id)).id
        said.setdefault(of, []).append(one)
    found = {}
    for of, ones in said.items():
        kept: list[Feedback] = []
        for one in sorted(ones, key=lambda one: (one.at, one.key)):
            if not kept or kept[-1].key != one.key:
                kept.append(one)
        best: tuple[Any, int] | None = None
        for one in sorted(kept, key=lambda o: (_seen(o), o.at, o.key)):
            if best is None or best[0] != one.label:
                best = (one.label, _seen(one))
        found[of] = best
    return found


def _seen(one: Feedback) -> int:
    return one.at if one.observed is None else one.observed


def known(predictions: list[Served], feedback: list[Feedback], hours: float) -> dict[str, Any]:
    moment = at(hours)
    light = predictions_frame(predictions).lazy().filter(pl.col("at") <= moment)
    frame = outcomes(resolve(light, feedback_frame(feedback).lazy(), moment)).collect()
    return {
        of: (json.loads(label), micros(seen))
        for of, label, seen in frame.select("prediction_id", "outcome", "observed").iter_rows()
    }


def distinct(feedback: list[Feedback]) -> list[Feedback]:
    """Without two that share key and moment: which of them comes first nobody says."""
    return list({(one.key, one.at): one for one in feedback}.values())


@settings(max_examples=150, deadline=None)
@given(histories(), HOURS)
def test_the_view_is_what_the_rules_say(
    history: tuple[list[Served], list[Feedback]], hours: int
) -> None:
    predictions, feedback = history[0], distinct(history[1])
    assert known(predictions, feedback, hours) == plainly(predictions, feedback, micros(at(hours)))


@settings(max_examples=100, deadline=None)
@given(histories(), HOURS)
def test_what_is_observed_later_changes_nothing(
    history: tuple[list[Served], list[Feedback]], hours: int
) -> None:
    predictions, feedback = history[0], distinct(history[1])
    until = micros(at(hours))
    before = [one for one in feedback if _seen(one) <= until]
    assert known(predictions, feedback, hours) == known(predictions, before, hours)
    assert all(seen <= until for _, seen in known(predictions, feedback, hours).values())


@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(
    history: tuple[list[Served], list[Feedback]], random: Any
) -> None:
    predictions, feedback = history[0], distinct(history[1])
    mixed, others = list(feedback), list(predictions)
    random.shuffle(mixed)
    random.shuffle(others)
    assert known(predictions, feedback, 12) == known(others, mixed, 12)
    twice = [one for one in feedback for _ in range(2)]
    assert known(predictions, twice, 12) == known(predictions, feedback, 12)


RULES = Rules(schema=TableSchema.of({"n": "integer", "y": "string"}), target="y")


@pytest.fixture(autouse=True, scope="module")
def _present() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "now", lambda: at(100))
        yield


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(0, 12), st.integers(0, 9))
def test_collecting_in_steps_ends_where_one_step_ends(
    history: tuple[list[Served], list[Feedback]], between: int, cut: int
) -> None:
    """Late rows, corrections and moments between: the collected rows are those of the view."""
    predictions, feedback = history[0], distinct(history[1])
    rows: list[Served | Feedback] = [*predictions, *feedback]
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part, hours in ((rows[:cut], between), (rows[cut:], 12)):
            lake = put(folder, part)
            collect(lake, RULES, as_of=at(hours))
        view = joined(lake, as_of=at(12)).filter(
            pl.col("of").is_null() & pl.col("outcome").is_not_null()
        )
        wanted = {
            of: json.loads(label)
            for of, label in view.select("prediction_id", "outcome").collect().iter_rows()
        }
        latest = lake.latest("collected")
        found = [] if latest is None else lake.scan(latest, [ROW, "n", "y"]).collect().rows()
        assert len(found) == len({row[0] for row in found})
        assert {row[0]: row[2] for row in found} == wanted
        assert all(f"p{row[1]}" == row[0] for row in found)
        assert collect(lake, RULES, as_of=at(12)).change == "unchanged"
