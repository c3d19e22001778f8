"""Models that estimate numbers, for any MLflow client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from registry_bundles import make_bundle, make_frame

from ratchet.data.task import Task
from ratchet.packaging.bundle import Bundle
from ratchet.packaging.model import Model
from ratchet.packaging.signature import Signature
from ratchet.registry.mlflow_model import ModelFiles, write_model_files
from ratchet.registry.pyfunc import _load_pyfunc

OUTPUTS = ["prediction", "prediction_low", "prediction_high"]


@pytest.fixture(scope="module", autouse=True)
def mlflow_imported() -> None:
    """MLflow warns of its own type hints when it is imported; the product keeps that quiet."""
    from ratchet.registry.mlflow_client import quietly

    with quietly():
        import mlflow.pyfunc  # noqa: F401


def rows(seed: int = 0) -> pl.DataFrame:
    """Customers whose ``Churn`` is a number."""
    return make_frame(seed).with_columns(Churn=pl.col("tenure") * 0.1 + 3.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("numbers")
    return make_bundle(folder, frame=rows(), task=Task("regression", ()))


def test_an_mlflow_client_gets_the_estimates_and_their_interval(bundle: Bundle) -> None:
    frame = rows(seed=6)
    expected = Model.load(bundle.path).predict(frame)
    assert expected.values is not None
    answer = _load_pyfunc(str(bundle.path)).predict(frame.to_pandas())
    assert list(answer.columns) == OUTPUTS
    np.testing.assert_array_equal(answer["prediction"].to_numpy(), expected.values)
    np.testing.assert_allclose(answer["prediction_low"], expected.values - 1.5)
    np.testing.assert_allclose(answer["prediction_high"], expected.values + 2.5)
    assert np.corrcoef(expected.values, frame["Churn"])[0, 1] > 0.95


@pytest.mark.parametrize("coverage", [None, 0.9])
def test_the_signature_that_mlflow_keeps(bundle: Bundle, tmp_path: Path, coverage: Any) -> None:
    import mlflow

    inputs = Signature.from_json(
        json.loads((bundle.path / "signature.json").read_text(encoding="utf-8"))
    ).inputs
    content = ModelFiles(Signature(inputs, "regression", (), coverage), (), {})
    write_model_files(tmp_path, content, run_id="r", model_id="m-1", location=str(tmp_path))
    kept = mlflow.models.Model.load(str(tmp_path)).signature
    names = OUTPUTS if coverage else OUTPUTS[:1]
    assert kept.outputs.input_names() == names
    assert {str(kind) for kind in kept.outputs.input_types()} == {"DataType.double"}


def test_an_mlflow_model_folder_loads_and_scores(bundle: Bundle, tmp_path: Path) -> None:
    """As uploaded: MLflow's files, and the bundle beside them."""
    import shutil

    import mlflow

    signature = Model.load(bundle.path).signature
    content = ModelFiles(signature, ("ratchet-ml==0.1.0",), {})
    write_model_files(tmp_path, content, run_id="r", model_id="m-1", location=str(tmp_path))
    shutil.copytree(bundle.path, tmp_path / "data")
    loaded = mlflow.pyfunc.load_model(str(tmp_path))
    answer = loaded.predict(loaded.input_example)
    assert list(answer.columns) == OUTPUTS
    assert answer["prediction_high"][0] - answer["prediction_low"][0] == pytest.approx(4.0)
