"""``ratchet rollout``: who answers how much of the traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli import rollouts
from ratchet.cli.models import who
from ratchet.cli.output import Answer, Options, command, show_by_default

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.reader import LedgerReader
    from ratchet.ledger.traffic import Arm, Traffic
    from ratchet.registry.traffic import TrafficPlan

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Who answers how much of the traffic.", invoke_without_command=True)
    show_by_default(group, show)
    group.command("show")(show)
    group.command("split")(split)
    group.command("clear")(clear)
    rollouts.register(group)
    app.add_typer(group, name="rollout")


@command
def show(options: Options) -> Answer:
    """Show who answers how much of the traffic, and since when."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = ledger.traffic()
        troubles = [] if found is None else _troubles(ledger, found)
        going = [each for each in ledger.rollouts() if each.alive]
    body = {
        "traffic": None if found is None else _traffic_json(found),
        "troubles": troubles,
        "rollouts": [rollouts.rollout_json(each) for each in going],
    }

    def show_both(console: Console) -> None:
        _print(console, found, troubles)
        for each in going:
            rollouts.print_rollout(console, each)

    return Answer(body, show_both)


@command
def split(
    options: Options,
    arms: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=SHARE...",
            help="champion, challenger, staging or a version's number, and its share in percent; "
            "together 100.",
        ),
    ],
    shadow: Annotated[
        list[str] | None,
        typer.Option(
            "--shadow",
            metavar="VERSION",
            help="A version (or alias) that answers too, unseen; may be given several times.",
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Let a version answer whose gates did not pass.")
    ] = False,
    dry_run: DryRun = False,
) -> Answer:
    """Split the traffic between versions, for example `champion=90 challenger=10`.

    An entity (data.id) stays with its version as long as that version's share does not shrink.
    Promotion, rollback and `ratchet rollout clear` end a split.
    """
    from ratchet.registry.traffic import plan_split

    def make(ledger: LedgerReader) -> TrafficPlan:
        wanted, unseen = _arms(ledger, arms), _shadows(ledger, shadow or [])
        return plan_split(ledger, wanted, unseen, by=who(), reason=reason, force=force)

    return _change(options, make, dry_run)


@command
def clear(
    options: Options,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "cleared by hand",
    dry_run: DryRun = False,
) -> Answer:
    """Let the champion answer everything again, without shadows."""
    from ratchet.registry.traffic import plan_clear

    return _change(options, lambda ledger: plan_clear(ledger, by=who(), reason=reason), dry_run)


def _change(options: Options, make_plan: Any, dry_run: bool) -> Answer:
    from ratchet.registry.traffic import apply_split
    from ratchet.rollout.meanwhile import end_overtaken

    project = options.load()
    # No lease: weights must move while a run trains, and the record itself refuses a stale plan.
    with project.open_ledger(create=False) as ledger:
        plan: TrafficPlan = make_plan(ledger)
        found = plan.before if dry_run else apply_split(plan, ledger)
        if not dry_run:
            end_overtaken(ledger)
    lines = plan.lines()
    body = {
        "applied": not dry_run and not plan.empty,
        "refusal": plan.refusal or None,
        "changes": [] if plan.empty or plan.refusal else list(lines[:-1]),
        "traffic": _traffic_json(found),
    }

    def show_lines(console: Console) -> None:
        from rich.text import Text

        for line in lines:
            console.print(Text(("would: " if dry_run else "") + line), soft_wrap=True)

    return Answer(body, show_lines, 3 if plan.refusal else 0)


def _arms(ledger: LedgerReader, texts: list[str]) -> list[Arm]:
    from ratchet.errors import UsageError
    from ratchet.ledger.traffic import Arm

    found = []
    for text in texts:
        name, separator, share = text.partition("=")
        try:
            percent = float(share.removesuffix("%"))
        except ValueError:
            separator = ""
            percent = 0.0
        if not separator:
            raise UsageError(
                f"{text!r} is no part of the traffic", fix="write it like challenger=10"
            )
        version, arm = _named(ledger, name.strip())
        found.append(Arm(arm, version, percent))
    # The others grow at the champion's cost.
    return sorted(found, key=lambda arm: arm.name != "champion")


def _shadows(ledger: LedgerReader, names: list[str]) -> list[int]:
    return [_named(ledger, name)[0] for name in names]


def _named(ledger: LedgerReader, name: str) -> tuple[int, str]:
    """The version that an alias, a running arm or a number names, and what its arm is called."""
    from ratchet.errors import UsageError
    from ratchet.ledger.deployments import ALIASES

    current = {alias: ledger.current(alias) for alias in ALIASES}
    aliases = {str(alias): found.version for alias, found in current.items() if found is not None}
    running = ledger.traffic()
    arms = {arm.name: arm.version for arm in running.arms} if running is not None else {}
    known = {**arms, **aliases}
    if name in known:
        return known[name], name
    if name.isdecimal():
        number = ledger.version(int(name)).version
        # An arm keeps its name while its rollout goes on, and so its entities.
        named = [arm for arm, version in (*arms.items(), *aliases.items()) if version == number]
        return number, named[0] if named else f"version-{number}"
    raise UsageError(
        f"There is no {name} to send traffic to",
        fix=f"use one of {', '.join(known) or 'no alias yet'}, or a version's number",
        code="no_model",
    )


def _troubles(ledger: LedgerReader, found: Traffic) -> list[dict[str, Any]]:
    """The versions of the record that a server could not load and has not loaded since."""
    from ratchet.ledger.health import FAILED, RECOVERED

    ill: dict[int, dict[str, Any]] = {}
    for event in ledger.events(after=found.seq):
        if event.kind in (FAILED, RECOVERED) and event.facts["record"] == found.seq:
            ill.pop(event.facts["version"], None)
            if event.kind == FAILED:
                ill[event.facts["version"]] = {
                    "version": event.facts["version"],
                    "since": event.at.isoformat(),
                    "why": event.facts["why"],
                }
    return list(ill.values())


def _traffic_json(found: Traffic) -> dict[str, Any]:
    return {
        "seq": found.seq,
        "since": found.at.isoformat(),
        "kind": found.kind,
        "champion": found.champion,
        "arms": [
            {"name": arm.name, "version": arm.version, "share": arm.share} for arm in found.arms
        ],
        "shadow": list(found.shadow),
        "salt": found.salt,
        "by": found.by,
        "reason": found.reason,
    }


def _print(console: Console, found: Traffic | None, troubles: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from ratchet.cli.tables import plain_table

    if found is None:
        console.print("Nothing serves yet: train a model with `ratchet run`.")
        return
    table = plain_table("arm", "version", "share")
    for arm in found.arms:
        table.add_row(Text(arm.name), str(arm.version), f"{arm.share:g} %")
    for number in found.shadow:
        table.add_row("shadow", str(number), "")
    console.print(table)
    since = found.at.isoformat(timespec="seconds")
    console.print(Text(f"{found.kind} since {since}: {found.reason}, by {found.by}"))
    for trouble in troubles:
        told = f"version {trouble['version']} does not load: {trouble['why']}"
        console.print(Text(told, style="bold red"), soft_wrap=True)
