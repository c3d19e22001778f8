"""``ratchet`` commands in forked processes: quick, and able to die where they are told to.

Run as a program it imports the libraries once and forks a process for every command, so that a
hundred commands cost seconds; ``Driver`` speaks to it. A command is a real process with its own
number, lease and exit code; only the imports are shared.

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
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet_cli import Result, environment

Kill = dict[str, Any]

PRELOADED = (
    "deltalake",
    "lightgbm",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "mlflow.pyfunc",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "onnxruntime",
    "optuna.storages",
    "pandas",
    "polars",
    "ratchet.cli.main",
    "ratchet.pipeline.run",
    "rich.console",
    "skl2onnx",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.metrics",
)


class Driver:
    """Starts commands, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = itertools.count()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            env=environment(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ratchet(
        self,
        *arguments: object,
        cwd: Path | None = None,
        kill: Kill | None = None,
        **variables: str,
    ) -> Result:
        """``ratchet ARGUMENTS``; the code of a killed process is minus the signal."""
        number = next(self.numbers)
        out, err = self.folder / f"{number}.out", self.folder / f"{number}.err"
        request = {
            "arguments": [str(argument) for argument in arguments],
            "out": str(out),
            "err": str(err),
            "cwd": str(cwd or self.folder),
            "variables": variables,
            "kill": kill,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the driver ended"
        result = Result(json.loads(answer)["code"], out.read_text(), err.read_text())
        assert "Traceback" not in result.out + result.err, result.err
        return result

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


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
    calls = itertools.count(1)

    @functools.wraps(original)
    def dying(*args: Any, **kwargs: Any) -> Any:
        number = next(calls)  # of several threads
        if number == nth and when == "before":
            die()
        result = original(*args, **kwargs)
        if number == nth and when == "after":
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


def serve_one(request: Mapping[str, Any]) -> int:
    """In the forked process: the command, to its end or its death."""
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    os.chdir(request["cwd"])
    os.environ.update(request["variables"])
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
