"""The search: the same again, within its time, killed and gone on with; and what it ships."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ratchet
from forked_ratchet import Driver
from project_state import ask, give_tracking, kept
from ratchet_cli import signals, small_project

TWO = "training.algorithms={logistic_regression: {}, lightgbm: {n_estimators: 40}}"

SIGNALS = """\
project: signals
data: {source: {type: csv, path: data.csv}, target: y, positive: "yes", id: id}
training:
  algorithms: {logistic_regression: {}, lightgbm: {}, extra_trees: {n_estimators: 100}}
  tuning: {folds: 4, trials: 0}
gates: {budget: {latency_p95: 500ms, memory: 2GB}}
"""


@pytest.fixture
def project(tracking: Path, tmp_path: Path) -> Path:
    return give_tracking(small_project(tmp_path / "small", rows=400), tracking)


def _searched(driver: Driver, folder: Path, tuning: str, *options: object) -> dict[str, Any]:
    result = driver.ratchet(
        *("run", "--project", folder, "--json", "--set", TWO, *options),
        *("--set", f"training.tuning={tuning}"),
    )
    assert result.code == 0, result.out
    return result.data


def _trials(folder: Path, run_id: str) -> list[dict[str, Any]]:
    trials = (folder / ".ratchet" / "runs" / run_id / "train" / "_trials.json").read_text()
    return list(json.loads(trials))


def test_the_same_search_gives_the_same_bundle(
    project: Path, tracking: Path, tmp_path: Path, driver: Driver
) -> None:
    other = give_tracking(small_project(tmp_path / "other", rows=400), tracking)
    runs = [_searched(driver, folder, "{trials: 6, folds: 3}") for folder in (project, other)]
    assert [run["outcome"] for run in runs] == ["promoted"] * 2
    first, second = _trials(project, runs[0]["run_id"]), _trials(other, runs[1]["run_id"])
    assert len(first) == 6
    assert [trial["number"] for trial in first] == [1, 2, 3, 4, 5, 6]
    assert {trial["origin"] for trial in first} > {"defaults"}
    volatile = ("seconds", "started")
    for one, two in zip(first, second, strict=True):
        assert {k: v for k, v in one.items() if k not in volatile} == {
            k: v for k, v in two.items() if k not in volatile
        }
    assert runs[0]["model"]["digest"] == runs[1]["model"]["digest"]
    assert sum(candidate["trials"] for candidate in runs[0]["candidates"]) == 6
    # What was found is what was trained: its own parameters are the candidate's.
    for candidate in runs[0]["candidates"]:
        assert candidate["tuned"].items() <= candidate["params"].items()


def test_the_time_is_kept_and_every_trial_told(project: Path, driver: Driver) -> None:
    data = _searched(driver, project, "{time: 10s, folds: 3}")
    # A run that nobody disturbs takes at most 11 s; here others may use the same cores.
    assert data["seconds"] < 3 * 10
    trials = _trials(project, data["run_id"])
    assert {trial["candidate"] for trial in trials} == {"logistic_regression", "lightgbm"}
    assert {trial["status"] for trial in trials} <= {"finished", "pruned", "stopped"}
    finished = [trial for trial in trials if trial["status"] == "finished"]
    assert all(len(trial["folds"]) == 3 and trial["mean"] is not None for trial in finished)
    best = next(one for one in data["candidates"] if one["name"] == data["best"])
    if finished and best["cv"] and data["best"] != "ensemble":
        assert best["cv"]["roc_auc"][0] == pytest.approx(max(trial["mean"] for trial in finished))
    page = Path(data["report"]).read_text(encoding="utf-8")
    assert f"{len(trials)} trials" in page or f"{len(trials)} configurations" in page


@pytest.mark.parametrize("tuning", ["{trials: 9, folds: 3}", "{time: 20s, trials: 9, folds: 3}"])
def test_a_search_killed_in_its_middle_goes_on(tuning: str, project: Path, driver: Driver) -> None:
    died = driver.ratchet(
        *("run", "--project", project, "--json", "--set", TWO),
        *("--set", f"training.tuning={tuning}"),
        kill={
            "call": "ratchet.training.search.store:OptunaStore.save", "when": "after", "nth": 5
        },
    )  # fmt: skip
    assert died.code == -signal.SIGKILL
    assert kept(project).ledger == ()
    stored = ask(
        project / ".ratchet" / "ledger.db",
        "select value_json from trial_user_attributes where key = 'ratchet'",
    )
    before = [json.loads(json.loads(str(value))) for (value,) in stored]
    assert len(before) >= 4  # the fifth may not have been written for good
    data = _searched(driver, project, tuning)
    assert data["outcome"] == "promoted"
    after = _trials(project, data["run_id"])
    # What comes first may differ when time decides, and with it the numbers.
    told = [{**trial, "number": 0} for trial in after]
    for trial in before:
        assert {**trial, "number": 0} in told
    assert len(after) <= 9 + 2  # two were at work when it died
    if "time" not in tuning:
        assert len({json.dumps([t["candidate"], t["tuned"]], sort_keys=True) for t in after}) >= 9
    state = kept(project)
    assert len(state.ledger) == len(state.mlflow) == 1
    runs = ask(project / ".ratchet" / "ledger.db", "select run_id, status from ratchet_runs")
    assert len(runs) == 1


# -- what is shipped -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def blended(
    driver: Driver, tracking: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A project whose first model is an ensemble. To be copied."""
    folder = tmp_path_factory.mktemp("blended") / "signals"
    folder.mkdir()
    (folder / "data.csv").write_text(signals(800), encoding="utf-8")
    (folder / "ratchet.yaml").write_text(SIGNALS, encoding="utf-8")
    give_tracking(folder, tracking)
    data = driver.ratchet("run", "--project", folder, "--json").data
    assert data["outcome"] == "promoted", data["reason"]
    return folder, data


def test_an_ensemble_is_one_model(
    blended: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    folder, data = blended
    assert data["best"] == "ensemble", [one["cv"] for one in data["candidates"]]
    own = next(one for one in data["candidates"] if one["name"] == "ensemble")
    weights = own["params"]["weights"]
    assert len(weights) >= 2
    assert sum(weights.values()) == pytest.approx(1)
    run = folder / ".ratchet" / "runs" / data["run_id"]
    parts = json.loads((Path(data["model"]["bundle"]) / "composition.json").read_text())["members"]
    assert {part["name"]: part["weight"] for part in parts} == pytest.approx(weights)
    # What was judged on the test rows is what answers now, in one call.
    judged = pl.read_parquet(run / "evaluate" / "predictions.parquet")
    out = tmp_path / "scores.parquet"
    driver.ratchet(
        "predict", "--project", folder, "--data", folder / "data.csv", "--out", out, "--json"
    )
    found = judged.join(pl.read_parquet(out), on="id", suffix="_served", maintain_order="left")
    assert found.height == judged.height > 100
    gap = (found["probability_yes"] - found["probability_yes_served"]).abs().max()
    assert gap < 1e-9
    table = pl.read_csv(folder / "data.csv").drop("y")
    model = ratchet.Model.load(data["model"]["bundle"])
    rows = judged.select("id").join(table, on="id", maintain_order="left")
    scores = model.score(rows)
    assert np.abs(scores[:, 1] - judged["probability_yes"].to_numpy()).max() < 1e-9
    alone = model.predict(rows.row(7, named=True))
    assert np.abs(alone.scores[0] - scores[7]).max() < 1e-9
    # Better on rows that nobody chose by: the gate measured it, so does this.
    assert data["metrics"]["roc_auc"] == pytest.approx(own["test"]["roc_auc"])


def test_an_ensemble_can_be_ruled_out(
    blended: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    folder = Path(shutil.copytree(blended[0], tmp_path / "signals"))
    data = driver.ratchet(
        "run", "--project", folder, "--json", "--set", "training.ensemble=false"
    ).data
    assert data["best"] != "ensemble"
    assert "ensemble" not in {one["name"] for one in data["candidates"]}


def test_a_model_over_the_budget_is_passed_over(
    blended: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    """The best is too big to serve: the next one is shipped, and the reason told."""
    folder = Path(shutil.copytree(blended[0], tmp_path / "signals"))
    poor = "logistic_regression: {C: 0.00001}"
    data = driver.ratchet(
        *("run", "--project", folder, "--json", "--set", "gates.budget.size=40KB"),
        *("--set", "training.ensemble=false", "--set", "training.metric=accuracy"),
        *("--set", f"training.algorithms={{random_forest: {{n_estimators: 60}}, {poor}}}"),
    ).data
    by_name = {one["name"]: one["cv"]["accuracy"][0] for one in data["candidates"]}
    assert by_name["random_forest"] > by_name["logistic_regression"]
    assert data["best"] == "logistic_regression"
    gate = next(gate for gate in data["gates"] if gate["name"] == "size")
    assert gate["passed"]
    train = folder / ".ratchet" / "runs" / data["run_id"] / "train" / "facts.json"
    (passed_over,) = json.loads(train.read_text())["passed_over"]
    assert passed_over.startswith("random_forest: the bundle takes")
    assert "more than 40 kB" in passed_over
    told = next(step["detail"] for step in data["steps"] if step["name"] == "train")
    assert passed_over in told
    assert passed_over in Path(data["report"]).read_text(encoding="utf-8")
    # When nothing fits, the gate says so and nothing is promoted.
    none = driver.ratchet(
        *("run", "--project", folder, "--json", "--set", "gates.budget.size=1KB"),
        *("--set", "training.algorithms={logistic_regression: {}}"),
    )
    assert none.code == 3
    assert "size" in none.data["reason"]
    assert kept(folder).champion == 1
