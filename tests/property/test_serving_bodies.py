"""Whatever a body holds, it is answered or refused: no 500, no hang, and nothing half done."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from asgi_client import ask
from ratchet.data.predictions.records import Served, decode
from ratchet.packaging.model import Model
from ratchet.serving.app import make_app
from ratchet.serving.codec import Codec
from ratchet.serving.health import Health
from ratchet.serving.http import ProblemError, Routes
from ratchet.serving.metrics import Metrics
from ratchet.serving.protocols.ratchet import RatchetProtocol
from ratchet.serving.residence import Residence
from ratchet.serving.service import Service
from served_site import ROW, ServedSite


class Kept:
    """A log in memory."""

    stats = SimpleNamespace(healthy=True)

    def __init__(self):
        self.payloads = []

    def append(self, payload):
        self.payloads += [payload] if isinstance(payload, bytes) else payload

    async def durable(self):
        return None


class Server:
    """One service for all examples."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        served = ServedSite(Path(self.folder.name))
        served.add()
        served.promote(1)
        site = served.site()
        self.log = Kept()
        self.service = Service(site, Residence(site, served.ledger), self.log, Metrics())
        routes = Routes()
        RatchetProtocol(self.service).add_to(routes)
        Health(self.service).add_to(routes)
        self.app = make_app(self.service, routes)
        self.loop = asyncio.new_event_loop()

    def post(self, path, body):
        told = asyncio.wait_for(ask(self.app, "POST", path, body), 5)
        return self.loop.run_until_complete(told)

    def close(self):
        self.loop.run_until_complete(self.service.stop())
        self.loop.close()
        self.folder.cleanup()


@pytest.fixture(scope="module")
def server():
    made = Server()
    yield made
    made.close()


NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**63, -(2**63) - 1, 2**63 - 1, 3.0, 1e308, 5e-324, -0.0, 10**400]),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=20))
NAMES = st.sampled_from(
    [*ROW, "customer", "Churn", "record", "records", "id", "ids", "label", "prediction_id", ""]
) | st.text(max_size=8)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=25,
)
RECORDS = st.fixed_dictionaries(
    {
        "tenure": LEAVES | st.integers(0, 70),
        "charges": LEAVES | st.floats(0, 100),
        "contract": LEAVES | st.sampled_from(["month", "year"]),
    },
    optional={"customer": LEAVES, "else": LEAVES},
)
QUESTIONS = st.one_of(
    st.fixed_dictionaries({"record": RECORDS | ANYTHING}),
    st.fixed_dictionaries({"records": st.lists(RECORDS, max_size=6) | ANYTHING}),
    st.fixed_dictionaries({"id": LEAVES}, optional={"record": RECORDS | ANYTHING}),
    st.fixed_dictionaries({"ids": st.lists(LEAVES, max_size=3)}, optional={"records": ANYTHING}),
    ANYTHING,
)
LABELS = st.fixed_dictionaries(
    {"label": LEAVES | st.sampled_from(["Yes", "No"])},
    optional={
        "prediction_id": LEAVES,
        "entity": LEAVES,
        "time": LEAVES | st.sampled_from(["2026-01-01", "0001-01-01T00:00:00+23:59"]),
        "observed_at": LEAVES,
        "key": LEAVES,
    },
)
FEEDBACK = LABELS | st.fixed_dictionaries({"feedback": st.lists(LABELS, max_size=4) | ANYTHING})


@st.composite
def bodies(draw, shapes):
    """JSON of a shape: whole, cut off, with a byte changed, or with words JSON does not have."""
    text = json.dumps(draw(shapes), ensure_ascii=draw(st.booleans()))
    raw = text.encode("utf-8", "surrogatepass")
    match draw(st.sampled_from(["whole", "whole", "cut", "changed", "words", "twice"])):
        case "cut":
            raw = raw[: draw(st.integers(0, len(raw)))]
        case "changed" if raw:
            place = draw(st.integers(0, len(raw) - 1))
            raw = raw[:place] + draw(st.binary(max_size=3)) + raw[place + 1 :]
        case "words":
            word = draw(st.sampled_from([b"NaN", b"-Infinity", b"1e999", b"0x1", b"01", b"+1"]))
            raw = raw.replace(b"null", word)
        case "twice":
            raw = raw.replace(b'"tenure":', b'"tenure": 1, "tenure":')
        case _:
            pass
    return raw


FUZZ = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(body=bodies(QUESTIONS) | st.binary(max_size=60))
@example(body=b"[" * 200_000)
@example(body=b'{"record":' * 100_000)
@example(body=b'{"records":[' + b"[" * 100_000)
@example(body=b'{"id":{"a":' * 50_000)
@example(body=b'{"record":{"customer":' + b"9" * 5_000 + b"}}")
@example(body=b'{"id":' + b"9" * 5_000 + b"}")
@example(body=b'{"ids":[' + b"1" * 4_300 + b"]}")
@example(body=b'{"record":{"tenure":1,"charges":1,"contract":"\\ud800"}}')
def test_predict_answers_or_refuses(server, body):
    before = len(server.log.payloads)
    told = server.post("/v1/predict", body)
    kept = server.log.payloads[before:]
    if told.status == 200:
        answers = told.json.get("predictions", [told.json])
        records = [decode(payload) for payload in kept]
        assert all(isinstance(each, Served) for each in records)
        assert [each.id for each in records] == [each["prediction_id"] for each in answers]
    else:
        assert told.status in (400, 413, 422)
        assert set(told.json) >= {"type", "title", "status", "detail", "code"}
        assert kept == []


@FUZZ
@given(body=bodies(FEEDBACK) | st.binary(max_size=60))
@example(body=b'{"entity":' + b"9" * 5_000 + b',"time":"2026-01-01","label":"Yes"}')
@example(body=b'{"prediction_id":"a","label":' + b"9" * 5_000 + b"}")
@example(body=b'{"prediction_id":"a","label":1e999}')
def test_feedback_is_kept_or_refused(server, body):
    before = len(server.log.payloads)
    told = server.post("/v1/feedback", body)
    kept = server.log.payloads[before:]
    if told.status == 200:
        assert told.json["accepted"] == len(kept)
        assert all(decode(payload).label in ("Yes", "No") for payload in kept)
    else:
        assert told.status in (400, 413, 422)
        assert kept == []


@pytest.fixture(scope="module")
def codec():
    with tempfile.TemporaryDirectory() as folder:
        served = ServedSite(Path(folder))
        model = Model.load(served.write(1).path)
    return Codec(model.signature, "customer", None, "Churn")


@FUZZ
@given(record=RECORDS)
def test_the_fast_way_and_the_slow_way_agree(codec, record):
    def outcome(read):
        try:
            asked = read()[0]
        except ProblemError as problem:
            return problem.status, problem.field
        return asked.record, asked.entity

    body = msgspec.json.encode({"record": record}) if _is_plain(record) else None
    if body is None:
        return
    fast = outcome(lambda: codec.decode(body).asked)
    slow = outcome(lambda: codec._decode_slowly(body).asked)
    checked = outcome(lambda: codec.check([record], where="record", single=True))
    assert repr(fast) == repr(slow) == repr(checked)


def _is_plain(record):
    """Whether JSON can hold it, and hold it as it is."""
    try:
        return msgspec.json.decode(msgspec.json.encode(record)) == record
    except (UnicodeEncodeError, OverflowError, msgspec.MsgspecError):
        return False
