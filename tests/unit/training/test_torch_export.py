"""The network as ONNX scores as training did, on every kind of row."""

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.packaging.network import convert
from ratchet.packaging.onnx import export_model
from ratchet.packaging.scorers import open_scorer
from ratchet.training.algorithms.torch import Torch
from ratchet.training.algorithms.torch_network import Network, NetworkScorer
from ratchet.training.fitted import TrainingRows

pytest.importorskip("torch")

KINDS = {0: "regression", 2: "binary", 3: "multiclass"}


def train(classes, columns, categorical, params=None, rows=400):
    """A network on random columns; categories up to 3 and up to 50, numbers partly missing."""
    rng = np.random.default_rng(classes)
    X = rng.normal(size=(rows, columns)).astype(np.float32)
    for place, column in enumerate(categorical):
        X[:, column] = rng.integers(0, 50 if place else 3, rows)
    X[::9, 0] = np.nan
    signal = np.nan_to_num(X).sum(axis=1)
    y = 1_000 * signal
    if classes:
        cuts = np.quantile(signal, np.arange(1, classes) / classes)
        y = np.searchsorted(cuts, signal).astype(np.int32)
    names = tuple(f"x{i}" for i in range(columns))
    data = TrainingRows(X, y, None, categorical, names, classes)
    network = Torch()
    task = Task(KINDS[classes], tuple(range(classes)))
    small = {"members": 3, "width": 16, "epochs": 3, "early_stopping_rounds": 0}
    whole = {**network.defaults(task, rows, columns), **small, **(params or {})}
    return network.fit(data, params=whole, seed=1, threads=1, validation=None), X


def odd_rows(X, categorical):
    """Rows with missing, unseen and extreme values."""
    rng = np.random.default_rng(0)
    odd = X.copy()
    for value in (np.nan, 3.4e38, -3.4e38, 0.0, 1e-38):
        odd[rng.random(X.shape) < 0.1] = value
    for column in categorical:
        strange = rng.choice([np.nan, -1, 3, 50, 51, 1e6], len(X))
        odd[:, column] = np.where(rng.random(len(X)) < 0.3, strange, X[:, column])
    return np.vstack([X, odd])


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize(("columns", "categorical"), [(4, ()), (5, (1,)), (5, (1, 3)), (2, (0, 1))])
def test_scores_are_trainings_on_every_row(classes, columns, categorical):
    fitted, X = train(classes, columns, categorical)
    rows = odd_rows(X, categorical)
    expected, given = fitted.predict(rows), open_scorer("onnx", convert(fitted.model)).score(rows)
    scale = np.abs(expected).max()
    assert np.isfinite(expected).all()
    assert np.abs(expected - given).max() <= 1e-12 * max(1.0, scale)


@pytest.mark.parametrize("depth", [1, 4])
def test_any_depth_is_written(depth):
    fitted, X = train(2, 4, (), {"depth": depth})
    given = open_scorer("onnx", convert(fitted.model)).score(X)
    assert np.abs(fitted.predict(X) - given).max() <= 1e-12


def test_it_is_shipped_as_onnx_with_the_same_bytes_each_time(tmp_path):
    fitted, X = train(3, 5, (1, 3))
    form = export_model(fitted, X, tmp_path)
    assert (form.kind, form.file.name, form.refused) == ("onnx", "model.onnx", ())
    assert form.file.read_bytes() == convert(fitted.model)


def test_a_saved_network_is_the_same_network():
    fitted, X = train(0, 5, (1, 3))
    content = fitted.model.to_bytes()
    again = Network.from_bytes(content)
    assert again.to_bytes() == content
    assert convert(again) == convert(fitted.model)
    assert np.array_equal(NetworkScorer(again)(X), fitted.predict(X))
