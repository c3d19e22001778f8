"""Tables that come by column: the rows the codec reads one by one, or nothing."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from ratchet.data.coded import Coded
from ratchet.packaging.signature import InputColumn, Signature
from ratchet.serving.asked import entities_of
from ratchet.serving.codec import Codec
from ratchet.serving.http import ProblemError, Request
from ratchet.serving.protocols.mlflow import read_rows
from ratchet.serving.protocols.mlflow import read_table as read_frame
from ratchet.serving.protocols.open_inference import read_inference
from ratchet.serving.protocols.tensor_table import MOST_COLUMNS, TensorReader

KINDS = {
    "tenure": "integer",
    "charges": "number",
    "contract": "string",
    "paperless": "boolean",
    "joined": "date",
    "seen": "datetime",
}
TYPES = {
    "integer": "INT64",
    "number": "FP64",
    "string": "BYTES",
    "boolean": "BOOL",
    "date": "BYTES",
    "datetime": "BYTES",
}
KNOWN = ("", "month", "year", "two years", 'with "quotes"', "Jahr für Jahr")


def inputs(kinds):
    return tuple(InputColumn(name, kind, True, False, None) for name, kind in kinds.items())


def codec_of(kinds=KINDS, **more):
    signature = Signature(inputs(kinds), "binary", ("No", "Yes"))
    return Codec(signature, "customer", "at", "Churn", known={"contract": KNOWN}, **more)


CODEC = codec_of()
ROWS = [
    {
        "tenure": 3,
        "charges": 70.5,
        "contract": "month",
        "paperless": True,
        "joined": "2026-01-02",
        "seen": "2026-01-02T03:04:05Z",
    },
    dict.fromkeys(KINDS),
]


def columns(rows, **dump):
    names = rows[0]
    return {
        name: msgspec.Raw(json.dumps([row[name] for row in rows], **dump).encode())
        for name in names
    }


def read(rows, codec=CODEC, **more):
    return codec.by_column.read(columns(rows), **more)


def records(asked):
    return [each.record for each in asked]


def test_a_table_holds_the_rows_one_by_one_too():
    table = read(ROWS)
    assert len(table) == 2
    assert records(table) == ROWS
    assert table[1].record == ROWS[1]
    assert records(table[:1]) == ROWS[:1]
    assert table[:1].columns[0] == [3]
    assert [each.row for each in table] == [each.row for each in CODEC.check(ROWS)]
    assert type(table[0].row) is CODEC.Row


def test_whom_rows_are_about():
    ids = ["c1", "", None, 7]
    table = read([{**ROWS[0], "customer": own} for own in ids])
    assert table.entities == entities_of(table) == ["c1", None, None, "7"]
    assert [each.entity for each in table] == table.entities
    assert table[1:].entities == table.entities[1:]
    assert read([{**ROWS[0], "customer": None}] * 2).entities is None
    assert read(ROWS).entities is None
    with_time = read([{**ROWS[0], "at": "2026-01-01"}])
    assert records(with_time) == [{**ROWS[0], "at": "2026-01-01"}]


def test_a_column_that_only_another_version_reads_may_be_absent():
    other = Signature(inputs({**KINDS, "fresh": "number"}), "binary", ("No", "Yes"))
    wide = codec_of(others=[other])
    assert records(read(ROWS, wide)) == [{**row, "fresh": None} for row in ROWS]
    given = [{**row, "fresh": 0.5} for row in ROWS]
    assert records(read(given, wide)) == given


@pytest.mark.parametrize(
    "change",
    [
        {"tenure": 3.0},
        {"tenure": 2**63},
        {"tenure": True},
        {"charges": "70.5"},
        {"charges": [1.0]},
        {"contract": 5},
        {"paperless": 1},
        {"joined": "yesterday"},
        {"seen": "2026-13-01"},
        {"customer": 1.5},
        {"customer": "x" * 501},
        {"at": True},
        {"Churn": "Yes"},
    ],
    ids=repr,
)
def test_what_is_rare_or_wrong_is_left_to_the_codec(change):
    assert read([ROWS[0], {**ROWS[0], **change}][-1:]) is None


def test_what_is_missing_or_uneven_is_left_to_the_codec():
    given = columns(ROWS)
    reader = CODEC.by_column
    assert reader.read({}) is None
    assert reader.read({name: raw for name, raw in given.items() if name != "charges"}) is None
    assert reader.read({**given, "charges": msgspec.Raw(b"[1]")}) is None
    assert reader.read({**given, "charges": msgspec.Raw(b"[1,2")}) is None
    assert reader.read({**given, "charges": msgspec.Raw(b"7")}) is None
    assert reader.read({name: msgspec.Raw(b"[]") for name in given}) is None
    assert reader.read(given, 3) is None
    assert reader.read(given, 2) is not None
    assert reader.read({**given, "other": msgspec.Raw(b"[1,2]")}) is None


def test_known_texts_are_not_made_anew():
    first, second = read([ROWS[0]] * 2), read([ROWS[0]] * 2)
    assert first.columns[2][0] is first.columns[2][1] is second.columns[2][0]
    rare = read([{**ROWS[0], "contract": text} for text in ("month", "never seen", *KNOWN, None)])
    assert [row["contract"] for row in records(rare)] == ["month", "never seen", *KNOWN, None]


def test_columns_of_known_texts_are_coded():
    texts = [*KNOWN, None] * 20
    table = read([{**ROWS[0], "contract": text} for text in texts])
    coded = table.columns[2]
    assert isinstance(coded, Coded)
    assert [*coded] == texts
    assert [coded[place] for place in range(len(texts))] == texts
    assert [*table[5:9].columns[2]] == texts[5:9]
    assert [row["contract"] for row in records(table)] == texts
    table = read([{**ROWS[0], "contract": text} for text in [*texts, "never seen"]])
    assert table.columns[2] == [*texts, "never seen"]
    assert read([ROWS[0]] * 20).columns[2] == ["month"] * 20
    by_value = CODEC.by_column.take({name: [ROWS[0][name]] * 80 for name in KINDS})
    assert isinstance(by_value.columns[2], Coded)
    assert [*by_value.columns[2]] == ["month"] * 80


def test_many_known_texts_are_no_codes():
    names = [f"city {place}" for place in range(300)]
    codec = Codec(
        Signature(inputs({"city": "string"}), "binary", ("No", "Yes")), known={"city": names}
    )
    given = {"city": msgspec.Raw(json.dumps(names).encode())}
    assert codec.by_column.read(given).columns == [names]


texts = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(KNOWN)
values = {
    "tenure": st.integers(-(2**63), 2**63 - 1),
    "charges": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    "contract": texts,
    "paperless": st.booleans(),
    "joined": st.dates().map(str),
    "seen": st.datetimes().map(lambda moment: moment.isoformat()),
}
also = {"customer": st.none() | texts | st.integers(), "at": st.none() | st.integers(0, 9)}
tables = st.sets(st.sampled_from([*also])).flatmap(
    lambda names: st.lists(
        st.fixed_dictionaries(
            {name: st.none() | each for name, each in values.items()}
            | {name: also[name] for name in names}
        ),
        min_size=1,
        max_size=5,
    )
)


def body_of(rows, ascii_only):
    inputs = [
        {
            "name": name,
            "datatype": TYPES[KINDS.get(name, "string")],
            "shape": [len(rows)],
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]
    return json.dumps({"inputs": inputs}, ensure_ascii=ascii_only).encode()


@settings(deadline=None)
@given(rows=tables, ascii_only=st.booleans())
def test_tensors_read_by_column_are_those_read_row_by_row(rows, ascii_only):
    body = body_of(rows, ascii_only)
    slowly = CODEC.check(
        read_inference(Request("POST", "/", body=body), CODEC.columns)[1], where="rows"
    )
    found = TensorReader(CODEC).read(body)
    assert found is not None
    assert [each.row for each in found[1]] == [each.row for each in slowly]
    assert [each.entity for each in found[1]] == [each.entity for each in slowly]


PLAIN = {name: kind for name, kind in KINDS.items() if kind not in ("date", "datetime")}
UNDATED = codec_of(PLAIN)


def frames(rows):
    """The bodies that MLflow's clients make of a table, in both forms that are read by column."""
    names = [*rows[0]]
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    by_name = {name: [row[name] for row in rows] for name in names}
    return [{"dataframe_split": split | {"index": [*range(len(rows))]}}, {"inputs": by_name}]


def same(found, body):
    slowly = UNDATED.check(read_rows(body, UNDATED.columns), extra="ignore", where="rows")
    assert [astuple(each.row) for each in found] == [astuple(each.row) for each in slowly]
    assert [each.entity for each in found] == [each.entity for each in slowly]


@settings(deadline=None)
@given(rows=tables, other=st.booleans())
def test_data_frames_read_by_column_are_those_read_row_by_row(rows, other):
    given = [{name: row[name] for name in row if name not in ("joined", "seen")} for row in rows]
    if other:
        given = [row | {"unknown": [1]} for row in given]
    for frame in frames(given):
        body = json.dumps(frame).encode()
        found = read_frame(body, UNDATED)
        assert found is not None
        same(found, body)


@pytest.mark.parametrize(
    "change",
    [{"tenure": "3"}, {"charges": "70.5"}, {"contract": 7}, {"paperless": "yes"}, {"tenure": 3.0}],
    ids=repr,
)
def test_what_a_data_frame_writes_otherwise_is_read_row_by_row(change):
    rows = [{name: ROWS[0][name] for name in PLAIN} | change] * 2
    for frame in frames(rows):
        body = json.dumps(frame).encode()
        assert read_frame(body, UNDATED) is None
        UNDATED.check(read_rows(body, UNDATED.columns), extra="ignore")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": {}},
        {"inputs": {"tenure": 3, "charges": 1.5, "contract": "month", "paperless": True}},
        {"dataframe_split": {"columns": [*PLAIN], "data": []}},
        {"dataframe_split": {"columns": [*PLAIN], "data": [[1, 1.5, "month"]]}},
        {"dataframe_split": {"columns": ["tenure"] * 4, "data": [[1, 1, 1, 1]]}},
        {"dataframe_split": {"data": [[1, 1.5, "month", True]]}},
        {"dataframe_records": [{name: ROWS[0][name] for name in PLAIN}]},
        {"inputs": {name: [ROWS[0][name]] for name in PLAIN}, "instances": []},
    ],
    ids=json.dumps,
)
def test_other_bodies_are_left_to_the_row_by_row_way(body):
    assert read_frame(json.dumps(body).encode(), UNDATED) is None


@pytest.mark.parametrize("other", ["[1,2,3]", "7", '["\\xff"]', "[1e400,1]", "[1,2"])
def test_a_column_that_nobody_reads_must_be_one_too(other):
    given = json.dumps({"inputs": {name: [ROWS[0][name]] * 2 for name in PLAIN}}).encode()
    assert read_frame(given[:-2] + b',"other":%b}}' % other.encode("latin-1"), UNDATED) is None
    found = read_frame(given[:-2] + b',"other":[null,{"a":1}]}}', UNDATED)
    assert records(found) == [{name: ROWS[0][name] for name in PLAIN}] * 2


def test_dates_are_left_to_the_row_by_row_way():
    for frame in frames(ROWS):
        assert read_frame(json.dumps(frame).encode(), CODEC) is None


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_frame_is_read_as_ever_or_left_alone(data):
    rows = [{name: row[name] for name in PLAIN} for row in data.draw(tables)]
    body = json.dumps(data.draw(st.sampled_from(frames(rows)))).encode()
    place, put = data.draw(st.integers(0, len(body))), data.draw(damage)
    body = body[:place] + put + body[place + data.draw(st.integers(0, 3)) :]
    found = read_frame(body, UNDATED)
    if found is not None:
        same(found, body)


damage = st.sampled_from(
    [b"", b"NaN", b"Infinity", b'"', b"[", b"]", b"}", b"\\", b"\xff", b"1e999", b"null", b"{}"]
)


@settings(deadline=None)
@given(rows=tables, at=st.floats(0, 1), width=st.integers(0, 3), put=damage)
def test_a_damaged_body_is_read_as_ever_or_left_alone(rows, at, width, put):
    body = body_of(rows, ascii_only=False)
    place = int(at * len(body))
    body = body[:place] + put + body[place + width :]
    found = TensorReader(CODEC).read(body)
    if found is None:
        return
    try:
        given = read_inference(Request("POST", "/", body=body), CODEC.columns)[1]
        slowly = CODEC.check(given, where="rows")
    except ProblemError as problem:
        pytest.fail(f"it was read by column and refused row by row: {problem}")
    assert [each.row for each in found[1]] == [each.row for each in slowly]


def test_new_texts_make_one_pass_rarer_and_nothing_else(monkeypatch):
    reader, tried = TensorReader(CODEC), []
    whole = reader._read_whole
    monkeypatch.setattr(reader, "_read_whole", lambda body: tried.append(1) or whole(body))
    usual, rare = body_of(ROWS, True), body_of([{**ROWS[0], "contract": "never seen"}], True)
    for turn in range(40):
        assert records(reader.read(rare)[1]) == [{**ROWS[0], "contract": "never seen"}], turn
    assert 4 <= len(tried) <= 6
    for _ in range(100):
        assert records(reader.read(usual)[1]) == ROWS
    tried.clear()
    for _ in range(20):
        reader.read(usual)
    assert len(tried) == 20


def test_what_takes_long_in_each_byte_is_no_light_work():
    assert TensorReader(CODEC).lighter == 1
    assert TensorReader(UNDATED).lighter > 1
    # Words that are no JSON are looked for everywhere, which is left to whoever has the time.
    body = body_of([{name: ROWS[0][name] for name in PLAIN}], True)
    assert TensorReader(UNDATED).read(body) is not None
    assert TensorReader(UNDATED).read(body.replace(b"70.5", b"NaN")) is None


def test_very_wide_tables_are_read_column_by_column():
    kinds = {f"c{place}": "integer" for place in range(MOST_COLUMNS)}
    reader = TensorReader(codec_of(kinds))
    rows = [dict.fromkeys(kinds, 1), dict.fromkeys(kinds)]
    inputs = [
        {"name": name, "datatype": "INT64", "shape": [2], "data": [1, None]} for name in kinds
    ]
    found = reader.read(json.dumps({"inputs": inputs, "id": "r7"}).encode())
    assert found[0].id == "r7"
    assert records(found[1]) == rows
    assert reader._whole is None
