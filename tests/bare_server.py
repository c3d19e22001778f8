"""``ratchet serve`` with an application of a few lines in place of models: the process alone.

Run as a program: ``bare_server.py FOLDER SETTINGS [COMPACT...]``. It prints a line of JSON when it
is ready. ``Served`` runs it, or the real command, for a test.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ratchet_cli import environment


@dataclass
class Served:
    """A server that answers."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 20) -> int:
        self.process.send_signal(number)
        return self.process.wait(within)


@contextmanager
def served(command: Sequence[object], errors: Path, **extra: str) -> Iterator[Served]:
    """Run a server until the body ends; ``errors`` gets its standard error."""
    with errors.open("w") as told:
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            env=environment(**extra),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"it ended with {process.wait(10)}: {errors.read_text()}"
        ready = json.loads(line)
        yield Served(process, ready.get("data", ready))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
    assert "Traceback" not in errors.read_text(), errors.read_text()


def bare(folder: Path, *compact: object, **settings: Any) -> Any:
    """The bare server."""
    folder.mkdir(exist_ok=True)
    arguments = [__file__, folder, json.dumps({"port": 0, **settings}), *compact]
    return served(arguments, folder / "errors.txt")


def wait_until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    """Ask again and again until it holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it never held"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def main(folder: Path, settings: dict[str, Any], compact: list[str]) -> int:
    from ratchet.alerts.settings import AlertSettings
    from ratchet.ledger.store import open_ledger
    from ratchet.serving.board import Board
    from ratchet.serving.server import Plan, serve
    from ratchet.serving.settings import ServingSettings
    from ratchet.serving.site import Site

    state = folder / ".ratchet"
    site = Site(
        project="bare",
        root=folder,
        state=state,
        settings=ServingSettings.model_validate(settings),
        id=None,
        time=None,
        target="y",
        alerts=(AlertSettings(url="https://example.org/x", name="ops"),),
        open_ledger=lambda: open_ledger(f"sqlite:///{state / 'ledger.db'}", project="bare"),
        open_lake=lambda: None,  # type: ignore[arg-type,return-value]
        open_features=lambda: None,  # type: ignore[arg-type,return-value]
    )

    class Echo:
        """Answers the number of bytes, after as many milliseconds as the path says."""

        serves = (1, "")

        def __init__(self, board: Board) -> None:
            self.board = board
            if (folder / "broken").exists():
                from ratchet.errors import StorageError

                raise StorageError("The log cannot be written", fix="make room")

        async def app(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/die":
                os.kill(os.getpid(), signal.SIGKILL)
            size, more = 0, True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                size += len(message.get("body", b""))
                more = message.get("more_body", False)
            wait = scope["path"].strip("/")
            await asyncio.sleep(int(wait) / 1000 if wait.isdecimal() else 0)
            told = {"pid": os.getpid(), "size": size, "path": scope["path"]}
            told["restarts"] = self.board["worker_restarts"]
            told["moved"] = self.board["compactions"]
            told["failed"] = self.board["compaction_failures"]
            if scope["path"] == "/long":
                told["long"] = "x" * 20_000_000
            body = json.dumps(told).encode()
            headers = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        def start(self) -> None:
            (folder / f"started-{os.getpid()}").touch()

        def drain(self) -> None:
            (folder / f"drained-{os.getpid()}").touch()

        async def stop(self) -> None:
            (folder / f"stopped-{os.getpid()}").touch()

    def say(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()

    plan = Plan(
        site,
        Echo,
        lambda ready: print(json.dumps(asdict(ready)), flush=True),
        say,
        compact or None,
    )
    return serve(plan)


if __name__ == "__main__":
    from ratchet.errors import RatchetError

    try:
        sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]))
    except RatchetError as error:
        sys.stderr.write(f"{error.name}: {error}\n")
        sys.exit(error.exit_code)
