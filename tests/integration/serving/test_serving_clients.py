"""Clients from PyPI, unchanged, and the real server: every row scores as the model scores it."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from integration.registry.registry_bundles import make_bundle, make_frame
from protocol_server import serve_bundle
from ratchet.packaging.model import Model
from ratchet.packaging.predictions import class_name

KINDS = {"tenure": "INT64", "charges": "FP64", "contract": "BYTES", "joined": "BYTES"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("clients")).path


@pytest.fixture(scope="module")
def server(bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with serve_bundle(folder, bundle, id="customer") as running:
        yield running


@pytest.fixture(scope="module")
def frame():
    """Rows with missing values in every column that may miss them, and texts never seen."""
    made = make_frame(seed=9, rows=400).drop("Churn")
    place = pl.int_range(400)
    return made.with_columns(
        contract=pl.when(place % 7 == 0).then(pl.lit("weekly")).otherwise("contract"),
        paperless=pl.when(place % 2 == 0).then(True).otherwise("paperless"),
    )


@pytest.fixture(scope="module")
def expected(bundle, frame):
    return Model.load(bundle).predict(frame)


def rows_of(frame):
    return frame.with_columns(pl.col("joined").dt.to_string("iso:strict")).to_dicts()


def texts(values):
    return np.array(["" if value is None else str(value) for value in values], dtype=object)


@pytest.fixture
def mlflow(server):
    module = pytest.importorskip("mlflow.pyfunc.scoring_server.client")
    return module.ScoringServerClient("127.0.0.1", server.port)


@pytest.fixture
def triton(server):
    module = pytest.importorskip("tritonclient.http")
    with module.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


@pytest.fixture(scope="module")
def known(frame):
    """Rows that tensors can hold: a BOOL is never missing."""
    return frame["paperless"].is_not_null()


class TestMlflow:
    def test_frames(self, mlflow, frame, expected):
        mlflow.wait_server_ready(timeout=10)
        given = frame.with_columns(pl.col("joined").dt.to_string("iso:strict")).to_pandas()
        assert given["charges"].isna().any()
        told = mlflow.invoke(given, params={"unheard": 1}).get_predictions()
        assert told["prediction"].tolist() == expected.labels
        names = [f"probability_{class_name(label)}" for label in expected.classes]
        np.testing.assert_array_equal(told[names].to_numpy(), expected.scores)

    def test_lists_of_records(self, mlflow, frame, expected):
        told = mlflow.invoke(rows_of(frame.head(20))).get_predictions()
        assert told["probability_Yes"].tolist() == expected.scores[:20, 1].tolist()

    def test_its_version(self, mlflow):
        assert mlflow.get_version() == version("mlflow-skinny")

    def test_csv(self, server, frame, expected):
        answer = httpx.post(
            f"{server.url}/invocations",
            content=frame.to_pandas().to_csv(index=False),
            headers={"content-type": "text/csv"},
        )
        told = [row["probability_Yes"] for row in answer.json()["predictions"]]
        assert told == expected.scores[:, 1].tolist()

    def test_ids_come_in_a_header_and_feedback_takes_them(self, server, frame):
        answer = httpx.post(
            f"{server.url}/invocations", json={"dataframe_records": rows_of(frame.head(2))}
        )
        ids = answer.headers["x-prediction-id"].split(",")
        assert len(set(ids)) == 2
        assert answer.headers["x-model-version"] == "1"
        labels = [{"prediction_id": each, "label": "Yes"} for each in ids]
        told = httpx.post(f"{server.url}/v1/feedback", json={"feedback": labels})
        assert told.json() == {"accepted": 2}

    def test_what_it_refuses_names_the_column(self, mlflow, frame):
        with pytest.raises(Exception, match=r"400.*columns that are not there: charges, joined"):
            mlflow.invoke(frame.drop("charges", "joined").to_pandas())


class TestTriton:
    def inputs(self, frame, *, binary):
        from tritonclient.http import InferInput

        rows = frame.height
        values = {
            "tenure": frame["tenure"].to_numpy(),
            "charges": frame["charges"].to_numpy(),
            "contract": texts(frame["contract"]),
            "joined": texts(frame["joined"].dt.to_string("iso:strict")),
        }
        made = []
        for name, datatype in {**KINDS, "paperless": "BOOL"}.items():
            data = values.get(name, frame["paperless"].to_numpy())
            tensor = InferInput(name, [rows, 1], datatype)
            tensor.set_data_from_numpy(data.reshape(rows, 1), binary_data=binary)
            made.append(tensor)
        return made

    @pytest.mark.parametrize("binary", [True, False])
    def test_every_row(self, triton, frame, expected, known, binary):
        from tritonclient.http import InferRequestedOutput

        given = frame.filter(known)
        assert given["charges"].null_count()
        assert given["contract"].null_count()
        outputs = None
        if not binary:
            names = ("label", "probabilities", "prediction_id")
            outputs = [InferRequestedOutput(name, binary_data=False) for name in names]
        told = triton.infer("churn", self.inputs(given, binary=binary), outputs=outputs)
        wanted = known.to_numpy()
        np.testing.assert_array_equal(told.as_numpy("probabilities"), expected.scores[wanted])
        labels = [
            each.decode() if isinstance(each, bytes) else each for each in told.as_numpy("label")
        ]
        assert labels == pl.Series(expected.labels).filter(known).to_list()
        assert len(set(told.as_numpy("prediction_id").tolist())) == given.height

    def test_health_and_metadata(self, triton):
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("churn")
        assert triton.is_model_ready("churn", "1")
        assert not triton.is_model_ready("other")
        assert triton.get_server_metadata()["name"] == "ratchet"
        told = triton.get_model_metadata("churn", "1")
        assert {each["name"]: each["datatype"] for each in told["inputs"]} == {
            **KINDS,
            "paperless": "BOOL",
        }

    def test_a_version_and_an_id(self, triton, frame, known):
        inputs = self.inputs(frame.filter(known).head(3), binary=True)
        told = triton.infer("churn", inputs, model_version="1", request_id="r9").get_response()
        assert (told["id"], told["model_version"]) == ("r9", "1")

    def test_asynchronously(self, triton, frame, expected, known):
        inputs = self.inputs(frame.filter(known).head(3), binary=True)
        told = triton.async_infer("churn", inputs).get_result()
        wanted = expected.scores[known.to_numpy()][:3]
        np.testing.assert_array_equal(told.as_numpy("probabilities"), wanted)

    def test_errors_are_the_clients_own(self, triton, frame, known):
        from tritonclient.utils import InferenceServerException

        inputs = self.inputs(frame.filter(known).head(2), binary=True)
        with pytest.raises(InferenceServerException, match="paperless"):
            triton.infer("churn", inputs[:-1])
        with pytest.raises(InferenceServerException, match='"other" is unknown'):
            triton.infer("other", inputs)
        with pytest.raises(InferenceServerException, match="Version"):
            triton.infer("churn", inputs, model_version="9")


def test_all_three_protocols_score_every_row_alike(server, frame, expected):
    """Missing truth values too, which JSON can hold."""
    rows = rows_of(frame)
    tensors = [
        {"name": name, "datatype": kind, "shape": [400], "data": [row[name] for row in rows]}
        for name, kind in {**KINDS, "paperless": "BOOL"}.items()
    ]
    bodies = {
        "/v1/predict": {"records": rows},
        "/invocations": {"dataframe_records": rows},
        "/v2/models/churn/infer": {"inputs": tensors},
    }
    told = {path: httpx.post(server.url + path, json=body).json() for path, body in bodies.items()}
    wanted = expected.scores[:, 1].tolist()
    own = [row["probabilities"]["Yes"] for row in told["/v1/predict"]["predictions"]]
    theirs = [row["probability_Yes"] for row in told["/invocations"]["predictions"]]
    assert own == theirs == wanted
    label, probabilities, _ = told["/v2/models/churn/infer"]["outputs"]
    assert probabilities["data"][1::2] == wanted
    assert label["data"] == expected.labels


def test_every_answer_is_in_the_log(bundle, frame, tmp_path):
    rows = rows_of(frame.head(7))
    with serve_bundle(tmp_path / "logged", bundle) as server:
        for path, body in (
            ("/invocations", {"dataframe_records": rows}),
            ("/v1/predict", {"records": rows}),
        ):
            assert httpx.post(server.url + path, json=body).status_code == 200
        server.stop()
    logged = b"".join(each.read_bytes() for each in Path(tmp_path).rglob("*.seg"))
    assert logged.count(b'"served"') == 14


def test_the_description_is_that_of_the_server(server, frame):
    told = httpx.get(f"{server.url}/openapi.json").json()
    examples = told["paths"]["/v1/predict"]["post"]["requestBody"]["content"]
    body = examples["application/json"]["examples"]["one row"]["value"]
    answered = httpx.post(f"{server.url}/v1/predict", json=body).json()
    content = told["paths"]["/v1/predict"]["post"]["responses"]["200"]["content"]
    example = content["application/json"]["examples"]["one row"]["value"]
    own = {"prediction_id": None}
    assert json.dumps(answered | own) == json.dumps(example | own)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser is installed")
def test_a_browser_draws_every_path_of_the_page(server, tmp_path):
    """Its policy lets its own script run and ask this server."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [*command, f"{server.url}/docs"], capture_output=True, text=True, timeout=60, check=True
    )
    drawn = done.stdout.partition("<main>")[2].partition("</main>")[0]
    for path in httpx.get(f"{server.url}/openapi.json").json()["paths"]:
        assert f'<span class="path">{path}</span>' in drawn
    assert '<h1 id="title">churn</h1>' in done.stdout
