"""The loop as its users run it, and killed wherever it hurts: one run a key, one champion."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from forked_ratchet import Driver, Kill
from project_state import ask, give_tracking, kept
from ratchet import clock
from ratchet.project import load_project
from ratchet_cli import add_rows, customers, small_project
from running_loop import PATIENCE, Loop, looping

EXTRA = """\
triggers: {retry: {after: 1m}}
loop: {every: 100ms, grace: 2s}
"""
SPEED = 60.0
HOOK = """\
import json, os, sys
who, kill, marker = json.loads(os.environ["LOOP_KILL"])
if who in sys.orig_argv and not os.path.exists(marker):
    import forked_ratchet
    really_die = forked_ratchet.die
    def die():
        open(marker, "w").close()
        really_die()
    forked_ratchet.die = die
    (forked_ratchet.on_call if "call" in kill else forked_ratchet.on_step)(**kill)
"""
LOOP, LOOKER, RUN = "loop", "ratchet.loop.looker", "ratchet.loop.confined"
LEDGER = "ratchet.ledger.store:Ledger"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, tracking: Path) -> Path:
    """A project that has never been run."""
    folder = small_project(tmp_path_factory.mktemp("empty") / "small", rows=300, extra=EXTRA)
    return give_tracking(folder, tracking)


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "small"))


def fast() -> str:
    """Time for all processes of a test, sixty times as fast."""
    return clock.describe(clock.now(), SPEED)


def dying(folder: Path, who: str, kill: Kill) -> dict[str, str]:
    """Variables that make a process of the loop die once."""
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK)
    tests = Path(__file__).resolve().parents[1]
    told = json.dumps([who, kill, str(folder / "died")])
    places = [str(hook), str(tests), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, places)), "LOOP_KILL": told}


def one_of_everything(folder: Path) -> None:
    """One champion, one promotion, no run left open, no key with two runs, nothing held."""
    ledger = folder / ".ratchet" / "ledger.db"
    state = kept(folder)
    assert state.champion == 1, state
    promotions = "select count(*) from ratchet_deployments where alias = 'champion'"
    assert ask(ledger, promotions) == ((1,),)
    assert ask(ledger, "select run_id from ratchet_runs where status = 'running'") == ()
    keys = [key for (key,) in ask(ledger, "select trigger_key from ratchet_runs")]
    assert len(keys) == len(set(keys))
    assert ask(ledger, "select * from ratchet_leases") == ()
    with load_project(folder, variables={}).open_ledger() as opened:
        assert opened.verify_chain().intact


def until_promoted(folder: Path, loop: Loop) -> None:
    """A run ended promoted, and the loop is at work."""
    loop.wait_for("project_found")
    ledger = folder / ".ratchet" / "ledger.db"
    done = "select 1 from ratchet_runs where outcome = 'promoted'"
    loop.until(
        lambda: ask(ledger, done) and not ask(ledger, "select 1 from ratchet_leases"),
        "a run ended promoted",
    )


def test_once_does_everything_and_tells_it(project: Path, driver: Driver) -> None:
    first = driver.ratchet("loop", "--once", "--json", "--project", project)
    assert first.code == 0, first.out
    (one,) = first.data["projects"]
    assert one["look"]["decision"]["trigger"] == "first"
    assert one["run"]["outcome"] == "promoted"
    one_of_everything(project)
    second = driver.ratchet("loop", "--once", "--project", project)
    assert second.code == 0
    assert second.out.startswith("small: skip: ")


@pytest.mark.exhaustive
def test_once_with_new_rows_trains_again(project: Path, driver: Driver) -> None:
    assert driver.ratchet("loop", "--once", "--json", "--project", project).code == 0
    add_rows(project / "data.csv", customers(300, start=300))
    third = driver.ratchet(
        "loop", "--once", "--json", "--project", project, "--set", "triggers.cooldown=null"
    )
    (one,) = third.data["projects"]
    assert one["look"]["decision"]["trigger"] == "new_rows", third.out
    assert one["run"]["outcome"] in ("promoted", "rejected")
    assert third.code == (3 if one["run"]["outcome"] == "rejected" else 0)


def test_what_cannot_be(project: Path, driver: Driver, tmp_path: Path) -> None:
    nothing = driver.ratchet("loop", "--once", "--json", "--projects", tmp_path / "nowhere")
    assert (nothing.code, nothing.error["code"]) == (2, "usage")
    both = driver.ratchet("loop", "--json", "--projects", tmp_path, "--project", project)
    assert (both.code, both.error["code"]) == (2, "usage")
    wrong = driver.ratchet("loop", "--json", "--every", "often", "--project", project)
    assert (wrong.code, wrong.error["code"]) == (2, "usage")
    (project / "data.csv").unlink()
    fault = driver.ratchet("loop", "--once", "--json", "--project", project)
    assert fault.data["projects"][0]["look"]["faults"]["decision"]["what"]


def test_two_loops_and_the_second_takes_over(project: Path) -> None:
    quiet = {"RATCHET__TRIGGERS__FIRST": "false"}
    with looping(project, **quiet) as first:
        first.wait_for("decided")
        with looping(project, **quiet) as second:
            (held,) = second.wait_for("held")
            assert held["says"].startswith(f"held by process {first.process.pid} ")
            assert second.events("decided") == []
            first.end(signal.SIGKILL)
            second.wait_for("taken")
            second.wait_for("decided")
            assert second.end() == 0
            assert second.events("stopped")


KILLS: list[tuple[str, Kill]] = [
    (LOOKER, {"call": f"{LEDGER}.record", "when": "after", "nth": 1}),
    (LOOP, {"call": "ratchet.loop.runs:Runs.order", "when": "after", "nth": 1}),
    (LOOP, {"call": "ratchet.loop.runs:Runs._begin", "when": "after", "nth": 1}),
    (LOOP, {"call": "ratchet.loop.daemon:Daemon._take_ending", "when": "before", "nth": 1}),
    (RUN, {"call": f"{LEDGER}.start_run", "when": "before", "nth": 1}),
    (RUN, {"call": f"{LEDGER}.start_run", "when": "after", "nth": 1}),
    (RUN, {"step": "train", "when": "enter"}),
    (RUN, {"step": "gate", "when": "leave"}),
    (RUN, {"call": f"{LEDGER}.deploy", "when": "after", "nth": 1}),
    (RUN, {"call": f"{LEDGER}.finish_run", "when": "before", "nth": 1}),
    (RUN, {"call": f"{LEDGER}.finish_run", "when": "after", "nth": 1}),
]


def _name(value: Any) -> str:
    if isinstance(value, str):
        return value.rpartition(".")[2]
    return f"{value.get('step') or value['call'].rpartition('.')[2]}-{value['when']}"


def _param(place: int, who: str, kill: Kill) -> Any:
    """One kill point is always tried, the others by `make test-all`."""
    marks = () if place == 9 else pytest.mark.exhaustive
    return pytest.param(who, kill, id=f"{_name(who)}-{_name(kill)}", marks=marks)


@pytest.mark.parametrize(("who", "kill"), [_param(n, *each) for n, each in enumerate(KILLS)])
def test_killed_anywhere_it_ends_with_one_champion(
    who: str, kill: Kill, project: Path, tmp_path: Path
) -> None:
    variables = {"RATCHET_CLOCK": fast(), **dying(tmp_path, who, kill)}
    with looping(project, **variables) as first:
        if who == LOOP:
            assert first.process.wait(PATIENCE) == -signal.SIGKILL
        else:
            until_promoted(project, first)
            assert first.end() == 0
    if who == LOOP:
        with looping(project, **variables) as second:
            until_promoted(project, second)
            second.wait_for("decided")
            assert second.end() == 0
    assert (tmp_path / "died").exists()
    one_of_everything(project)


@pytest.mark.exhaustive
def test_the_machine_goes_down_in_the_middle_of_a_run(project: Path) -> None:
    variables = {"RATCHET_CLOCK": fast()}
    with looping(project, **variables) as first:
        (started,) = first.wait_for("run_started")
        steps = "select name from ratchet_steps where name = 'split' and status = 'finished'"
        first.until(lambda: ask(project / ".ratchet" / "ledger.db", steps), "rows are split")
        first.process.kill()
        os.killpg(started["pid"], signal.SIGKILL)
        first.end()
    with looping(project, **variables) as second:
        until_promoted(project, second)
        assert second.end() == 0
    one_of_everything(project)
    runs = ask(project / ".ratchet" / "ledger.db", "select attempts, outcome from ratchet_runs")
    assert runs == ((2, "promoted"),), "it was gone on with"


@pytest.mark.exhaustive
def test_a_run_is_stopped_with_the_loop_and_gone_on_with(project: Path) -> None:
    variables = {"RATCHET_CLOCK": fast()}
    with looping(project, **variables) as first:
        first.wait_for("run_started")
        runs = "select run_id from ratchet_runs where status = 'running'"
        first.until(lambda: ask(project / ".ratchet" / "ledger.db", runs), "a run is at work")
        assert first.end() == 0
        assert first.events("run_ended")[0]["outcome"] == "stopped"
    with looping(project, **variables) as second:
        until_promoted(project, second)
        assert second.end() == 0
    one_of_everything(project)


def _health(url: str) -> int:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).status_code
    except httpx.TransportError:
        return 0


def test_up_serves_and_the_server_outlives_what_started_it(project: Path) -> None:
    quiet = {"RATCHET__TRIGGERS__FIRST": "false"}
    with looping(project, "up", "--json", "--port", 0, **quiet) as first:
        ready = first.ready()
        assert _health(ready["url"]) == 200
        first.wait_for("decided")
        first.end(signal.SIGKILL)
        assert _health(ready["url"]) == 200, "the champion goes on serving"
    with looping(project, "up", "--json", "--port", 0, **quiet) as second:
        assert second.ready() == ready
        os.kill(ready["pid"], signal.SIGKILL)
        again = second.wait_for("server_ready", 2)[-1]
        assert _health(again["url"]) == 200
        assert second.end() == 0
        assert _health(again["url"]) == 0


def test_up_that_cannot_serve_says_why_and_ends(project: Path, driver: Driver) -> None:
    result = driver.ratchet("up", "--json", "--host", "0.0.0.0", "--port", 0, "--project", project)
    assert result.code == 4, result.out
    assert "key" in result.error["what"]
