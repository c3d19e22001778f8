"""Slices: parts, their metrics, and what may be called worse."""

import json

import numpy as np
import polars as pl
import pytest

from ratchet.data.task import Task
from ratchet.evaluation.metrics import evaluate
from ratchet.evaluation.slices import Slice, slice_metrics

BINARY = Task("binary", ("no", "yes"))


def table(rows=4000, seed=0, *, weak=True):
    """A model that sees nothing where ``plan`` is ``trial``, unless ``weak`` is off."""
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.3).astype(np.int32)
    plan = rng.choice(["basic", "gold", "trial"], rows, p=[0.5, 0.3, 0.2])
    tenure = rng.exponential(20, rows)
    frame = pl.DataFrame(
        {
            "plan": plan,
            "tenure": [
                None if blank else t
                for blank, t in zip(rng.random(rows) < 0.1, tenure, strict=True)
            ],
            "children": rng.integers(0, 4, rows),
            "online": rng.random(rows) < 0.5,
            "code": [f"c{i}" for i in range(rows)],
        }
    )
    seen = np.where((plan == "trial") & weak, 0.0, 1.5 * y)
    p = 1 / (1 + np.exp(-(rng.normal(size=rows) + seen - 1)))
    return frame, y, np.column_stack((1 - p, p))


def test_the_weak_part_is_found_first_and_called_worse():
    frame, y, proba = table()
    found = slice_metrics(frame, y, proba, task=BINARY)
    assert (found[0].column, found[0].label) == ("plan", "trial")
    assert found[0].worse
    assert found[0].difference < -0.15
    assert [part.label for part in found if part.worse] == ["trial"]


def test_estimates_are_those_of_the_part_alone():
    frame, y, proba = table()
    gold = next(
        part for part in slice_metrics(frame, y, proba, task=BINARY) if part.label == "gold"
    )
    mask = (frame["plan"] == "gold").to_numpy()
    alone = evaluate(y[mask], proba[mask], task=BINARY)
    assert gold.rows == mask.sum()
    assert gold.share == pytest.approx(mask.mean())
    assert dict(gold.estimates)["roc_auc"] == alone["roc_auc"]


def test_parts_of_each_kind_of_column():
    frame, y, proba = table()
    found = slice_metrics(frame, y, proba, task=BINARY)
    labels = {name: [p.label for p in found if p.column == name] for name in frame.columns}
    assert sorted(labels["children"]) == ["0", "1", "2", "3"]
    assert sorted(labels["online"]) == ["False", "True"]
    assert len(labels["tenure"]) == 5
    assert "missing" in labels["tenure"]
    assert labels["code"] == []
    quarters = [p.rows for p in found if p.column == "tenure" and p.label != "missing"]
    assert sum(quarters) == frame["tenure"].count()
    assert max(quarters) - min(quarters) <= 2


def test_equal_parts_are_seldom_called_worse():
    """Holm keeps the chance of any false call in a report below 5 %."""
    false_calls = 0
    for seed in range(150):
        frame, y, proba = table(600, seed, weak=False)
        found = slice_metrics(frame, y, proba, task=BINARY, metric="brier")
        false_calls += any(part.worse for part in found)
    assert false_calls / 150 <= 0.05 + 3 * 0.018


def test_the_standard_error_of_a_part_less_the_whole_is_right():
    differences, errors = [], []
    for seed in range(200):
        frame, y, proba = table(800, seed, weak=False)
        found = slice_metrics(frame.select("plan"), y, proba, task=BINARY)
        basic = next(part for part in found if part.label == "basic")
        differences.append(basic.difference)
        errors.append(basic.se)
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.15)


def test_limits_on_rows_parts_and_cost():
    frame, y, proba = table()
    assert all(p.rows >= 900 for p in slice_metrics(frame, y, proba, task=BINARY, min_rows=900))
    assert len(slice_metrics(frame, y, proba, task=BINARY, limit=3)) == 3
    some = slice_metrics(frame, y, proba, task=BINARY, max_rows=500)
    assert max(part.rows for part in some) < 500
    assert some == slice_metrics(frame, y, proba, task=BINARY, max_rows=500)
    only = slice_metrics(frame, y, proba, task=BINARY, columns=["online"])
    assert {part.column for part in only} == {"online"}


def test_a_part_of_one_class_has_no_area_and_stands_last():
    frame, y, proba = table()
    frame = frame.with_columns(pl.Series("churned", y == 1))
    found = slice_metrics(frame.select("plan", "churned"), y, proba, task=BINARY)
    alone = [part for part in found if part.column == "churned"]
    assert [part.difference for part in alone] == [None, None]
    assert found[-2:] == tuple(alone)
    json.dumps([part.to_json() for part in found], allow_nan=False)


def test_odd_columns_do_not_stop_it():
    rows = 300
    _, y, proba = table(rows)
    frame = pl.DataFrame(
        {
            "empty": pl.Series([None] * rows, dtype=pl.Float64),
            "blank": pl.Series([None] * rows, dtype=pl.String),
            "constant": [1.5] * rows,
            "infinite": [float("inf"), float("nan"), *map(float, range(rows - 2))],
            "day": pl.date_range(
                pl.date(2020, 1, 1), pl.date(2020, 1, 1) + pl.duration(days=rows - 1), eager=True
            ),
        }
    )
    found = slice_metrics(frame, y, proba, task=BINARY)
    assert {part.column for part in found} == {"infinite"}


def test_multiclass_and_json_round_trip():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600).astype(np.int32)
    proba = rng.dirichlet(np.ones(3), 600)
    frame = pl.DataFrame({"side": rng.choice(["left", "right"], 600)})
    task = Task("multiclass", ("a", "b", "c"))
    found = slice_metrics(frame, y, proba, task=task, metric="log_loss")
    assert len(found) == 2
    text = json.dumps([part.to_json() for part in found])
    assert tuple(Slice.from_json(part) for part in json.loads(text)) == found
