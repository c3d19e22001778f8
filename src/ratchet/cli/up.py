"""``ratchet up``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.loop import Every, MetricsPort, Parallel, make_journal, make_numbers, make_plan
from ratchet.cli.output import Answer, Options, command, write_json

if TYPE_CHECKING:
    from ratchet.project import Project

_MORE = 30.0
"""Seconds that a server may take to end beyond those of a request: it empties its log."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(up)


@command
def up(
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
    every: Every = None,
    parallel: Parallel = None,
    metrics_port: MetricsPort = None,
) -> Answer:
    """Serve the champion and look after it: `ratchet serve` and `ratchet loop` in one.

    The server is a process of its own: it is started again when it dies, and goes on answering if
    this one is killed. SIGTERM or Ctrl-C ends both.
    """
    from ratchet.config.durations import parse_duration
    from ratchet.loop.daemon import Daemon
    from ratchet.loop.up import Served

    project = options.load()
    given = {"host": host, "port": port, "workers": workers}
    words = [word for name, value in given.items() if value is not None
             for word in (f"--{name}", str(value))]  # fmt: skip
    plan = make_plan(options, project.root, every=every, parallel=parallel)
    journal = make_journal(options)
    numbers = make_numbers(project.root, metrics_port or project.settings.loop.metrics_port)
    serve = (sys.executable, "-m", "ratchet", "serve", "--json")
    server = Served(
        (*serve, *plan.opening.words(project.root), *words),
        project.state / "loop",
        parse_duration(project.settings.serving.timeout).total_seconds() + _MORE,
        journal,
        lambda ready: _announce(ready, project, as_json=options.json),
    )
    Daemon(plan, journal, numbers, server).run()
    return Answer({}, lambda console: None, told=True)


def _announce(ready: Mapping[str, Any], project: Project, *, as_json: bool) -> None:
    if as_json:
        write_json({"ok": True, "data": dict(ready)})
    else:
        serves = ready["why"] if ready["version"] is None else f"version {ready['version']}"
        sys.stdout.write(
            f"{project.name} at {ready['url']}: {serves}; looked after every "
            f"{project.settings.loop.every} (Ctrl-C ends both)\n"
        )
    sys.stdout.flush()
