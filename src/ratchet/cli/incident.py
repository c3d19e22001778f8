"""``ratchet incident``: failures that only users see, for the measures of delivery."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.models import who
from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from ratchet.ledger.incidents import Report

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Record that users were hit; `ratchet delivery` counts it.", no_args_is_help=True
    )
    group.command("open")(open_)
    group.command("close")(close)
    app.add_typer(group, name="incident")


@command
def open_(
    options: Options,
    reason: Reason,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help=r"When it began; ISO time, UTC \[default: now]."
        ),
    ] = None,
) -> Answer:
    """Record an incident. It is blamed on the version that answered when it began."""
    from ratchet.ledger.incidents import open_incident

    moment = _moment(since, "--since")
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = open_incident(ledger, by=who(), reason=reason, since=moment)
    served = "nothing served" if found.version is None else f"version {found.version} answered"
    text = f"Incident since {found.since:%Y-%m-%d %H:%M} UTC, when {served}: {reason}"
    return Answer(_json(found), lambda console: console.print(text, soft_wrap=True, markup=False))


@command
def close(
    options: Options,
    reason: Reason,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help=r"When it was over; ISO time, UTC \[default: now]."
        ),
    ] = None,
) -> Answer:
    """Record that the incident is over."""
    from ratchet.ledger.incidents import close_incident
    from ratchet.monitoring.vitals import show_span

    moment = _moment(at, "--at")
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        found = close_incident(ledger, by=who(), reason=reason, until=moment)
    text = f"The incident is over after {show_span(moment - found.since)}: {reason}"
    return Answer(_json(found), lambda console: console.print(text, soft_wrap=True, markup=False))


def _moment(text: str | None, option: str) -> datetime:
    from ratchet import clock
    from ratchet.cli.moments import parse_moment
    from ratchet.errors import UsageError

    now = clock.now()
    moment = now if text is None else parse_moment(text)
    if moment > now:
        raise UsageError(
            f"{option} {text} is in the future", fix="give a time that is over, or leave it out"
        )
    return moment


def _json(found: Report) -> dict[str, Any]:
    return {
        "incident": found.incident,
        "version": found.version,
        "since": found.since.isoformat(),
        "until": None if found.until is None else found.until.isoformat(),
        "by": found.by,
        "reason": found.reason,
    }
