from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.settings import DataSettings, SourceSettings
from ratchet.data.task import infer_task
from ratchet.errors import ConfigError, DataError
from ratchet.features.settings import FeaturesSettings
from ratchet.training.consistency import check_window
from ratchet.training.settings import TrainingSettings, window_rows
from ratchet.training.window import LEAST_KEPT, Window, fixed_window
from ratchet.training.window_search import find_window

START = datetime(2026, 1, 1)
HOURS = pl.Series("at", [START + timedelta(hours=hour) for hour in range(1000)])


@pytest.mark.parametrize("window", ["all", "auto", "90d", "36h", 5000, "5000", "50_000rows"])
def test_a_window_is_a_word_a_time_or_a_number(window: str | int) -> None:
    assert TrainingSettings(window=window).window == window


@pytest.mark.parametrize("window", ["", "newest", "0", 0, -5, "0d", "90", "5 weeks ago", "half"])
def test_anything_else_is_refused(window: str | int) -> None:
    if window == "90":
        assert window_rows(window) == 90
        return
    with pytest.raises(ValueError, match="no window: write all, auto, a duration"):
        TrainingSettings(window=window)


@pytest.mark.parametrize("window", ["90d", 5000])
def test_without_a_time_nobody_knows_which_rows_are_the_newest(window: str | int) -> None:
    with pytest.raises(ConfigError, match="nothing says when a row was"):
        check_window(TrainingSettings(window=window), None)
    check_window(TrainingSettings(window=window), "at")


@pytest.mark.parametrize("window", ["all", "auto"])
def test_the_default_needs_no_time(window: str) -> None:
    check_window(TrainingSettings(window=window), None)


def test_a_number_of_rows_are_the_newest_ones_however_they_lie() -> None:
    mixed = HOURS.sample(fraction=1.0, shuffle=True, seed=3)
    found = fixed_window(200, mixed)
    assert (found.rows, found.of, found.begins) == (200, 1000, "2026-02-03 08:00")
    assert set(mixed.filter(pl.Series(found.keeps(mixed)))) == set(HOURS.tail(200))


def test_a_time_counts_from_the_newest_row() -> None:
    found = fixed_window("5d", HOURS)
    assert found.rows == 5 * 24 + 1
    assert found.says().startswith("the newest 121 of 1,000 training rows, since 2026-02-06 15:00")


def test_rows_of_one_moment_stay_together_and_those_without_one_stay_out() -> None:
    days = pl.Series("at", [START + timedelta(days=row // 100) for row in range(1000)])
    assert fixed_window(150, days).rows == 200
    holed = days.scatter([999, 998], None)
    found = fixed_window(150, holed)
    assert found.rows == 198
    assert not found.keeps(holed)[-2:].any()
    assert fixed_window("all", holed).keeps(holed).all()


@pytest.mark.parametrize("window", ["365d", 1000, 5000])
def test_a_window_longer_than_the_rows_is_all_of_them(window: str | int) -> None:
    found = fixed_window(window, HOURS)
    assert not found.shorter
    assert found.since is None


@pytest.mark.parametrize("window", ["2h", LEAST_KEPT - 1])
def test_a_window_that_leaves_next_to_nothing_is_refused(window: str | int) -> None:
    with pytest.raises(DataError, match="leaves too little to learn from") as refused:
        fixed_window(window, HOURS)
    assert refused.value.where == "training.window"


def test_a_time_needs_dates_and_a_number_does_not() -> None:
    numbers = pl.Series("at", range(1000))
    assert fixed_window(100, numbers).begins == "900"
    with pytest.raises(DataError, match="is no date"):
        fixed_window("5d", numbers)
    with pytest.raises(DataError, match="is no date"):
        fixed_window(100, pl.Series("at", ["a"] * 1000))


def make(rows: int, change: float, *, seed: int = 0, kind: str = "binary") -> pl.DataFrame:
    """Rows whose target follows x, and the opposite of x from the share ``change`` on."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    side = np.where(np.arange(rows) < change * rows, 1.0, -1.0)
    score = 2.0 * side * x[:, 0] + x[:, 1]
    at = [START + timedelta(minutes=row) for row in range(rows)]
    made = pl.DataFrame({"at": at, "a": x[:, 0], "b": x[:, 1], "c": x[:, 2]})
    if kind == "regression":
        return made.with_columns(y=pl.Series(score + rng.normal(size=rows)))
    return made.with_columns(
        y=np.where(rng.uniform(size=rows) < 1 / (1 + np.exp(-score)), "y", "n")
    )


def find(frame: pl.DataFrame, *, kind: str = "binary", **settings: object) -> Window:
    data = DataSettings(
        source=SourceSettings(type="csv", path="-"), target="y", task=kind, time="at",
        positive="y" if kind == "binary" else None,
    )  # fmt: skip
    task = infer_task(frame["y"], data)
    return find_window(
        frame,
        task.encode(frame["y"]),
        settings=TrainingSettings.model_validate({"cores": 1, **settings}),
        features=FeaturesSettings(),
        task=task,
        roles=Roles.of(data),
        schema=TableSchema.from_polars(frame.schema),
        root=Path(),
    )


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("change", [0.5, 0.7, 0.85])
def test_after_a_change_only_rows_from_after_it_are_taken(kind: str, change: float) -> None:
    frame = make(8_000, change, kind=kind)
    found = find(frame, kind=kind)
    assert found.shorter
    kept = found.keeps(frame["at"])
    assert kept.sum() == found.rows
    first = int(np.argmax(kept))
    assert first >= (change - 0.04) * frame.height
    assert found.metric == ("roc_auc" if kind == "binary" else "rmse")
    assert found.tried[0].share == "all"
    assert "a model of the newest" in found.says()


def test_the_order_of_the_rows_does_not_matter() -> None:
    frame = make(6_000, 0.7)
    mixed = frame.sample(fraction=1.0, shuffle=True, seed=1)
    one, other = find(frame), find(mixed)
    assert (one.rows, one.since, one.block) == (other.rows, other.since, other.block)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "pr_auc", "log_loss"])
def test_the_metric_of_the_run_decides(metric: str) -> None:
    found = find(make(8_000, 0.7), metric=metric)
    assert found.metric == metric
    assert found.shorter


def test_without_a_change_all_rows_are_kept() -> None:
    """At three standard errors and four windows, a shorter one is taken by chance now and then."""
    taken = [find(make(3_000, 2.0, seed=seed)) for seed in range(30)]
    assert sum(window.shorter for window in taken) <= 3
    assert "no shorter window is better" in next(w for w in taken if not w.shorter).says()


def test_few_rows_are_all_learned_from() -> None:
    found = find(make(700, 0.7))
    assert not found.shorter
    assert found.reason == "too few rows to compare windows on"


def test_a_window_without_enough_of_a_class_is_not_tried() -> None:
    frame = make(8_000, 2.0)
    rare = (np.arange(8_000) % 20 == 0) & (np.arange(8_000) < 4_500)
    found = find(frame.with_columns(y=np.where(rare, "y", "n")))
    assert not found.shorter
    assert len(found.tried) <= 2


def test_what_comes_back_is_kept() -> None:
    """Two seasons in turn: the newest rows are told best by their own season, and it will end."""
    frame = make(12_000, 2.0)
    turned = pl.Series(np.arange(12_000) // 1_500 % 2 == 1)
    flip = pl.col("y").replace({"y": "n", "n": "y"})
    seasons = frame.with_columns(y=pl.when(turned).then(flip).otherwise(pl.col("y")))
    found = find(seasons)
    assert not found.shorter
    assert "came back" in found.says()
    once = frame.with_columns(
        y=pl.when(pl.Series(np.arange(12_000) >= 10_500)).then(flip).otherwise(pl.col("y"))
    )
    assert find(once).shorter
