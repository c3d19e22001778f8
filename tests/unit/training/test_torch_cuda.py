"""The network on a GPU: it learns, tells what it ships, and goes on from its checkpoint."""

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.packaging.network import convert
from ratchet.packaging.scorers import open_scorer
from ratchet.training.algorithms import torch_graph
from ratchet.training.algorithms.port import EARLY_STOPPING
from ratchet.training.algorithms.torch import Torch, _device
from ratchet.training.fitted import TrainingRows
from ratchet.training.progress import Progress
from ratchet.training.scoring import log_loss, score_all

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

KINDS = {0: "regression", 2: "binary", 3: "multiclass"}


def make_rows(classes, seed=0, weighted=False):
    """A column of many categories, one of few, four numbers; some values missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1_500, 6)).astype(np.float32)
    X[:, 0], X[:, 1] = rng.integers(0, 40, 1_500), rng.integers(0, 4, 1_500)
    signal = X[:, 2] + (X[:, 0] > 20) + 0.5 * (X[:, 1] == 2) + 0.5 * rng.normal(size=1_500)
    X[::9, 3] = np.nan
    y = 100.0 * signal
    if classes:
        cuts = np.quantile(signal, np.arange(1, classes) / classes)
        y = np.searchsorted(cuts, signal).astype(np.int32)
    weight = rng.uniform(0.5, 2.0, 1_500).astype(np.float32) if weighted else None
    return TrainingRows(X, y, weight, (0, 1), tuple("abcdef"), classes)


def fit(rows, watch=None, folder=None, on_epoch=None, **params):
    network = Torch()
    task = Task(KINDS[rows.classes], tuple(range(rows.classes)))
    small = {"members": 4, "width": 32, "epochs": 10, EARLY_STOPPING: 20, "device": "cuda"}
    whole = {**network.defaults(task, len(rows.y), 6), **small, **params}
    progress = Progress(folder, on_epoch)
    return network.fit(rows, params=whole, seed=7, threads=1, validation=watch, progress=progress)


def test_auto_is_the_gpu_where_there_is_one():
    assert [_device(asked) for asked in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_it_learns_and_ships_what_it_trained(classes, weighted):
    rows, watch, told = make_rows(classes, weighted=weighted), make_rows(classes, seed=1), []
    fitted = fit(rows, watch, on_epoch=told.append)
    scores = fitted.predict(watch.X)
    if classes:
        best = min(epoch.validation_loss for epoch in told)
        assert log_loss(watch.y, scores) == pytest.approx(best, abs=1e-5)
        assert score_all(watch.y, scores)["roc_auc"] > 0.8
    else:
        assert np.mean((scores[:, 0] - watch.y) ** 2) < 0.5 * watch.y.var()
    shipped = open_scorer("onnx", convert(fitted.model)).score(watch.X)
    assert np.abs(scores - shipped).max() <= 1e-12 * max(1.0, np.abs(scores).max())


def test_it_learns_what_a_processor_learns():
    rows, watch = make_rows(2), make_rows(2, seed=1)
    here, there = (fit(rows, watch, device=device).predict(watch.X) for device in ("cuda", "cpu"))
    scores = [score_all(watch.y, proba)["roc_auc"] for proba in (here, there)]
    assert abs(scores[0] - scores[1]) < 0.02


def test_rows_that_do_not_fit_on_the_gpu_are_sent_batch_by_batch(monkeypatch):
    rows, watch = make_rows(2), make_rows(2, seed=1)
    held = fit(rows, watch).predict(watch.X)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1_000, 1_000))
    sources = []
    made = torch_graph.Source.__init__

    def watched(self, *given):
        made(self, *given)
        sources.append(self._resident)

    monkeypatch.setattr(torch_graph.Source, "__init__", watched)
    sent = fit(rows, watch).predict(watch.X)
    assert sources == [None, None]
    assert np.abs(held - sent).max() < 0.05


def test_interrupted_it_goes_on_where_it_was(tmp_path):
    rows, watch = make_rows(2), make_rows(2, seed=1)
    undisturbed = fit(rows, watch).predict(watch.X)

    class Stop(Exception):  # noqa: N818 - a signal, no fault
        pass

    def interrupt(epoch):
        if epoch.number == 4:
            raise Stop

    with pytest.raises(Stop):
        fit(rows, watch, tmp_path, interrupt)
    told = []
    resumed = fit(rows, watch, tmp_path, told.append)
    assert [epoch.number for epoch in told] == list(range(5, 11))
    # Sums on a GPU are added in any order.
    assert np.abs(resumed.predict(watch.X) - undisturbed).max() < 0.02
