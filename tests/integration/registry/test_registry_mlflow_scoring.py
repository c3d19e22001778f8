"""MLflow's own scoring server before a bundle: what it reads, and why the inputs are ``any``."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from registry_bundles import make_bundle, make_frame

from ratchet.packaging.model import Model
from ratchet.registry.mlflow_model import DATA, ModelFiles, write_model_files

ROWS = 40

# MLflow warns of its own type hints as it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as MLflow downloads it."""
    folder = tmp_path_factory.mktemp("scoring") / "model"
    bundle = make_bundle(tmp_path_factory.mktemp("bundles"))
    shutil.copytree(bundle.path, folder / DATA)
    content = ModelFiles(Model.load(bundle.path).signature, ("mlflow==3",), {})
    write_model_files(folder, content, run_id="r1", model_id="m1", location="model")
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    import mlflow.pyfunc

    return mlflow.pyfunc.load_model(str(folder))


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Rows with missing values of every kind."""
    return make_frame(seed=5, rows=ROWS).with_columns(
        pl.when(pl.int_range(ROWS) % 7 == place).then(None).otherwise(pl.col(name)).alias(name)
        for place, name in enumerate(("tenure", "charges", "contract", "paperless", "joined"))
    )


def invoke(model: Any, body: str | bytes, kind: str = "application/json") -> Any:
    """What ``mlflow models serve`` does with a body."""
    from mlflow.pyfunc.scoring_server import invocations

    return invocations(body, kind, model, model.metadata.get_input_schema())


def plain(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON clients send them."""
    return json.loads(rows.write_json())


def bodies(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    records = plain(rows.drop("Churn"))
    names = list(records[0])
    return {
        "dataframe_split": {"columns": names, "data": [[*row.values()] for row in records]},
        "dataframe_records": records,
        "instances": records,
        "inputs": {name: [row[name] for row in records] for name in names},
    }


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
@pytest.mark.parametrize("count", [1, ROWS])
def test_json_of_every_form_gives_the_scores_of_the_typed_rows(
    model: Any, folder: Path, rows: pl.DataFrame, form: str, count: int
) -> None:
    some = rows.head(count)
    told = invoke(model, json.dumps({form: bodies(some)[form]}))
    assert told.status == 200, told.response
    answers = json.loads(told.response)["predictions"]
    scores = [[row["probability_No"], row["probability_Yes"]] for row in answers]
    expected = Model.load(folder / DATA).predict(some).probabilities
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-14)


def test_parquet_keeps_its_types(model: Any, folder: Path, rows: pl.DataFrame) -> None:
    file = io.BytesIO()
    rows.write_parquet(file)
    told = invoke(model, file.getvalue(), "application/vnd.apache.parquet")
    assert told.status == 200, told.response
    scores = [row["probability_Yes"] for row in json.loads(told.response)["predictions"]]
    expected = Model.load(folder / DATA).predict(rows).probabilities[:, 1]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-14)


# MLflow reads CSV only by the types of a signature, and `any` is none for it. Should one of these
# fail with a newer MLflow, the inputs may be given types at last; see `registry/mlflow_model.py`.


def test_csv_is_refused_and_not_misread(model: Any, rows: pl.DataFrame) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match="some of the inputs types are not DataType") as told:
        invoke(model, rows.drop("Churn").write_csv(), "text/csv")
    assert told.value.get_http_status_code() == 400


def read(body: dict[str, Any], type_: str) -> Any:
    """A body's column ``x`` as MLflow hands it on where it is declared as ``type_``."""
    import pandas as pd
    from mlflow.pyfunc.scoring_server import infer_and_parse_data
    from mlflow.types.schema import ColSpec, Schema

    schema = Schema([ColSpec(type_, "x", required=False)])
    return pd.DataFrame(infer_and_parse_data(body, schema))["x"].tolist()


def test_declared_types_would_make_values_of_what_is_missing() -> None:
    split = {"dataframe_split": {"columns": ["x"], "data": [[None], [True]]}}
    assert read(split, "boolean") == [False, True]
    assert read({"instances": [{"x": None}, {"x": "year"}]}, "string") == ["None", "year"]


@pytest.mark.parametrize(
    ("type_", "values"), [("double", [70, 80]), ("long", [3, None]), ("string", [1, 12])]
)
def test_declared_types_would_refuse_frames_as_pandas_makes_them(
    type_: str, values: list[Any]
) -> None:
    import pandas as pd
    from mlflow.exceptions import MlflowException
    from mlflow.models.utils import _enforce_schema
    from mlflow.types.schema import ColSpec, Schema

    schema = Schema([ColSpec(type_, "x", required=False)])
    with pytest.raises(MlflowException, match="Incompatible input types for column x"):
        _enforce_schema(pd.DataFrame({"x": values}), schema)
