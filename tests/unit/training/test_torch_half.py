"""Half precision in training: where it is used, and that what is judged is what is shipped.

A processor can compute in bfloat16 too, slowly, so that all of it is tried without a GPU.
"""

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.training.algorithms import torch_graph
from ratchet.training.algorithms.port import EARLY_STOPPING
from ratchet.training.algorithms.torch import Torch
from ratchet.training.fitted import TrainingRows
from ratchet.training.progress import Progress
from ratchet.training.scoring import log_loss, roc_auc

torch = pytest.importorskip("torch")


@pytest.fixture
def halved(monkeypatch):
    """Trains as on a GPU that has bfloat16."""
    half = torch.autocast("cpu", torch.bfloat16)
    monkeypatch.setattr(torch_graph, "half_precision", lambda device: half)


def fit(rows, watch, told=None, **params):
    network = Torch()
    task = Task("binary", (0, 1)) if rows.classes else Task("regression", ())
    small = {"members": 4, "width": 32, "epochs": 8, EARLY_STOPPING: 20, "device": "cpu"}
    whole = {**network.defaults(task, len(rows.y), rows.X.shape[1]), **small, **params}
    seen = Progress(None, None if told is None else told.append)
    return network.fit(rows, params=whole, seed=7, threads=1, validation=watch, progress=seen)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_judged_loss_is_the_one_of_the_shipped_scores(depth, encoded, halved):
    rows, watch, told = encoded(rows=600), encoded(seed=3), []
    fitted = fit(rows, watch, told, depth=depth)
    best = min(told, key=lambda epoch: epoch.validation_loss)
    proba = fitted.predict(watch.X)
    assert log_loss(watch.y, proba) == pytest.approx(best.validation_loss, abs=1e-6)
    assert roc_auc(watch.y == 1, proba[:, 1]) > 0.85


def test_it_learns_about_what_whole_precision_learns(encoded, halved, monkeypatch):
    rows, watch = encoded(rows=600), encoded(seed=3)
    half = fit(rows, watch)
    monkeypatch.setattr(torch_graph, "half_precision", lambda device: None)
    whole = fit(rows, watch)
    gap = np.abs(half.predict(watch.X) - whole.predict(watch.X))
    assert 0 < gap.max() < 0.05


def test_fine_differences_of_numbers_are_learned(halved):
    """Margins and estimates are not rounded to the 8 bits of bfloat16."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_500, 3)).astype(np.float32)
    rows = TrainingRows(X, 3.0 * X[:, 0] - X[:, 1] + 1e3, None, (), tuple("abc"), 0)
    fitted = fit(rows, rows, epochs=30)
    assert np.mean((fitted.predict(X)[:, 0] - rows.y) ** 2) < 0.01 * rows.y.var()


def test_layers_are_halved_and_outputs_are_not(encoded, halved):
    rows, seen = encoded(), set()
    layers = torch_graph.Forward._layers

    def watched(*given):
        members = layers(*given)
        seen.add((members.dtype, given[-1] is None))
        return members

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_graph.Forward, "_layers", watched)
        fit(rows, rows, epochs=1)
    # With a mask it is trained, without one it is judged.
    assert seen == {(torch.bfloat16, False), (torch.float32, True)}


def test_only_gpus_that_compute_in_bfloat16_use_it(monkeypatch):
    asked = []

    def supported(**given):
        asked.append(given)
        return False

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert torch_graph.half_precision(torch.device("cpu")) is None
    assert torch_graph.half_precision(torch.device("cuda")) is None
    assert asked == [{"including_emulation": False}]
