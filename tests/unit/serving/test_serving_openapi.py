"""The description: of every path, true for the model that serves, and a page to read it by."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re

import pytest

from asgi_client import ask
from ratchet.errors import RatchetError
from ratchet.packaging.signature import InputColumn, Signature
from ratchet.serving import openapi
from ratchet.serving.answers import Answered
from ratchet.serving.board import Board
from ratchet.serving.codec import Codec, Expected
from ratchet.serving.http import Request
from ratchet.serving.openapi import Description, make_page
from ratchet.serving.openapi_document import describe
from ratchet.serving.openapi_schemas import _KINDS, Served
from ratchet.serving.wiring import assemble, make_routes
from served_site import ROW, ServedSite


@pytest.fixture
def plant(tmp_path):
    served = ServedSite(tmp_path)
    served.promote(served.add())
    plant = assemble(served.site(), Board())
    yield plant
    asyncio.run(plant.stop())
    served.ledger.close()


@pytest.fixture
def document(plant):
    answer = asyncio.run(Description(plant.service).document(Request("GET", "/openapi.json")))
    return json.loads(answer.body)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def examples(document, path):
    """The bodies that a path's operation shows, by name, and the answer."""
    operation = document["paths"][path]["post"]
    body = operation["requestBody"]["content"]
    shown = {
        name: (kind, example["value"])
        for kind, media in body.items()
        for name, example in media["examples"].items()
    }
    told = operation["responses"]["200"]["content"]["application/json"]["examples"]
    return shown, [each["value"] for each in told.values()]


def without_ids(told):
    return re.sub(r"06[0-9a-f]{28}", "id", json.dumps(told))


def test_every_path_is_described_with_its_scope(plant, document):
    described = {
        (method.upper(), path, operation.get("x-scope"))
        for path, method, operation in operations(document)
    }
    assert described == set(make_routes(plant.service).listing())


def test_it_is_valid(document):
    pytest.importorskip("openapi_spec_validator").validate(document)


@pytest.mark.parametrize(
    "path", ["/v1/predict", "/invocations", "/v2/models/{model}/infer", "/v1/feedback"]
)
def test_every_example_is_answered_as_it_says(plant, document, path):
    shown, told = examples(document, path)
    assert shown
    for name, (kind, body) in shown.items():
        if "stored" in name:
            continue  # needs a feature store
        content = body.encode() if isinstance(body, str) else body
        headers = {b"content-type": kind.encode()}
        answer = asyncio.run(
            ask(plant.app, "POST", path.replace("{model}", "churn"), content, headers)
        )
        assert answer.status == 200, answer.body
        if path != "/v1/feedback":
            assert without_ids(answer.json) in [without_ids(each) for each in told]


def test_examples_and_answers_are_of_their_schemas(document):
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    seen = 0
    for _, _, operation in operations(document):
        parts = [operation.get("requestBody", {}), operation["responses"]["200"]]
        for part in parts:
            for media in part.get("content", {}).values():
                schema = {**media.get("schema", {}), "components": document["components"]}
                for example in media.get("examples", {}).values():
                    validator(schema).validate(example["value"])
                    seen += 1
    assert seen > 20


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"record": ROW}, True),
        ({"records": [ROW, {**ROW, "customer": "x"}]}, True),
        ({"record": {**ROW, "charges": None}}, True),
        ({"record": {**ROW, "charges": "70"}}, False),
        ({"record": {**ROW, "tenure": 1.5}}, False),
        ({"record": {**ROW, "tenure": 2**63}}, False),
        ({"record": {**ROW, "more": 1}}, False),
        ({"record": {"tenure": 1}}, False),
        ({"record": ROW, "records": [ROW]}, False),
        ({}, False),
    ],
)
def test_the_schema_takes_what_the_server_takes(plant, document, body, valid):
    validator = pytest.importorskip("jsonschema").Draft202012Validator
    schema = document["components"]["schemas"]["PredictRequest"]
    whole = {**schema, "components": document["components"]}
    assert validator(whole).is_valid(body) == valid
    answer = asyncio.run(ask(plant.app, "POST", "/v1/predict", body))
    assert (answer.status == 200) == valid


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-21", "2024-02-29", "2026-11-21T02:49", "2026-11-21 02:49:00.123456"),
        *("2026-11-21T02:49:00Z", "2026-11-21T02:49:00+05:30", "9999-12-31"),
        *("2026-13-01", "2026-11-31", "2026-1-2", "2026-11-21T24:00", "soon", "", "0000-01-01"),
    ],
)
def test_the_form_of_times_is_the_servers(text):
    codec = Codec(of_kind("datetime"))
    try:
        codec.check([{"c": text}])
        taken = True
    except RatchetError:
        taken = False
    assert bool(re.search(_KINDS["datetime"]["pattern"], text)) == taken


def of_kind(kind, classes=("No", "Yes"), coverage=None):
    columns = (InputColumn("c", kind, required=True, nullable=False, example=None),)
    return Signature(columns, "binary" if classes else "regression", classes, coverage)


def described(signature, answered, **more):
    fields = {"also": (), "id": None, "labels": signature.classes, "versions": (3,), "most": 10}
    return describe(
        Served(
            project="churn",
            version=3,
            columns=(Expected("c", signature.inputs[0].kind),),
            signature=signature,
            example={"c": None},
            answered=answered,
            **(fields | more),
        )
    )


def test_regression_is_described_with_its_interval():
    answered = Answered("p", 3, "champion", None, [7.5], (), (6.0, 9.0))
    told = described(of_kind("number", (), 0.9), answered)
    shown = told["paths"]["/v1/predict"]["post"]["responses"]["200"]["content"]
    example = shown["application/json"]["examples"]["one row"]["value"]
    assert example["interval"] == {"low": 6.0, "high": 9.0}
    assert told["components"]["schemas"]["Prediction"]["properties"].keys() == example.keys()
    feedback = told["components"]["schemas"]["Feedback"]["oneOf"][0]["properties"]
    assert feedback["label"] == {"type": "number"}


def test_ids_are_described_only_where_rows_can_be_looked_up():
    answered = Answered("p", 3, "champion", "No", [0.6, 0.4], ("No", "Yes"))
    forms = []
    for more in ({}, {"id": "customer", "also": ("customer",)}):
        told = described(of_kind("string"), answered, **more)
        forms.append(len(told["components"]["schemas"]["PredictRequest"]["oneOf"]))
    assert forms == [2, 4]


def test_it_is_made_anew_only_when_something_else_serves(tmp_path):
    served = ServedSite(tmp_path)
    served.promote(served.add())
    plant = assemble(served.site(), Board())
    description = Description(plant.service)

    def body():
        return asyncio.run(description.document(Request("GET", "/"))).body

    first = body()
    assert body() is first
    served.promote(served.add())
    plant.residence.refresh()
    assert json.loads(body())["info"]["version"] == "2"
    asyncio.run(plant.stop())
    served.ledger.close()


def test_without_a_model_there_is_nothing_to_describe(tmp_path):
    served = ServedSite(tmp_path)
    plant = assemble(served.site(), Board())
    assert asyncio.run(ask(plant.app, "GET", "/openapi.json")).status == 503
    assert asyncio.run(ask(plant.app, "GET", "/docs")).status == 200
    asyncio.run(plant.stop())
    served.ledger.close()


def test_errors_of_every_path_are_in_its_protocols_form(plant):
    """Of what the application refuses before a handler is asked, too."""
    too_much = {b"content-length": b"999999999"}
    for path, keys in (
        ("/invocations", {"error_code", "message"}),
        ("/v2/models/churn/infer", {"error"}),
    ):
        told = asyncio.run(ask(plant.app, "POST", path, b"", too_much, parts=[b""]))
        assert told.status == 413
        assert told.json.keys() == keys


class TestPage:
    source = openapi._PAGE.read_text(encoding="utf-8")

    def test_it_needs_nothing_from_elsewhere(self):
        assert re.findall(r"\b(?:src|href|action|srcset)=(\S+?)>", self.source) == [
            '"openapi.json"'
        ]
        assert not re.search(r"https?://|@import|innerHTML|eval\(", self.source)

    def test_both_themes_define_the_same_colours(self):
        light, dark = (
            set(re.findall(r"(--[a-z-]+):", block))
            for block in re.findall(r":root\{(.*?)\}", self.source, re.DOTALL)
        )
        assert light == dark >= set(re.findall(r"var\((--[a-z-]+)\)", self.source))

    def test_the_policy_allows_its_own_script_and_style_only(self):
        ((name, policy),) = make_page(self.source).headers
        assert name == b"content-security-policy"
        for tag in ("script", "style"):
            inside = re.search(f"<{tag}>(.*?)</{tag}>", self.source, re.DOTALL)[1]
            digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in policy.decode()
        assert b"unsafe" not in policy
        # Attributes with style or handlers would be refused by the policy.
        assert not re.search(r"<[^>]+\s(style|on\w+)=", self.source)
