"""Where the bins leave open whether a column drifted, the rows themselves are asked."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forked_ratchet import leave_undrawn
from project_state import give_tracking
from ratchet import clock
from ratchet.monitoring import monitor, rows
from ratchet.monitoring.drift import compare_frames
from ratchet.monitoring.findings import ColumnDrift
from ratchet.monitoring.monitor import Observation, observe
from ratchet.monitoring.settings import MonitoringSettings
from ratchet.monitoring.wanted import wanted_labels
from ratchet.pipeline.run import run
from ratchet.project import Project, load_project
from ratchet_cli import customers, small_project
from served_rows import START, put, served

ROWS = 900


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tracking: Path) -> tuple[Path, datetime]:
    """A champion, and the answers of three hours that begin with the next full hour."""
    folder = small_project(tmp_path_factory.mktemp("rows") / "small", rows=4_000)
    give_tracking(folder, tracking)
    project = load_project(folder, variables={})
    with pytest.MonkeyPatch.context() as patch:
        leave_undrawn(patch.setattr)
        assert run(project).outcome == "promoted"
    begin = clock.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    first = (begin - START) / timedelta(hours=1)
    table = csv.DictReader(io.StringIO(customers(ROWS, seed=9, start=50_000)))
    answers = []
    for place, row in enumerate(table):
        features = {
            "tenure": int(row["tenure"]),
            "charges": round(float(row["charges"]) * 1.06, 3),
            "contract": row["contract"],
            "support": row["support"],
        }
        name = f"p{place:04d}"
        answers.append(served(name, first + 3 * place / ROWS, features=features))
    put(Path(project.lake_uri), answers)
    return folder, begin + timedelta(hours=4)


@pytest.fixture
def world(made: tuple[Path, datetime], tmp_path: Path) -> tuple[Project, datetime]:
    folder, as_of = made
    copy = Path(shutil.copytree(folder, tmp_path / "small"))
    return load_project(copy, variables={}), as_of


def look(world: tuple[Project, datetime], **drift: Any) -> Observation:
    project, as_of = world
    settings = MonitoringSettings.model_validate({"drift": {"window": "6h", **drift}})
    with project.open_ledger() as ledger:
        lake = project.open_lake()
        return observe(ledger, lake, settings, bundles=project.state, as_of=as_of)


def charges(found: Observation) -> ColumnDrift:
    (drift,) = found.drift
    assert drift.report is not None
    return drift.report["charges"]


@pytest.fixture
def interval(world: tuple[Project, datetime]) -> tuple[float, float]:
    ks = charges(look(world, thresholds={"ks": 0.9})).ks
    assert ks is not None
    assert ks.low < ks.high, "a limit outside of it is settled by the bins, and no row is read"
    return ks.low, ks.high


def exactly(project: Project) -> float:
    """From the rows, found in another way."""
    lake = project.open_lake()
    snapshot = lake.latest("data")
    assert snapshot is not None
    (parts,) = project.runs.glob("*/split/parts.npy")
    learned = lake.scan(snapshot).collect().filter(pl.Series(np.load(parts) == 0))
    features = pl.read_parquet(f"{lake.place('predictions')}/**/*.parquet")["features"]
    asked = pl.DataFrame({"charges": features.str.json_path_match("$.charges").cast(pl.Float64)})
    ks = compare_frames(learned, asked, columns=["charges"])["charges"].ks
    assert ks is not None
    return ks.value


@pytest.mark.parametrize("side", [-1, 1])
def test_a_limit_inside_the_interval_is_settled_by_the_rows(
    side: int, world: tuple[Project, datetime], interval: tuple[float, float]
) -> None:
    exact = exactly(world[0])
    low, high = interval
    assert low <= exact <= high
    limit = (exact + low) / 2 if side < 0 else (exact + high) / 2
    assert low <= limit < high
    found = charges(look(world, thresholds={"ks": limit}))
    assert found.ks is not None
    assert found.ks.value == pytest.approx(exact, abs=1e-12)
    assert (found.ks.low, found.ks.high) == (found.ks.value, found.ks.value)
    assert found.drifted == (exact > limit)
    assert not found.open


def break_split(project: Project) -> None:
    for place in project.runs.iterdir():
        shutil.rmtree(place / "split")


def break_lake(project: Project) -> None:
    shutil.rmtree(Path(project.lake_uri) / "data")


def other_rows(project: Project) -> None:
    (parts,) = project.runs.glob("*/split/parts.npy")
    np.save(parts, np.load(parts)[::-1])


@pytest.mark.parametrize("spoil", [break_split, break_lake, other_rows])
def test_without_the_rows_it_stays_open_and_says_so(
    spoil: Callable[[Project], None],
    world: tuple[Project, datetime],
    interval: tuple[float, float],
) -> None:
    spoil(world[0])
    found = charges(look(world, thresholds={"ks": sum(interval) / 2}))
    assert found.open
    assert found.ks is not None
    assert (found.ks.low, found.ks.high) == interval
    (drift,) = look(world, thresholds={"ks": sum(interval) / 2}).drift
    assert drift.report is not None
    assert "not settled" in drift.reason
    told = {each["column"]: each["open"] for each in drift.report.to_json()["columns"]}
    assert told["charges"]
    assert not told["contract"]


def test_no_row_is_read_where_the_bins_settle_it(
    world: tuple[Project, datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*given: object) -> None:
        raise AssertionError("nobody needs the rows")

    monkeypatch.setattr(monitor.VersionRows, "_training_rows", read)
    assert not charges(look(world, thresholds={"ks": 0.9})).open


def test_a_large_window_is_not_read(
    world: tuple[Project, datetime],
    interval: tuple[float, float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "_MOST_SERVED", ROWS - 1)
    assert charges(look(world, thresholds={"ks": sum(interval) / 2})).open


def test_wanted_labels_are_a_fair_and_lasting_sample(world: tuple[Project, datetime]) -> None:
    project, as_of = world
    span = {"since": as_of - timedelta(hours=6), "until": as_of}
    found = wanted_labels(project.open_lake(), 1, most=200, **span)
    assert found.columns == ["prediction_id", "at", "entity", "label"]
    assert found.height == 200
    assert found["at"].is_sorted()
    again = wanted_labels(project.open_lake(), 1, most=100, **span)
    assert set(again["prediction_id"]) < set(found["prediction_id"])
    # Spread over the hours as all are, not the first or last ones.
    places = found["prediction_id"].str.slice(1).cast(pl.Int64)
    assert abs(places.mean() - ROWS / 2) < 4 * ROWS / (12 * 200) ** 0.5
    assert wanted_labels(project.open_lake(), 2, **span).height == 0
