"""Plots: files that open, the same bytes each time, no state left behind, odd labels."""

import json
import struct
import sys

import numpy as np
import pytest

from ratchet.data.task import Task
from ratchet.errors import StorageError
from ratchet.evaluation.canvas import name_of, plain, short_names, short_number
from ratchet.evaluation.explanation import Explanation
from ratchet.evaluation.importance import Importance
from ratchet.evaluation.metrics import evaluate
from ratchet.evaluation.plots import draw_all, plot_points, render_plots
from ratchet.evaluation.swarm import tints_of
from ratchet.evaluation.themes import DARK, LIGHT

CURVES = {"confusion_matrix", "roc_curve", "precision_recall", "calibration"}
ALL = CURVES | {"importance"}
SHAP = {"shap_importance", "shap_beeswarm", "shap_dependence"}
ERRORS = {"predicted_actual", "residuals", "residual_distribution"}
NUMBERS = Task("regression", ())
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
    assert set(found) == (ALL | {"threshold"} if task.kind == "binary" else ALL)
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
    drawn = CURVES | {"threshold"} if y.any() else {"confusion_matrix", "calibration"}
    assert set(found) == drawn


def test_many_rows_are_thinned_without_losing_the_curve():
    from ratchet.evaluation.points import thin_curve
    from ratchet.evaluation.ranking import auc
    from ratchet.evaluation.scored import scored_rows

    task = Task("binary", ("No", "Yes"))
    y, proba = case(task, rows=50_000)
    ranking = scored_rows(y, proba, task=task).ranking(1)
    found, flagged = thin_curve(ranking, 400)
    assert len(found) <= 400
    assert found[0] == flagged[0] == 0
    assert found[-1] == flagged[-1] == 1
    assert np.trapezoid(found, flagged) == pytest.approx(auc(ranking)[0], abs=1e-4)


def test_files_are_written_by_name(tmp_path):
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    files = draw_all(y, proba, task=task, folder=tmp_path, importance=IMPORTANCE)
    assert {file.name for file in files} == {f"{name}.png" for name in ALL | {"threshold"}}
    assert all(size_of(file.read_bytes()) == (700, 500) for file in files)


def test_a_folder_that_is_not_there_is_a_storage_fault(tmp_path):
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    with pytest.raises(StorageError, match=r"confusion_matrix\.png"):
        draw_all(y, proba, task=task, folder=tmp_path / "missing")


def explanation(rows=80, outputs=("Yes",), seed=0):
    rng = np.random.default_rng(seed)
    features = (
        *(f"the_very_long_name_of_a_column_{i}_of_the_source_table" for i in range(14)),
        "a",
    )
    kinds = (rng.integers(0, 9, rows), rng.normal(size=rows), rng.choice(["x", "$y", ""], rows))
    cells = [kinds[place % 3].tolist() for place in range(15)]
    cells[1][0] = None
    cells[2][1] = None
    cells[4] = [None] * rows
    cells[5] = [True, False] * (rows // 2)
    return Explanation(
        features=features,
        outputs=outputs,
        values=rng.normal(size=(rows, 15, len(outputs))) * np.arange(15)[None, :, None],
        base=np.zeros(len(outputs)),
        data=tuple(zip(*cells, strict=True)),
        scale="log odds",
        method="sampled",
        why="sampled",
        cost=100,
    )


@pytest.mark.parametrize(
    ("rows", "outputs"),
    [(80, ("Yes",)), (2, ("Yes",)), (700, ("a", "b", "c")), (60, tuple("abcdefghij"))],
    ids=["binary", "two rows", "three", "ten"],
)
def test_explanations_are_drawn(rows, outputs):
    task = Task("multiclass", outputs) if len(outputs) > 2 else Task("binary", ("No", "Yes"))
    y, proba = case(task)
    metrics = evaluate(y, proba, task=task)
    shown = explanation(rows, outputs)
    found = render_plots(y, proba, task=task, metrics=metrics, explanation=shown)
    assert set(found) >= SHAP
    assert all(size_of(found[name]) == (700, 500) for name in SHAP)
    drawn = plot_points(y, proba, task=task, metrics=metrics, explanation=shown)
    assert set(drawn) == set(found)
    json.dumps(drawn, allow_nan=False)


@pytest.mark.parametrize(
    ("y", "found"),
    [
        (np.random.default_rng(0).normal(size=400), np.random.default_rng(1).normal(size=400)),
        (np.append(np.ones(60), 1e9), np.linspace(0, 1, 61)),
        (np.ones(50), np.ones(50)),
        (np.arange(3.0), np.zeros(3)),
        (np.ones(1), np.zeros(1)),
        (np.random.default_rng(0).normal(size=20_000) * 1e6, np.zeros(20_000)),
    ],
    ids=["plain", "outlier", "perfect", "three", "one", "many"],
)
def test_errors_of_estimates_are_drawn(y, found):
    estimates = found[:, None]
    metrics = evaluate(y, estimates, task=NUMBERS)
    pages = render_plots(y, estimates, task=NUMBERS, metrics=metrics)
    assert set(pages) == ERRORS
    assert all(size_of(image) == (700, 500) for image in pages.values())
    drawn = plot_points(y, estimates, task=NUMBERS, metrics=metrics)
    assert set(drawn) == ERRORS
    json.dumps(drawn, allow_nan=False)
    assert sum(drawn["residual_distribution"]["histogram"]["rows"]) == len(y)
    assert sum(drawn["predicted_actual"]["bins"]["rows"]) == len(y)


def corner(png):
    from io import BytesIO

    from matplotlib.image import imread

    return imread(BytesIO(png))[0, 0]


def test_the_dark_theme_is_dark_and_opaque_and_the_default_is_light():
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    metrics = evaluate(y, proba, task=task)
    options = {"task": task, "metrics": metrics, "explanation": explanation()}
    light = render_plots(y, proba, **options)
    assert light == render_plots(y, proba, theme="light", **options)
    dark = render_plots(y, proba, theme="dark", **options)
    assert set(light) == set(dark)
    for name in light:
        assert corner(light[name])[:3].min() == 1.0
        assert corner(dark[name])[:3].max() < 0.15
        assert corner(dark[name])[-1] == 1.0
    assert set(LIGHT.palette) != set(DARK.palette)
    assert len(LIGHT.palette) == len(DARK.palette) == 7


def longest(value):
    if isinstance(value, dict):
        return max((longest(part) for part in value.values()), default=0)
    if isinstance(value, list):
        return max([len(value), *(longest(part) for part in value)])
    return 0


def test_points_of_many_rows_are_at_most_200_and_are_the_curves():
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task, rows=50_000)
    metrics = evaluate(y, proba, task=task, threshold=0.3)
    found = plot_points(y, proba, task=task, metrics=metrics)
    assert longest(found) <= 201  # the precision curve starts with one more
    line = found["roc_curve"]["lines"][0]
    assert np.trapezoid(line["y"], line["x"]) == pytest.approx(metrics["roc_auc"].value, abs=1e-3)
    assert line["area"] == metrics["roc_auc"].value
    chosen = found["threshold"]["chosen"]
    assert chosen["threshold"] == 0.3
    assert chosen["recall"] == metrics["recall_positive"].value
    curve = found["threshold"]
    recall = np.interp(0.3, curve["threshold"], curve["recall"])
    assert recall == pytest.approx(metrics["recall_positive"].value, abs=0.01)
    assert found["calibration"]["gap"] < 1
    assert len(json.dumps(found)) < 60_000


def test_the_threshold_in_use_is_the_one_that_is_drawn():
    task = Task("binary", ("No", "Yes"))
    y, proba = case(task)
    for threshold in (0.2, 0.8):
        metrics = evaluate(y, proba, task=task, threshold=threshold)
        found = plot_points(y, proba, task=task, metrics=metrics)
        for curve in ("roc_curve", "precision_recall"):
            assert found[curve]["chosen"]["threshold"] == threshold
        recall = metrics.report[1].recall
        assert found["precision_recall"]["chosen"]["x"] == pytest.approx(recall)
        assert found["roc_curve"]["chosen"]["y"] == pytest.approx(recall)


def test_long_names_stay_apart():
    names = [f"customer_account_balance_{n}_days_before_the_snapshot" for n in (30, 60, 365)]
    short = short_names(names)
    assert len(set(short)) == 3
    assert all(len(name) <= 30 for name in short)
    assert "365_days" in short[2]
    assert short_names(["plain", "cost in $"]) == ["plain", r"cost in \$"]
    assert name_of("x" * 40) == "x" * 15 + "…" + "x" * 14
    assert plain("") == '""'


def test_numbers_on_axes_are_short():
    shown = [short_number(v) for v in (0, 5, 0.25, 1500, 25_000, 2_500_000, -40_000, 3e12)]
    assert shown == ["0", "5", "0.25", "1,500", "25k", "2.5M", "-40k", "3e+12"]


def test_tints_follow_the_order_of_values():
    assert tints_of([3, 1, 2, None]) == pytest.approx([1, 0, 0.5, np.nan], nan_ok=True)
    assert tints_of([True, False, True]) == pytest.approx([1, 0, 1])
    assert np.isnan(tints_of(["a", "b", None])).all()
    assert tints_of([7, 7]) == pytest.approx([0.5, 0.5])
