"""The Open Inference Protocol: tensors to rows, answers to tensors, errors in its form."""

from __future__ import annotations

import json
import struct

import pytest

from integration.registry.registry_bundles import make_bundle, make_frame
from ratchet.data.task import Task
from ratchet.packaging.model import Model
from ratchet.serving.answers import Answered, by_column
from ratchet.serving.codec import Expected
from ratchet.serving.http import ProblemError, Request, Routes
from ratchet.serving.protocols.open_inference import (
    OpenInferenceProtocol,
    read_inference,
    write_answer,
)
from ratchet.serving.protocols.tensor_table import Envelope, Wanted
from served_model import ServedModel, call

COLUMNS = (
    Expected("tenure", "integer"),
    Expected("charges", "number"),
    Expected("contract", "string"),
    Expected("paperless", "boolean"),
)
NUMBERS = (Expected("a", "integer"), Expected("b", "number"))


def tensor(name, datatype, data, shape=None, **more):
    return {
        "name": name,
        "datatype": datatype,
        "shape": [len(data)] if shape is None else shape,
        "data": data,
        **more,
    }


def two_rows():
    return [
        tensor("tenure", "INT64", [3, None]),
        tensor("charges", "FP64", [70.5, None]),
        tensor("contract", "BYTES", ["month", None]),
        tensor("paperless", "BOOL", [True, None]),
    ]


def read(inputs, columns=COLUMNS, **more):
    body = json.dumps({"inputs": inputs, **more}).encode()
    return read_inference(Request("POST", "/", body=body), columns)[1]


def read_binary(inputs, binary, columns=COLUMNS, length=None):
    head = json.dumps({"inputs": inputs}).encode()
    told = str(len(head) if length is None else length).encode()
    request = Request(
        "POST", "/", headers={b"inference-header-content-length": told}, body=head + binary
    )
    return read_inference(request, columns)[1]


def problem(inputs, columns=COLUMNS, **more):
    with pytest.raises(ProblemError) as caught:
        read(inputs, columns, **more)
    assert caught.value.status == 400
    return caught.value


class TestReading:
    def test_a_tensor_for_each_column(self):
        assert read(two_rows()) == [
            {"tenure": 3, "charges": 70.5, "contract": "month", "paperless": True},
            dict.fromkeys(("tenure", "charges", "contract", "paperless")),
        ]

    def test_shapes_with_one_column_flat_or_nested(self):
        flat = [{**each, "shape": [2, 1]} for each in two_rows()]
        nested = [{**each, "data": [[value] for value in each["data"]]} for each in flat]
        assert read(flat) == read(nested) == read(two_rows())

    def test_sizes_written_as_floats(self):
        assert read([{**each, "shape": [2.0, 1.0]} for each in two_rows()]) == read(two_rows())

    def test_nan_is_missing(self):
        inputs = two_rows()
        inputs[1]["data"] = [float("nan"), 1.0]
        assert [row["charges"] for row in read(inputs)] == [None, 1.0]

    def test_every_width_of_a_number_is_taken(self):
        for datatype in ("INT8", "INT32", "UINT8", "UINT64", "FP16", "FP32", "FP64"):
            inputs = two_rows()
            inputs[0]["datatype"] = inputs[1]["datatype"] = datatype
            assert read(inputs) == read(two_rows())

    def test_one_tensor_for_all_numbers_in_the_order_of_the_signature(self):
        rows = [{"a": 1, "b": 2.5}, {"a": 3, "b": 4.5}]
        for data in ([1, 2.5, 3, 4.5], [[1, 2.5], [3, 4.5]]):
            assert read([tensor("input-0", "FP64", data, [2, 2])], NUMBERS) == rows

    def test_a_column_that_only_another_version_reads_may_be_absent(self):
        columns = (*COLUMNS, Expected("more", "number", required=False))
        assert read(two_rows(), columns) == read(two_rows())

    def test_columns_beside_the_signature_come_along_for_the_codec(self):
        assert read([*two_rows(), tensor("id", "BYTES", ["x", "y"])])[1]["id"] == "y"


BAD = {
    "no inputs": ([], "There are no inputs"),
    "a column is absent": (two_rows()[1:], "tenure"),
    "a column twice": ([*two_rows(), two_rows()[0]], 'Two inputs are named "tenure"'),
    "lengths differ": ([*two_rows()[:3], tensor("paperless", "BOOL", [True])], "lengths"),
    "the shape is not filled": ([tensor("tenure", "INT64", [1], [2])], "do not fill"),
    "a shape of three": ([tensor("tenure", "INT64", [1], [1, 1, 1])] * 2, "[1, 1, 1]"),
    "a negative shape": ([tensor("tenure", "INT64", [1], [-1])], "no shape"),
    "a shape of a fraction": ([tensor("tenure", "INT64", [1], [1.5])], "no shape"),
    "a shape without end": ([tensor("tenure", "INT64", [1], [2**39] * 500)], "no shape"),
    "an unknown datatype": ([tensor("tenure", "BF16", [1])], 'Datatype "BF16"'),
    "a wrong datatype": ([tensor("contract", "INT64", [1])] * 2, "must have datatype BYTES"),
    "no data": ([{"name": "tenure", "datatype": "INT64", "shape": [1]}], "needs a list"),
    "data of one value": ([tensor("tenure", "INT64", [1]) | {"data": 1}], "needs a list"),
    "data nested unevenly": ([tensor("tenure", "INT64", [1, [2]])], "unevenly"),
    "shared memory": (
        [tensor("tenure", "INT64", [1], parameters={"shared_memory_region": "x"})],
        "Shared memory",
    ),
    "encoded texts": (
        [tensor("contract", "BYTES", ["YQ=="], parameters={"content_type": "base64"})],
        "as they are",
    ),
    "one tensor for columns of texts": ([tensor("x", "FP64", [1] * 4, [1, 4])], "contract"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told(case):
    inputs, told = BAD[case]
    assert told in str(problem(inputs))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (tensor("x", "FP64", [1, 2], [2]), "[n, 2]"),
        (tensor("x", "FP64", [1, 2, 3], [1, 3]), "[n, 2]"),
        (tensor("x", "BYTES", ["1", "2"], [1, 2]), "numbers"),
    ],
)
def test_one_tensor_of_another_shape_is_refused(given, told):
    assert told in str(problem([given], NUMBERS))


def test_a_body_in_another_form_is_refused_by_its_place():
    assert problem([{"name": "tenure", "shape": [1], "datatype": 5}]).field == "inputs[0].datatype"
    for body in (b"", b"{", b"[]", b'{"inputs":{}}', b"\xff", b"[" * 100_000):
        with pytest.raises(ProblemError) as caught:
            read_inference(Request("POST", "/", body=body), COLUMNS)
        assert caught.value.status == 400


class TestBinary:
    INPUTS = (
        {"name": "tenure", "datatype": "INT64", "shape": [2], "size": 16},
        {"name": "charges", "datatype": "FP32", "shape": [2, 1], "size": 8},
        {"name": "contract", "datatype": "BYTES", "shape": [2], "size": 15},
        {"name": "paperless", "datatype": "BOOL", "shape": [2], "size": 2},
    )
    BINARY = (
        struct.pack("<2q", 3, -4)
        + struct.pack("<2f", 70.5, float("nan"))
        + struct.pack("<I", 5) + b"month" + struct.pack("<I", 2) + "é".encode()
        + b"\x01\x00"
    )  # fmt: skip

    def inputs(self, **sizes):
        return [
            {key: each[key] for key in ("name", "datatype", "shape")}
            | {"parameters": {"binary_data_size": sizes.get(each["name"], each["size"])}}
            for each in self.INPUTS
        ]

    def test_binary_tensors_are_read(self):
        assert read_binary(self.inputs(), self.BINARY) == [
            {"tenure": 3, "charges": 70.5, "contract": "month", "paperless": True},
            {"tenure": -4, "charges": None, "contract": "é", "paperless": False},
        ]

    def test_binary_and_json_tensors_together(self):
        inputs = self.inputs()
        inputs[1] = tensor("charges", "FP64", [70.5, None])
        binary = self.BINARY[:16] + self.BINARY[24:]
        assert read_binary(inputs, binary) == read_binary(self.inputs(), self.BINARY)

    @pytest.mark.parametrize(
        "sizes",
        [
            {"tenure": 15},
            {"tenure": 8},
            {"contract": 14},
            {"paperless": 3},
            {"paperless": 1},
            {"paperless": -1},
            {"tenure": 10**9},
            {"tenure": True},
            {"tenure": "16"},
            {"contract": 3},
        ],
    )
    def test_sizes_that_do_not_fit_are_refused(self, sizes):
        with pytest.raises(ProblemError) as caught:
            read_binary(self.inputs(**sizes), self.BINARY)
        assert caught.value.status == 400

    def test_bytes_that_no_tensor_has_are_refused(self):
        with pytest.raises(ProblemError, match="1 bytes stand behind"):
            read_binary(self.inputs(), self.BINARY + b"\0")

    @pytest.mark.parametrize("length", [0, "x", -1, 10**9, 10**30])
    def test_a_header_that_does_not_fit_is_refused(self, length):
        with pytest.raises(ProblemError, match="Inference-Header-Content-Length"):
            read_binary(self.inputs(), self.BINARY, length=length)

    def test_text_that_is_none_is_refused(self):
        binary = self.BINARY.replace("é".encode(), b"\xff\xff")
        with pytest.raises(ProblemError, match="not UTF-8"):
            read_binary(self.inputs(), binary)


def answered(label="Yes", scores=(0.25, 0.75), classes=("No", "Yes"), place=0, **more):
    fields = {"version": 3, "arm": "champion"} | more
    return Answered(f"p{place}", label=label, scores=list(scores), classes=classes, **fields)


def written(rows, **asked):
    return json.loads(write_answer(Envelope(**asked), by_column(rows), "churn").body)


class TestWriting:
    def test_label_probabilities_and_ids(self):
        told = written([answered(), answered("No", (0.6, 0.4), place=1)], id="r7")
        assert told == {
            "model_name": "churn",
            "model_version": "3",
            "id": "r7",
            "parameters": {"arm": "champion"},
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["Yes", "No"]},
                {
                    "name": "probabilities",
                    "datatype": "FP64",
                    "shape": [2, 2],
                    "data": [0.25, 0.75, 0.6, 0.4],
                    "parameters": {"classes": '["No", "Yes"]'},
                },
                {"name": "prediction_id", "datatype": "BYTES", "shape": [2], "data": ["p0", "p1"]},
            ],
        }

    @pytest.mark.parametrize(
        ("classes", "datatype", "label"),
        [
            ((False, True), "BOOL", True),
            ((0, 1), "INT64", 1),
            ((0.5, 1.5), "FP64", 1.5),
            (("a", "b"), "BYTES", "b"),
            ((0, "b"), "BYTES", "0"),
        ],
    )
    def test_labels_have_the_type_of_the_classes(self, classes, datatype, label):
        given = 0 if label == "0" else label
        output = written([answered(given, classes=classes)])["outputs"][0]
        assert (output["datatype"], output["data"]) == (datatype, [label])

    def test_estimates_with_their_interval(self):
        row = answered(None, (7.5,), (), interval=(6.0, 10.0))
        outputs = {each["name"]: each for each in written([row])["outputs"]}
        assert list(outputs) == ["prediction", "prediction_low", "prediction_high", "prediction_id"]
        assert [outputs[name]["data"] for name in list(outputs)[:3]] == [[7.5], [6.0], [10.0]]

    def test_only_the_outputs_that_are_wanted_in_their_order(self):
        wanted = [Wanted("prediction_id"), Wanted("label")]
        told = written([answered()], outputs=wanted)
        assert [each["name"] for each in told["outputs"]] == ["prediction_id", "label"]

    def test_an_output_that_is_not_there_is_refused_with_those_that_are(self):
        with pytest.raises(ProblemError, match="label, probabilities, prediction_id"):
            written([answered()], outputs=[Wanted("score")])

    def test_classification_is_refused(self):
        with pytest.raises(ProblemError, match="classification"):
            written([answered()], outputs=[Wanted("label", {"classification": 1})])

    def test_several_versions_and_arms_are_not_told_as_one(self):
        told = written([answered(), answered(version=4, arm="challenger", place=1)])
        assert "model_version" not in told
        assert "parameters" not in told

    def test_versions_with_other_classes_share_a_tensor(self):
        more = answered("Maybe", (0.1, 0.2, 0.7), ("Yes", "No", "Maybe"), version=4)
        told = written([answered(), more])["outputs"][1]
        assert told["shape"] == [2, 3]
        assert told["data"] == [0.25, 0.75, 0.0, 0.2, 0.1, 0.7]
        assert told["parameters"]["classes"] == '["No", "Yes", "Maybe"]'

    @pytest.mark.parametrize("all_of_them", [True, False])
    def test_binary_outputs(self, all_of_them):
        rows = [answered(), answered("No", (0.6, 0.4), place=1)]
        asked = Envelope(parameters={"binary_data_output": True})
        if not all_of_them:
            wanted = [
                Wanted("label", {"binary_data": True}),
                Wanted("probabilities", {"binary_data": True}),
                Wanted("prediction_id"),
            ]
            asked = Envelope(outputs=wanted)
        answer = write_answer(asked, by_column(rows), "churn")
        ((name, length),) = answer.headers
        assert name.lower() == b"inference-header-content-length"
        head, behind = answer.body[: int(length)], answer.body[int(length) :]
        sizes = [
            each.get("parameters", {}).get("binary_data_size")
            for each in json.loads(head)["outputs"]
        ]
        assert sizes == [13, 32, 12 if all_of_them else None]
        assert behind[:13] == b"\x03\0\0\0Yes\x02\0\0\0No"
        assert struct.unpack("<4d", behind[13:45]) == (0.25, 0.75, 0.6, 0.4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.load(make_bundle(tmp_path_factory.mktemp("v2")).path)


@pytest.fixture
def served(model):
    return ServedModel(model, id="customer")


def routes_of(served):
    routes = Routes()
    OpenInferenceProtocol(served).add_to(routes)
    return routes


def inputs_of(frame):
    names = {"tenure": "INT64", "charges": "FP64", "contract": "BYTES", "paperless": "BOOL"}
    made = [tensor(name, kind, frame[name].to_list()) for name, kind in names.items()]
    times = [each.isoformat() for each in frame["joined"].to_list()]
    return [*made, tensor("joined", "BYTES", times)]


class TestEndpoints:
    def test_every_row_scores_as_the_model_scores_it(self, served, model):
        frame = make_frame(seed=3, rows=150)
        answer = call(
            routes_of(served), "POST", "/v2/models/churn/infer", {"inputs": inputs_of(frame)}
        )
        assert answer.status == 200, answer.body
        label, probabilities, ids = json.loads(answer.body)["outputs"]
        expected = model.predict(frame)
        assert probabilities["data"] == expected.scores.ravel().tolist()
        assert label["data"] == expected.labels
        assert len(set(ids["data"])) == 150

    def test_regression(self, tmp_path):
        frame = make_frame().with_columns(Churn=make_frame()["tenure"] * 1.5)
        bundle = make_bundle(tmp_path, frame=frame, task=Task("regression", ()))
        model = Model.load(bundle.path)
        routes = routes_of(ServedModel(model))
        answer = call(routes, "POST", "/v2/models/churn/infer", {"inputs": inputs_of(frame)})
        outputs = {each["name"]: each["data"] for each in json.loads(answer.body)["outputs"]}
        expected = model.predict(frame)
        assert outputs["prediction"] == expected.labels
        assert outputs["prediction_low"] == expected.interval[0].tolist()
        told = json.loads(call(routes, "GET", "/v2/models/churn").body)["outputs"]
        assert [each["name"] for each in told] == list(outputs)

    def test_the_entity_is_no_feature_and_the_version_is_passed_on(self, served):
        inputs = [*inputs_of(make_frame(rows=1)), tensor("customer", "BYTES", ["x1"])]
        path = "/v2/models/churn/versions/3/infer"
        assert call(routes_of(served), "POST", path, {"inputs": inputs}).status == 200
        assert served.asked[0]["customer"] == "x1"
        assert served.pinned == 3

    def test_a_wrong_value_and_an_unknown_input_name_it(self, served):
        inputs = inputs_of(make_frame(rows=2))
        inputs[0]["data"][1] = 1.5
        told = call(routes_of(served), "POST", "/v2/models/churn/infer", {"inputs": inputs})
        assert told.status == 400
        assert "rows[1].tenure" in json.loads(told.body)["error"]
        inputs = [*inputs_of(make_frame(rows=1)), tensor("tenur", "INT64", [1])]
        told = call(routes_of(served), "POST", "/v2/models/churn/infer", {"inputs": inputs})
        assert told.status == 400
        assert 'did you mean "tenure"' in json.loads(told.body)["error"]

    def test_an_infinite_number_is_refused_by_name(self, served):
        inputs = inputs_of(make_frame(rows=2))
        inputs[1]["data"][0] = float("-inf")
        body = json.dumps({"inputs": inputs}).encode()
        told = call(routes_of(served), "POST", "/v2/models/churn/infer", body)
        assert told.status == 400
        assert f"rows[0].{inputs[1]['name']}" in json.loads(told.body)["error"]
        assert served.asked == []

    def test_an_output_that_is_not_there_is_refused_before_anything_is_answered(self, served):
        body = {"inputs": inputs_of(make_frame(rows=1)), "outputs": [{"name": "score"}]}
        told = call(routes_of(served), "POST", "/v2/models/churn/infer", body)
        assert told.status == 400
        assert "prediction_id" in json.loads(told.body)["error"]
        assert served.asked == []

    def test_no_rows_get_empty_tensors_of_the_same_names(self, served):
        some, none = (
            json.loads(call(routes_of(served), "POST", "/v2/models/churn/infer", body).body)
            for body in (
                {"inputs": inputs_of(make_frame(rows=1))},
                {"inputs": inputs_of(make_frame(rows=1).clear())},
            )
        )
        assert none["model_version"] == some["model_version"]
        for empty, full in zip(none["outputs"], some["outputs"], strict=True):
            assert (empty["name"], empty["datatype"]) == (full["name"], full["datatype"])
            assert (empty["shape"], empty["data"]) == ([0, *full["shape"][1:]], [])
            assert empty.get("parameters") == full.get("parameters")

    def test_metadata_names_every_column_with_a_datatype_that_is_taken(self, served, model):
        told = json.loads(call(routes_of(served), "GET", "/v2/models/churn").body)
        assert told["name"] == "churn"
        assert told["versions"] == ["3"]
        assert [each["name"] for each in told["inputs"]] == [c.name for c in model.signature.inputs]
        example = model.signature.example
        inputs = [
            tensor(each["name"], each["datatype"], [example[each["name"]]])
            for each in told["inputs"]
        ]
        answer = call(routes_of(served), "POST", "/v2/models/churn/infer", {"inputs": inputs})
        names = [each["name"] for each in json.loads(answer.body)["outputs"]]
        assert names == [each["name"] for each in told["outputs"]]

    @pytest.mark.parametrize(
        ("path", "status", "told"),
        [
            ("/v2", 200, {"name": "ratchet"}),
            ("/v2/health/live", 200, {"live": True}),
            ("/v2/health/ready", 200, {"ready": True}),
            ("/v2/models/churn/ready", 200, {"name": "churn", "ready": True}),
            ("/v2/models/churn/versions/3/ready", 200, {"ready": True}),
            ("/v2/models/churn/versions/4/ready", 404, None),
            ("/v2/models/churn/versions/x", 404, None),
            ("/v2/models/churn/versions/" + "9" * 5000, 404, None),
            ("/v2/models/other", 404, None),
            ("/v2/models/other/ready", 404, None),
        ],
    )
    def test_health_and_unknown_models(self, served, path, status, told):
        answer = call(routes_of(served), "GET", path)
        assert answer.status == status
        body = json.loads(answer.body)
        assert body.keys() == {"error"} if told is None else told.items() <= body.items()

    def test_without_a_model_it_lives_but_is_not_ready(self):
        routes = routes_of(ServedModel(None))
        assert call(routes, "GET", "/v2/health/live").status == 200
        assert call(routes, "GET", "/v2/health/ready").status == 503
        answer = call(routes, "POST", "/v2/models/churn/infer", {"inputs": two_rows()})
        assert answer.status == 503
        assert (b"retry-after", b"5") in answer.headers
