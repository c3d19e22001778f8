"""The scoring protocol answers what MLflow's own server answers for the same model."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import warnings
from contextlib import redirect_stderr
from io import StringIO

import pytest

from integration.registry.registry_bundles import make_bundle, make_frame
from ratchet.packaging.model import Model
from ratchet.registry.mlflow_model import DATA, ModelFiles, write_model_files
from ratchet.serving.http import Routes
from ratchet.serving.protocols.mlflow import MlflowProtocol
from served_model import ServedModel, call

httpx = pytest.importorskip("httpx")
scoring_server = pytest.importorskip("mlflow.pyfunc.scoring_server")

ROW = {
    "tenure": 3,
    "charges": 70.5,
    "contract": "month",
    "paperless": True,
    "joined": "2026-01-02T00:00:00",
}
GAPS = {**dict.fromkeys(ROW), "tenure": 30, "joined": "2026-03-02"}
NAMES = list(ROW)
VALUES = list(ROW.values())


def records(*rows):
    return {"dataframe_records": list(rows)}


def split(*rows, **more):
    return {"dataframe_split": {"columns": NAMES, "data": list(rows), **more}}


ANSWERED = {
    "records": records(ROW, GAPS),
    "records that lack columns of others": records(ROW, {"tenure": 3}),
    "split": split(VALUES, list(GAPS.values())),
    "split with an index": split(VALUES, VALUES, index=[7, 8]),
    "split with a wrong index type": split(VALUES, index=["a"]),
    "split of objects": split(ROW),
    "split without rows": split(),
    "instances as rows": {"instances": [ROW, GAPS]},
    "instances as columns": {"instances": {name: [value] * 2 for name, value in ROW.items()}},
    "inputs as rows": {"inputs": [ROW, GAPS]},
    "inputs as columns": {"inputs": {name: [value] * 2 for name, value in ROW.items()}},
    "inputs as one row": {"inputs": ROW},
    "inputs with single values": {"inputs": {**ROW, "tenure": [3, 60]}},
    "unknown columns": records({**ROW, "unheard": 4}),
    "params": {**records(ROW), "params": {"a": 1}},
    "wrong params": {**records(ROW), "params": 3},
    "unknown fields": {**records(ROW), "unheard": 3},
    "numbers as text": records({**ROW, "charges": "70.5", "tenure": " 3 "}),
    "whole numbers as pandas writes them": records({**ROW, "tenure": 3.0}),
    "blank numbers": records({**ROW, "charges": " "}, {**ROW, "charges": "NA"}),
    "truth values as text": records({**ROW, "paperless": "yes"}),
    "digits for text": records({**ROW, "contract": 5}),
    "unseen text": records({**ROW, "contract": "weekly"}),
    "blank text": records({**ROW, "contract": ""}),
    "a day for a time": records({**ROW, "joined": "2026-01-02"}),
    "a time as SQL writes it": records({**ROW, "joined": "2026-01-02 10:11:12"}),
    "NaN": json.dumps(records({**ROW, "charges": math.nan, "contract": 'a "NaN" \\'})),
}
REFUSED = {
    "a record for records": {"dataframe_records": ROW},
    "nothing for records": {"dataframe_records": None},
    "no records": records(),
    "a number for a record": records(5),
    "a list for a record": records(VALUES),
    "no record": records(ROW, None),
    "split without columns": {"dataframe_split": {"data": [VALUES]}},
    "split with a short row": split(VALUES[:3]),
    "split with a long row": split([*VALUES, 1]),
    "split with a column twice": {
        "dataframe_split": {"columns": [*NAMES, "tenure"], "data": [[*VALUES, 1]]}
    },
    "split with an unknown field": split(VALUES, more=1),
    "split of a number": {"dataframe_split": {"columns": NAMES, "data": 5}},
    "instances as lists": {"instances": [VALUES]},
    "inputs as lists": {"inputs": [VALUES]},
    "inputs as a list": {"inputs": VALUES},
    "no inputs": {"inputs": []},
    "inputs as a number": {"inputs": 5},
    "inputs of several lengths": {"inputs": {**{n: [v, v] for n, v in ROW.items()}, "tenure": [3]}},
    "inputs of lists": {"inputs": {name: [[value]] for name, value in ROW.items()}},
    "no column of the model": records({"unheard": 4}),
    "two forms": {**records(ROW), "inputs": [ROW]},
    "no form": {"unheard": [ROW]},
    "a list": [ROW],
    "a number": 5,
    "half a body": '{"a"',
    "no text": b'{"dataframe_records":[{"a":"\xff"}]}',
    "nothing": b"",
    "text for a number": records({**ROW, "charges": "much"}),
    "a fraction for text": records({**ROW, "contract": 5.5}),
    "a truth value for a number": records({**ROW, "charges": True}),
    "a number for a truth value": records({**ROW, "paperless": 1}),
    "a fraction for a whole number": records({**ROW, "tenure": 3.5}),
    "a list for a value": records({**ROW, "tenure": [1]}),
    "an object for a value": records({**ROW, "tenure": {"a": 1}}),
    "a number for a time": records({**ROW, "joined": 5}),
    "text for a time": records({**ROW, "joined": "soon"}),
    "a huge number": records({**ROW, "tenure": 10**30}),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def mlflow_app(bundle, tmp_path_factory):
    """MLflow's server of the model that ``ratchet`` registers."""
    import mlflow.pyfunc

    folder = tmp_path_factory.mktemp("mlflow")
    content = ModelFiles(Model.load(bundle.path).signature, (), {})
    write_model_files(folder, content, run_id="r", model_id="m", location=str(folder))
    shutil.copytree(bundle.path, folder / DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scoring_server.init(mlflow.pyfunc.load_model(str(folder)))


@pytest.fixture(scope="module")
def served(bundle):
    return ServedModel(Model.load(bundle.path))


@pytest.fixture(scope="module")
def routes(served):
    made = Routes()
    MlflowProtocol(served).add_to(made)
    return made


def bytes_of(body):
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def ask_mlflow(app, method, path, body=b"", kind="application/json"):
    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            return await client.request(method, path, content=body, headers={"content-type": kind})

    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        return asyncio.run(ask())


def ask_ratchet(routes, body, kind=b"application/json"):
    return call(routes, "POST", "/invocations", body, {b"content-type": kind})


@pytest.mark.parametrize("form", ANSWERED)
def test_answers_are_those_of_mlflow(mlflow_app, routes, form):
    body = bytes_of(ANSWERED[form])
    theirs = ask_mlflow(mlflow_app, "POST", "/invocations", body)
    ours = ask_ratchet(routes, body)
    assert theirs.status_code == ours.status == 200, (theirs.text, ours.body)
    assert json.loads(ours.body) == theirs.json()
    assert list(json.loads(ours.body)) == list(theirs.json())


@pytest.mark.parametrize("form", REFUSED)
def test_what_mlflow_refuses_is_refused(mlflow_app, routes, form):
    body = bytes_of(REFUSED[form])
    theirs = ask_mlflow(mlflow_app, "POST", "/invocations", body)
    ours = ask_ratchet(routes, body)
    assert theirs.status_code == ours.status == 400, (theirs.text, ours.body)
    told = json.loads(ours.body)
    assert told.keys() == {"error_code", "message"} <= theirs.json().keys()
    assert told["message"]


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_an_infinite_number_that_mlflow_takes_is_refused_by_name(mlflow_app, routes, number):
    body = bytes_of(records(ROW, {**ROW, "charges": number}))
    assert ask_mlflow(mlflow_app, "POST", "/invocations", body).status_code == 200
    ours = ask_ratchet(routes, body)
    assert ours.status == 400
    assert "rows[1].charges" in json.loads(ours.body)["message"]


@pytest.mark.parametrize("kind", ["text/plain", "text/csv; charset=latin-1", "text/csv; header=no"])
def test_what_is_no_table_is_refused_as_mlflow_does(mlflow_app, routes, kind):
    theirs = ask_mlflow(mlflow_app, "POST", "/invocations", b"x", kind)
    ours = ask_ratchet(routes, b"x", kind.encode())
    assert theirs.status_code == ours.status == 415
    assert theirs.headers["content-type"].encode() == ours.type


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_health_and_version_are_those_of_mlflow(mlflow_app, routes, path):
    theirs, ours = ask_mlflow(mlflow_app, "GET", path), call(routes, "GET", path)
    assert (theirs.status_code, theirs.content) == (ours.status, ours.body)
    assert theirs.headers["content-type"].encode() == ours.type


def test_every_row_scores_as_mlflow_scores_it(mlflow_app, routes):
    """As pandas' users send rows: NaN for missing numbers, null for the rest, times as text."""
    frame = make_frame(seed=5, rows=200).drop("Churn").to_pandas()
    frame["joined"] = frame["joined"].astype(str)
    body = json.dumps({"dataframe_split": frame.to_dict(orient="split")}).encode()
    assert b"NaN" in body
    theirs = ask_mlflow(mlflow_app, "POST", "/invocations", body)
    assert json.loads(ask_ratchet(routes, body).body) == theirs.json()


def test_csv_rows_score_as_json_rows(mlflow_app, routes):
    """MLflow itself cannot read CSV for a model whose columns may be of any type, as ours are."""
    frame = make_frame(seed=6, rows=200).drop("Churn").to_pandas()
    text = frame.to_csv(index=True).encode()
    frame["joined"] = frame["joined"].astype(str)
    body = json.dumps({"dataframe_split": frame.to_dict(orient="split")}).encode()
    theirs = ask_mlflow(mlflow_app, "POST", "/invocations", body)
    ours = ask_ratchet(routes, text, b"text/csv; charset=utf-8")
    assert json.loads(ours.body) == theirs.json()
