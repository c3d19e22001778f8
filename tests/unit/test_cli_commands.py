"""The table of commands: it says which module is loaded for what."""

import subprocess
import sys
from importlib import import_module

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
