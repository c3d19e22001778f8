"""What was decided can be told, proven and looked back at: audit, post-mortem, health, alerts."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from forked_ratchet import Driver
from ratchet.errors import UsageError
from ratchet.monitoring.vitals import Health, Problem
from ratchet.pipeline.health import ask_server, look_at_health, tell_health
from ratchet.pipeline.post_mortem import post_mortem
from ratchet.pipeline.request import Request
from ratchet.pipeline.run import run
from ratchet.project import Project, load_project
from ratchet_cli import customers, small_project


def load(folder: Path, *assignments: str) -> Project:
    return load_project(folder, assignments=assignments, variables={})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, the second on more rows of which one column has moved."""
    folder = small_project(tmp_path_factory.mktemp("governed") / "small")
    assert run(load(folder)).outcome == "promoted"
    lines = customers(300, start=600).partition("\n")[2].splitlines()
    head = (folder / "data.csv").read_text().splitlines()[0].split(",")
    place = head.index("charges")
    with (folder / "data.csv").open("a") as file:
        for line in lines:
            cells = line.split(",")
            cells[place] = str(float(cells[place]) + 500) if cells[place] else ""
            file.write(",".join(cells) + "\n")
    ended = run(load(folder, "training.seed=7"), Request(trigger="new_rows"))
    assert ended.snapshot is not None
    assert ended.snapshot["change"] == "appended"
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "small"))


def kinds(driver: Driver, folder: Path, *arguments: str) -> list[dict[str, Any]]:
    done = driver.ratchet("audit", "log", "--json", *arguments, cwd=folder)
    assert done.code == 0, done.err
    events: list[dict[str, Any]] = done.data["events"]
    return events


def test_every_decision_has_an_actor_and_its_evidence(project: Path, driver: Driver) -> None:
    driver.ratchet("promote", "1", "--reason", "to see", "--force", "--json", cwd=project)
    events = kinds(driver, project)
    assert {"run_finished", "deployed", "settings_changed"} <= {each["kind"] for each in events}
    assert all(each["by"] for each in events)
    for each in events:
        if each["kind"] == "run_finished":
            assert {"summary", "gates", "settings", "data"} <= set(each["evidence"])
        if each["kind"] == "deployed":
            assert {"bundle", "gates"} <= set(each["evidence"])
    changed = [each for each in events if each["kind"] == "settings_changed"]
    assert changed[0]["facts"]["changed"] == {}
    moved = changed[1]["facts"]["changed"]["training.seed"]
    assert moved["after"] == 7
    assert "training.seed" in changed[1]["what"]
    assert len(kinds(driver, project, "--all")) > len(events)
    assert kinds(driver, project, "--since", "2999-01-01") == []


def test_no_secret_is_kept_with_the_settings(project: Path, driver: Driver) -> None:
    with (project / "ratchet.yaml").open("a") as file:
        file.write(
            "\nalerts:\n  - {url: 'slack://T0/B0/hush-hush', on: [promoted]}\n"
            "  - {url: 'https://hooks.example.org/services/hush-hush', on: [promoted]}\n"
        )
    run(load(project))
    assert "alerts" in kinds(driver, project, "--kind", "settings_changed")[-1]["facts"]["changed"]
    assert "hush" not in json.dumps(kinds(driver, project, "--all"))


def test_verify_tells_what_was_changed_by_hand(project: Path, driver: Driver) -> None:
    good = driver.ratchet("audit", "verify", "--json", cwd=project)
    assert good.code == 0
    anchor = good.data["anchor"]
    assert driver.ratchet("audit", "verify", "--expect", anchor, "--json", cwd=project).code == 0
    seq, _, digest = anchor.partition(":")
    other = f"{seq}:{digest[::-1]}"
    forged = driver.ratchet("audit", "verify", "--expect", other, "--json", cwd=project)
    assert (forged.code, forged.data["intact"]) == (3, False)
    assert driver.ratchet("audit", "verify", "--expect", "soon", "--json", cwd=project).code == 2
    ledger = project / ".ratchet" / "ledger.db"
    spoil = "UPDATE ratchet_events SET facts = '{}' WHERE kind = 'run_finished'"
    for statement, said in (
        ("UPDATE ratchet_runs SET outcome = 'rejected' WHERE outcome = 'promoted'", "did not end"),
        ("UPDATE ratchet_runs SET summary = '{}' WHERE outcome IS NOT NULL", "changed afterwards"),
        ("UPDATE ratchet_gates SET passed = 0 WHERE name = 'champion'", "the gates of the run"),
        ("DELETE FROM ratchet_runs", "did not end"),
        (spoil, "content was changed"),
    ):
        copy = project / "copy.db"
        shutil.copy(ledger, copy)
        with sqlite3.connect(ledger) as database:
            database.execute(statement)
        database.close()
        with load(project).open_ledger() as opened:
            report = opened.verify_chain()
        assert any(said in each.why for each in report.breaks), statement
        copy.replace(ledger)
    assert driver.ratchet("audit", "verify", cwd=project).code == 0


def test_a_post_mortem_tells_why_what_where_and_how_much(trained: Path) -> None:
    project = load(trained)
    with project.open_ledger() as ledger:
        second, first = ledger.runs(2)
        found = post_mortem(project, ledger, second)
        alone = post_mortem(project, ledger, first)
    assert found.trigger["name"] == "new_rows"
    assert found.trigger["by"]
    assert (found.data["rows_before"], found.data["rows"]) == (600, 900)
    assert (found.data["looked_at"], found.data["new_rows_only"]) == (300, True)
    assert [each["column"] for each in found.data["drifted"]] == ["charges"]
    assert found.settings["training.seed"]["after"] == 7
    assert found.slices
    assert {each.verdict for each in found.slices} <= {"better", "worse", "same"}
    assert found.cost["seconds"] > 0
    assert "train" in found.cost["steps"]
    assert found.decision["outcome"] == second.outcome
    assert alone.champion is None
    assert alone.slices == ()
    assert "no champion" in alone.gaps[0]
    assert any("promote to version 1" in each["what"] for each in alone.decision["afterwards"])


def test_the_post_mortem_is_shown_and_told_as_json(trained: Path, driver: Driver) -> None:
    shown = driver.ratchet("show", "last", "--post-mortem", cwd=trained)
    assert shown.code == 0, shown.err
    for title in ("Why it began", "What had changed", "What it cost", "What was decided"):
        assert title in shown.out
    told = driver.ratchet("show", "last", "--post-mortem", "--json", cwd=trained)
    assert told.data["post_mortem"]["champion"] == 1


def test_health_and_delivery_of_a_real_project(trained: Path, driver: Driver) -> None:
    good = driver.ratchet("health", "--json", cwd=trained)
    assert (good.code, good.data["healthy"]) == (0, True), good.data
    assert "failed" in good.data["looked_at"]
    ill = driver.ratchet("health", "--server", "http://127.0.0.1:9", cwd=trained)
    assert ill.code == 3
    assert "The server is not ready" in ill.out
    done = driver.ratchet("delivery", "--json", cwd=trained)
    assert done.code == 0
    assert done.data["deployments"] >= 1
    assert done.data["lead_time"]["median"] > 0
    assert done.data["data_age"]["median"] > 0
    assert "lead time" in driver.ratchet("delivery", cwd=trained).out


def test_only_an_address_of_a_server_is_asked() -> None:
    with pytest.raises(UsageError, match="no address"):
        ask_server("file:///etc/passwd")


def test_an_illness_and_its_end_are_told_once_each(project: Path) -> None:
    with (project / "ratchet.yaml").open("a") as file:
        file.write("\nalerts:\n  - {url: 'http://127.0.0.1:9/', name: team, on: [unhealthy]}\n")
    opened = load(project)
    with opened.open_ledger() as ledger:
        well = look_at_health(opened, ledger)
        assert not tell_health(opened, ledger, well)
        wrong = (
            Problem("loop", "The loop is not running", "start it: ratchet loop", well.at),
            Problem("failed", "The last run failed", "see it"),
        )
        ill = Health(well.at, wrong, ("loop", "failed"))
        assert [tell_health(opened, ledger, each) for each in (ill, ill, well)] == [
            True,
            False,
            True,
        ]
        told = ledger.outbox()
        assert ledger.verify_chain().intact
    assert sorted(entry.occasion for entry in told) == ["recovered", "recovered", "unhealthy"]
    (bad,) = (entry for entry in told if entry.occasion == "unhealthy")
    assert "The loop is not running" in bad.body["text"]
    assert "You should: start it: ratchet loop." in bad.body["text"]


def test_the_alerts_are_listed_and_tried(project: Path, driver: Driver) -> None:
    none = driver.ratchet("alerts", "test", "--json", cwd=project)
    assert (none.code, none.error["what"]) == (2, "The project tells nobody")
    with (project / "ratchet.yaml").open("a") as file:
        file.write("\nalerts:\n  - {url: 'http://127.0.0.1:9/hush', name: team}\n")
    tried = driver.ratchet("alerts", "test", "team", "--json", cwd=project)
    assert tried.code == 6
    assert "Connection refused" in tried.data["channels"][0]["problem"]
    assert (
        driver.ratchet("alerts", "test", "tam", "--json", cwd=project)
        .error["fix"]
        .endswith("`team`?")
    )
    listed = driver.ratchet("alerts", "--json", cwd=project)
    assert listed.data["channels"][0]["name"] == "team"
    assert "hush" not in listed.out


def test_dashboard_and_rules_are_written(tmp_path: Path, driver: Driver) -> None:
    done = driver.ratchet("export", "grafana", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert json.loads(Path(done.data["dashboard"]).read_text())["title"] == "Ratchet"
    assert Path(done.data["rules"]).read_text().startswith("# Made by")
