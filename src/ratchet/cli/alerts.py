"""``ratchet alerts``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command, show_by_default

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.alerts.settings import AlertSettings
    from ratchet.ledger.outbox import OutboxEntry
    from ratchet.project import Project

UNREACHABLE = 6


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Who is told, and what was told.", invoke_without_command=True)
    show_by_default(group, list_alerts, limit=20)
    group.command("list")(list_alerts)
    group.command("test")(send_test)
    app.add_typer(group, name="alerts")


@command
def list_alerts(
    options: Options,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")
    ] = 20,
) -> Answer:
    """List the newest alerts and how their delivery stands."""
    from ratchet.alerts.settings import name_channels

    project = options.load()
    with project.open_ledger(create=False) as ledger:
        entries = ledger.outbox()[::-1][:limit]
    channels = name_channels(project.settings.alerts)
    body = {
        "channels": [_channel_json(name, alert) for name, alert in channels.items()],
        "alerts": [_entry_json(entry) for entry in entries],
    }
    return Answer(body, lambda console: _print(console, body))


@command
def send_test(
    options: Options,
    channel: Annotated[
        str | None, typer.Argument(help="The channel's name; all of them when not given.")
    ] = None,
) -> Answer:
    """Send a test message on each channel, or on one. Exit code 6 when one does not arrive."""
    from ratchet.alerts.settings import name_channels
    from ratchet.config.suggest import hint
    from ratchet.errors import UsageError

    project = options.load()
    channels = name_channels(project.settings.alerts)
    if not channels:
        raise UsageError(
            "The project tells nobody",
            fix="add a channel to ratchet.yaml: alerts: [{url: ${SLACK_WEBHOOK}}]",
        )
    if channel is not None and channel not in channels:
        raise UsageError(f"There is no channel `{channel}`", fix=hint(channel, channels))
    asked = channels if channel is None else {channel: channels[channel]}
    found = {name: _try(project, alert) for name, alert in asked.items()}
    body = {
        "channels": [
            {**_channel_json(name, asked[name]), "delivered": not problem, "problem": problem}
            for name, problem in found.items()
        ]
    }

    def show(console: Console) -> None:
        from rich.text import Text

        for name, problem in found.items():
            mark = ("✗ ", "red") if problem else ("✓ ", "green")
            console.print(
                Text.assemble(mark, f"{name}: {problem or 'the test message arrived'}"),
                soft_wrap=True,
            )

    return Answer(body, show, UNREACHABLE if any(found.values()) else 0)


def _try(project: Project, alert: AlertSettings) -> str:
    """What keeps a message from arriving; empty when it did."""
    from ratchet import clock
    from ratchet.alerts.delivery import DeliveryFailed
    from ratchet.alerts.messages import compose
    from ratchet.alerts.outbox import send_now
    from ratchet.errors import RatchetError
    from ratchet.ids import token

    (message,) = compose(
        [alert.model_copy(update={"on": ("recovered",)})],
        "recovered",
        project=project.name,
        headline="this is a test",
        reason="Somebody ran `ratchet alerts test`.",
        did="It sent this message, and nothing else.",
        advice="Nothing. Alerts of this project arrive here.",
        facts={"on": list(alert.on)},
        at=clock.now(),
    )
    try:
        send_now(
            alert,
            message.body,
            token(),
            resolve=lambda text: project.secret(text, "alerts"),
        )
    except (DeliveryFailed, RatchetError) as error:
        return str(error)
    return ""


def _channel_json(name: str, alert: AlertSettings) -> dict[str, Any]:
    return {
        "name": name,
        "on": list(alert.on),
        "quiet": alert.quiet,
        "hourly": alert.hourly,
    }


def _entry_json(entry: OutboxEntry) -> dict[str, Any]:
    body = entry.body
    return {
        "created": entry.created.isoformat(),
        "channel": entry.channel,
        "occasion": entry.occasion,
        "run_id": entry.run_id,
        "status": entry.status,
        "attempts": entry.attempts,
        "due": entry.due.isoformat() if entry.status == "waiting" else None,
        "delivered": entry.delivered.isoformat() if entry.delivered else None,
        "last_error": entry.last_error,
        "count": body.get("count", 1),
        "title": body.get("title") or body.get("text", ""),
        "text": body.get("text", ""),
    }


def _print(console: Console, body: dict[str, Any]) -> None:
    from rich.text import Text

    from ratchet.cli.tables import plain_table

    if not body["channels"]:
        console.print("Nobody is told: add `alerts:` to ratchet.yaml.")
    for each in body["channels"]:
        console.print(Text(f"{each['name']}: {', '.join(each['on'])}"), soft_wrap=True)
    if not body["alerts"]:
        console.print("No alert yet.")
        return
    table = plain_table("created (UTC)", "channel", "status", "tries", "what")
    styles = {"delivered": "green", "dropped": "red"}
    for row in body["alerts"]:
        count = f" ({row['count']} times)" if row["count"] > 1 else ""
        why = (
            f" - {row['last_error']}" if row["last_error"] and row["status"] != "delivered" else ""
        )
        table.add_row(
            row["created"][:19].replace("T", " "),
            Text(row["channel"]),
            Text(row["status"], style=styles.get(row["status"], "yellow")),
            str(row["attempts"] + (row["status"] == "delivered")),
            Text(row["title"] + count + why),
        )
    console.print(table)
