"""The records of the prediction log: their JSON, and what is refused."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from ratchet.data.predictions.records import (
    EARLIEST,
    LATEST,
    Failed,
    Feedback,
    Record,
    Served,
    decode,
    encode,
    feedback_key,
)
from ratchet.errors import DataError


def served(**changes: object) -> Served:
    facts: dict[str, object] = {
        "id": "p1",
        "at": 1_795_253_115_759_001,
        "version": 3,
        "arm": "champion",
        "features": {"tenure": 12, "Contract": "Two year", "gone": None},
        "scores": [0.25, 0.75],
        "label": "Yes",
    }
    return Served(**(facts | changes))  # type: ignore[arg-type]


def test_what_is_written() -> None:
    assert encode(served()) == (
        b'{"type":"served","id":"p1","at":1795253115759001,"version":3,"arm":"champion",'
        b'"features":{"tenure":12,"Contract":"Two year","gone":null},"scores":[0.25,0.75],'
        b'"label":"Yes"}'
    )
    assert b'"entity":"e"' in encode(Failed("p1", 5, 3, "champion", "timeout", 120, "e"))
    assert encode(Failed("p1", 5, 3, "champion", "timeout", 120)) == (
        b'{"type":"failed","id":"p1","at":5,"version":3,"arm":"champion",'
        b'"error":"timeout","micros":120}'
    )
    assert encode(Feedback("k", 5, "Yes", prediction="p1")) == (
        b'{"type":"feedback","key":"k","at":5,"label":"Yes","prediction":"p1"}'
    )


@pytest.mark.parametrize("label", ["Yes", "", "1", 1, 1.0, True, 10**40, -(2**63) - 1, None])
def test_a_label_keeps_its_type(label: object) -> None:
    again = decode(encode(served(label=label)))
    assert isinstance(again, Served)
    assert (again.label, type(again.label)) == (label, type(label))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_where_it_stands(value: float) -> None:
    records: dict[str, Record] = {
        "x": served(features={"a": 1.5, "x": value}),
        "nested": served(features={"nested": {"list": [1, (2.0, value)]}}),
        "scores": served(scores=[0.5, value]),
        "label": Feedback("k", 1, value),
    }
    for name, record in records.items():
        with pytest.raises(DataError, match=f'"{name}" cannot be written') as caught:
            encode(record)
        assert caught.value.name == "unloggable"
        assert "not a finite number" in caught.value.why
        assert str(value) not in str(caught.value)


def test_what_json_cannot_hold_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    for features in ({"a": "\ud800"}, {"\udfff": 1}, {"a": object()}, {"a": circle}):
        with pytest.raises(DataError) as caught:
            encode(served(features=features))
        assert caught.value.name == "unloggable"


def test_moments_of_feedback_are_of_this_era() -> None:
    for moment in (EARLIEST, 0, LATEST):
        record = Feedback("k", 1, True, entity="e", time=moment, observed=moment)
        assert decode(encode(record)) == record
    for wrong in (EARLIEST - 1, LATEST + 1, 10**40):
        with pytest.raises(DataError, match="the years 1 and 9999"):
            encode(Feedback("k", 1, True, entity="e", time=wrong))
        with pytest.raises(DataError, match="the years 1 and 9999"):
            encode(Feedback("k", 1, True, prediction="p", observed=wrong))


@pytest.mark.parametrize("payload", [b"", b"{", b"null", b'{"type":"served"}', b'{"type":"x"}'])
def test_what_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(DataError) as caught:
        decode(payload)
    assert caught.value.name == "not_a_record"


def test_the_key_of_feedback_depends_on_everything_that_was_said() -> None:
    facts: list[dict[str, object]] = [
        {"label": "1", "prediction": "p"},
        {"label": 1, "prediction": "p"},
        {"label": 1.0, "prediction": "p"},
        {"label": True, "prediction": "p"},
        {"label": 1, "prediction": "q"},
        {"label": 1, "entity": "p"},
        {"label": 1, "entity": "p", "time": 7},
        {"label": 1, "entity": "p", "observed": 7},
    ]
    keys = [feedback_key(**fact) for fact in facts]  # type: ignore[arg-type]
    assert len(set(keys)) == len(keys)
    assert keys == [feedback_key(**fact) for fact in facts]  # type: ignore[arg-type]
    assert {len(key) for key in keys} == {32}


def test_a_server_that_logs_loads_no_data_library() -> None:
    program = (
        "import sys, ratchet.data.predictions.log, ratchet.data.predictions.records;"
        "print([m for m in ('numpy', 'polars', 'pyarrow', 'deltalake', 'pandas')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout == b"[]\n"
