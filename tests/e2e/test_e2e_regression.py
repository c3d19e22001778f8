"""A number instead of a class, from ``init`` to scores; and more than two classes as before."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ratchet
from forked_ratchet import Driver
from project_state import give_tracking, kept
from ratchet_cli import Result, add_rows, houses

QUICK = "  algorithms: {ridge: {}, lightgbm: {n_estimators: 60}}\n  tuning: {folds: 3, trials: 0}"


@pytest.fixture(scope="module", autouse=True)
def _drawn(driver: Driver) -> Iterator[None]:
    """With their plots, which other runs of these tests leave out."""
    driver.drawn = True
    yield
    driver.drawn = False


def _started(driver: Driver, folder: Path, table: str, target: str, *options: str) -> Result:
    """``init`` beside the table; then little is trained, and nothing is searched for."""
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text(table, encoding="utf-8")
    begun = driver.ratchet(
        *("init", "--data", "data.csv", "--target", target, *options, "--json"), cwd=folder
    )
    file = folder / "ratchet.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  algorithms:"))
    assert "tuning: {time:" in lines[at + 1]
    lines[at : at + 2] = QUICK.splitlines()
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return begun


def _gate(data: dict[str, object], name: str) -> dict[str, object]:
    gates = data["gates"]
    assert isinstance(gates, list)
    return next(gate for gate in gates if gate["name"] == name)


@pytest.fixture(scope="module")
def trained(
    driver: Driver, tracking: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Result, Result]:
    """A project on house prices, what ``init`` said and the first run. To be copied."""
    folder = tmp_path_factory.mktemp("houses") / "prices"
    begun = _started(driver, folder, houses(600), "price", "--id", "house")
    give_tracking(folder, tracking)
    return folder, begun, driver.ratchet("run", "--project", folder, "--json")


@pytest.fixture
def project(trained: tuple[Path, Result, Result], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[0], tmp_path / "prices"))


def test_init_sees_that_the_target_is_a_number(trained: tuple[Path, Result, Result]) -> None:
    folder, begun, _ = trained
    assert begun.data["task"] == "regression"
    text = (folder / "ratchet.yaml").read_text(encoding="utf-8")
    assert "  task: regression\n" in text
    assert "positive" not in text


def test_the_first_model_is_promoted_and_measured_in_the_targets_unit(
    trained: tuple[Path, Result, Result],
) -> None:
    folder, _, first = trained
    data = first.data
    assert data["outcome"] == "promoted", data["reason"]
    assert data["metric"] == "rmse"
    assert set(data["metrics"]) >= {"rmse", "mae", "r2"}
    assert not {"accuracy", "roc_auc", "log_loss"} & set(data["metrics"])
    # The noise of the prices has a deviation of 15,000: nothing can do better.
    assert 12_000 < data["metrics"]["mae"] * 1.25 < data["metrics"]["rmse"] * 1.25 < 25_000
    assert data["metrics"]["r2"] > 0.9
    for candidate in data["candidates"]:
        assert candidate["status"] == "ok"
        assert set(candidate["cv"]) >= {"rmse", "mae", "r2"}
        assert candidate["cv"]["rmse"][0] == pytest.approx(
            np.mean([fold["rmse"] for fold in candidate["folds"]])
        )
    best = next(one for one in data["candidates"] if one["name"] == data["best"])
    assert best["cv"]["rmse"][0] == min(one["cv"]["rmse"][0] for one in data["candidates"])
    assert _gate(data, "above_chance")["passed"]
    assert kept(folder).champion == 1


def test_unchanged_rows_are_skipped_and_more_rows_are_compared(
    project: Path, trained: tuple[Path, Result, Result], driver: Driver
) -> None:
    again = driver.ratchet("run", "--project", project, "--json").data
    assert again["outcome"] == "skipped"
    assert trained[2].data["run_id"] in again["reason"]
    add_rows(project / "data.csv", houses(600, start=600))
    more = driver.ratchet("run", "--project", project, "--json").data
    assert more["outcome"] in ("promoted", "rejected"), more["reason"]
    assert more["champion"]["version"] == 1
    assert more["comparison"]["metric"] == "rmse"
    # Better is positive, though the metric is an error.
    assert more["comparison"]["difference"] == pytest.approx(
        more["comparison"]["old"] - more["comparison"]["new"]
    )
    assert more["comparison"]["new"] <= more["metrics"]["rmse"] * 2
    assert "RMSE" in _gate(more, "champion")["reason"]
    if more["outcome"] == "rejected":
        assert "champion" in more["reason"]


def test_estimates_come_with_an_interval_that_holds(
    project: Path, trained: tuple[Path, Result, Result], driver: Driver
) -> None:
    text = houses(800, start=5_000)
    (project / "new.csv").write_text(text, encoding="utf-8")
    out = project / "scores.csv"
    scored = driver.ratchet(
        *("predict", "--project", project, "--data", project / "new.csv", "--out", out, "--json")
    )
    assert scored.data["rows"] == 800
    found, new = pl.read_csv(out), pl.read_csv(project / "new.csv")
    assert found.columns == ["house", "prediction", "prediction_low", "prediction_high"]
    assert found["house"].equals(new["house"])
    error = (found["prediction"] - new["price"]).to_numpy()
    assert math.sqrt(np.mean(error**2)) < 1.25 * trained[2].data["metrics"]["rmse"]
    inside = new["price"].is_between(found["prediction_low"], found["prediction_high"])
    # Nine of ten, give or take what 600 rows know of it.
    assert 0.82 < inside.mean() < 0.97
    bundle = ratchet.Model.load(project / trained[2].data["model"]["bundle"])
    again = bundle.predict(new.drop("price"))
    assert np.abs(again.values - found["prediction"].to_numpy()).max() < 1e-6
    one = bundle.predict(new.drop("price").row(3, named=True))
    assert one.labels == pytest.approx([found["prediction"][3]])


def test_the_ci_gate_knows_errors(project: Path, driver: Driver) -> None:
    def validate(*options: object) -> Result:
        return driver.ratchet("validate-model", "--project", project, *options, "--json")

    least = ("--min-r2", 0.8, "--max-rmse", 25_000)
    good = validate(*least, "--output-file", project / "report.json")
    assert good.code == 0
    assert good.data["passed"]
    assert json.loads((project / "report.json").read_text()) == good.data
    assert {result["name"] for result in good.data["results"]} == {"minimum.r2", "minimum.rmse"}
    bad = validate("--max-rmse", 5_000)
    assert bad.code == 3
    assert not bad.data["passed"]
    (project / "fresh.csv").write_text(houses(300, start=9_000), encoding="utf-8")
    fresh = validate(*least, "--data", project / "fresh.csv")
    assert fresh.code == 0, fresh.out
    assert fresh.data["measured_on"] == "300 rows of fresh.csv"
    assert fresh.data["metrics"]["rmse"] == pytest.approx(good.data["metrics"]["rmse"], rel=0.25)
    # The same through the project's own settings, on the screen.
    shown = driver.ratchet(
        *("validate-model", "--project", project, "--set", "gates.minimum={rmse: 25000}")
    )
    assert shown.code == 0
    assert "25,000" in shown.out


def test_the_screen_shows_errors_not_ranks(project: Path, driver: Driver) -> None:
    told = "\n".join(
        driver.ratchet(*command, "--project", project).out
        for command in (("show", "last"), ("runs",), ("models",))
    )
    assert "rmse" in told
    assert "roc_auc" not in told


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("training.metric=roc_auc", ("roc_auc", "regression")),
        ("gates.minimum={roc_auc: 0.7}", ("roc-auc|roc_auc", "regression|task")),
        ("training.algorithms={logistic_regression: {}}", ("logistic_regression", "regression")),
        ("training.threshold={maximize: f1}", ("training.threshold", "regression")),
        ("training.calibration=isotonic", ("training.calibration", "regression")),
        ("training.class_weight=balanced", ("class_weight|class weights", "number")),
    ],
)
def test_what_only_classes_have_is_refused(
    setting: str, words: tuple[str, ...], project: Path, driver: Driver
) -> None:
    before = kept(project)
    result = driver.ratchet("run", "--project", project, "--set", setting, "--json")
    assert result.code in (3, 4), result.out
    for word in words:
        assert re.search(word, result.out.lower()), result.out
    assert kept(project).champion == before.champion == 1


def test_classes_for_a_project_that_estimates_and_the_other_way_round(
    project: Path, driver: Driver
) -> None:
    """The champion speaks of another task: said, and not compared."""
    header, *rows = (project / "data.csv").read_text(encoding="utf-8").splitlines()
    split = [row.rpartition(",") for row in rows]
    banded = [f"{row},{'dear' if int(price) > 300_000 else 'cheap'}" for row, _, price in split]
    (project / "data.csv").write_text("\n".join([header, *banded]) + "\n", encoding="utf-8")
    wrong = driver.ratchet("run", "--project", project, "--json")
    assert wrong.code == 3, wrong.out
    assert "price" in wrong.out
    result = driver.ratchet(
        *("run", "--project", project, "--json", "--set", "data.task=binary"),
        *("--set", "data.columns.price=string", "--set", "data.positive=dear"),
        *("--set", "checks.columns=warn"),
        *("--set", "training.algorithms={logistic_regression: {}}"),
    )
    assert result.code == 3
    assert "estimates numbers" in _gate(result.data, "champion")["reason"]


def test_diabetes(driver: Driver, tracking: Path, tmp_path: Path) -> None:
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(scaled=False)
    names = [*raw.feature_names, "progression"]
    table = pl.DataFrame(np.column_stack([raw.data, raw.target]), schema=names, orient="row")
    folder = tmp_path / "diabetes"
    begun = _started(driver, folder, table.write_csv(), "progression")
    assert begun.data["task"] == "regression"
    give_tracking(folder, tracking)
    data = driver.ratchet("run", "--project", folder, "--json").data
    assert data["outcome"] == "promoted", data["reason"]
    # Textbooks reach about 0.5 and 54.
    assert data["metrics"]["r2"] > 0.35
    assert data["metrics"]["rmse"] < 64


def test_three_classes(driver: Driver, tracking: Path, tmp_path: Path) -> None:
    frame = pl.read_csv(houses(500).encode())
    price = pl.col("price")
    band = pl.when(price < 180_000).then(pl.lit("low")).when(price < 260_000)
    named = band.then(pl.lit("middle")).otherwise(pl.lit("high")).alias("band")
    table = frame.with_columns(named).drop("price").write_csv()
    folder = tmp_path / "bands"
    begun = _started(driver, folder, table, "band", "--id", "house")
    assert begun.data["task"] == "multiclass"
    give_tracking(folder, tracking)
    file = folder / "ratchet.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("ridge", "logistic_regression"), encoding="utf-8")
    data = driver.ratchet("run", "--project", folder, "--json").data
    assert data["outcome"] == "promoted", data["reason"]
    assert data["metric"] == "log_loss"
    assert data["metrics"]["accuracy"] > 0.8
    out = folder / "scores.csv"
    driver.ratchet("predict", "--project", folder, "--data", folder / "data.csv", "--out", out)
    found = pl.read_csv(out)
    scores = found.select("probability_high", "probability_low", "probability_middle")
    assert np.abs(scores.sum_horizontal().to_numpy() - 1).max() < 1e-9
    likeliest = scores.to_numpy().argmax(axis=1)
    names = [name.removeprefix("probability_") for name in scores.columns]
    assert found["prediction"].to_list() == [names[place] for place in likeliest]
    assert (found["prediction"] == pl.read_csv(folder / "data.csv")["band"]).mean() > 0.8
