"""``ratchet trigger``: ask the loop for a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.models import who
from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trigger")(trigger)


@command
def trigger(
    options: Options,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "",
) -> Answer:
    """Ask for a run: the loop's next tick starts it, whatever the cooldown and the budget say.

    `ratchet run` runs at once, here; this leaves the work to the loop. Asking again before the
    run begins makes no second one.
    """
    from ratchet.triggers.record import request_run

    project = options.load()
    with project.open_ledger() as ledger:
        seq = request_run(ledger, by=who(), reason=reason)
    body = {"trigger": "manual", "key": f"manual:{seq}", "reason": reason}

    def show(console: Console) -> None:
        console.print(
            f"Asked for a run of {project.name} (manual:{seq}). The next tick of the loop starts "
            "it; `ratchet plan` says so.",
            soft_wrap=True,
            markup=False,
        )

    return Answer(body, show)
