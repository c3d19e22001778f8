"""The parts of ``ratchet rollout`` that take a version to all of the traffic step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.models import who
from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.rollouts import Rollout
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project
    from ratchet.rollout.drive import Step

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")]


def register(group: typer.Typer) -> None:
    """Add the commands to ``ratchet rollout``."""
    for name, function in (
        ("start", start),
        ("advance", advance),
        ("pause", pause),
        ("resume", resume),
        ("abort", abort),
        ("history", history),
    ):
        group.command(name)(function)


@command
def start(
    options: Options,
    version: Annotated[int, typer.Argument(help="The version's number.")],
    strategy: Annotated[
        str | None,
        typer.Option(
            help="canary, shadow or manual; by default rollout.strategy, and canary where that "
            "is direct."
        ),
    ] = None,
    reason: Reason = "rolled out by hand",
    force: Annotated[
        bool, typer.Option("--force", help="Although its gates did not pass.")
    ] = False,
) -> Answer:
    """Begin to give a version a part of the traffic, in the steps of rollout.steps."""
    from ratchet.errors import UsageError
    from ratchet.pipeline import rolling

    if strategy not in (None, "canary", "shadow", "manual"):
        raise UsageError(
            f"There is no strategy `{strategy}` to start with",
            fix="use canary, shadow or manual; `ratchet promote` promotes at once",
        )

    def act(project: Project, ledger: Ledger) -> tuple[Rollout, str]:
        from ratchet.rollout.drive import show_aliases

        configured = project.settings.rollout.strategy
        chosen: Any = strategy or ("canary" if configured == "direct" else configured)
        begun = rolling.begin(
            project, ledger, version, by=who(), reason=reason, strategy=chosen, forced=force
        )
        return begun, show_aliases(ledger, project.open_tracking)

    return rollout_answer(options, act)


@command
def advance(options: Options) -> Answer:
    """Look at the rollout once and take its next step if it is due. The loop does this itself.

    Exit code 3: the version was worse and was taken back.
    """
    from ratchet.pipeline import rolling

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        step = rolling.advance(project, ledger)
    if step is None:
        body: dict[str, Any] = {"did": None, "rollout": None}
        return Answer(body, lambda console: console.print("No version is being rolled out."))
    body = {
        "did": step.did,
        "reason": step.reason,
        "rollout": rollout_json(step.rollout),
        "findings": [finding.to_json() for finding in step.findings],
        "registry_behind": step.behind or None,
    }
    return Answer(
        body, lambda console: _print_step(console, step), 3 if step.did == "rolled_back" else 0
    )


@command
def pause(options: Options, reason: Reason = "paused by hand") -> Answer:
    """Take no further step; a version that is worse is taken back all the same."""
    from ratchet.rollout import drive

    return rollout_answer(
        options, lambda project, ledger: (drive.pause(ledger, by=who(), reason=reason), "")
    )


@command
def resume(options: Options, reason: Reason = "resumed by hand") -> Answer:
    """Go on after a pause."""
    from ratchet.rollout import drive

    return rollout_answer(
        options, lambda project, ledger: (drive.resume(ledger, by=who(), reason=reason), "")
    )


@command
def abort(options: Options, reason: Reason = "aborted by hand") -> Answer:
    """End the rollout: the champion answers everything again."""
    from ratchet.rollout import drive

    def act(project: Project, ledger: Ledger) -> tuple[Rollout, str]:
        registry = project.open_tracking
        return drive.abort(ledger, by=who(), reason=reason, registry=registry)

    return rollout_answer(options, act)


@command
def history(
    options: Options,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
) -> Answer:
    """List the rollouts, newest first, and how they ended."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = ledger.rollouts(limit)
    body = {"rollouts": [rollout_json(each) for each in found]}

    def show(console: Console) -> None:
        from rich.text import Text

        from ratchet.cli.tables import plain_table

        if not found:
            console.print("No version was ever rolled out in steps.")
            return
        table = plain_table("version", "strategy", "status", "started (UTC)", "why")
        for each in found:
            at = f"{each.started:%Y-%m-%d %H:%M}"
            table.add_row(str(each.version), each.strategy, _status(each), at, Text(each.reason))
        console.print(table)

    return Answer(body, show)


def rollout_answer(
    options: Options, act: Callable[[Project, Ledger], tuple[Rollout, str]]
) -> Answer:
    """Do something to a rollout, and say how it stands then."""
    project = options.load()
    # No lease: the traffic must change while a run trains; each change refuses a stale view.
    with project.open_ledger(create=False) as ledger:
        found, behind = act(project, ledger)
    body = {"rollout": rollout_json(found), "registry_behind": behind or None}

    def show(console: Console) -> None:
        from rich.text import Text

        from ratchet.pipeline.rolling import goes_on

        console.print(Text(goes_on(found)), soft_wrap=True)
        _print_behind(console, behind)

    return Answer(body, show)


def rollout_json(found: Rollout) -> dict[str, Any]:
    """A rollout as JSON values."""
    moments = ("started", "stage_started", "promoted", "ended")
    return {
        "id": found.rollout_id,
        "version": found.version,
        "previous": found.previous,
        "run_id": found.run_id,
        "strategy": found.strategy,
        "status": found.status,
        "stage": found.stage,
        "share": found.share,
        "steps": found.rules["steps"],
        "watch": found.watch,
        **{
            name: None if value is None else value.isoformat()
            for name, value in ((name, getattr(found, name)) for name in moments)
        },
        "by": found.by,
        "reason": found.reason,
        "evidence": dict(found.evidence),
    }


def print_rollout(console: Console, found: Rollout) -> None:
    """How a rollout stands, and what the last look found."""
    from rich.text import Text

    from ratchet.pipeline.rolling import goes_on

    told = f"watched after its promotion: version {found.version}" if not found.open else None
    console.print(Text(told or goes_on(found)), soft_wrap=True)
    if found.evidence:
        until = found.evidence["until"][:16].replace("T", " ")
        console.print(Text(f"as of {until} UTC: {found.evidence['reason']}"), soft_wrap=True)
        for finding in found.evidence["findings"]:
            _print_finding(console, finding)


def _print_step(console: Console, step: Step) -> None:
    from rich.text import Text

    style = "bold red" if step.did == "rolled_back" else ""
    share = f"{step.rollout.share:g} %"
    told = f"version {step.rollout.version}: {step.did.replace('_', ' ')} ({share}): {step.reason}"
    console.print(Text(told, style=style), soft_wrap=True)
    for finding in step.findings:
        _print_finding(console, finding.to_json())
    _print_behind(console, step.behind)


def _print_finding(console: Console, finding: dict[str, Any]) -> None:
    from rich.text import Text

    # What nothing was seen of yet is in --json.
    if finding["against"] or finding["value"]:
        mark = "✗" if finding["against"] else "·"
        console.print(Text(f"  {mark} {finding['test']}: {finding['says']}"), soft_wrap=True)


def _print_behind(console: Console, behind: str) -> None:
    from rich.text import Text

    if behind:
        told = f"MLflow's aliases follow with the next run or promotion: {behind}"
        console.print(Text(told), soft_wrap=True)


def _status(found: Rollout) -> str:
    watched = {"on": "watched", "clean": "no worse", "unknown": "no labels"}.get(found.watch)
    return f"{found.status}, {watched}" if watched else found.status
