"""Whatever the form, the rows are the same; whatever the body, there is an answer and no fault."""

from __future__ import annotations

import csv
import io
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.serving.codec import Expected
from ratchet.serving.http import ProblemError, Request
from ratchet.serving.protocols.mlflow import read_rows
from ratchet.serving.protocols.open_inference import read_inference
from ratchet.serving.protocols.tables import MISSING

COLUMNS = (
    Expected("n", "integer"),
    Expected("x", "number"),
    Expected("s", "string"),
    Expected("b", "boolean"),
    Expected("t", "datetime"),
)
NAMES = [column.name for column in COLUMNS]
CODES = {"INT64": "q", "FP64": "d", "BOOL": "?"}
DATATYPES = ("INT64", "FP64", "BYTES", "BOOL", "BYTES")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
values = {
    "n": st.integers(-(2**63), 2**63 - 1),
    "x": st.floats(allow_nan=False, allow_infinity=False),
    "s": texts,
    "b": st.booleans(),
    "t": st.datetimes().map(lambda moment: moment.isoformat()),
}
rows_with_gaps = st.lists(
    st.fixed_dictionaries({name: st.none() | each for name, each in values.items()}),
    min_size=1,
    max_size=5,
)
full_rows = st.lists(st.fixed_dictionaries(values), min_size=1, max_size=5)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, "columns", "data", "other"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def read(body):
    return read_rows(json.dumps(body).encode(), COLUMNS)


def by_columns(rows):
    return {name: [row[name] for row in rows] for name in NAMES}


@given(rows_with_gaps)
def test_all_of_mlflows_json_forms_give_the_same_rows(rows):
    lists = [[row[name] for name in reversed(NAMES)] for row in rows]
    split = {"columns": NAMES[::-1], "data": lists}
    assert read({"dataframe_split": split}) == rows
    assert read({"dataframe_records": rows}) == rows
    for form in ("inputs", "instances"):
        assert read({form: rows}) == read({form: by_columns(rows)}) == rows


@given(rows_with_gaps)
def test_a_missing_number_written_as_nan_is_the_same_as_null(rows):
    holed = [row | ({"x": float("nan")} if row["x"] is None else {}) for row in rows]
    assert read({"dataframe_records": holed}) == rows


@given(rows_with_gaps)
def test_csv_gives_the_rows_that_json_gives(rows):
    """But for space around texts, which training does not read either, and words for missing."""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(NAMES)
    for row in rows:
        lines.writerow("" if row[name] is None else row[name] for name in NAMES)
    found = read_rows(written.getvalue().encode(), COLUMNS, is_csv=True)
    for row in rows:
        text = (row["s"] or "").strip()
        row["s"] = None if text in MISSING else text
    assert found == rows


def tensors(rows):
    return [
        {"name": name, "datatype": datatype, "shape": [len(rows)], "data": by_columns(rows)[name]}
        for name, datatype in zip(NAMES, DATATYPES, strict=True)
    ]


@given(rows_with_gaps)
def test_json_tensors_give_the_same_rows(rows):
    body = json.dumps({"inputs": tensors(rows)}).encode()
    assert read_inference(Request("POST", "/", body=body), COLUMNS)[1] == rows


@given(full_rows)
def test_binary_tensors_give_the_same_rows(rows):
    inputs, parts = tensors(rows), []
    for each in inputs:
        data = each.pop("data")
        if each["datatype"] == "BYTES":
            encoded = [text.encode() for text in data]
            part = b"".join(struct.pack("<I", len(text)) + text for text in encoded)
        else:
            part = struct.pack(f"<{len(data)}{CODES[each['datatype']]}", *data)
        each["parameters"] = {"binary_data_size": len(part)}
        parts.append(part)
    head = json.dumps({"inputs": inputs}).encode()
    headers = {b"inference-header-content-length": str(len(head)).encode()}
    request = Request("POST", "/", headers=headers, body=b"".join([head, *parts]))
    assert read_inference(request, COLUMNS)[1] == rows


def refuses_or_reads(reading):
    try:
        reading()
    except ProblemError as problem:
        assert 400 <= problem.status < 500  # noqa: PT017 - a refusal is as good as an answer


forms = st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances", "params"])


@given(st.dictionaries(forms, anything, max_size=2))
def test_any_json_is_read_or_refused_by_mlflows_protocol(body):
    refuses_or_reads(lambda: read(body))


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read_or_refused_by_mlflows_protocol(body, is_csv):
    refuses_or_reads(lambda: read_rows(body, COLUMNS, is_csv=is_csv))
    refuses_or_reads(lambda: read_rows(b"n,x,s,b,t\n" + body, COLUMNS, is_csv=is_csv))


parameters = st.dictionaries(st.sampled_from(["binary_data_size", "other"]), anything, max_size=2)
any_tensor = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([*NAMES, "other"]) | anything,
        "datatype": st.sampled_from([*DATATYPES, "FP16", "UINT8", "BF16"]) | anything,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | anything,
        "data": st.lists(anything, max_size=4) | anything,
        "parameters": parameters | anything,
    },
)


@settings(max_examples=200)
@given(st.lists(any_tensor, max_size=5), st.binary(max_size=40), st.integers(-20, 20))
def test_any_request_is_read_or_refused_by_the_open_protocol(inputs, behind, off):
    head = json.dumps({"inputs": inputs}).encode()
    length = str(len(head) + (off if abs(off) > 17 else 0)).encode()
    for headers in ({}, {b"inference-header-content-length": length}):
        request = Request("POST", "/", headers=headers, body=head + (behind if headers else b""))
        refuses_or_reads(lambda request=request: read_inference(request, COLUMNS))


@pytest.mark.parametrize("depth", [10, 10_000])
def test_deep_nesting_is_refused(depth):
    body = b'{"inputs":[{"name":"n","datatype":"INT64","shape":[1],"data":' + b"[" * depth
    refuses_or_reads(lambda: read_inference(Request("POST", "/", body=body), COLUMNS))
    whole = body + b"1" + b"]" * depth + b"}]}"
    refuses_or_reads(lambda: read_inference(Request("POST", "/", body=whole), COLUMNS))
    refuses_or_reads(lambda: read_rows(b'{"inputs":' + b"[" * depth, COLUMNS))
