"""Processes that write or compact a prediction log, and die where they are told to.

``writer FOLDER SEGMENT``: appends records without end; on stdout each id after it was taken.
``limited FOLDER BYTES``: the same below a limit of the size of files, until there is no room.
``compactor``: each line of stdin names a log, a lake, and when to die. It compacts in a forked
process that dies as it does its n-th ``step`` on the disk, or ``after`` so many seconds, wherever
that is (0 = never), and answers with the number of its steps, or -1 when it died.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ratchet.data.predictions.log import LogFullError, LogPolicy, PredictionLog
from ratchet.data.predictions.records import Feedback, Served, encode

STEPS = ("open", "os.remove", "os.rename", "os.mkdir", "os.rmdir")


def record(name: str, number: int) -> bytes:
    features = {"tenure": number, "Contract": "Two year", "note": "x" * (number % 300)}
    return encode(Served(name, 1_795_253_115_000_000 + number, 3, "champion", features, [1.0], "a"))


def write(folder: Path, policy: LogPolicy) -> None:
    log = PredictionLog.open(folder, policy)
    number = 0
    while True:
        name = f"{os.getpid()}-{number}"
        label = encode(Feedback(f"k-{name}", number, "Yes", prediction=name))
        try:
            log.append([record(name, number), label])
        except LogFullError:
            print("full", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(1, f"{name}\n".encode())  # acknowledged
        number += 1


def compactor() -> None:
    for name in ("deltalake", "polars", "ratchet.data.predictions.compaction"):
        import_module(name)  # once, for all that are forked

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            if request["after"]:
                signal.setitimer(signal.ITIMER_REAL, request["after"])
            compact_and_die(Path(request["folder"]), request["lake"], request["step"])
        _, status = os.waitpid(child, 0)
        steps = Path(request["folder"]).with_suffix(".steps")
        died = os.WIFSIGNALED(status)
        if not died and status:
            raise SystemExit(f"the compaction failed with {status}")
        print(-1 if died else int(steps.read_text()), flush=True)


def compact_and_die(folder: Path, lake: str, step: int) -> None:
    from deltalake import DeltaTable

    from ratchet.data.lake import Lake
    from ratchet.data.predictions.compaction import compact

    done = [0]

    def advance() -> None:
        done[0] += 1
        if done[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: str, facts: tuple[Any, ...]) -> None:
        if event in STEPS and facts and str(facts[0]).startswith(str(folder.parent)):
            advance()

    commit = DeltaTable.create_write_transaction

    def watched_commit(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        advance()  # the commit is made, and nobody has been told

    DeltaTable.create_write_transaction = watched_commit  # type: ignore[method-assign]
    sys.addaudithook(watch)
    compact(folder, Lake(lake))
    folder.with_suffix(".steps").write_text(str(done[0]))
    os._exit(0)


def main() -> None:
    what, *arguments = sys.argv[1:]
    if what == "writer":
        write(Path(arguments[0]), LogPolicy(segment=int(arguments[1]), exposure=0.005))
    elif what == "limited":
        limit = int(arguments[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        write(Path(arguments[0]), LogPolicy())
    else:
        compactor()


if __name__ == "__main__":
    main()
