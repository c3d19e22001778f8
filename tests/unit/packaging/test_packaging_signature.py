"""Signature, decision and metadata."""

from datetime import date, datetime

import polars as pl
import pytest

from ratchet.data.schema import Column
from ratchet.data.task import Task
from ratchet.errors import DataError
from ratchet.packaging.decision import Decision, make_decision
from ratchet.packaging.metadata import (
    Metadata,
    installed,
    runtime_requirements,
    training_libraries,
)
from ratchet.packaging.signature import Signature, make_signature

TASK = Task("binary", ("no", "yes"))
FRAME = pl.DataFrame(
    {
        "n": [1, 2, 9],
        "x": [1.5, None, float("nan")],
        "s": ["b", "b", "a"],
        "b": [True, True, False],
        "d": [date(2026, 1, 3), date(2026, 1, 1), date(2026, 1, 2)],
        "t": [datetime(2026, 1, 1, 5), None, datetime(2026, 1, 1, 7)],
        "e": pl.Series([None, None, None], dtype=pl.String),
    }
)
KINDS = {
    "n": "integer",
    "x": "number",
    "s": "string",
    "b": "boolean",
    "d": "date",
    "t": "datetime",
    "e": "string",
}


def signature(task=TASK, frame=FRAME):
    return make_signature([Column(name, kind) for name, kind in KINDS.items()], frame, task)


def test_examples_are_typical_values_as_json():
    assert signature().example == {
        "n": 2,
        "x": 1.5,
        "s": "b",
        "b": True,
        "d": "2026-01-02",
        "t": "2026-01-01T05:00:00",
        "e": None,
    }


def test_what_was_never_missing_is_required():
    made = signature()
    assert {c.name for c in made.inputs if c.required} == {"n", "s", "b", "d"}
    assert all(c.required != c.nullable for c in made.inputs)


def test_equally_frequent_values_give_one_answer():
    frame = FRAME.with_columns(s=pl.Series(["c", "a", "b"]))
    assert signature(frame=frame).example["s"] == "a"


def test_a_signature_survives_json():
    for task in (TASK, Task("multiclass", (1, 2, 3))):
        made = signature(task)
        assert Signature.from_json(made.to_json()) == made


def test_the_positive_class():
    assert signature().positive == "yes"
    assert signature(Task("multiclass", (1, 2, 3))).positive is None


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(DataError):
        make_decision(TASK, threshold)


def test_more_classes_have_no_threshold():
    decision = make_decision(Task("multiclass", ("a", "b", "c")), 0.3)
    assert decision.threshold is None
    assert Decision.from_json(decision.to_json()) == decision


def test_a_model_for_numbers_answers_with_numbers():
    number = Task("regression", ())
    plain = signature(number)
    assert (plain.classes, plain.positive, plain.coverage) == ((), None, None)
    assert plain.to_json()["outputs"] == [{"name": "prediction", "kind": "number"}]
    within = make_signature([], FRAME, number, coverage=0.9)
    assert [each["name"] for each in within.to_json()["outputs"]] == [
        "prediction",
        "prediction_low",
        "prediction_high",
    ]
    for made in (plain, within):
        assert Signature.from_json(made.to_json()) == made


def test_a_decision_without_a_threshold_takes_the_middle():
    assert make_decision(TASK, None).threshold == 0.5
    assert make_decision(TASK, 0.2, objective="f1").objective == "f1"


def test_requirements_name_what_serving_needs_and_no_more():
    plain = runtime_requirements(["onnx"], derives=False)
    assert [line.partition("==")[0] for line in plain] == ["numpy", "onnxruntime", "ratchet-ml"]
    assert any(line.startswith("polars==") for line in runtime_requirements(["onnx"], derives=True))
    assert any(
        line.startswith("lightgbm==") for line in runtime_requirements(["lightgbm"], derives=False)
    )
    assert any(
        line.startswith("xgboost") for line in runtime_requirements(["xgboost"], derives=False)
    )
    of_several = runtime_requirements(["numpy", "onnx", "numpy"], derives=False)
    assert of_several == plain
    linear = runtime_requirements(["numpy"], derives=False)
    assert [line.partition("==")[0] for line in linear] == ["numpy", "ratchet-ml"]


def test_libraries_are_those_installed():
    found = training_libraries()
    assert {"python", "numpy", "scikit-learn", "ratchet-ml"} <= set(found)
    assert installed(["no-such-library-at-all"]) == {}


def test_metadata_survives_json_and_ignores_what_it_does_not_know():
    made = Metadata("p", "lightgbm", {"a": 1}, 3, {"version": 1}, "c", "0.1.0", {"numpy": "2"})
    assert Metadata.from_json({**made.to_json(), "model": {"kind": "onnx"}}) == made
