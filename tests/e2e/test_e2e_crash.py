"""Killed anywhere, the next ``ratchet run`` ends the work: one version, no unproven champion.

The process is killed as every step begins, in its middle, before and after its result is kept,
and around every call that registers or promotes. ``forked_ratchet.py`` does the dying.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from forked_ratchet import Driver, Kill
from project_state import Kept, ask, give_tracking, half_written, kept
from ratchet.project import load_project
from ratchet_cli import customers, environment, small_project

STEPS = (
    *("ingest", "validate", "split", "features", "train"),
    *("evaluate", "package", "gate", "report", "register"),
)
# The source is looked at anew and the data age; the page tells of this process; registering again
# changes nothing.
REPEATED = {"ingest", "validate", "report", "register"}
LEDGER = "ratchet.ledger.store:Ledger"
REGISTRY = "mlflow.store.model_registry.sqlalchemy_store:SqlAlchemyStore"
TRACKING = "mlflow.store.tracking.sqlalchemy_store:SqlAlchemyStore"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, tracking: Path) -> Path:
    """A project that has never been run."""
    folder = small_project(tmp_path_factory.mktemp("empty") / "small", rows=300)
    return give_tracking(folder, tracking)


@pytest.fixture(scope="module")
def whole(empty: Path, driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same run without a crash, as ``--json`` tells it."""
    folder = shutil.copytree(empty, tmp_path_factory.mktemp("whole") / "small")
    data = driver.ratchet("run", "--project", folder, "--json").data
    assert data["outcome"] == "promoted", data["reason"]
    assert tuple(step["name"] for step in data["steps"]) == STEPS
    return data


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "small"))


def _crash(driver: Driver, folder: Path, kill: Kill, *options: object) -> Kept:
    """Run into the kill; what is left must already keep every promise."""
    result = driver.ratchet("run", "--project", folder, "--json", *options, kill=kill)
    assert result.code in (-signal.SIGKILL, -signal.SIGALRM), (result.code, result.out, result.err)
    left = kept(folder)
    assert half_written(folder) == []
    if left.champion is not None or left.aliases:
        verdicts = ask(folder / ".ratchet" / "ledger.db", "select passed from ratchet_gates")
        assert verdicts
        assert all(passed for (passed,) in verdicts)
    return left


def _finished(folder: Path) -> set[str]:
    """The steps of the open run whose results are recorded."""
    rows = ask(
        folder / ".ratchet" / "ledger.db",
        "select name from ratchet_steps join ratchet_runs using (project, run_id)"
        " where ratchet_steps.status = 'finished' and ratchet_runs.status = 'running'",
    )
    return {str(name) for (name,) in rows}


def _one_of_everything(folder: Path, versions: int = 1) -> None:
    """One new version in ledger and registry, both with the same champion; nothing left open."""
    state = kept(folder)
    assert len(state.ledger) == versions, state.ledger
    assert [row[2] for row in state.mlflow] == ["READY"] * versions, state.mlflow
    promotions = [version for alias, version in state.served if alias == "champion"]
    assert promotions == list(range(1, versions + 1))
    assert [row[2] for row in state.aliases if row[1] == "champion"] == [versions], state.aliases
    ledger, tracking = folder / ".ratchet" / "ledger.db", folder / ".ratchet" / "mlflow.db"
    assert ask(ledger, "select run_id from ratchet_runs where status = 'running'") == ()
    assert ask(ledger, "select * from ratchet_leases") == ()
    # What was half logged is put aside, and logged anew.
    open_runs = "select 1 from runs where status = 'RUNNING' and lifecycle_stage = 'active'"
    assert ask(tracking, open_runs) == ()
    logged = "select name from runs where lifecycle_stage = 'active' order by name"
    assert len(ask(tracking, logged)) == 2 * versions  # each run and its one candidate
    assert half_written(folder) == []
    with load_project(folder, variables={}).open_ledger() as opened:
        report = opened.verify_chain()
    assert report.intact, report


def _completes(driver: Driver, folder: Path, whole: dict[str, Any]) -> None:
    """The next run ends the work without doing again what was done."""
    done = _finished(folder)
    result = driver.ratchet("run", "--project", folder, "--json")
    assert result.code == 0, result.out
    data = result.data
    if data["outcome"] == "skipped":
        # It died after its end was recorded: there was nothing left to do.
        assert not done
    else:
        assert data["outcome"] == "promoted", data["reason"]
        assert data["metrics"] == whole["metrics"]
        assert data["model"]["digest"] == whole["model"]["digest"]
        again = {step["name"] for step in data["steps"] if not step["cached"]}
        assert done & again <= REPEATED, "finished steps were done again"
    _one_of_everything(folder)


STEP_KILLS: list[Kill] = [
    {"step": step, "when": when}
    for when, steps in (
        ("enter", STEPS),
        ("middle", ("train", "package", "register")),
        ("leave", ("ingest", "split", "train", "package", "register")),
    )
    for step in steps
] + [{"step": step, "when": "write", "nth": 1} for step in ("validate", "features")]


def _name(kill: Kill) -> str:
    where = kill.get("step") or kill["call"].rpartition(".")[2]
    return f"{where}-{kill['when']}" + (f"-{kill['nth']}" if "nth" in kill else "")


def _param(kill: Kill) -> Any:
    """Dying as a step begins is much as dying behind the one before: three of them always."""
    seldom = kill["when"] == "enter" and kill["step"] not in ("train", "gate", "register")
    return pytest.param(kill, id=_name(kill), marks=pytest.mark.exhaustive if seldom else ())


@pytest.mark.parametrize("kill", [_param(kill) for kill in STEP_KILLS])
def test_killed_in_a_step(kill: Kill, project: Path, driver: Driver, whole: dict[str, Any]) -> None:
    if kill["when"] == "middle":
        seconds = {step["name"]: step["seconds"] for step in whole["steps"]}
        kill = {**kill, "after": seconds[kill["step"]] / 2}
    left = _crash(driver, project, kill)
    if kill["step"] != "register":
        assert left.ledger == left.mlflow == left.aliases == left.served == ()
    _completes(driver, project, whole)


CALL_KILLS: list[Kill] = [
    {"call": call, "when": when, "nth": nth}
    for call, when, nth in (
        (f"{LEDGER}.start_run", "after", 1),
        ("ratchet.data.lake:Lake.ingest", "after", 1),
        ("ratchet.pipeline.store:keep", "after", 5),
        (f"{TRACKING}.log_batch", "after", 1),
        (f"{LEDGER}.add_version", "after", 1),
        (f"{REGISTRY}.create_model_version", "after", 1),
        (f"{LEDGER}.link_version", "after", 1),
        (f"{LEDGER}.deploy", "after", 1),
        (f"{REGISTRY}.set_registered_model_alias", "after", 1),
        ("ratchet.pipeline.store:keep", "after", 10),
        (f"{LEDGER}.finish_run", "before", 1),
        (f"{LEDGER}.finish_run", "after", 1),
    )
]


@pytest.mark.parametrize("kill", CALL_KILLS, ids=_name)
def test_killed_around_a_call(
    kill: Kill, project: Path, driver: Driver, whole: dict[str, Any]
) -> None:
    _crash(driver, project, kill)
    _completes(driver, project, whole)


def test_killed_again_and_again(project: Path, driver: Driver, whole: dict[str, Any]) -> None:
    """Every run gets one step further, and the last one ends it."""
    for step in ("ingest", "split", "train", "train", "package", "register"):
        _crash(driver, project, {"step": step, "when": "leave"})
    _completes(driver, project, whole)
    assert driver.ratchet("run", "--project", project, "--json").data["outcome"] == "skipped"
    _one_of_everything(project)


@pytest.mark.parametrize("when", ["enter", "leave"])
def test_a_model_that_will_be_rejected_never_serves(
    when: str, project: Path, driver: Driver
) -> None:
    strict = ("--set", "gates.minimum.roc_auc=0.999")
    _crash(driver, project, {"step": "gate", "when": when}, *strict)
    result = driver.ratchet("run", "--project", project, "--json", *strict)
    assert result.code == 3
    assert result.data["outcome"] == "rejected"
    state = kept(project)
    assert state.champion is None
    assert state.served == ()
    assert [alias for alias in state.aliases if alias[1] == "champion"] == []


def test_what_changed_while_it_was_dead_is_not_promoted_as_if_it_had_not(
    project: Path, driver: Driver
) -> None:
    _crash(driver, project, {"step": "register", "when": "enter"})
    (project / "data.csv").write_text(customers(360), encoding="utf-8")
    data = driver.ratchet("run", "--project", project, "--json").data
    assert data["outcome"] == "promoted"
    assert data["snapshot"]["rows"] == 360
    _one_of_everything(project)
    ledger = project / ".ratchet" / "ledger.db"
    ended = ask(ledger, "select outcome from ratchet_runs order by seq")
    assert ended == (("failed",), ("promoted",))


@pytest.fixture(scope="module")
def serving(empty: Path, driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion is poor, with better data than that at hand."""
    folder = Path(shutil.copytree(empty, tmp_path_factory.mktemp("serving") / "small"))
    header, *rows = [line.split(",") for line in customers(600).splitlines()]
    # The numbers belong to other rows, so only the words can be learned from.
    numbers = [row[1:3] for row in rows]
    rows = [[row[0], *other, *row[3:]] for row, other in zip(rows, numbers[::-1], strict=True)]
    text = "\n".join(",".join(row) for row in [header, *rows]) + "\n"
    (folder / "data.csv").write_text(text, encoding="utf-8")
    first = driver.ratchet("run", "--project", folder, "--json")
    assert first.data["outcome"] == "promoted", first.data["reason"]
    (folder / "data.csv").write_text(customers(1200, seed=8), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "kill",
    [
        {"step": "gate", "when": "leave"},
        {"call": f"{LEDGER}.deploy", "when": "after", "nth": 1},
        {"call": f"{LEDGER}.finish_run", "when": "before", "nth": 1},
    ],
    ids=_name,
)
def test_the_champion_serves_until_the_next_one_does(
    kill: Kill, serving: Path, tmp_path: Path, driver: Driver
) -> None:
    folder = Path(shutil.copytree(serving, tmp_path / "small"))
    result = driver.ratchet("run", "--project", folder, "--json", kill=kill)
    assert result.code == -signal.SIGKILL, result.out
    left = kept(folder)
    assert left.champion in (1, 2)
    if left.champion == 1:
        assert [row[2] for row in left.aliases if row[1] == "champion"] == [1]
    data = driver.ratchet("run", "--project", folder, "--json").data
    assert data["outcome"] == "promoted", data["reason"]
    _one_of_everything(folder, versions=2)


def test_a_real_process_killed_from_outside(project: Path, driver: Driver) -> None:
    """No driver, no patched code: ``kill -9`` as soon as the run has done some steps."""
    command = [sys.executable, "-m", "ratchet", "run", "--json", "--project", str(project)]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(_finished(project)) < 4 and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert kept(project).champion is None
    result = driver.ratchet("run", "--project", project, "--json")
    assert result.data["outcome"] == "promoted"
    assert [step for step in result.data["steps"] if step["cached"]]
    _one_of_everything(project)
