"""What a model decides and says: thresholds, reasons, the run's page, and who is tested on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ratchet
from forked_ratchet import Driver
from project_state import give_tracking, kept
from ratchet_cli import customers, small_project


def _run(driver: Driver, folder: Path, *settings: str, code: int = 0) -> dict[str, Any]:
    assignments = [word for setting in settings for word in ("--set", setting)]
    result = driver.ratchet("run", "--project", folder, "--json", *assignments)
    assert result.code == code, result.out
    return result.data


def _left(folder: Path, data: dict[str, Any], step: str) -> Path:
    return folder / ".ratchet" / "runs" / data["run_id"] / step


def _predict(driver: Driver, folder: Path, data: Path, out: Path, *options: object) -> pl.DataFrame:
    result = driver.ratchet(
        "predict", "--project", folder, "--data", data, "--out", out, *options, "--json"
    )
    assert result.code == 0, result.out
    return pl.read_csv(out)


@pytest.fixture
def project(tracking: Path, tmp_path: Path) -> Path:
    return give_tracking(small_project(tmp_path / "small", rows=600), tracking)


# -- from which score on -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "low", "high"),
    [
        ("{maximize: f1}", 0.1, 0.6),
        ("{cost: {false_positive: 1, false_negative: 5}}", 0.05, 0.45),
        ("{precision: 0.8}", 0.5, 1.0),
    ],
    ids=["f1", "cost", "precision"],
)
def test_a_threshold_decides_everywhere_alike(
    threshold: str, low: float, high: float, project: Path, driver: Driver, tmp_path: Path
) -> None:
    data = _run(driver, project, f"training.threshold={threshold}")
    assert data["outcome"] == "promoted", data["reason"]
    model = ratchet.Model.load(data["model"]["bundle"])
    assert low < model.threshold < high
    assert model.threshold != 0.5
    # As the test rows were judged,
    judged = pl.read_parquet(_left(project, data, "evaluate") / "predictions.parquet")
    decided = (judged["probability_yes"] >= model.threshold).to_numpy()
    true = (judged["label"] == "yes").to_numpy()
    measured = json.loads((_left(project, data, "evaluate") / "metrics.json").read_text())
    confusion = [[int(((true == t) & (decided == d)).sum()) for d in (0, 1)] for t in (0, 1)]
    assert measured["confusion"] == confusion
    assert data["metrics"]["accuracy"] == pytest.approx((decided == true).mean())
    # by the command line,
    scored = _predict(driver, project, project / "data.csv", tmp_path / "scores.csv")
    of_test = judged.select("customer").join(scored, on="customer", maintain_order="left")
    assert of_test["prediction"].to_list() == np.where(decided, "yes", "no").tolist()
    # in Python, and through MLflow.
    table = pl.read_csv(project / "data.csv").drop("churn")
    assert model.predict(table).labels == scored["prediction"].to_list()
    (through,) = driver.call(
        *("project_state:score_by_mlflow", data["model"]["uri"], project / "data.csv"),
        MLFLOW_TRACKING_URI=f"sqlite:///{project}/.ratchet/mlflow.db",
    )
    assert through.data["prediction"] == scored["prediction"].to_list()
    # Both say so to people, with a digit less than would be needed to round alike.
    digits = str(model.threshold)[:4]
    assert digits in (Path(data["model"]["bundle"]) / "card.md").read_text(encoding="utf-8")
    assert f"from a score of {digits}" in re.sub("<[^>]+>", "", Path(data["report"]).read_text())


# -- why -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(
    driver: Driver, tracking: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A project whose first version serves. To be copied, not changed."""
    folder = small_project(tmp_path_factory.mktemp("trained") / "small", rows=600)
    give_tracking(folder, tracking)
    data = _run(driver, folder)
    assert data["outcome"] == "promoted", data["reason"]
    return folder, data


def test_scores_come_with_their_reasons(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    folder, _ = trained
    new = tmp_path / "new.csv"
    new.write_text(customers(40, start=2_000), encoding="utf-8")
    plain = _predict(driver, folder, new, tmp_path / "plain.csv")
    assert plain.columns == ["customer", "prediction", "probability_no", "probability_yes"]
    told = _predict(driver, folder, new, tmp_path / "told.csv", "--explain", "--reasons", 2)
    assert told.columns == [*plain.columns, "reason_1", "effect_1", "reason_2", "effect_2"]
    assert told.select(plain.columns).equals(plain)
    assert (told["effect_1"].abs() >= told["effect_2"].abs()).all()
    rows = pl.read_csv(new)
    for row, reason, effect in zip(
        rows.iter_rows(named=True), told["reason_1"], told["effect_1"], strict=True
    ):
        name, _, rest = reason.partition(" = ")
        assert name in ("tenure", "charges", "contract", "support")
        assert rest.startswith(f"{row[name]} ") or not isinstance(row[name], str)
        assert ("raises" in rest) == (effect > 0)
    # The truth of the table: long contracts and long customers stay.
    month = told.filter(pl.col("reason_1").str.starts_with("contract = month"))
    assert month.height == 0 or (month["effect_1"] > 0).all()
    # Ten rows are a table like any other, and one more.
    for few in (1, 3):
        short = tmp_path / f"{few}.csv"
        short.write_text("\n".join(new.read_text().splitlines()[: few + 1]) + "\n")
        again = _predict(driver, folder, short, tmp_path / "again.csv", "--explain", "--reasons", 2)
        assert again["reason_1"].to_list() == told["reason_1"].to_list()[:few]


def test_more_reasons_than_columns_leave_the_rest_empty(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    folder, _ = trained
    data = folder / "data.csv"
    told = _predict(driver, folder, data, tmp_path / "s.csv", "--explain", "--reasons", 6)
    assert told["reason_4"].null_count() < told.height
    assert told["reason_5"].null_count() == told["effect_6"].null_count() == told.height
    refused = driver.ratchet(
        "predict", "--project", folder, "--data", data, "--explain", "--reasons", 0
    )
    assert refused.code == 2


# -- the page ------------------------------------------------------------------------------


def _page(data: dict[str, Any]) -> str:
    page = Path(data["report"]).read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert not re.search(r"@import|url\((?!['\"]?(data:|#))", page)
    assert data["run_id"] in page
    assert data["outcome"] in page.lower()
    return page


def test_a_run_leaves_a_page_that_needs_nothing_else(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    folder, data = trained
    page = _page(data)
    for words in (
        "tenure",
        "Logistic regression",
        "10 of 10",
        "<svg",
        data["model"]["digest"][:12],
    ):
        assert words in page
    assert f"{data['metrics']['roc_auc']:.3f}" in page
    copy = Path(shutil.copytree(folder, tmp_path / "small"))
    skipped = driver.ratchet("run", "--project", copy, "--json").data
    assert (skipped["outcome"], skipped["report"]) == ("skipped", None)
    # For people, the last lines say where it is.
    strict = ("--set", "gates.minimum.roc_auc=0.99")
    shown = driver.ratchet("run", "--project", copy, *strict)
    assert shown.code == 3
    (line,) = [line for line in shown.out.splitlines() if "report.html" in line and "/" in line]
    rejected = driver.ratchet("show", "last", "--project", copy, "--json").data["summary"]
    assert line.split() == ["report", rejected["report"]]
    assert "minimum.roc_auc" in _page(rejected)


def test_what_got_nowhere_has_a_page_too(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path, driver: Driver
) -> None:
    folder = Path(shutil.copytree(trained[0], tmp_path / "small"))
    text = (folder / "data.csv").read_text(encoding="utf-8")
    (folder / "data.csv").write_text(text.replace(",yes\n", ",no\n"), encoding="utf-8")
    bad = _run(driver, folder, code=3)
    assert bad["outcome"] == "rejected"
    assert "churn" in _page(bad)
    (folder / "data.csv").write_text(text, encoding="utf-8")
    broken = driver.ratchet(
        *("run", "--project", folder, "--json", "--force"),
        *("--set", "training.algorithms={nb: {class: sklearn.naive_bayes.CategoricalNB}}"),
    )
    assert not broken.json["ok"]
    failed = driver.ratchet("show", "last", "--project", folder, "--json").data["summary"]
    assert failed["outcome"] == "failed"
    assert failed["error"]["what"] in _page(failed)


# -- the table's own split -----------------------------------------------------------------


def test_a_column_says_which_rows_are_tested_on(
    tracking: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = give_tracking(small_project(tmp_path / "small", rows=600), tracking)
    table = pl.read_csv(folder / "data.csv").with_row_index()
    part = pl.when(pl.col("index") % 4 == 0).then(pl.lit("test"))
    part = (
        part.when(pl.col("index") % 10 == 1).then(pl.lit("validation")).otherwise(pl.lit("train"))
    )
    table = table.with_columns(part.alias("part")).drop("index")
    table.write_csv(folder / "data.csv")
    data = _run(driver, folder, "data.split.column=part")
    assert data["outcome"] == "promoted", data["reason"]
    facts = json.loads((_left(folder, data, "split") / "facts.json").read_text())
    counts = dict(table["part"].value_counts().iter_rows())
    assert facts["rows"] == counts
    judged = pl.read_parquet(_left(folder, data, "evaluate") / "predictions.parquet")
    tested = table.filter(pl.col("part") == "test")["customer"]
    assert judged["customer"].to_list() == tested.to_list()
    model = ratchet.Model.load(data["model"]["bundle"])
    assert [column.name for column in model.signature.inputs] == [
        *("tenure", "charges", "contract", "support")
    ]
    assert all("validation" in one["test"] or one["test"] for one in data["candidates"])
    # Rows without a part, or of a part that is none.
    for wrong in ("holdout", None):
        odd = pl.when(pl.col("customer") == "C000009").then(pl.lit(wrong)).otherwise("part")
        table.with_columns(odd.alias("part")).write_csv(folder / "data.csv")
        refused = driver.ratchet(
            "run", "--project", folder, "--json", "--set", "data.split.column=part"
        )
        assert refused.code == 3, refused.out
        assert "part" in refused.out
    assert kept(folder).champion == 1
