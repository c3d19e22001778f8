"""Real data: a row scores the same through all protocols, and as the model scores it.

Of the large tables it is every n-th row; `benchmarks/parity_served.py` takes all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import numpy as np
import polars as pl
import pytest

from integration.registry.registry_bundles import make_bundle
from protocol_server import serve_bundle
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.packaging.model import Model
from ratchet.serving.protocols.tensors import DATATYPES
from ratchet_cli import SHARED_DATA

CHUNK = 5000
ROWS = 15_000


@dataclass(frozen=True)
class DataSet:
    name: str
    target: str
    classes: tuple[str, str]
    drop: tuple[str, ...] = ()

    def __str__(self):
        return self.name


SETS = (
    DataSet("telco_churn", "Churn", ("No", "Yes"), ("customerID",)),
    DataSet("german_credit", "class", ("good", "bad")),
    pytest.param(DataSet("adult_income", "income", ("<=50K", ">50K")), marks=pytest.mark.slow),
    pytest.param(DataSet("elec2", "class", ("DOWN", "UP")), marks=pytest.mark.slow),
)


def read(each):
    path = SHARED_DATA / each.name / "data.parquet"
    if not path.exists():
        pytest.skip("the shared data sets are not here")
    frame = pl.read_parquet(path).drop(each.drop).rename({each.target: "Churn"})
    frame = frame.gather_every(-(-frame.height // ROWS))
    return frame.cast(dict(TableSchema.from_polars(frame.schema).polars()))


def through_predict(client, rows, kinds):
    told = client.post("/v1/predict", json={"records": rows}).raise_for_status().json()
    return [[*row["probabilities"].values()] for row in told["predictions"]]


def through_invocations(client, rows, kinds):
    split = {"columns": list(kinds), "data": [[row[name] for name in kinds] for row in rows]}
    told = client.post("/invocations", json={"dataframe_split": split}).raise_for_status().json()
    return [[*row.values()][1:] for row in told["predictions"]]


def through_infer(client, rows, kinds):
    inputs = [
        {
            "name": name,
            "datatype": DATATYPES[kind],
            "shape": [len(rows)],
            "data": [row[name] for row in rows],
        }
        for name, kind in kinds.items()
    ]
    told = client.post("/v2/models/churn/infer", json={"inputs": inputs}).raise_for_status().json()
    scores = told["outputs"][1]
    return np.reshape(scores["data"], scores["shape"]).tolist()


@pytest.mark.parametrize("each", SETS, ids=str)
def test_rows_through_every_protocol(each, tmp_path):
    frame = read(each)
    # The texts of the last rows were not all seen by a model of the first ones.
    bundle = make_bundle(
        tmp_path, frame=frame.head(frame.height // 2), task=Task("binary", each.classes)
    )
    model = Model.load(bundle.path)
    rows = frame.drop("Churn")
    times = [name for name, dtype in rows.schema.items() if dtype.is_temporal()]
    written = rows.with_columns(pl.col(times).dt.to_string("iso:strict")).to_dicts()
    kinds = {column.name: column.kind for column in model.signature.inputs}
    written = [{name: row[name] for name in kinds} for row in written]
    expected = model.predict(rows).scores
    with (
        serve_bundle(tmp_path / "site", bundle.path) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        for ask in (through_predict, through_invocations, through_infer):
            found: list[list[float]] = []
            for begin in range(0, len(written), CHUNK):
                found += ask(client, written[begin : begin + CHUNK], kinds)
            difference = np.abs(np.array(found) - expected).max()
            assert difference <= 1e-6, ask.__name__


def test_the_raw_csv_file_scores_as_training_read_it(tmp_path):
    """As it was published: an id, the target, and blanks in a column of numbers."""
    frame = read(SETS[0])
    raw = SHARED_DATA / "telco_churn" / "raw.csv"
    bundle = make_bundle(tmp_path, frame=frame, task=Task("binary", ("No", "Yes")))
    with serve_bundle(tmp_path / "site", bundle.path) as server:
        answer = httpx.post(
            f"{server.url}/invocations",
            content=raw.read_bytes(),
            headers={"content-type": "text/csv"},
            timeout=60,
        )
    expected = Model.load(bundle.path).predict(frame).scores[:, 1]
    told = [row["probability_Yes"] for row in answer.raise_for_status().json()["predictions"]]
    np.testing.assert_array_equal(told, expected)
