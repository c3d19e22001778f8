"""A replayed training takes the window that a run would take: after a change quality comes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.backtest.learning import choose_learning, fit_at
from ratchet.backtest.matrix import key_of
from ratchet.backtest.run import Question, backtest
from ratchet.backtest.settings import Pace
from ratchet.backtest.stream import open_stream
from ratchet.errors import ConfigError
from ratchet.project import load_project

ROWS, CHANGE = 6_000, 3_600
PERIOD = 200
PROJECT = """\
project: changed
data:
  source: {type: parquet, path: rows.parquet}
  target: y
  positive: "yes"
  time: at
training:
  algorithms: {logistic_regression: {}}
  tuning: "off"
"""


def make(folder: Path, change: int) -> Path:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, 3))
    side = np.where(np.arange(ROWS) < change, 1.0, -1.0)
    positive = rng.uniform(size=ROWS) < 1 / (1 + np.exp(-3 * side * x[:, 0]))
    at = [datetime(2026, 1, 1) + timedelta(minutes=row) for row in range(ROWS)]
    pl.DataFrame(
        {"at": at, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.where(positive, "yes", "no")}
    ).write_parquet(folder / "rows.parquet")
    (folder / "ratchet.yaml").write_text(PROJECT, encoding="utf-8")
    return folder


def opened(folder: Path, window: str):
    return load_project(folder, assignments=[f"training.window={window}"], variables={})


def last_auc(folder: Path, window: str) -> float:
    """ROC-AUC of the gated trainings of every period over the last tenth of the replay."""
    found = backtest(opened(folder, window), Question(pace=Pace(PERIOD, timedelta(0))))
    by_period = found.line("every period, gated").quality.metric
    return float(np.nanmean(by_period[-len(by_period) // 10 :]))


def test_after_a_change_quality_comes_back_with_the_window_alone(tmp_path: Path) -> None:
    folder = make(tmp_path, CHANGE)
    assert last_auc(folder, "auto") > 0.8
    assert last_auc(folder, "all") < 0.7


@pytest.mark.parametrize(
    ("window", "change", "rows"),
    [("all", CHANGE, None), ("500", ROWS, 500), ("300m", ROWS, 301), ("auto", ROWS, None)],
)
def test_a_fit_learns_from_the_rows_in_the_window(
    window: str, change: int, rows: int | None, tmp_path: Path
) -> None:
    project = opened(make(tmp_path, change), window)
    stream = open_stream(project, None, Pace(PERIOD, timedelta(0)))
    fit = fit_at(stream, choose_learning(stream, project.settings, project.root), 28)
    assert fit.cut - fit.start == (fit.cut if rows is None else rows)


def test_each_window_has_models_of_its_own(tmp_path: Path) -> None:
    folder = make(tmp_path, ROWS)
    keys = set()
    for window in ("all", "auto", "500"):
        project = opened(folder, window)
        stream = open_stream(project, None, Pace(PERIOD, timedelta(0)))
        keys.add(key_of(project, stream, choose_learning(stream, project.settings, tmp_path)))
    assert len(keys) == 3


def test_without_a_time_the_order_of_the_table_is_no_window(tmp_path: Path) -> None:
    folder = make(tmp_path, CHANGE)
    text = PROJECT.replace("  time: at\n", "  exclude: [at]\n")
    (folder / "ratchet.yaml").write_text(text, encoding="utf-8")
    project = opened(folder, "auto")
    stream = open_stream(project, None, Pace(PERIOD, timedelta(0)))
    assert fit_at(stream, choose_learning(stream, project.settings, project.root), 28).start == 0
    with pytest.raises(ConfigError, match="nothing says when a row was"):
        choose_learning(stream, opened(folder, "500").settings, folder)
