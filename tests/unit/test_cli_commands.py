"""The table of commands: it says which module is loaded for what."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from ratchet.cli.main import COMMANDS, _invoke, build


@pytest.mark.parametrize("module", COMMANDS)
def test_a_module_adds_the_commands_that_the_table_names(module: str) -> None:
    app = typer.Typer()
    import_module(f"ratchet.cli.{module}").register(app)
    commands = [each.name for each in app.registered_commands]
    groups = [each.name for each in app.registered_groups]
    assert {*commands, *groups} == set(COMMANDS[module])


def test_only_the_module_of_the_command_is_loaded() -> None:
    whole = [each.name for each in build().registered_commands]
    assert [each.name for each in build("promote").registered_commands] == [
        name for name in whole if name in COMMANDS["models"]
    ]
    # A word that is no command gets the help with all of them, and the names that are like it.
    assert [each.name for each in build("promot").registered_commands] == whole


@pytest.mark.parametrize("arguments", [["--help", "run"], ["-h", "serve"]])
def test_help_in_front_is_about_all_commands(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _invoke(arguments) == 0
    assert {"init", "rollout", "audit"} <= set(capsys.readouterr().out.split())


def test_init_does_not_choose_between_two_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,b\n1,yes\n2,no\n3,yes\n")
    asked = ["init", "--data", str(data), "--target", "b", "--project", str(tmp_path / "bar")]
    assert _invoke([*asked, str(tmp_path / "foo")]) == 2
    told = capsys.readouterr().err
    assert "Two folders are named" in told
    assert not list(tmp_path.glob("*/ratchet.yaml"))
    assert _invoke([*asked, str(tmp_path / "foo" / ".." / "bar")]) == 0
    assert (tmp_path / "bar" / "ratchet.yaml").exists()


@pytest.mark.parametrize(
    ("group", "members"),
    [
        ("config", "show, explain"),
        ("keys", "create, list, revoke"),
        ("audit", "verify, log"),
        ("data", "compact, collect, labels\n"),
        ("incident", "open, close\n"),
        ("experiment", "create, show, list, advance, stop, apply\n"),
    ],
)
def test_a_group_without_a_subcommand_asks_which(
    group: str, members: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _invoke([group]) == 2
    said = capsys.readouterr()
    assert "Usage: " in said.out
    assert f"error: Say which: {members}" in said.err
    assert f"{group} --help`" in said.err


@pytest.mark.parametrize(
    ("asked", "fix"),
    [
        (["--data", "nofile.csv", "--target", "b"], "Correct --data"),
        (["--data", "{data}", "--target", "key"], "Name another column with --target"),
    ],
)
def test_init_names_the_option_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[str], fix: str
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("key,b\n" + "".join(f"C{n},{n % 2}\n" for n in range(200)))
    words = [word.format(data=data) for word in asked]
    assert _invoke(["init", str(tmp_path), *words]) in (2, 3)
    told = capsys.readouterr().err
    assert fix in told
    assert "data.source" not in told
    assert "data.target" not in told


@pytest.mark.parametrize("option", [["--port", "99999"], ["--workers", "0"]])
def test_serve_names_the_option_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    (tmp_path / "ratchet.yaml").write_text(
        "project: p\ndata: {source: {type: csv, path: data.csv}, target: b}\n"
    )
    assert _invoke(["serve", "--project", str(tmp_path), *option]) == 4
    told = capsys.readouterr().err
    assert told.rstrip().endswith(f"at  {option[0]}")


LOST = """
import ctypes, os, signal, sys, time
from ratchet.cli.main import keep_interrupts
keep_interrupts()
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
calls = []

def interrupted(first, second):
    calls.append(1)
    if len(calls) == 1:
        os.kill(os.getpid(), signal.SIGINT)
    return 0

libc = ctypes.CDLL(None)
numbers = (ctypes.c_int * 8)(*range(8))
try:
    libc.qsort(numbers, 8, 4, compare(interrupted))
    time.sleep(10)
except KeyboardInterrupt:
    print("interrupted", len(calls) > 0)
else:
    print("lost")
"""


def test_an_interrupt_inside_a_library_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("interrupted True\n", "")
