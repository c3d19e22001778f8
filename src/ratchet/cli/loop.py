"""``ratchet loop``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.loop.daemon import Daemon, Plan
    from ratchet.loop.journal import Journal
    from ratchet.loop.numbers import Numbers

Every = Annotated[
    str | None,
    typer.Option("--every", metavar="TIME", help="From tick to tick, instead of loop.every."),
]
Parallel = Annotated[
    int | None, typer.Option("--parallel", metavar="N", min=1, help="Runs at once.")
]
MetricsPort = Annotated[
    int | None,
    typer.Option("--metrics-port", metavar="N", help="Instead of loop.metrics_port."),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("loop")(loop)


@command
def loop(
    options: Options,
    projects: Annotated[
        Path | None,
        typer.Option(
            "--projects", metavar="DIR", help="Look after all projects in this folder instead."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="One tick of everything, and what it did.")
    ] = False,
    every: Every = None,
    parallel: Parallel = None,
    metrics_port: MetricsPort = None,
) -> Answer:
    """Watch, decide, train again, roll out and tell: for one project, or for many.

    Runs until SIGTERM or Ctrl-C. What it does and decides it tells on stderr, a line each: JSON,
    or plain words on a terminal. It may be killed at any time; the next one goes on.

    With `--once`, exit code 3: a run was rejected; 5: another loop has the project; 6: something
    could not be looked at.
    """
    from ratchet.loop.daemon import Daemon

    folder, port = place(options, projects, metrics_port)
    plan = make_plan(options, folder, every=every, parallel=parallel, once=once)
    journal = make_journal(options)
    numbers = make_numbers(folder, None if once else port)
    daemon = Daemon(plan, journal, numbers)
    if not once:
        journal.tell("loop_started", folder=str(folder), **_stated(plan))
    daemon.run()
    if not once:
        return Answer({}, lambda console: None, told=True)
    return _report(daemon)


def place(
    options: Options, projects: Path | None, metrics_port: int | None
) -> tuple[Path, int | None]:
    """The folder that is looked after, and the port for its numbers.

    Raises:
        UsageError: there is no such folder, or no project.
        ConfigError: the one project cannot be read.
    """
    from ratchet.errors import UsageError

    if projects is None:
        project = options.load()
        return project.root, metrics_port or project.settings.loop.metrics_port
    if options.project is not None:
        raise UsageError(
            "--project and --projects exclude each other",
            fix="name one project with --project, or a folder of projects with --projects",
        )
    if not projects.is_dir():
        raise UsageError(f"There is no folder {projects}", fix="name an existing one")
    return projects.resolve(), metrics_port


def make_plan(
    options: Options, folder: Path, *, every: str | None, parallel: int | None, once: bool = False
) -> Plan:
    """The loop's plan. Raises UsageError for a time that is none."""
    from ratchet.config.durations import parse_duration
    from ratchet.data.memory import machine_memory
    from ratchet.errors import UsageError
    from ratchet.loop.daemon import Plan
    from ratchet.loop.projects import Opening

    try:
        seconds = None if every is None else parse_duration(every).total_seconds()
    except ValueError as error:
        raise UsageError(f"--every: {error}") from None
    opening = Opening(options.environment, options.assignments)
    return Plan(folder, opening, machine_memory() * 3 // 4, seconds, parallel, once)


def make_journal(options: Options) -> Journal:
    """Lines on stderr: plain ones where a person reads them."""
    from ratchet.loop.journal import Journal, to_descriptor

    plain = sys.stderr.isatty() and not options.json
    return Journal(to_descriptor(sys.stderr.fileno()), plain=plain)


def make_numbers(folder: Path, port: int | None) -> Numbers:
    """The loop's numbers, in the folder of its state. Raises StorageError, ConfigError."""
    from ratchet.loop.numbers import Numbers
    from ratchet.pipeline.store import storing

    state = folder / ".ratchet"
    with storing():
        (state / "loop").mkdir(parents=True, exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    numbers = Numbers(state / "loop" / "metrics.prom")
    if port is not None:
        numbers.listen(port)
    return numbers


def _stated(plan: Plan) -> dict[str, Any]:
    return {"every": plan.every, "parallel": plan.parallel}


def _report(daemon: Daemon) -> Answer:
    wards = sorted(daemon.wards.values(), key=lambda ward: ward.root)
    body = {"projects": [ward.to_json() for ward in wards]}
    outcomes = {ward.run["outcome"] for ward in wards if ward.run is not None}
    if any(ward.fault is not None or ward.state == "away" for ward in wards) or "died" in outcomes:
        code = 6
    elif wards and all(ward.state == "held" for ward in wards):
        code = 5
    else:
        code = 3 if "rejected" in outcomes else 6 if "failed" in outcomes else 0

    def show(console: Console) -> None:
        from rich.text import Text

        for ward in wards:
            console.print(Text(f"{ward.name}: {_line(ward.to_json())}"), soft_wrap=True)

    return Answer(body, show, code)


def _line(one: dict[str, Any]) -> str:
    if one["held_by"]:
        return f"held by {one['held_by']}"
    if one["fault"]:
        fault = one["fault"]
        return ". ".join(part for part in (fault["what"], fault["why"], fault["fix"]) if part)
    look = one["look"] or {"did": {}, "faults": {}, "decision": None}
    said = [done["says"] for done in look["did"].values()]
    said += [f"{part}: {error['what']}" for part, error in look["faults"].items()]
    decision = look["decision"]
    if decision is not None and "decision" not in look["did"]:
        said.append(f"{decision['verdict']}: {decision['reason']}")
    if one["run"]:
        said.append(f"run {one['run']['outcome']}: {one['run']['reason'] or ''}")
    return "; ".join(said) or one["state"]
