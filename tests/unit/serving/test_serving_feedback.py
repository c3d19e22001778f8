"""Labels that come back: what is read, and what is refused."""

import json
from datetime import timedelta

import pytest

from ratchet import clock
from ratchet.data.predictions.records import feedback_key
from ratchet.serving.feedback import read_feedback
from ratchet.serving.http import ProblemError
from ratchet.serving.privacy import Privacy

LABELS = {(False, "No"): "No", (False, "Yes"): "Yes"}


def read(body, *, labels=LABELS, numbers=False, privacy=None):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_feedback(content, privacy or Privacy(), labels=labels, numbers=numbers)


def refused(body, **more):
    with pytest.raises(ProblemError) as caught:
        read(body, **more)
    return caught.value


def test_a_label_of_a_prediction():
    ((item,), single) = read({"prediction_id": "p1", "label": "Yes"})
    assert single
    assert (item.prediction, item.entity, item.label, item.observed) == ("p1", None, "Yes", None)
    assert item.key == feedback_key("Yes", prediction="p1")


def test_a_label_of_an_entity_and_a_time():
    body = {
        "entity": 7,
        "time": "2026-01-01T01:00:00+01:00",
        "label": "No",
        "observed_at": "2026-02-01",
        "key": "k1",
    }
    ((item,), _) = read(body)
    assert (item.entity, item.time, item.key) == ("7", 1767225600000000, "k1")
    assert item.observed == 1769904000000000


@pytest.mark.parametrize("field", ["time", "observed_at"])
def test_what_is_yet_to_come_is_refused(field):
    body = {"entity": "x", "time": "2026-01-01", "label": "No"}
    soon = clock.now() + timedelta(minutes=4)
    read(body | {field: soon.isoformat()})  # clocks differ a little
    later = clock.now() + timedelta(minutes=6)
    problem = refused(body | {field: later.isoformat()})
    assert (problem.status, problem.name, problem.field) == (422, "time_in_the_future", field)


def test_many_labels():
    items, single = read({"feedback": [{"prediction_id": "a", "label": "No"}] * 3})
    assert (len(items), single) == (3, False)
    assert len({item.key for item in items}) == 1  # one and the same, however often it is sent
    assert read({"feedback": []}) == ([], False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"label": "Yes"}, ""),
        ({"prediction_id": "a", "entity": "b", "time": "2026-01-01", "label": "Yes"}, ""),
        ({"entity": "b", "label": "Yes"}, "time"),
        ({"prediction_id": "a"}, "label"),
        ({"prediction_id": "a", "label": "Yes", "lable": 1}, "lable"),
        ({"prediction_id": "a", "label": None}, "label"),
        ({"prediction_id": "a", "label": ["Yes"]}, "label"),
        ({"prediction_id": "", "label": "Yes"}, "prediction_id"),
        ({"prediction_id": "x" * 501, "label": "Yes"}, "prediction_id"),
        ({"prediction_id": "a", "label": "Maybe"}, "label"),
        ({"prediction_id": "a", "label": True}, "label"),
        ({"entity": "a", "time": "then", "label": "Yes"}, "time"),
        ({"entity": "a", "time": 5, "label": "Yes"}, "time"),
        ({"prediction_id": "a", "label": "Yes", "observed_at": "x"}, "observed_at"),
        ({"feedback": [{"prediction_id": "a", "label": "x"}]}, "feedback[0].label"),
        ({"feedback": [{"label": "Yes"}]}, "feedback[0]"),
        ({"feedback": [{"prediction_id": "a"}]}, "feedback[0].label"),
        ({"feedback": [{"prediction_id": 1, "label": "Yes"}]}, "feedback[0].prediction_id"),
        ({"feedback": {}}, "feedback"),
        ([], ""),
    ],
)
def test_what_is_wrong_is_named(body, field):
    problem = refused(body)
    assert (problem.status, problem.field) == (422, field)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json(body):
    assert refused(body).status in (400, 422)


def test_classes_have_types():
    bits = {(False, 0): 0, (False, 1): 1}
    assert read({"prediction_id": "a", "label": 1.0}, labels=bits)[0][0].label == 1
    assert type(read({"prediction_id": "a", "label": 1.0}, labels=bits)[0][0].label) is int
    assert refused({"prediction_id": "a", "label": True}, labels=bits).field == "label"
    flags = {(True, False): False, (True, True): True}
    assert read({"prediction_id": "a", "label": True}, labels=flags)[0][0].label is True
    assert read({"prediction_id": "a", "label": False}, labels=flags)[0][0].label is False
    assert refused({"prediction_id": "a", "label": 1}, labels=flags).field == "label"


def test_the_label_of_a_regression_is_a_number():
    assert read({"prediction_id": "a", "label": 5}, numbers=True)[0][0].label == 5
    for wrong in ("5", True):
        assert refused({"prediction_id": "a", "label": wrong}, numbers=True).field == "label"


def test_any_label_goes_while_nothing_serves():
    assert read({"prediction_id": "a", "label": "x"}, labels=None)[0][0].label == "x"


def test_an_entity_is_kept_as_its_predictions_are():
    body = {"entity": "me", "time": "2026-01-01", "label": "Yes"}
    hashed = Privacy(hash=("customer",), key=b"k" * 32, id_column="customer")
    ((item,), _) = read(body, privacy=hashed)
    assert item.entity == hashed.entity("me") != "me"
    dropped = Privacy(drop=("customer",), id_column="customer")
    assert refused(body, privacy=dropped).name == "entity_not_logged"
