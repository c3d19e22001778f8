"""``ratchet backtest`` as a person uses it, on generated months whose concept changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forked_ratchet import Driver
from html_reader import Page
from ratchet.data.scenarios import Scenario, make_table

PROJECT = """\
project: churn
data:
  source: {type: csv, path: history.csv}
  target: churned
  id: customer_id
  time: snapshot_date
training:
  algorithms: {logistic_regression: {}}
  tuning: "off"
"""
WATCHFUL = """\
name: watchful
triggers:
  performance: {}
  new_rows: null
  max_age: null
  drift: null
  estimated: null
  follow_up: {rows: 30%}
gates: {champion: {margin: 0.01}}
"""
LAZY = "triggers: {performance: null, new_rows: null, max_age: null, drift: null}\n"
PACE = ("--period", "15d", "--delay", "5d")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backtest")
    make_table(Scenario(rows=500, drift_month=7), 14).write_csv(folder / "history.csv")
    (folder / "ratchet.yaml").write_text(PROJECT, encoding="utf-8")
    (folder / "watchful.yaml").write_text(WATCHFUL, encoding="utf-8")
    (folder / "lazy.yaml").write_text(LAZY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def told(project: Path, driver: Driver):
    policies = ("--policy", project / "watchful.yaml", project / "lazy.yaml")
    return driver.ratchet(
        "backtest", "--data", project / "history.csv", *policies, *PACE,
        "--out", project / "report.html", "--project", project, "--json",
    ).data  # fmt: skip


def test_the_change_is_found_and_the_watchful_policy_recommended(told) -> None:
    lines = {line["name"]: line for line in told["policies"]}
    assert list(lines) == ["watchful", "lazy", "never", "every period", "every period, gated"]
    watchful, never, every = (lines[n] for n in ("watchful", "never", "every period"))
    assert told["recommendation"]["policy"] == "watchful"
    assert 0 < watchful["retrainings"] <= every["retrainings"] / 2
    assert watchful["promotions"] >= 1
    first = min(run["at"] for run in watchful["runs"])
    assert first >= "2025-08-01"
    assert watchful["metric"] > never["metric"] + 0.02
    assert lines["lazy"]["retrainings"] == 0
    assert told["oracle"][0]["loss"] == never["loss"]
    assert told["no_change"]["commonest"] > 0.5
    assert told["rows"] == 7000


def test_the_page_holds_what_was_found(project: Path, told) -> None:
    text = (project / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    for said in ("watchful", "every period", "Best in hindsight", "came to serve"):
        assert said in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "<script" not in text
    assert page is not None


def test_without_policies_the_usual_ones_are_compared_with_what_is_kept(
    project: Path, driver: Driver
) -> None:
    # The same rows and recipe: nothing is trained again.
    done = driver.ratchet("backtest", *PACE, cwd=project)
    assert done.code == 0, done.err
    for said in ("default", "falling quality", "monthly", "never", "recommended:", "last label"):
        assert said in done.out
    again = driver.ratchet("backtest", *PACE, "--json", cwd=project).data
    assert again["trained"] == 0
    assert not (project / ".ratchet" / "ledger.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "none.csv"), "no file none.csv"),
        (("--policy", "none.yaml"), "no policy file none.yaml"),
        (("--policy", "ratchet.yaml"), "unknown"),
        (("--period", "often"), "--period"),
        (("--delay", "late"), "--delay"),
        (("--period", "200d"), "periods are left"),
        (("--out", "report.txt"), "report.txt"),
    ],
)
def test_what_is_wrong_is_said(
    project: Path, arguments: tuple[str, ...], said: str, driver: Driver
) -> None:
    done = driver.ratchet("backtest", *arguments, "--json", cwd=project)
    assert done.code in (2, 3, 4)
    assert said in json.dumps(done.error).lower()
    assert done.error["fix"]
