"""``ratchet approve`` and ``ratchet reject``: a person's word on a version that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.models import who
from ratchet.cli.output import Answer, Options, command
from ratchet.cli.rollouts import rollout_answer

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project

Version = Annotated[int, typer.Argument(help="The version's number.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("approve")(approve)
    app.command("reject")(reject)


@command
def approve(
    options: Options,
    version: Version,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "approved by hand",
) -> Answer:
    """Let a version on that waits for it: as champion, or as a canary (rollout.strategy)."""
    from ratchet.pipeline import rolling

    def act(project: Project, ledger: Ledger) -> tuple[Any, str]:
        return rolling.approve(project, ledger, version, by=who(), reason=reason)

    return rollout_answer(options, act)


@command
def reject(
    options: Options,
    version: Version,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")
    ] = "",
) -> Answer:
    """Let a version go no further that waits for an approval; needs --reason."""
    from ratchet.rollout.approval import reject as turn_down

    def act(project: Project, ledger: Ledger) -> tuple[Any, str]:
        registry = project.open_tracking
        return turn_down(ledger, version, by=who(), reason=reason, registry=registry)

    return rollout_answer(options, act)
