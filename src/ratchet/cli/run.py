"""``ratchet run``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.output import Answer, Options, command, console

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.pipeline.outcome import Run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


@command
def run(
    options: Options,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="Read this file instead.")
    ] = None,
    data_version: Annotated[
        int | None,
        typer.Option("--data-version", metavar="N", help="Train on version N of the table again."),
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Continue this unfinished run.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train even if nothing changed, reusing nothing.")
    ] = False,
    step: Annotated[
        str | None, typer.Option("--step", metavar="NAME", help="Stop after this step.")
    ] = None,
    trigger: Annotated[
        str, typer.Option("--trigger", metavar="NAME", help="What set the run off.")
    ] = "manual",
    trigger_key: Annotated[
        str | None,
        typer.Option(
            "--trigger-key",
            metavar="KEY",
            help="What it is for: a key makes one run, and one that was left open goes on.",
        ),
    ] = None,
) -> Answer:
    """Ingest, check, train, compare, gate and register: one pass of the pipeline.

    Exit code 0: promoted, candidate or skipped. 3: the checks or the gate said no, and the
    champion stays. Anything else: a fault, and the champion stays.
    """
    from ratchet.cli.progress import reporter
    from ratchet.errors import UsageError
    from ratchet.pipeline.request import Request
    from ratchet.pipeline.run import run as run_pipeline

    project = options.load()
    if data is not None:
        data = data.resolve()
        if not data.exists():
            raise UsageError(f"There is no file {data}", fix="name an existing file with --data")
    if data is not None and data_version is not None:
        raise UsageError(
            "--data and --data-version exclude each other",
            fix="give the new file, or the number of an old version",
        )
    request = Request(
        data=data,
        data_version=data_version,
        force=force,
        resume=resume,
        until=step,
        trigger=trigger,
        trigger_key=trigger_key,
    )
    ended = run_pipeline(project, request, reporter=reporter(console(stderr=options.json)))
    if ended.fault is not None:
        ended.fault.run_id = ended.run_id
        raise ended.fault
    return Answer(ended.to_json(), lambda screen: show_run(screen, ended), ended.exit_code)


_STYLES = {
    "promoted": "bold green",
    "candidate": "bold cyan",
    "skipped": "bold cyan",
    "rejected": "bold yellow",
    "failed": "bold red",
}


def show_run(screen: Console, ended: Run) -> None:
    """What a run ended in, for a person."""
    from rich.text import Text

    from ratchet.cli.tables import candidates_table, checks_lines, gates_table, metrics_line

    if ended.checks is not None:
        for line in checks_lines(ended.checks):
            screen.print(Text(f"  {line}"), soft_wrap=True)
    if ended.candidates:
        screen.print(candidates_table(ended.candidates, ended.best, ended.metric))
    if ended.gates:
        screen.print(gates_table(ended.gates))
    if ended.metrics:
        screen.print(Text(f"test: {metrics_line(ended.metrics)}"), soft_wrap=True)
    screen.print(
        Text.assemble((ended.outcome, _STYLES[ended.outcome]), f": {ended.reason}"), soft_wrap=True
    )
    if ended.model is not None:
        model = ended.model
        screen.print(
            Text(f"  {model['name']} version {model['version']}  {model['bundle']}"),
            soft_wrap=True,
        )
    print_made(screen, [climb.to_json() for climb in ended.climbed], ended.report)
    screen.print(Text(f"  run {ended.run_id}, {ended.seconds:.1f} s", style="dim"))


def print_made(screen: Console, climbed: Iterable[Mapping[str, str]], report: str | None) -> None:
    """What was tried before the model that it ended with, and where the page is."""
    from rich.text import Text

    for climb in climbed:
        screen.print(Text(f"  {climb['update']} was not enough: {climb['reason']}"), soft_wrap=True)
    if report is not None:
        screen.print(Text(f"  report {report}"), soft_wrap=True)
