"""Experiments of a project through its commands, over traffic that was routed as it serves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from forked_ratchet import Driver
from html_reader import Page
from made_bundle import make_bundle
from ratchet import clock
from ratchet.data.predictions.tables import FEEDBACK, PREDICTIONS
from ratchet.ledger.results import GateRecord
from ratchet.packaging.bundle import SIGNATURE
from ratchet.pipeline import experimenting
from ratchet.project import Project, load_project
from ratchet.serving.router import Router

SETTINGS = """
project: small
data:
  source: {type: csv, path: data.csv}
  target: bought
"""
LATER = datetime(2030, 1, 10, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two versions, the first of which is champion; of their bundles only what is read here."""
    (tmp_path / "ratchet.yaml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "data.csv").write_text("a,bought\n1,no\n2,yes\n", encoding="utf-8")
    project = opened(tmp_path)
    project.prepare_state()
    with project.open_ledger() as ledger:
        for number in (1, 2):
            bundle = project.bundles / str(number)
            signature = json.dumps({"classes": ["no", "yes"], "version": number})
            digest = make_bundle(bundle, {SIGNATURE: signature.encode()})
            ledger.start_run(f"r{number}", trigger="manual")
            ledger.record_gates(f"r{number}", [GateRecord("minimum", True, 0.8, 0.7)])
            path = bundle.relative_to(project.state).as_posix()
            ledger.add_version(f"r{number}", digest, path)
            ledger.link_version(number, str(number))
        ledger.deploy(1, expected_previous=None, by="run", reason="first", run_id="r1")
    return tmp_path


def opened(folder: Path) -> Project:
    return load_project(folder, variables={})


def at(moment: datetime) -> dict[str, str]:
    return {clock.VARIABLE: clock.describe(moment, 1.0)}


def serve(folder: Path, since: datetime, days: float, rows: int = 3000) -> None:
    """What both answer and what became of it: version 1 is right at 60 %, version 2 at 75 %."""
    project, rng = opened(folder), np.random.default_rng(7)
    with project.open_ledger() as ledger:
        traffic = ledger.traffic()
    assert traffic is not None
    router = Router(traffic)
    moments = [since + timedelta(days=float(gap)) for gap in np.sort(rng.uniform(0.01, days, rows))]
    ids = [f"{since:%d%H}{place:06d}" for place in range(rows)]
    arms = [router.pick(own) for own in ids]
    truth = rng.random(rows) < 0.4
    right = rng.random(rows) < np.array([0.6 if arm.version == 1 else 0.75 for arm in arms])
    said = np.where(right, truth, ~truth)
    names = ["no", "yes"]
    frame = pl.DataFrame(
        {
            "prediction_id": ids,
            "at": moments,
            "version": [arm.version for arm in arms],
            "arm": [arm.name for arm in arms],
            "entity": [None] * rows,
            "label": [json.dumps(names[int(each)]) for each in said],
            "scores": [[1.0 - each, float(each)] for each in said],
            "features": ["{}"] * rows,
            "micros": [2000] * rows,
            "of": [None] * rows,
            "request": ids,
        },
        schema=dict(PREDICTIONS),
    )
    when = [moment + timedelta(minutes=5) for moment in moments]
    labels = pl.DataFrame(
        {
            "key": ids,
            "at": when,
            "label": [json.dumps(names[int(each)]) for each in truth],
            "prediction_id": ids,
            "entity": [None] * rows,
            "time": [None] * rows,
            "observed": when,
            "source": ["api"] * rows,
        },
        schema=dict(FEEDBACK),
    )
    lake = project.open_lake()
    for table, made in (("predictions", frame), ("feedback", labels)):
        dated = made.with_columns(pl.col("at").dt.date().alias("day"))
        write_deltalake(lake.place(table), dated, mode="append", partition_by=["day"])


def test_an_experiment_from_its_plan_to_its_winner(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    driver: Driver,
) -> None:
    serve(folder, LATER - timedelta(days=10), 9.5)
    asked = ("experiment", "create", "bolder", "--b", "2", "--days", "8", "--margin", "0.1")
    planned = driver.ratchet(*asked, "--dry-run", cwd=folder, **at(LATER))
    assert planned.code == 0, planned.err
    assert "To see a difference of 0.1 in accuracy (the champion has 0.5" in planned.out
    begun = driver.ratchet(*asked, "--json", cwd=folder, **at(LATER)).data
    power = begun["power"]
    assert begun["experiment"]["share"] == 50.0
    assert power["needed"] < power["expected"]

    refused = driver.ratchet(
        "experiment", "create", "other", "--b", "2", "--json", cwd=folder, **at(LATER)
    )
    assert (refused.code, refused.error["code"]) == (5, "experiment_in_progress")
    assert "bolder" in refused.error["what"]

    serve(folder, LATER, 7.4)
    moved = at(LATER + timedelta(days=7.5))
    monkeypatch.setenv(clock.VARIABLE, moved[clock.VARIABLE])
    project = opened(folder)
    with project.open_ledger() as ledger:
        early = driver.ratchet("experiment", "apply", "bolder", "--json", cwd=folder, **moved)
        assert (early.code, early.error["code"]) == (5, "not_proven")
        look = experimenting.advance(project, ledger)
        assert look is not None
        assert (look.did, look.experiment.verdict) == ("decided", "better")
        assert experimenting.advance(project, ledger) is None
        place = experimenting.report_place(project, look.experiment)
        page = Page(place.read_text(encoding="utf-8"))
        told = " ".join(page.texts)
        assert "Version 2 is better" in told
        assert "Who came" in told
        assert not [name for name, _ in page.tags if name == "script"]
        plan, _ = experimenting.apply_winner(
            project, ledger, look.experiment, by="me", dry_run=True
        )
        assert not plan.forced
        made, _ = experimenting.apply_winner(project, ledger, look.experiment, by="me")
        assert made.steps == plan.steps
        champion = ledger.champion()
        assert champion is not None
        assert champion.version == 2
        assert ledger.experiment("bolder").status == "applied"
        assert "experiment bolder: version 2 is better" in made.reason
        assert ledger.verify_chain().intact


def test_an_experiment_without_a_name_gets_one(folder: Path, driver: Driver) -> None:
    asked = ("--a", "champion", "--b", "churn:2", "--split", "0.5", "--metric", "accuracy")
    for name in ("a1-b2", "a1-b2-2"):
        begun = driver.ratchet(
            "experiment", "create", *asked, "--days", "14", "--json", cwd=folder, **at(LATER)
        )
        assert begun.code == 0, begun.err
        assert begun.data["experiment"]["name"] == name
        stopped = driver.ratchet("experiment", "stop", name, cwd=folder, **at(LATER))
        assert stopped.code == 0, stopped.err


def test_a_dry_run_refuses_what_a_watched_version_refuses(folder: Path, driver: Driver) -> None:
    with opened(folder).open_ledger() as ledger:
        now = ledger.traffic()
        assert now is not None
        ledger.set_traffic(
            now.arms, kind="plain", shadow=(2,), by="me", reason="watched", expected_seq=now.seq
        )
    for more in ((), ("--dry-run",)):
        done = driver.ratchet("experiment", "create", "x", "--b", "2", *more, "--json", cwd=folder)
        assert (done.code, done.error["code"]) == (5, "traffic_split")


def test_what_is_no_experiment_is_said_plainly(folder: Path, driver: Driver) -> None:
    for arguments, code in (
        (("show",), "no_experiment"),
        (("stop", "none"), "no_experiment"),
        (("create", "x", "--b", "champion"), "already_champion"),
        (("create", "x", "--b", "1", "--dry-run"), "already_champion"),
        (("create", "x", "--b", "2", "--metric", "squared_error"), "unknown_metric"),
        (("create", "x", "--b", "2", "--window", "soon"), None),
    ):
        done = driver.ratchet("experiment", *arguments, "--json", cwd=folder)
        assert done.code == 2, done.out
        if code is not None:
            assert done.error["code"] == code
