"""``ratchet plan``: what a run would do now, and why; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.triggers.verdicts import Decision


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


@command
def plan(options: Options) -> Answer:
    """Say what `ratchet run` would do now, and what the loop's next tick would.

    Each rule of `triggers` is shown with what it sees, what that is held against, and why.
    """
    from rich.text import Text

    from ratchet.pipeline.plan import plan_run

    planned = plan_run(options.load())

    def show(console: Console) -> None:
        from ratchet.cli.tables import plain_table

        console.print(
            Text.assemble((planned.action, "bold"), f": {planned.reason}"), soft_wrap=True
        )
        if planned.steps:
            table = plain_table("step", "would", "last time")
            for step in planned.steps:
                seconds = "-" if step.seconds is None else f"{step.seconds:.1f} s"
                table.add_row(step.name, step.action, seconds)
            console.print(table)
        if planned.tick is not None:
            _print_tick(console, planned.tick)

    return Answer(planned.to_json(), show)


def _print_tick(console: Console, tick: Decision) -> None:
    from rich.text import Text

    from ratchet.cli.tables import plain_table

    words = {"fire": "train", "skip": "wait", "investigate": "investigate"}
    said = Text.assemble("the loop would ", (words[tick.word], "bold"), f": {tick.verdict.reason}")
    console.print(said, soft_wrap=True)
    if not tick.rules:
        return
    table = plain_table("rule", "", "value", "limit", "why")
    for rule in tick.rules:
        shown = [
            f"{item:.4g}" if isinstance(item, float) else "-" if item is None else str(item)
            for item in (rule.value, rule.threshold)
        ]
        mark = Text(rule.action, style="bold") if rule.fired else Text("-", style="dim")
        table.add_row(rule.name, mark, *shown, rule.reason)
    console.print(table)
