"""Runs in processes of their own: limited, a few at a time, and ended with the loop."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loop_project import make_project
from ratchet.ledger.process import process_start, this_process
from ratchet.loop import runs as running
from ratchet.loop.children import named
from ratchet.loop.journal import Journal
from ratchet.loop.projects import Opening, Watched, watch
from ratchet.loop.runs import NOTE, Ending, Order, Runs

PROGRAM = """\
#!{python}
import json, os, subprocess, sys, time
sys.path[:0] = {path}
from ratchet.loop.confined import Limits, confine, note
limits = Limits(**json.loads(sys.argv[3]))
note(limits)
confine(limits)
{body}
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What a run's process does, in place of Python and Ratchet."""

    def write(body: str) -> None:
        file = tmp_path / "program"
        file.write_text(PROGRAM.format(python=sys.executable, path=sys.path, body=body))
        file.chmod(0o755)
        monkeypatch.setattr(running.sys, "executable", str(file))

    return write


@pytest.fixture
def runs() -> Iterator[Runs]:
    made = Runs(Opening(), 1, 4 << 30, Journal(lambda line: None))
    yield made
    made.stop(lambda watched: 0.0, lambda: True)


def project(folder: Path, extra: str = "") -> Watched:
    watched = watch(make_project(folder, extra=extra), Opening())
    watched.state.mkdir(parents=True)
    return watched


def ended(runs: Runs, seconds: float = 30.0) -> Ending:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        endings = runs.tend()
        if endings:
            return endings[0]
        time.sleep(0.01)
    raise AssertionError("it did not end")


GREEDY = "x = bytearray(300 << 20); input()"
ORDER = Order("key-1", "drift", "because")
PROMOTED = 'print(json.dumps({"ok": True, "data": {"outcome": "promoted", "run_id": "r"}}))'


def test_what_a_run_says_is_its_outcome(
    tmp_path: Path, program: Callable[[str], None], runs: Runs
) -> None:
    program(f"open({str(tmp_path / 'words')!r}, 'w').write(json.dumps(sys.argv))\n{PROMOTED}")
    watched = project(tmp_path / "p")
    order = Order("key-1", "nightly", "due", {"training.update": "refit"}, "run-7")
    runs.order(watched, order)
    runs.order(watched, Order("key-2", "drift", "another"))
    assert runs.busy(watched.root) == "nightly, waiting for its turn"
    ending = ended(runs)
    assert (ending.how, ending.outcome, ending.order) == ("ended", "promoted", order)
    assert runs.busy(watched.root) == ""
    assert runs.tend() == [], "a project has one run at a time"
    words = json.loads((tmp_path / "words").read_text())
    assert words[1:3] == ["-m", "ratchet.loop.confined"]
    said = " ".join(words[4:])
    assert said.startswith(f"run --json --project {watched.root} --trigger nightly")
    assert said.endswith('--trigger-key key-1 --resume run-7 --set training.update="refit"')
    assert not (watched.state / NOTE).exists()


def test_a_fault_is_told_and_not_taken_for_a_death(
    tmp_path: Path, program: Callable[[str], None], runs: Runs
) -> None:
    program(
        'print(json.dumps({"ok": False, "error": {"what": "no", "run_id": "r9"}})); sys.exit(3)'
    )
    runs.order(project(tmp_path / "p"), ORDER)
    ending = ended(runs)
    assert (ending.how, ending.outcome) == ("ended", "failed")
    assert ending.told["run_id"] == "r9"


@pytest.mark.parametrize(
    ("body", "extra", "why"),
    [
        ("time.sleep(60)", "loop: {time: 300ms}\n", "longer than 300ms"),
        ("keep = bytearray(300 << 20); time.sleep(60)", "loop: {memory: 100MB}\n", "GB of memory"),
        (
            f"subprocess.Popen([sys.executable, '-c', '{GREEDY}'], stdin=-1); time.sleep(60)",
            "loop: {memory: 150MB}\n",
            "GB of memory",
        ),
        ("os.kill(os.getpid(), 9)", "", "ended by SIGKILL (is there enough memory?)"),
        ("raise SystemExit('went wrong')", "", "exit code 1 and told nothing: went wrong"),
    ],
    ids=["time", "memory", "memory-of-a-child", "killed", "silent"],
)
def test_what_takes_too_much_or_dies_is_ended_and_said_why(
    body: str,
    extra: str,
    why: str,
    tmp_path: Path,
    program: Callable[[str], None],
    runs: Runs,
) -> None:
    program(body.replace("sys.executable", repr(sys.executable)))
    runs.order(project(tmp_path / "p", extra), ORDER)
    ending = ended(runs)
    assert (ending.how, ending.outcome) == ("died", "died")
    assert why in ending.why


def test_memory_beyond_the_limit_is_refused_so_that_a_run_can_say_so(
    tmp_path: Path, program: Callable[[str], None], runs: Runs
) -> None:
    refused = '{"ok": False, "error": {"code": "memory", "what": "The memory is used up"}}'
    program(f"try: x = bytearray(3 << 30)\nexcept MemoryError: print(json.dumps({refused}))")
    runs.order(project(tmp_path / "p", "loop: {memory: 100MB}\n"), ORDER)
    assert ended(runs).told["error"]["code"] == "memory"


def test_as_many_work_at_once_as_allowed(
    tmp_path: Path, program: Callable[[str], None], runs: Runs
) -> None:
    gate = tmp_path / "gate"
    program(f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n{PROMOTED}")
    runs.parallel = 2
    for name in "abc":
        runs.order(project(tmp_path / name), ORDER)
    runs.tend()
    assert (runs.working, runs.waiting) == (2, 1)
    gate.touch()
    assert [ended(runs).outcome for _ in range(2)] == ["promoted"] * 2


def test_a_run_is_stopped_with_the_loop_and_killed_when_it_does_not_listen(
    tmp_path: Path, program: Callable[[str], None], runs: Runs
) -> None:
    up = tmp_path / "up"
    program(
        f"import signal; signal.signal(15, signal.SIG_IGN)\nopen({str(up)!r}, 'w')\ntime.sleep(99)"
    )
    runs.order(project(tmp_path / "p"), ORDER)
    runs.tend()
    while not up.exists():
        time.sleep(0.01)
    began = time.monotonic()
    endings = runs.stop(lambda watched: 0.3, lambda: False)
    assert [ending.how for ending in endings] == ["stopped"]
    assert 0.3 <= time.monotonic() - began < 5


def test_a_run_that_a_dead_loop_left_is_gone_on_with(
    tmp_path: Path, program: Callable[[str], None], runs: Runs
) -> None:
    gate = tmp_path / "gate"
    program(f"while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n{PROMOTED}")
    watched = project(tmp_path / "p")
    another = Runs(Opening(), 1, 4 << 30, Journal(lambda line: None))
    another.order(watched, ORDER)
    another.tend()
    while not (watched.state / NOTE).exists():
        time.sleep(0.01)
    assert runs.adopt(watched)
    assert runs.busy(watched.root).startswith("left by another loop")
    runs.order(watched, ORDER)
    assert runs.tend() == []
    gate.touch()
    # Its parent collects it, as init would if the loop that began it were dead.
    while another.working:
        another.tend()
        time.sleep(0.01)
    assert ended(runs).outcome == "promoted"
    assert not runs.adopt(watched)


def test_a_note_of_a_process_that_is_gone_is_thrown_away(tmp_path: Path, runs: Runs) -> None:
    watched = project(tmp_path / "p")
    me = this_process()
    note = {"machine": me.machine, "host": me.host, "pid": me.pid, "started": "1"}
    (watched.state / NOTE).write_text(json.dumps(note))
    assert not runs.adopt(watched)
    assert not (watched.state / NOTE).exists()
    (watched.state / NOTE).write_text("half a no")
    assert not runs.adopt(watched)
    assert named(me.machine, me.host, me.pid, process_start(me.pid)) == me
