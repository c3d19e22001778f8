"""A fit that is killed goes on from its checkpoint, and ends in the same model to the bit."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.training.algorithms.torch import Torch
from ratchet.training.deadline import Deadline, StoppedError
from ratchet.training.fitted import TrainingRows
from ratchet.training.progress import Progress

pytest.importorskip("torch")

PARAMS = {
    "members": 3,
    "width": 16,
    "epochs": 8,
    "batch_size": 64,
    "early_stopping_rounds": 6,
    "device": "cpu",
}


def make_rows(seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(700, 5)).astype(np.float32)
    X[:, 0] = rng.integers(0, 30, 700)
    X[::8, 1] = np.nan
    y = (X[:, 2] + (X[:, 0] > 20) + rng.normal(size=700) > 0.5).astype(np.int32)
    return TrainingRows(X, y, None, (0,), tuple("abcde"), 2)


def train(folder, told=None, params=None, rows=None, **more):
    network = Torch()
    whole = {**network.defaults(Task("binary", (0, 1)), 700, 5), **PARAMS, **(params or {})}
    return network.fit(
        rows or make_rows(),
        params=whole,
        seed=3,
        threads=1,
        validation=make_rows(1),
        progress=Progress(folder, None if told is None else told.append),
        **more,
    )


KILLED_AFTER_EPOCH = """
class Killer:
    def append(self, epoch):
        if epoch.number == 3:
            os.kill(os.getpid(), signal.SIGKILL)
test.train(folder, told=Killer())
"""
KILLED_WITHIN_EPOCH = """
from ratchet.training.algorithms.torch_training import Training
whole = Training._train_batch
def killed(self, at):
    whole(self, at)
    if self._step == 37:
        os.kill(os.getpid(), signal.SIGKILL)
Training._train_batch = killed
test.train(folder, params={"checkpoint_minutes": 1e-9})
"""


@pytest.mark.parametrize(
    ("killed", "minutes", "first"),
    [(KILLED_AFTER_EPOCH, 0, 4), (KILLED_WITHIN_EPOCH, 1e-9, 4)],
    ids=["after an epoch", "within an epoch"],
)
def test_killed_and_run_again_it_ends_in_the_same_model(killed, minutes, first, tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import {Path(__file__).stem} as test\n"
        f"folder = Path({str(tmp_path)!r})\n" + killed
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(list(tmp_path.iterdir())) == 1
    told = []
    resumed = train(tmp_path, told, {"checkpoint_minutes": minutes})
    undisturbed = train(None)
    assert [epoch.number for epoch in told] == list(range(first, 9))
    assert resumed.rounds == undisturbed.rounds
    assert resumed.model.to_bytes() == undisturbed.model.to_bytes()


def test_a_finished_fit_is_not_trained_again(tmp_path):
    first, told = train(tmp_path), []
    again = train(tmp_path, told)
    assert told == []
    assert again.model.to_bytes() == first.model.to_bytes()
    assert again.rounds == first.rounds


def test_other_rows_begin_anew(tmp_path):
    train(tmp_path)
    told = []
    other = train(tmp_path, told, rows=make_rows(9))
    assert told[0].number == 1
    assert other.model.to_bytes() == train(None, rows=make_rows(9)).model.to_bytes()


def test_a_fit_that_ran_out_of_time_goes_on(tmp_path):
    late = {"epochs": 2_000, "early_stopping_rounds": 2_000}
    with pytest.raises(StoppedError):
        train(tmp_path, params=late, deadline=Deadline.after(0.5))
    told = []
    train(tmp_path, told, params=late, deadline=Deadline.after(0.2, keep=True))
    assert told[0].number > 1
    assert told[0].seconds > 0.2
