"""``ratchet monitor``: a model in production goes bad, its data move, and both are told."""

from __future__ import annotations

import io
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from forked_ratchet import Driver
from html_reader import Page
from project_state import give_tracking
from ratchet.data.predictions.tables import FEEDBACK, PREDICTIONS
from ratchet.packaging.model import Model
from ratchet.project import load_project
from ratchet.triggers.facts import Observed
from ratchet_cli import customers, small_project

DAYS, ROWS, BAD, MOVED = 40, 300, 20, 4
WATCH = "monitoring:\n  drift: {window: 2d}\n"
INPUTS = ("tenure", "charges", "contract", "support")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, driver: Driver, tracking: Path) -> Path:
    """40 days of answers: from 20 days ago outcomes are half random, charges moved 4 days ago."""
    folder = small_project(tmp_path_factory.mktemp("watched") / "small", rows=1_500, extra=WATCH)
    give_tracking(folder, tracking)
    ran = driver.ratchet("run", "--project", folder, "--json").data
    assert ran["outcome"] == "promoted"
    opened = load_project(folder)
    model, lake = Model.load(ran["model"]["bundle"]), opened.open_lake()
    rng, now = np.random.default_rng(0), datetime.now(UTC)
    served, labels = [], []
    for day in range(DAYS, 0, -1):
        rows = pl.read_csv(io.StringIO(customers(ROWS, seed=3, start=day * 1_000)))
        if day <= MOVED:
            rows = rows.with_columns(pl.col("charges") * 1.5)
        truth = rows["churn"].to_list()
        if day <= BAD:
            truth = [str(rng.choice(["yes", "no"])) if rng.random() < 0.6 else y for y in truth]
        start = now - timedelta(days=day)
        at = [start + timedelta(seconds=float(s)) for s in np.sort(rng.uniform(0, 86_000, ROWS))]
        seen = [a + timedelta(days=float(rng.exponential(1.5))) for a in at]
        ids = [f"p{day:02d}{n:04d}" for n in range(ROWS)]
        served.append(_predictions(model, rows, ids, at))
        labels.append(_labels(ids, truth, seen))
    for name, frames in (("predictions", served), ("feedback", labels)):
        table = pl.concat(frames).with_columns(pl.col("at").dt.date().alias("day"))
        write_deltalake(lake.place(name), table, mode="append", partition_by=["day"])
    return folder


def _predictions(model: Model, rows: pl.DataFrame, ids: list[str], at: list[Any]) -> pl.DataFrame:
    answered = model.predict(rows)
    return pl.DataFrame(
        {
            "prediction_id": ids,
            "at": at,
            "version": 1,
            "arm": "champion",
            "label": [json.dumps(label) for label in answered.labels],
            "scores": answered.scores.tolist(),
            "features": [json.dumps({k: row[k] for k in INPUTS}) for row in rows.to_dicts()],
            "micros": 100,
        }
    ).select(
        pl.col(name).cast(dtype) if name in _GIVEN else pl.lit(None, dtype).alias(name)
        for name, dtype in PREDICTIONS.items()
    )


_GIVEN = ("prediction_id", "at", "version", "arm", "label", "scores", "features", "micros")


def _labels(ids: list[str], truth: list[str], seen: list[datetime]) -> pl.DataFrame:
    rows = [
        {"key": one, "at": moment, "label": json.dumps(said), "prediction_id": one}
        | {"entity": None, "time": None, "observed": moment, "source": "api"}
        for one, said, moment in zip(ids, truth, seen, strict=True)
    ]
    return pl.DataFrame(rows, schema=dict(FEEDBACK))


def test_a_look_tells_what_went_wrong(project: Path, tmp_path: Path, driver: Driver) -> None:
    # Its own copy: what is counted here was not counted by another test before.
    project = Path(shutil.copytree(project, tmp_path / "own"))
    page = tmp_path / "report.html"
    found = driver.ratchet("monitor", "--project", project, "--out", page, "--json").data
    assert found["champion"] == 1
    assert found["folded"]["rows"] == DAYS * ROWS
    (drift,) = found["drift"]
    assert drift["alarm"]
    assert drift["in_a_row"] == 2
    assert "charges" in {one["column"] for one in drift["report"]["columns"] if one["drifted"]}
    (arm,) = found["performance"]["arms"]
    assert arm["drop"] > 0.1
    assert arm["z"] > 4
    assert arm["estimated"]["muted"]  # the scores do not know what became of the rows
    assert arm["parts"]
    read = Page(page.read_text(encoding="utf-8"))
    assert "Worse" in read.text
    assert "Where it is weak" in read.text
    assert not {"script", "link", "img"} & set(read.names)

    # The event tells the triggers, in their words.
    with load_project(project).open_ledger() as ledger:
        (event,) = ledger.events(kind="monitored")
    told = Observed.from_json(event.facts)
    assert told.drift is not None
    assert "charges" in told.drift.columns
    assert told.performance is not None
    assert told.performance.metric == "roc_auc"
    cohorts = told.performance.cohorts["roc_auc"]
    assert len(cohorts) > 20
    assert cohorts[-1].value < cohorts[0].value - 0.1
    assert told.performance.growth is not None
    assert told.performance.growth > 0
    assert len(json.dumps(dict(event.facts))) < 20_000
    assert len(list((project / ".ratchet/monitoring").iterdir())) == 2

    assert told.drift.rows is not None
    assert told.drift.unlabelled is not None
    assert 2 * ROWS <= told.drift.rows <= 4 * ROWS  # the days that the window of two lies in
    assert 0 < told.drift.unlabelled < told.drift.rows

    wanted = tmp_path / "wanted.csv"
    again = driver.ratchet("monitor", "--project", project, "--wanted", wanted)
    assert again.code == 0
    asked = pl.read_csv(wanted)
    assert f"{asked.height} predictions to label first" in again.out
    assert asked.columns == ["prediction_id", "at", "entity", "label"]
    assert 0 < asked.height <= told.drift.unlabelled
    assert "0 new predictions" in again.out
    assert "drift, alarm" in again.out
    assert "cohorts are mature after" in again.out
    assert found["performance"]["label_age"]["why"] == ""
    assert told.performance.label_lag is not None
    assert told.performance.label_lag.total_seconds() == found["performance"]["label_age"]["after"]


def test_a_look_at_the_past_knows_nothing_of_what_came_later(
    project: Path, tmp_path: Path, driver: Driver
) -> None:
    project = Path(shutil.copytree(project, tmp_path / "own"))
    moment = (datetime.now(UTC) - timedelta(days=22)).isoformat()
    found = driver.ratchet("monitor", "--project", project, "--as-of", moment, "--json").data
    assert found["champion"] is None  # nothing had been promoted by then
    with load_project(project).open_ledger() as ledger:
        events = ledger.events(kind="monitored")
    assert all(event.facts["as_of"] > moment for event in events)
    ends = [one["start"] for one in found["performance"]["cohorts"]] if found["performance"] else []
    assert all(start <= moment for start in ends)


def test_a_moment_in_the_future_is_refused(project: Path, driver: Driver) -> None:
    moment = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    done = driver.ratchet("monitor", "--project", project, "--as-of", moment, "--json")
    assert done.code == 2
    assert "future" in done.error["what"]
    assert driver.ratchet("monitor", "--project", project, "--as-of", "yesterday").code == 2


def test_a_project_without_predictions_is_no_fault(tmp_path: Path, driver: Driver) -> None:
    folder = small_project(tmp_path / "small", rows=400)
    none = driver.ratchet("monitor", "--project", folder, "--json")
    assert none.code != 1
    assert none.error["fix"]
