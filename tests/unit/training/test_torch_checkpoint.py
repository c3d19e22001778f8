"""Where training stands: saved whole, told apart, and gone on from."""

from dataclasses import replace

import numpy as np
import pytest

from ratchet.training.algorithms.torch_checkpoint import Checkpoint, fit_key
from ratchet.training.fitted import TrainingRows


def make_rows(seed=0, weight=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 3)).astype(np.float32)
    return TrainingRows(X, np.arange(20, dtype=np.int32) % 2, weight, (), ("a", "b", "c"), 2)


def test_nothing_is_kept_without_a_folder():
    checkpoint = Checkpoint(None, "key", 0)
    checkpoint.save({"a": np.ones(2)})
    assert not checkpoint.due(epoch_ended=True)
    assert checkpoint.load() is None


def test_the_last_state_comes_back_and_no_draft_is_left(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new", "key", 0)
    assert checkpoint.load() is None
    for value in (1.0, 2.0):
        checkpoint.save({"a": np.full(3, value)})
    again = Checkpoint(tmp_path / "new", "key", 0)
    assert again.load()["a"].tolist() == [2, 2, 2]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["torch-key.npz"]
    assert Checkpoint(tmp_path / "new", "other", 0).load() is None


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_no_checkpoint(share, tmp_path):
    checkpoint = Checkpoint(tmp_path, "key", 0)
    checkpoint.save({"a": np.ones(100)})
    path = tmp_path / "torch-key.npz"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert checkpoint.load() is None


def test_it_is_due_every_epoch_or_after_so_many_minutes(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("ratchet.clock.monotonic", lambda: now[0])
    every, rarely = Checkpoint(tmp_path, "a", 0), Checkpoint(tmp_path, "b", 2)
    assert every.due(epoch_ended=True)
    assert not every.due(epoch_ended=False)
    assert not rarely.due(epoch_ended=True)
    now[0] = 121.0
    assert rarely.due(epoch_ended=False)
    rarely.save({"a": np.ones(1)})
    assert not rarely.due(epoch_ended=True)


def test_the_key_knows_everything_a_fit_depends_on():
    rows, watch = make_rows(), make_rows(1)
    settings = {"seed": 1, "width": 4}
    keys = [
        fit_key(rows, watch, settings, None),
        fit_key(rows, None, settings, None),
        fit_key(watch, rows, settings, None),
        fit_key(rows, watch, settings | {"seed": 2}, None),
        fit_key(rows, watch, settings, b"earlier"),
        fit_key(make_rows(weight=np.ones(20, np.float32)), watch, settings, None),
        fit_key(replace(rows, y=1 - rows.y), watch, settings, None),
        fit_key(replace(rows, categorical=(1,)), watch, settings, None),
        fit_key(replace(rows, y=rows.y.astype(np.float64), classes=0), watch, settings, None),
    ]
    assert len(set(keys)) == len(keys)
    assert fit_key(make_rows(), make_rows(1), dict(reversed(settings.items())), None) == keys[0]
