"""Rows that are logged together say what the same rows say one by one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.predictions.records import Batch, decode
from ratchet.data.predictions.rows import Rows
from ratchet.serving import recording
from ratchet.serving.codec import Codec
from ratchet.serving.desk import open_desk
from ratchet.serving.metrics import Metrics
from ratchet.serving.parts import divide
from ratchet.serving.privacy import Privacy
from ratchet.serving.recording import Recorder
from ratchet.serving.residence import Residence
from ratchet.serving.settings import LogSettings
from served_site import ROW, ServedSite


@pytest.fixture(scope="module")
def desk():
    with tempfile.TemporaryDirectory() as folder:
        served = ServedSite(Path(folder))
        served.add()
        served.promote(1)
        site = served.site()
        yield open_desk(Residence(site, served.ledger).now)


def recorder(privacy):
    return Recorder(None, privacy, LogSettings(), Metrics(), lambda trouble: None)


def expanded(payloads):
    records = [decode(each) for each in payloads]
    return [row for each in records for row in (each.rows() if isinstance(each, Batch) else [each])]


VALUES = {
    "tenure": st.none() | st.integers(-(2**53), 2**53),
    "charges": st.none() | st.floats(-1e6, 1e6),
    "contract": st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=8),
}
IDS = {"customer": st.none() | st.integers(0, 10**30) | st.sampled_from(["", "c1", "Ms X"])}
NAMES = st.lists(st.sampled_from([*ROW, "customer"]), unique=True)


@settings(deadline=None, max_examples=60)
@given(
    records=st.one_of(
        st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=20),
        st.lists(st.fixed_dictionaries(VALUES | IDS), min_size=1, max_size=20),
        st.lists(st.fixed_dictionaries(VALUES, optional=IDS), min_size=1, max_size=20),
    ),
    drop=NAMES,
    hashed=NAMES,
    request=st.none() | st.just("r") | st.just("each"),
    shadow=st.booleans(),
)
def test_rows_logged_together_are_those_logged_one_by_one(
    desk, records, drop, hashed, request, shadow
):
    asked = desk.codec.check(records)
    ids = [f"p{place}" for place in range(len(asked))]
    (part,) = divide(desk, asked, ids, 17, None)
    part.score()
    own = recorder(Privacy(drop, hashed, b"k" * 32, "customer"))
    requests = [f"r{place}" for place in range(len(asked))] if request == "each" else request
    of = [f"o{place}" for place in range(len(asked))] if shadow else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "MANY", 1)
        together = own.payloads(part, 5, requests, of)
        patch.setattr(recording, "MANY", 10**9)
        apart = own.payloads(part, 5, requests, of)
    assert len(apart) == len(asked)
    given_ids = sum("customer" in record for record in records)
    if given_ids in (0, len(records)):
        assert len(together) == 1
    assert repr(expanded(together)) == repr(expanded(apart))
    assert Rows(together).predictions().equals(Rows(apart).predictions())


@settings(deadline=None, max_examples=60)
@given(
    records=st.one_of(
        st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=20),
        st.lists(st.fixed_dictionaries(VALUES | IDS), min_size=1, max_size=20),
    ),
    drop=NAMES,
    hashed=NAMES,
    blanks=st.booleans(),
)
def test_rows_that_came_by_column_are_logged_as_those_that_came_one_by_one(
    desk, records, drop, hashed, blanks
):
    space = (", ", ": ") if blanks else (",", ":")
    given_columns = {
        name: msgspec.Raw(json.dumps([row[name] for row in records], separators=space).encode())
        for name in records[0]
    }
    table = desk.codec.by_column.read(given_columns)
    ids = [f"p{place}" for place in range(len(records))]
    own = recorder(Privacy(drop, hashed, b"k" * 32, "customer"))
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "MANY", 1)
        for asked in (table, desk.codec.check(records)):
            (part,) = divide(desk, asked, ids, 17, None)
            part.score()
            told.append(own.payloads(part, 5))
    assert [len(payloads) for payloads in told] == [1, 1]
    assert repr(expanded(told[0])) == repr(expanded(told[1]))
    assert Rows(told[0]).predictions().equals(Rows(told[1]).predictions())


def test_an_awkward_name_is_logged_as_it_is(desk):
    class Column:
        name, kind = 'a "b"\n', "string"

    class Signature:
        inputs = (Column,)

    lane = desk.lanes[1]
    codec = Codec(Signature, "customer")
    asked = codec.check([{Column.name: "x"}] * 20)
    (part,) = divide(desk, asked, [f"p{place}" for place in range(20)], 17, None)
    part.scores, part.labels = [[0.5, 0.5]] * 20, ["No"] * 20
    names, optional = lane.names, lane.optional
    lane.names, lane.optional = codec.names, codec.names[1:]
    try:
        (payload,) = recorder(Privacy()).payloads(part, 5)
    finally:
        lane.names, lane.optional = names, optional
    assert [row.features for row in expanded([payload])] == [{Column.name: "x"}] * 20


def test_a_shipped_model_reads_many_rows_as_it_reads_one(desk):
    """Known and unknown categories, in columns and alone: the bits of the scores are the same."""
    texts = ["month", "year", None, "", "never seen"]
    records = [{**ROW, "contract": texts[place % 5], "tenure": place} for place in range(40)]
    lane = desk.lanes[1]
    asked = desk.codec.check(records)
    assert lane.score(asked) == [lane.score([each])[0] for each in asked]
    known = [each for each in asked if each.row.c2 in ("month", "year")] * 2
    assert lane.score(known) == [lane.score([each])[0] for each in known]
