"""Triggers over the command line: what the next tick would do, and one run for one trigger."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from forked_ratchet import Driver
from project_state import ask, give_tracking
from ratchet_cli import add_rows, customers, small_project

TRIGGERS = """\
triggers:
  schedule:
    - {name: nightly, cron: "0 2 * * *", timezone: Europe/Berlin}
    - {name: weekly, cron: "@weekly", set: {training.update: retune}}
  new_rows: 100
  cooldown: null
"""


@pytest.fixture(scope="module")
def trained(driver: Driver, tracking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = small_project(tmp_path_factory.mktemp("triggers") / "small", 300, TRIGGERS)
    give_tracking(folder, tracking)
    planned = driver.ratchet("plan", "--project", folder, "--json").data["tick"]
    assert (planned["verdict"], planned["trigger"]) == ("fire", "first")
    asked = ("--trigger", "first", "--trigger-key", planned["key"])
    ended = driver.ratchet("run", "--project", folder, "--json", *asked).data
    assert (ended["outcome"], ended["trigger"]) == ("promoted", "first")
    assert ended["cpu_seconds"] > 0
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "small"))


def tick(driver: Driver, folder: Path) -> dict:
    return driver.ratchet("plan", "--project", folder, "--json").data["tick"]


def test_the_plan_says_what_each_rule_sees(project: Path, driver: Driver) -> None:
    quiet = tick(driver, project)
    assert (quiet["verdict"], quiet["reason"]) == ("skip", "no rule holds")
    assert {rule["name"] for rule in quiet["rules"]} >= {"new_rows", "nightly", "weekly"}
    add_rows(project / "data.csv", customers(150, start=1000))
    grown = tick(driver, project)
    assert grown["verdict"] == "fire"
    (rule,) = [rule for rule in grown["rules"] if rule["name"] == "new_rows"]
    assert (rule["value"], rule["threshold"], rule["fired"]) == (150, 100, True)
    shown = driver.ratchet("plan", "--project", project).out
    assert "the loop would train: new_rows: 150 new rows" in shown


def test_a_request_is_told_by_the_plan_and_done_once(project: Path, driver: Driver) -> None:
    asked = driver.ratchet("trigger", "--project", project, "--reason", "new prices", "--json")
    planned = tick(driver, project)
    assert (planned["verdict"], planned["key"]) == ("fire", asked.data["key"])
    assert planned["reason"].endswith(": new prices")
    key = ("--trigger", "manual", "--trigger-key", planned["key"])
    done = driver.ratchet("run", "--project", project, "--json", *key)
    assert done.data["outcome"] == "skipped"
    assert tick(driver, project)["verdict"] == "skip"
    again = driver.ratchet("run", "--project", project, "--json", *key)
    assert (again.code, again.error["code"]) == (5, "conflict")


def test_a_trigger_whose_run_was_killed_goes_on_as_the_same_run(
    project: Path, driver: Driver
) -> None:
    add_rows(project / "data.csv", customers(150, start=1000))
    planned = tick(driver, project)
    key = ("--trigger", planned["trigger"], "--trigger-key", planned["key"])
    kill = {"step": "train", "when": "enter"}
    dead = driver.ratchet("run", "--project", project, "--json", *key, kill=kill)
    assert dead.code == -signal.SIGKILL
    left = tick(driver, project)
    assert (left["verdict"], left["key"]) == ("fire", planned["key"])
    ended = driver.ratchet("run", "--project", project, "--json", *key).data
    assert ended["run_id"] == left["resume"]
    rows = ask(
        project / ".ratchet" / "ledger.db",
        f"select outcome, attempts from ratchet_runs where trigger_key = '{planned['key']}'",
    )
    assert len(rows) == 1
    assert rows[0][1] == 2


def test_a_killed_run_whose_data_changed_since_is_followed_by_one_more(
    project: Path, driver: Driver
) -> None:
    add_rows(project / "data.csv", customers(150, start=1000))
    key = ("--trigger", "new_rows", "--trigger-key", "k1")
    kill = {"step": "train", "when": "enter"}
    driver.ratchet("run", "--project", project, "--json", *key, kill=kill)
    add_rows(project / "data.csv", customers(50, start=2000))
    ended = driver.ratchet("run", "--project", project, "--json", *key).data
    rows = ask(
        project / ".ratchet" / "ledger.db",
        "select run_id, trigger_key, trigger, outcome from ratchet_runs order by seq",
    )
    assert rows[1][1:] == ("k1", "new_rows", "failed")
    assert rows[2] == (ended["run_id"], "k1:again", "new_rows", ended["outcome"])
