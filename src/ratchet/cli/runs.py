"""``ratchet runs`` and ``ratchet show RUN``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.runs import Run
    from ratchet.ledger.steps import Step
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("runs")(runs)
    app.command("show")(show)


@command
def runs(
    options: Options,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")
    ] = 20,
) -> Answer:
    """List the newest runs with trigger, outcome and reason."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = ledger.runs(limit)
    return Answer({"runs": [_run_json(run) for run in found]}, lambda c: _print_runs(c, found))


@command
def show(
    options: Options,
    run: Annotated[str, typer.Argument(help="A run's id, or `last`.")],
    afterwards: Annotated[
        bool,
        typer.Option(
            "--post-mortem",
            help="Why it began, what had changed, where the model got better or worse, what it "
            "cost, and what became of it.",
        ),
    ] = False,
) -> Answer:
    """Show one run: steps, candidates, gates and what it ended in."""
    from ratchet.errors import UsageError

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        if run == "last":
            newest = ledger.runs(1)
            if not newest:
                raise UsageError("There is no run yet", fix="start one with `ratchet run`")
            found = newest[0]
        else:
            found = ledger.get_run(run)
        if afterwards:
            return _look_back(project, ledger, found)
        steps = ledger.steps(found.run_id)
    data = {**_run_json(found), "steps": [_step_json(step) for step in steps]}
    data["summary"] = dict(found.summary)
    return Answer(data, lambda console: _print_run(console, found, steps))


def _look_back(project: Project, ledger: Ledger, run: Run) -> Answer:
    from ratchet.pipeline.post_mortem import post_mortem

    found = post_mortem(project, ledger, run)

    def show(console: Console) -> None:
        from ratchet.cli.post_mortem import print_post_mortem

        print_post_mortem(console, found)

    return Answer({**_run_json(run), "post_mortem": found.to_json()}, show)


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "outcome": run.outcome,
        "reason": run.reason,
        "trigger": run.trigger,
        "started": run.started.isoformat(),
        "finished": run.finished.isoformat() if run.finished else None,
        "seconds": run.seconds,
        "attempts": run.attempts,
        "snapshot_version": run.snapshot_version,
        "metrics": run.summary.get("metrics", {}),
        "model": run.summary.get("model"),
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status,
        "seconds": step.seconds,
        "cached": step.cached,
        "error": dict(step.error) if step.error else None,
        "folder": step.folder,
    }


def _print_runs(console: Console, runs: tuple[Run, ...]) -> None:
    from rich.text import Text

    from ratchet.cli.run import _STYLES
    from ratchet.cli.tables import figure, plain_table

    if not runs:
        console.print("No run yet: start one with `ratchet run`.")
        return
    # Runs of one project are judged by one metric, unless that was changed on the way.
    metrics = dict.fromkeys(_metric(run) for run in runs if run.summary.get("metrics"))
    named = next(iter(metrics)) if len(metrics) == 1 else "test"
    table = plain_table("run", "started (UTC)", "trigger", "outcome", named, "seconds", "reason")
    for run in runs:
        outcome = run.outcome or "open"
        value = figure(run.summary.get("metrics", {}).get(_metric(run)))
        table.add_row(
            run.run_id,
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            run.trigger,
            Text(outcome, style=_STYLES.get(outcome, "")),
            value if len(metrics) < 2 or value == "-" else f"{_metric(run)} {value}",
            "-" if run.seconds is None else f"{run.seconds:.1f}",
            Text(run.reason),
        )
    console.print(table)


def _metric(run: Run) -> str:
    """The metric that the run's model was chosen by."""
    return run.summary.get("metric") or "roc_auc"


def _print_run(console: Console, run: Run, steps: tuple[Step, ...]) -> None:
    from rich.text import Text

    from ratchet.cli.run import _STYLES, print_made
    from ratchet.cli.tables import (
        candidates_table,
        checks_lines,
        gates_table,
        metrics_line,
        plain_table,
    )

    outcome = run.outcome or "open"
    console.print(Text.assemble((run.run_id, "bold"), f"  {run.started:%Y-%m-%d %H:%M:%S} UTC"))
    table = plain_table("step", "status", "seconds", "detail")
    told = {step["name"]: step for step in run.summary.get("steps", [])}
    for step in steps:
        known = told.get(step.name, {})
        error = step.error["what"] if step.error else known.get("detail", "")
        status = known.get("status") or ("reused" if step.cached else step.status)
        table.add_row(step.name, status, f"{step.seconds or 0:.2f}", Text(str(error)))
    console.print(table)
    summary = run.summary
    if summary.get("checks"):
        for line in checks_lines(summary["checks"]):
            console.print(Text(f"  {line}"), soft_wrap=True)
    if summary.get("candidates"):
        console.print(candidates_table(summary["candidates"], summary.get("best"), _metric(run)))
    if summary.get("gates"):
        console.print(gates_table(summary["gates"]))
    if summary.get("metrics"):
        console.print(Text(f"test: {metrics_line(summary['metrics'])}"), soft_wrap=True)
    console.print(
        Text.assemble((outcome, _STYLES.get(outcome, "")), f": {run.reason}"), soft_wrap=True
    )
    for note in summary.get("notes", ()):
        console.print(Text(f"  {note}"), soft_wrap=True)
    print_made(console, summary.get("climbed", ()), summary.get("report"))
