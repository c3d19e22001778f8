"""Plots: files that open, the same bytes each time, no state left behind, odd labels."""

import struct
import sys

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import StorageError
from ratchet.evaluation.importance import Importance
from ratchet.evaluation.metrics import evaluate
from ratchet.evaluation.plots import draw_all, render_plots

ALL = {"confusion_matrix", "roc_curve", "precision_recall", "calibration", "importance"}
IMPORTANCE = tuple(Importance(f"column {i}", 0.1 / (i + 1), 0.01) for i in range(20))


def case(task, rows=300, seed=0):
    rng = np.random.default_rng(seed)
    classes = len(task.classes)
    y = rng.integers(0, classes, rows).astype(np.int32)
    raw = np.exp(rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[y])
    return y, raw / raw.sum(axis=1, keepdims=True)


def size_of(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.mark.parametrize(
    "task",
    [
        Task("binary", ("No", "Yes")),
        Task("binary", (False, True)),
        Task("multiclass", ("a", "b", "c")),
        Task("multiclass", tuple(range(10))),
        Task("multiclass", tuple(f"class number {i}" for i in range(30))),
        Task("multiclass", ("$5 to $10", "$x^{", "over\nlines", "很长的标签", "")),
    ],
    ids=["text", "truth", "three", "ten", "thirty", "odd labels"],
)
def test_every_plot_is_a_png_of_700_by_500(task):
    y, proba = case(task)
    metrics = evaluate(y, proba, task=task)
    found = render_plots(y, proba, task=task, metrics=metrics, importance=IMPORTANCE)
    assert set(found) == ALL
    for image in found.values():
        assert size_of(image) == (700, 500)
        assert len(image) < 150_000


def test_the_same_rows_give_the_same_bytes():
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    metrics = evaluate(y, proba, task=task)
    first = render_plots(y, proba, task=task, metrics=metrics, importance=IMPORTANCE)
    assert first == render_plots(y, proba, task=task, metrics=metrics, importance=IMPORTANCE)
    y[:40] = 1 - y[:40]
    other = render_plots(y, proba, task=task, metrics=evaluate(y, proba, task=task))
    assert all(other[name] != first[name] for name in other)


def test_pyplot_and_its_global_state_are_not_touched():
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    render_plots(y, proba, task=task, metrics=evaluate(y, proba, task=task))
    assert "matplotlib.pyplot" not in sys.modules


@pytest.mark.parametrize(
    ("y", "p"),
    [
        (np.zeros(20, np.int32), np.linspace(0, 1, 20)),
        (np.repeat([0, 1], 10).astype(np.int32), np.full(20, 0.5)),
        (np.repeat([0, 1], 10).astype(np.int32), np.repeat([0.0, 1.0], 10)),
        (np.array([1, 0], np.int32), np.array([0.2, 0.9])),
    ],
    ids=["one class", "constant", "perfect", "two rows"],
)
def test_odd_scores_are_drawn_too(y, p):
    task = Task("binary", ("No", "Yes"))
    proba = np.column_stack((1 - p, p))
    found = render_plots(y, proba, task=task, metrics=evaluate(y, proba, task=task))
    drawn = ALL - {"importance"}
    assert set(found) == (drawn - {"roc_curve", "precision_recall"} if not y.any() else drawn)


def test_many_rows_are_thinned_without_losing_the_curve():
    from ratchet.evaluation.curves import _curve
    from ratchet.evaluation.ranking import auc
    from ratchet.evaluation.scored import scored_rows

    task = Task("binary", ("No", "Yes"))
    y, proba = case(task, rows=50_000)
    ranking = scored_rows(y, proba, task=task).ranking(1)
    found, flagged = _curve(ranking)
    assert len(found) <= 400
    assert found[0] == flagged[0] == 0
    assert found[-1] == flagged[-1] == 1
    assert np.trapezoid(found, flagged) == pytest.approx(auc(ranking)[0], abs=1e-4)


def test_files_are_written_by_name(tmp_path):
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    files = draw_all(y, proba, task=task, folder=tmp_path, importance=IMPORTANCE)
    assert {file.name for file in files} == {f"{name}.png" for name in ALL}
    assert all(size_of(file.read_bytes()) == (700, 500) for file in files)


def test_a_folder_that_is_not_there_is_a_storage_fault(tmp_path):
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    with pytest.raises(StorageError, match=r"confusion_matrix\.png"):
        draw_all(y, proba, task=task, folder=tmp_path / "missing")
