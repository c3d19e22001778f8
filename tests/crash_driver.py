"""Runs ``ratchet`` commands and lets the process die where it is told to.

Not a test: ``test_e2e_crash.py`` starts it. It imports the libraries once and forks a process for
every command, so that a hundred crashes cost seconds. One JSON object per line comes in
(``arguments``, ``out``, ``err``, ``kill``), one goes out (``code``: the exit code, or minus the
signal).

Where to die (``kill``):
    {"step": NAME, "when": "enter" | "leave"}      as a step begins, or before its result is kept
    {"step": NAME, "when": "middle", "after": S}   S seconds into it, wherever that is
    {"step": NAME, "when": "write", "nth": N}      as it opens its N-th file to write
    {"call": "package.module:Class.name", "when": "before" | "after", "nth": N}
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

PRELOADED = (
    "deltalake",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "mlflow.pyfunc",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "onnxruntime",
    "pandas",
    "polars",
    "ratchet.cli.main",
    "ratchet.pipeline.run",
    "rich.console",
    "skl2onnx",
    "sklearn.linear_model",
    "sklearn.metrics",
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def on_call(call: str, when: str, nth: int) -> None:
    """Die before or after the N-th call of a function."""
    module, _, path = call.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            die()
        result = original(*args, **kwargs)
        if calls == nth and when == "after":
            die()
        return result

    setattr(owner, name, dying)


def on_step(step: str, when: str, after: float = 0.0, nth: int = 1) -> None:
    """Die in a step."""
    graph = importlib.import_module("ratchet.pipeline.graph")
    run = importlib.import_module("ratchet.pipeline.run")

    def wrap(kept: Any) -> Any:
        def execute(context: Any) -> Any:
            if when == "enter":
                die()
            if when == "middle":
                # The kernel ends the process at once, as SIGKILL would, from any code.
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_REAL, max(after, 0.001))
            if when == "write":
                sys.addaudithook(_Writes(context.folder, nth))
            kept.execute(context)
            die()

        return dataclasses.replace(kept, execute=execute)

    steps = tuple(wrap(one) if one.name == step else one for one in graph.STEPS)
    assert steps != graph.STEPS, f"there is no step {step}"
    graph.STEPS = run.STEPS = steps


class _Writes:
    """An audit hook that dies as the N-th file below a folder is opened to write."""

    def __init__(self, folder: Path, nth: int) -> None:
        self.folder = str(folder)
        self.left = nth

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not str(arguments[0]).startswith(self.folder):
            return
        if arguments[2] & (os.O_WRONLY | os.O_RDWR):
            self.left -= 1
            if self.left == 0:
                die()


def serve_one(request: dict[str, Any]) -> int:
    """In the forked process: the command, to its end or its death."""
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    kill = request["kill"]
    if kill is not None:
        (on_call if "call" in kill else on_step)(**kill)
    sys.argv = ["ratchet", *request["arguments"]]
    from ratchet.cli.main import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def main() -> None:
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = serve_one(json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"code": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
