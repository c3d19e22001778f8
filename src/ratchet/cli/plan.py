"""``ratchet plan``: what a run would do now, and why; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


@command
def plan(options: Options) -> Answer:
    """Say what `ratchet run` would do now, why, and about how long it would take."""
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

    return Answer(planned.to_json(), show)
