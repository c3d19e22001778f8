"""``ratchet`` commands in forked processes: quick, and able to die where they are told to.

Run as a program it imports the libraries once and forks a process for every command, so that a
hundred commands cost seconds; ``Driver`` speaks to it. A command is a real process with its own
number, lease and exit code; only the imports are shared. ``Driver.call`` does the same with a
function of the tests, and may start it several times at once.

Where to die (``kill``):
    {"step": NAME, "when": "enter" | "leave"}      as a step begins, or before its result is kept
    {"step": NAME, "when": "middle", "after": S}   S seconds into it, wherever that is
    {"step": NAME, "when": "write", "nth": N}      as it opens its N-th file to write
    {"call": "package.module:Class.name", "when": "before" | "after", "nth": N}
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import gc
import importlib
import itertools
import json
import os
import pkgutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ratchet_cli import Result, environment

Kill = dict[str, Any]

PRELOADED = (
    "deltalake",
    "lightgbm",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "msgspec",
    "mlflow.pyfunc",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "onnxruntime",
    "optuna.storages",
    "pandas",
    "polars",
    "ratchet.*",
    "rich.console",
    "skl2onnx",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sqlalchemy.dialects.sqlite",
)
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
"""One pixel, in place of the plots of a run: drawing them takes half of its time."""


class Driver:
    """Starts commands, one after the other; ``preload`` are the modules that they share.

    A run's plots are drawn only while ``drawn`` is true, else each is the same picture.
    """

    def __init__(self, folder: Path, preload: Sequence[str] = PRELOADED) -> None:
        self.folder = folder
        self.drawn = False
        self.numbers = itertools.count()
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__, *preload],
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
        return self.at_once(1, *arguments, cwd=cwd, kill=kill, **variables)[0]

    def at_once(
        self,
        times: int,
        *arguments: object,
        cwd: Path | None = None,
        kill: Kill | None = None,
        **variables: str,
    ) -> list[Result]:
        """``ratchet ARGUMENTS`` in so many processes at the same time."""
        request = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd or self.folder),
            "variables": variables,
            "drawn": self.drawn,
            "kill": kill,
        }
        return self._ask(request, times)

    def call(
        self,
        function: str,
        *arguments: object,
        kill: Kill | None = None,
        times: int = 1,
        **variables: str,
    ) -> list[Result]:
        """``package.module:name(ARGUMENTS...)``, texts all, in so many processes at once.

        What it gives back is its ``--json``: ``Result.data``.
        """
        request = {
            "function": function,
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(self.folder),
            "variables": variables,
            "drawn": self.drawn,
            "kill": kill,
        }
        return self._ask(request, times)

    def _ask(self, request: dict[str, Any], times: int) -> list[Result]:
        places = [str(self.folder / str(next(self.numbers))) for _ in range(times)]
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**request, "places": places}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, "the driver ended"
        results = []
        for place, code in zip(places, json.loads(answer)["codes"], strict=True):
            out, err = (Path(f"{place}.{name}").read_text() for name in ("out", "err"))
            assert "Traceback" not in out + err, err
            results.append(Result(code, out, err))
        return results

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
    put_everywhere(name, original, dying)


def put_everywhere(name: str, old: object, new: object) -> None:
    """Replace what modules took by its name as they were imported."""
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(name) is old:
            setattr(module, name, new)


def on_step(step: str, when: str, after: float = 0.0, nth: int = 1) -> None:
    """Die in a step."""
    graph = importlib.import_module("ratchet.pipeline.graph")

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
    put_everywhere("STEPS", graph.STEPS, steps)


def leave_undrawn(patch: Callable[[Any, str, Any], object]) -> None:
    """The same picture for every plot of a run; ``patch`` is ``setattr``, or a test's own."""
    plots = importlib.import_module("ratchet.evaluation.plots")
    points = plots.plot_points

    def render_plots(*rows: Any, importance: Any = (), **given: Any) -> dict[str, bytes]:
        asked = {name: given[name] for name in ("task", "metrics", "explanation")}
        names = [*points(*rows, **asked), *(["importance"] if importance else [])]
        return dict.fromkeys(names, PICTURE)

    patch(plots, "render_plots", render_plots)


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


def serve_one(request: Mapping[str, Any], place: str) -> int:
    """In the forked process: the command, to its end or its death."""
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(f"{place}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
    os.chdir(request["cwd"])
    os.environ.update(request["variables"])
    if not request["drawn"]:
        leave_undrawn(setattr)
    kill = request["kill"]
    if kill is not None:
        (on_call if "call" in kill else on_step)(**kill)
    if "function" in request:
        module, _, name = request["function"].partition(":")
        data = getattr(importlib.import_module(module), name)(*request["arguments"])
        print(json.dumps({"ok": True, "data": data}))
        return 0
    sys.argv = ["ratchet", *request["arguments"]]
    from ratchet.cli.main import main

    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def main() -> None:
    for module in sys.argv[1:]:
        for name in modules_below(module.removesuffix(".*")) if "*" in module else (module,):
            importlib.import_module(name)
    # No child looks through all of it for garbage, and so writes to its memory.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        children = [start_one(request, place) for place in request["places"]]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps({"codes": codes}) + "\n")
        sys.stdout.flush()


def modules_below(package: str) -> Iterator[str]:
    """All modules of a package but the one that runs it."""
    places = importlib.import_module(package).__path__
    for found in pkgutil.walk_packages(places, f"{package}."):
        if not found.name.endswith("__main__"):
            yield found.name


def start_one(request: Mapping[str, Any], place: str) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = serve_one(request, place)
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - whoever asked reads it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
