"""The neural network as an algorithm: what it learns, promises and refuses."""

import subprocess
import sys

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import ConfigError, MissingExtraError
from ratchet.training.algorithms import catalogue
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.algorithms.port import EARLY_STOPPING
from ratchet.training.algorithms.torch import Torch
from ratchet.training.deadline import Deadline, StoppedError
from ratchet.training.fitted import TrainingRows
from ratchet.training.progress import Progress
from ratchet.training.scoring import log_loss, roc_auc, score_all

torch = pytest.importorskip("torch")

TASKS = {0: Task("regression", ()), 2: Task("binary", (0, 1)), 4: Task("multiclass", (0, 1, 2, 3))}
# Bits are promised on a processor alone; a GPU has tests of its own.
SMALL = {"members": 4, "width": 16, "epochs": 6, EARLY_STOPPING: 0, "device": "cpu"}


def fit(rows, params=None, *, seed=7, threads=1, validation=None, **more):
    network = Torch()
    whole = network.defaults(TASKS[rows.classes], len(rows.y), rows.X.shape[1])
    return network.fit(
        rows,
        params={**whole, **SMALL, **(params or {})},
        seed=seed,
        threads=threads,
        validation=validation,
        **more,
    )


def estimated(rows, scale=1.0):
    """The same rows with a number to be estimated."""
    rng = np.random.default_rng(1)
    y = rows.X[:, 2] + (rows.X[:, 0] == 2) + 0.3 * rng.normal(size=len(rows.X))
    return TrainingRows(rows.X, scale * y, None, rows.categorical, rows.names, 0)


@pytest.mark.parametrize("classes", [2, 4])
def test_it_learns_classes(classes, encoded):
    fitted = fit(encoded(rows=1_000, classes=classes), {"epochs": 12})
    fresh = encoded(rows=1_000, classes=classes, seed=1)
    proba = fitted.predict(fresh.X)
    assert (fitted.form, fitted.rounds, proba.shape) == ("torch", 12, (1_000, classes))
    assert np.allclose(proba.sum(axis=1), 1, atol=1e-12)
    assert score_all(fresh.y, proba)["roc_auc"] > (0.87 if classes == 2 else 0.8)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_it_estimates_numbers_in_their_own_units(scale, encoded):
    fitted = fit(estimated(encoded(rows=1_000), scale), {"epochs": 20})
    fresh = estimated(encoded(rows=1_000, seed=1), scale)
    estimates = fitted.predict(fresh.X)
    assert estimates.shape == (1_000, 1)
    assert np.mean((estimates[:, 0] - fresh.y) ** 2) < 0.4 * fresh.y.var()


def test_a_target_without_spread_is_estimated_as_it_is(encoded):
    rows = encoded(rows=100)
    flat = TrainingRows(rows.X, np.full(100, 3.5), None, rows.categorical, rows.names, 0)
    assert np.allclose(fit(flat).predict(rows.X), 3.5, atol=0.2)


def test_same_rows_seed_and_threads_give_the_same_bits_and_another_seed_does_not(encoded):
    rows = encoded()
    one, again, other = (fit(rows, seed=seed).model.to_bytes() for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_nothing_global_is_changed(encoded):
    threads, chance = torch.get_num_threads(), torch.random.get_rng_state()
    numpy_chance = np.random.get_state()[1].copy()
    fit(encoded(), threads=2 if threads == 1 else 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert np.array_equal(np.random.get_state()[1], numpy_chance)


def test_training_and_scoring_agree_but_for_float32(encoded):
    """The validation loss that PyTorch reports is the one of the shipped scores."""
    rows, watch = encoded(), encoded(seed=3)
    told = []
    fitted = fit(rows, {EARLY_STOPPING: 50}, validation=watch, progress=Progress(None, told.append))
    best = min(told, key=lambda epoch: epoch.validation_loss)
    proba = fitted.predict(watch.X)
    assert fitted.rounds == best.number
    assert log_loss(watch.y, proba) == pytest.approx(best.validation_loss, abs=1e-5)
    assert score_all(watch.y, proba)["accuracy"] == pytest.approx(best.validation_accuracy)


def test_it_stops_when_the_validation_rows_say_so(encoded):
    rng = np.random.default_rng(0)
    rows, watch = encoded(rows=200), encoded(rows=200, seed=3)
    noise = TrainingRows(rows.X, rng.permutation(rows.y), None, rows.categorical, rows.names, 2)
    told = []
    fitted = fit(
        noise,
        {"epochs": 200, EARLY_STOPPING: 3, "width": 64, "learning_rate": 0.01},
        validation=watch,
        progress=Progress(None, told.append),
    )
    assert len(told) == fitted.rounds + 3 < 200
    assert [epoch.number for epoch in told] == list(range(1, len(told) + 1))


def test_epochs_tell_what_there_is_to_tell(encoded):
    told = []
    fit(encoded(), {"epochs": 3}, progress=Progress(None, told.append))
    assert [(epoch.number, epoch.of) for epoch in told] == [(1, 3), (2, 3), (3, 3)]
    assert told[-1].train_loss < told[0].train_loss
    assert 0.5 < told[-1].train_accuracy <= 1
    assert told[-1].validation_loss is told[-1].validation_accuracy is None
    assert 0 < told[0].seconds < told[-1].seconds
    numbers = estimated(encoded())
    told.clear()
    fit(numbers, {EARLY_STOPPING: 9}, validation=numbers, progress=Progress(None, told.append))
    assert told[-1].train_accuracy is told[-1].validation_accuracy is None
    assert told[-1].validation_loss < told[0].validation_loss


def test_weights_shift_the_scores_towards_the_heavy_class(encoded):
    plain = encoded()
    heavy = encoded(weight=np.where(plain.y == 1, 5.0, 0.5).astype(np.float32))
    light = fit(plain).predict(plain.X)[:, 1].mean()
    assert fit(heavy).predict(plain.X)[:, 1].mean() > light + 0.1


def test_one_in_a_thousand_is_found_and_not_overrated():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40_000, 5)).astype(np.float32)
    y = np.zeros(40_000, np.int32)
    y[np.argsort(X[:, 0] + 0.3 * rng.normal(size=40_000))[-40:]] = 1
    rows = TrainingRows(X, y, None, (), tuple("abcde"), 2)
    half = np.arange(40_000) % 2 == 0
    learn = rows.take(np.flatnonzero(half))
    proba = fit(learn, {"epochs": 8, "batch_size": 256}).predict(X[~half])[:, 1]
    assert roc_auc(y[~half] == 1, proba) > 0.95
    assert 0.0002 < proba.mean() < 0.005


def test_a_class_that_does_not_occur_scores_next_to_nothing(encoded):
    rows = encoded()
    wider = TrainingRows(rows.X, rows.y * 2, None, rows.categorical, rows.names, 4)
    proba = fit(wider).predict(rows.X)
    assert proba[:, [1, 3]].max() < 0.05


def test_missing_unseen_and_endless_values_are_scored(encoded):
    rows = encoded()
    rows.X[::7, 3] = np.nan
    rows.X[::5, 1] = np.nan
    fitted = fit(rows)
    odd = rows.X[:6].copy()
    odd[0] = np.nan
    odd[1, :2] = 900
    odd[2, 2:] = 3.4e38
    odd[3, 2:] = -3.4e38
    odd[4, :2] = -5
    proba = fitted.predict(odd)
    assert np.isfinite(proba).all()
    far = rows.X[:1].copy()
    far[0, 2] = 40.0
    further = far.copy()
    further[0, 2] = 4e8
    assert np.abs(fitted.predict(far) - fitted.predict(further)).max() < 0.05


def test_extreme_training_values_do_not_break_it(encoded):
    rows = encoded()
    rows.X[3, 3], rows.X[4, 3], rows.X[:, 4] = 3e38, -3e38, np.nan
    rows.X[:, 5] = 7.0
    proba = fit(rows).predict(rows.X)
    assert np.isfinite(proba).all()
    assert score_all(rows.y, proba)["roc_auc"] > 0.8


def test_many_categories_become_vectors():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 60, 3_000)
    X = np.column_stack([code, rng.normal(size=3_000)]).astype(np.float32)
    y = ((code % 3 == 0) ^ (rng.random(3_000) < 0.05)).astype(np.int32)
    rows = TrainingRows(X, y, None, (0,), ("code", "noise"), 2)
    fitted = fit(rows, {"epochs": 40, "learning_rate": 0.01})
    assert fitted.model.inputs.vectors == 61
    assert score_all(y, fitted.predict(X))["roc_auc"] > 0.9


def test_a_deadline_ends_it(encoded):
    rows = encoded()
    with pytest.raises(StoppedError):
        fit(rows, {"epochs": 10_000}, deadline=Deadline.after(0.2))
    kept = fit(rows, {"epochs": 10_000}, deadline=Deadline.after(0.3, keep=True))
    assert 1 <= kept.rounds < 10_000
    late = fit(rows, deadline=Deadline.after(-1, keep=True))
    assert np.isfinite(late.predict(rows.X)).all()


def test_it_goes_on_from_an_earlier_model(encoded):
    network = Torch()
    before, after = encoded(rows=600), encoded(rows=600, seed=5)
    turned = TrainingRows(after.X, 1 - after.y, None, after.categorical, after.names, after.classes)
    first = fit(before, {"epochs": 10})
    params = {"epochs": 24, "learning_rate": 0.005, "width": 8}
    then = fit(turned, params, start=network.save(first))
    assert (then.rounds, then.model.shape) == (6, first.model.shape)
    losses = [log_loss(turned.y, model.predict(turned.X)) for model in (first, then)]
    assert losses[1] < losses[0] - 0.1
    narrow = TrainingRows(before.X[:, :4].copy(), before.y, None, (0, 1), tuple("abcd"), 2)
    with pytest.raises(ValueError, match="columns"):
        fit(narrow, start=network.save(first))
    with pytest.raises(ValueError, match="no npz"):
        fit(before, start=b"something else")


def test_weights_that_run_away_are_told(encoded):
    with pytest.raises(ValueError, match="learning_rate"):
        fit(encoded(), {"learning_rate": 1e38, "weight_decay": 10})


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused(encoded):
    with pytest.raises(ConfigError, match="sees none"):
        fit(encoded(), {"device": "cuda"})


def test_parameters_are_checked():
    network = Torch()
    assert network.check({"lr": 0.01, "patience": 3}) == {"learning_rate": 0.01, EARLY_STOPPING: 3}
    for wrong in ({"width": 0}, {"dropout": 1}, {"device": "tpu"}, {"optimizer": "sgd"}):
        with pytest.raises(ConfigError):
            network.check(wrong)


@pytest.mark.parametrize("rows", [50, 5_000, 1_000_000])
def test_spaces_and_portfolio_hold_parameters_it_knows(rows):
    network = Torch()
    task = TASKS[2]
    defaults = network.defaults(task, rows, 20)
    assert network.check(defaults) == defaults
    assert defaults["batch_size"] == {50: 16, 5_000: 256, 1_000_000: 4096}[rows]
    assert {dimension.name for dimension in network.space(task, rows, 20)} <= set(defaults)
    for changed in network.portfolio(task, rows, 20):
        assert network.check(dict(changed)) == changed
        assert {**defaults, **changed} != defaults


def test_without_its_library_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"ratchet-ml\[torch\]"):
        resolve_candidates({"torch": {}})


def test_everything_but_fit_works_without_loading_the_library():
    code = (
        "import sys; from ratchet.data.task import Task\n"
        "from ratchet.training.algorithms.catalogue import resolve_candidates\n"
        "network = resolve_candidates({'torch': {}})[0].algorithm\n"
        "task = Task('binary', (0, 1)); network.defaults(task, 9, 9); network.space(task, 9, 9)\n"
        "import ratchet.packaging.network\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
