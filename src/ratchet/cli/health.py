"""``ratchet health`` and ``ratchet delivery``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.monitoring.delivery import Delivery, Spread
    from ratchet.monitoring.vitals import Health, Pulse
    from ratchet.project import Project


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("health")(health)
    app.command("delivery")(delivery)


@command
def health(
    options: Options,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Ask this server too whether it is ready."),
    ] = None,
    tell: Annotated[
        bool, typer.Option("--tell", help="Alert when something went wrong or was mended.")
    ] = False,
) -> Answer:
    """Say whether the pipeline does its work. Exit code 3 when something is wrong."""
    from ratchet.pipeline.health import look_at_health, tell_health
    from ratchet.pipeline.telling import tell as send

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = look_at_health(project, ledger, pulse_of(project), server=server)
        if tell:
            tell_health(project, ledger, found)
            send(project, ledger)
    return Answer(
        found.to_json(), lambda console: _print_health(console, found), 0 if found.healthy else 3
    )


@command
def delivery(
    options: Options,
    days: Annotated[
        int, typer.Option("--days", min=1, max=3650, help="How far back to look.")
    ] = 90,
) -> Answer:
    """Say how often, how fast and how safely models are delivered (DORA's measures)."""
    from ratchet import clock
    from ratchet.monitoring.delivery import measure_delivery

    project = options.load()
    now = clock.now()
    with project.open_ledger(create=False) as ledger:
        past = ledger.history(since=now - timedelta(days=days), now=now)
    arrived = {each.version: each.created for each in project.open_lake().history("data")}
    found = measure_delivery(past, arrived)
    return Answer(found.to_json(), lambda console: _print_delivery(console, found))


def pulse_of(project: Project) -> Pulse | None:
    """The loop that looks after a project, or did last."""
    from ratchet.loop.beat import read_beat
    from ratchet.monitoring.vitals import Pulse

    beat = read_beat(project.state / "loop")
    if beat is None:
        return None
    return Pulse(beat.ticked, timedelta(seconds=beat.every), beat.alive)


def _print_health(console: Console, found: Health) -> None:
    from rich.text import Text

    if found.healthy:
        console.print(Text.assemble(("healthy", "bold green"), ": nothing is wrong"))
    for problem in found.problems:
        since = "" if problem.since is None else f" (since {problem.since:%Y-%m-%d %H:%M} UTC)"
        console.print(
            Text.assemble(("✗ ", "red"), (problem.code, "bold"), f": {problem.what}{since}"),
            soft_wrap=True,
        )
        console.print(Text(f"  fix: {problem.fix}"), soft_wrap=True)
    if found.looked_at:
        console.print(Text(f"looked at: {', '.join(found.looked_at)}", style="dim"))
    for code, why in found.not_judged.items():
        console.print(Text(f"not judged: {code} ({why})", style="dim"), soft_wrap=True)


def _print_delivery(console: Console, found: Delivery) -> None:
    from ratchet.cli.tables import plain_table

    table = plain_table("measure", "value", "of")
    table.add_row(
        "deployment frequency",
        f"{found.per_week:.2g} a week",
        f"{found.deployments} in {found.days:.0f} days",
    )
    table.add_row("  stopped by checks or a gate", str(found.rejected), "")
    table.add_row("  taken back before all saw it", str(found.prevented), "")
    table.add_row("lead time", *_spread(found.lead_time))
    for name, spread in found.parts.items():
        table.add_row(f"  {name}", *_spread(spread))
    table.add_row("lead time from the commit", *_spread(found.code_lead_time))
    table.add_row("data age when first served", *_spread(found.data_age))
    table.add_row("change failure rate", *_rate(found.change_failure))
    table.add_row("  too young to tell", str(found.pending), "")
    table.add_row("recovery time", *_spread(found.recovery))
    table.add_row("rework rate", *_rate(found.rework))
    console.print(table)


def _spread(spread: Spread) -> tuple[str, str]:
    from ratchet.monitoring.vitals import show_span

    if spread.median is None or spread.p90 is None:
        return "-", "0"
    middle, high = (show_span(timedelta(seconds=each)) for each in (spread.median, spread.p90))
    return f"{middle} (p90 {high})", str(spread.count)


def _rate(rate: Any) -> tuple[str, str]:
    share = rate.share
    return ("-" if share is None else f"{share:.0%}"), f"{rate.part} of {rate.whole}"
