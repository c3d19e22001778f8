"""``ratchet serve``."""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.health import pulse_of
from ratchet.cli.output import Answer, Options, command, write_json
from ratchet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client.registry import Collector

    from ratchet.ledger.served import ServedLedger
    from ratchet.project import Project
    from ratchet.serving.board import Board
    from ratchet.serving.http import Answer as HttpAnswer
    from ratchet.serving.http import Request
    from ratchet.serving.server import Ready
    from ratchet.serving.worker import Assembly


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


@command
def serve(
    options: Options,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Instead of serving.host.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help="Instead of serving.port.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Instead of serving.workers.")
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="One line of JSON on stderr per request.")
    ] = False,
) -> Answer:
    """Answer predictions over HTTP with the champion, and keep every answer.

    Runs until SIGTERM or Ctrl-C, and then finishes what was asked.
    A promotion, a rollout or a key takes effect within `serving.poll`, without a restart.
    """
    # Scoring is done in small pieces: a pool of threads for linear algebra would only cost memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    given = {"host": host, "port": port, "workers": workers}
    # Loading makes no garbage worth a search; who answers requests begins to look for it.
    gc.disable()
    try:
        return Answer({}, lambda console: None, _run(options, given, access_log), told=True)
    finally:
        gc.enable()


def _run(options: Options, given: dict[str, Any], access_log: bool) -> int:
    more = tuple(f"serving.{key}={value}" for key, value in given.items() if value is not None)
    options.assignments += more
    options_of = {f"--set serving.{key}": f"--{key}" for key in given if given[key] is not None}
    try:
        project = options.load()
    except ConfigError as error:
        error.where = options_of.get(error.where, error.where)
        raise
    from ratchet.serving.server import Plan
    from ratchet.serving.server import serve as run

    # Made here, and only here: a server may start before all else.
    project.open_served_ledger(create=True).close()
    return run(
        Plan(
            project.site(),
            _assembler(project, access_log=access_log),
            lambda ready: _announce(ready, project.name, as_json=options.json),
            _say,
            _compact(project, options),
        )
    )


def _assembler(project: Project, *, access_log: bool) -> Callable[[Board], Assembly]:
    def make(board: Board) -> Assembly:
        from ratchet.serving.wiring import assemble

        access = _write_access if access_log else None
        return assemble(
            project.site(), board, tell=_say, access=access, deliver=deliver, watch=watch
        )

    def deliver(ledger: ServedLedger) -> None:
        from ratchet.ledger.store import Ledger
        from ratchet.pipeline.telling import tell

        done = tell(project, Ledger.over(ledger))
        for problem in () if done is None else done.problems:
            _say(f"An alert did not arrive: {problem}")

    def watch(ledger: ServedLedger) -> Collector:
        from ratchet.ledger.store import Ledger
        from ratchet.monitoring.telemetry import LedgerMetrics
        from ratchet.pipeline.health import signs_of

        # The lake is not asked: reading it would cost the server memory it does without.
        return LedgerMetrics(
            Ledger.over(ledger), lambda: signs_of(project, pulse_of(project), lake=False)
        )

    return make


def _compact(project: Project, options: Options) -> tuple[str, ...]:
    """The command that moves the prediction log into the lake, for the same project."""
    environment = () if options.environment is None else ("--env", options.environment)
    sets = (word for each in options.assignments for word in ("--set", each))
    place = ("--project", str(project.root))
    ratchet = (sys.executable, "-m", "ratchet")
    return (*ratchet, "data", "compact", "--json", *place, *environment, *sets)


def _announce(ready: Ready, name: str, *, as_json: bool) -> None:
    if as_json:
        write_json({"ok": True, "data": {"project": name, **asdict(ready)}})
    else:
        serves = ready.why if ready.version is None else f"version {ready.version}"
        sys.stdout.write(f"{name} at {ready.url}: {serves} (pid {ready.pid})\n")
        sys.stdout.flush()
    if ready.warning:
        _say(ready.warning)


def _say(line: str) -> None:
    """A line for people, in one write: several processes share the stream."""
    _write(f"ratchet serve: {line}\n")


def _write(text: str) -> None:
    try:
        os.write(sys.stderr.fileno(), text.encode("utf-8", "replace"))
    except OSError:
        return  # nobody reads it; that is no reason to stop answering


def _write_access(request: Request, answer: HttpAnswer, seconds: float) -> None:
    line: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "status": answer.status,
        "ms": round(seconds * 1000, 3),
        "client": request.client,
        "key": None if request.caller is None else request.caller.key_id,
        "rows": request.rows,
        "arm": request.arm or None,
        "version": request.version or None,
        "request_id": request.trail,
    }
    _write(json.dumps(line) + "\n")
