"""What bodies are read as, and what is said of those that cannot be."""

import json
import re

import pytest

from ratchet.packaging.signature import InputColumn, Signature
from ratchet.serving.codec import Codec
from ratchet.serving.http import ProblemError

KINDS = {
    "tenure": "integer",
    "charges": "number",
    "contract": "string",
    "paperless": "boolean",
    "joined": "date",
    "seen": "datetime",
}
ROW = {
    "tenure": 3,
    "charges": 70.5,
    "contract": "month",
    "paperless": True,
    "joined": "2026-01-02",
    "seen": "2026-01-02T03:04:05Z",
}


def signature(kinds=None):
    inputs = tuple(
        InputColumn(name, kind, required=True, nullable=False, example=None)
        for name, kind in (KINDS if kinds is None else kinds).items()
    )
    return Signature(inputs, "binary", ("No", "Yes"))


@pytest.fixture(scope="module", params=[{}, {"contract": ("", "month")}], ids=["all", "known"])
def codec(request):
    """With texts that are known, and so decoded another way, everything is the same."""
    return Codec(signature(), "customer", "at", "Churn", known=request.param)


def read(codec, body):
    return codec.decode(body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(codec, body):
    with pytest.raises(ProblemError) as caught:
        read(codec, body)
    return caught.value


def test_one_record_and_many(codec):
    one = read(codec, {"record": ROW})
    assert one.single
    assert [each.record for each in one.asked] == [ROW]
    assert one.asked[0].entity is None
    many = read(codec, {"records": [ROW, {**ROW, "customer": "c7", "at": "2026-01-01"}]})
    assert not many.single
    assert many.asked[1].record == {**ROW, "customer": "c7", "at": "2026-01-01"}
    assert [each.entity for each in many.asked] == [None, "c7"]
    longest = read(codec, {"record": {**ROW, "customer": "x" * 500}})
    assert longest.asked[0].entity == "x" * 500
    assert read(codec, {"records": []}).asked == []


def test_null_is_missing_everywhere(codec):
    nothing = dict.fromkeys(ROW)
    assert read(codec, {"record": nothing}).asked[0].record == nothing


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"tenure": 3.0}, {"tenure": 3}),
        ({"tenure": -(2**63)}, {"tenure": -(2**63)}),
        ({"charges": 70}, {"charges": 70.0}),
        ({"charges": 10**30}, {"charges": 1e30}),
        ({"contract": ""}, {"contract": ""}),
        ({"customer": 12}, {"customer": 12}),
        ({"customer": None}, {"customer": None}),
    ],
)
def test_values_are_held_as_their_column_does(codec, given, held):
    for body in ({"record": ROW | given}, {"records": [ROW, ROW | given]}):
        record = read(codec, body).asked[-1].record
        assert record == ROW | held
        name = next(iter(held))
        assert type(record[name]) is type(held[name])
    (checked,) = codec.check([ROW | given])
    assert checked.record == ROW | held


@pytest.mark.parametrize(("given", "entity"), [(12, "12"), ("a", "a"), ("", None), (None, None)])
def test_the_id_names_the_entity(codec, given, entity):
    body = {"record": {**ROW, "customer": given}}
    assert read(codec, body).asked[0].entity == entity
    # The slow way, which a whole number written 3.0 takes, says the same.
    body["record"]["tenure"] = 3.0
    assert read(codec, body).asked[0].entity == entity


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"tenure": 3.5}, "wrong_type", "tenure"),
        ({"tenure": 2**63}, "wrong_type", "tenure"),
        ({"tenure": 9.3e18}, "wrong_type", "tenure"),
        ({"tenure": "3"}, "wrong_type", "tenure"),
        ({"tenure": True}, "wrong_type", "tenure"),
        ({"charges": "secret"}, "wrong_type", "charges"),
        ({"charges": False}, "wrong_type", "charges"),
        ({"contract": 5}, "wrong_type", "contract"),
        ({"contract": ["secret"]}, "wrong_type", "contract"),
        ({"paperless": 1}, "wrong_type", "paperless"),
        ({"joined": "secret"}, "wrong_type", "joined"),
        ({"seen": "2026-02-30T00:00:00"}, "wrong_type", "seen"),
        ({"customer": True}, "wrong_type", "customer"),
        ({"at": [1]}, "wrong_type", "at"),
        ({"tenur": "secret"}, "unknown_column", "tenur"),
        ({"Churn": "Yes"}, "unknown_column", "Churn"),
    ],
)
def test_what_is_wrong_is_named_and_not_shown(codec, change, code, field):
    for body, where in (
        ({"record": ROW | change}, "record"),
        ({"records": [ROW, ROW | change]}, "records[1]"),
    ):
        problem = refused(codec, body)
        assert (problem.status, problem.name, problem.field) == (422, code, f"{where}.{field}")
        assert "secret" not in json.dumps(problem.document())
    with pytest.raises(ProblemError) as caught:
        codec.check([ROW | change], where="rows")
    assert (caught.value.name, caught.value.field) == (code, f"rows[0].{field}")


def test_an_absent_column_is_named(codec):
    short = {name: value for name, value in ROW.items() if name != "contract"}
    problem = refused(codec, {"records": [ROW, short]})
    assert (problem.name, problem.field) == ("missing_column", "records[1].contract")
    assert problem.what == 'The column "contract" is missing'


def test_all_absent_columns_of_the_first_bad_record_are_named(codec):
    names = [name for name in ROW if name != "contract"]
    problem = refused(codec, {"records": [ROW, {"contract": ROW["contract"]}, {}]})
    first = problem.field.removeprefix("records[1].")
    assert first in names
    told = re.findall(r'"(\w+)"', problem.what)
    assert sorted(told) == sorted(names)
    assert told[0] == first
    assert problem.what.endswith(" are missing")
    with pytest.raises(ProblemError) as caught:
        codec.check([{}])
    assert len(re.findall(r'"(\w+)"', caught.value.what)) == len(ROW)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_called_so(codec, body):
    with pytest.raises(ProblemError) as caught:
        codec.decode(body)
    assert (caught.value.status, caught.value.name) == (400, "not_json")
    assert caught.value.what == "The body is empty"


def test_an_unknown_column_gets_the_nearest_name(codec):
    assert '"tenure"' in refused(codec, {"record": {**ROW, "tenur": 1}}).fix
    assert "predicts" in refused(codec, {"record": {**ROW, "Churn": "Yes"}}).fix


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_beyond_float64_is_refused(codec, number):
    body = json.dumps({"record": ROW}).replace("70.5", number).encode()
    problem = refused(codec, body)
    assert problem.status == 422
    assert problem.field == "record.charges"


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_number_is_no_json(codec, word):
    problem = refused(codec, json.dumps({"record": ROW}).replace("70.5", word).encode())
    assert (problem.status, problem.name) == (400, "not_json")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a\xff": 1}',
        b'{"record": ' * 100_000,
        b"[" * 100_000,
        b"nul",
        b'"\xc3',
    ],
)
def test_what_is_no_json_or_no_object_is_refused(codec, body):
    assert refused(codec, body).status in (400, 422)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "wrong_form"),
        ([], "wrong_type"),
        ({"record": ROW, "records": [ROW]}, "wrong_form"),
        ({"records": ROW}, "wrong_type"),
        ({"record": [ROW]}, "wrong_type"),
        ({"records": [None]}, "wrong_type"),
        ({"rows": [ROW]}, "unknown_field"),
        ({"id": 1, "ids": [1]}, "wrong_form"),
        ({"ids": [1], "record": {}}, "wrong_form"),
        ({"ids": [1, 2], "records": [{}]}, "wrong_length"),
        ({"ids": [True]}, "wrong_type"),
        ({"ids": "a"}, "wrong_type"),
        ({"id": ""}, "wrong_type"),
        ({"id": "a", "record": {"tenur": 1}}, "unknown_column"),
        ({"id": "a", "record": {"tenure": "x"}}, "wrong_type"),
        ({"id": "a", "record": None}, "wrong_type"),
        ({"ids": ["a", "x" * 501]}, "wrong_type"),
        ({"record": {**ROW, "customer": "x" * 501}}, "wrong_type"),
        ({"records": [ROW, {**ROW, "customer": "x" * 501}]}, "wrong_type"),
    ],
)
def test_other_forms_are_refused(codec, body, code):
    problem = refused(codec, body)
    assert (problem.status, problem.name) == (422, code)


def test_ids_come_with_what_the_request_says_of_them(codec):
    one = read(codec, {"id": 7, "record": {"tenure": 5}})
    assert (one.single, one.ids, one.given, one.asked) == (True, ("7",), ({"tenure": 5},), [])
    many = read(codec, {"ids": ["a", 2]})
    assert (many.single, many.ids, many.given) == (False, ("a", "2"), ({}, {}))
    both = read(codec, {"ids": ["a", "b"], "records": [{}, {"charges": None}]})
    assert both.given == ({}, {"charges": None})


def test_unknown_columns_may_be_ignored(codec):
    (checked,) = codec.check([{**ROW, "else": object}], extra="ignore")
    assert checked.record == ROW
    (checked,) = codec.check([{**ROW, "else": 1, "tenure": 3.0}], extra="ignore")
    assert checked.record == ROW


def test_records_that_are_not_finite_are_refused(codec):
    for value in (float("nan"), float("inf")):
        with pytest.raises(ProblemError) as caught:
            codec.check([{**ROW, "charges": value}])
        assert caught.value.field == "records[0].charges"


def test_columns_of_other_versions_may_be_absent():
    other = signature({"tenure": "number", "region": "string"})
    codec = Codec(signature(), "customer", None, "Churn", others=[other])
    assert codec.names == (*KINDS, "region", "customer")
    assert codec.columns[0].kind == "integer"
    assert read(codec, {"record": ROW}).asked[0].record == {**ROW, "region": None}
    told = {**ROW, "region": "north"}
    assert read(codec, {"record": told}).asked[0].record == told


def test_names_that_no_field_can_have():
    kinds = {
        'a"b': "integer",
        "c\\d": "string",
        "e\nf": "number",
        "g h.i[0]": "boolean",
        "é": "date",
    }
    row = {'a"b': 1, "c\\d": "x", "e\nf": 2.5, "g h.i[0]": None, "é": "2026-01-01"}
    codec = Codec(signature(kinds), 'i"d', None, "Churn")
    for given in (row, {**row, 'i"d': "me"}):
        assert read(codec, {"record": given}).asked[0].record == given
        assert codec.check([given])[0].record == given
    assert codec.check([{**row, "more": 1}], extra="ignore")[0].record == row
    assert refused(codec, {"record": {**row, 'a"b': "x"}}).field == 'record.a"b'


def test_an_id_may_be_a_feature():
    codec = Codec(signature(), "tenure", "seen", "Churn")
    assert codec.names == tuple(KINDS)
    assert read(codec, {"record": ROW}).asked[0].entity == "3"


def test_known_and_new_texts_in_turns(codec):
    tried = [*codec._ways]
    for turn in range(200):
        text = "month" if turn % 40 < 20 else f"new {turn}"
        one = read(codec, {"record": {**ROW, "contract": text}})
        many = read(codec, {"records": [{**ROW, "contract": each} for each in ("month", text)]})
        pieces = codec.decode_rows(json.dumps([{**ROW, "contract": text}]).encode())
        assert one.asked[0].record == pieces[0].record == {**ROW, "contract": text}
        assert [each.record["contract"] for each in many.asked] == ["month", text]
        assert {type(each.row) for each in (*one.asked, *many.asked, *pieces)} <= codec.row_types
    assert codec._ways == tried
