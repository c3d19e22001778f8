"""``ratchet keys``: who may call the server."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.ledger.keys import Key


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The API keys of the server.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


@command
def create(
    options: Options,
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="predict, feedback, read or admin (everything); repeatable."),
    ] = None,
) -> Answer:
    """Make an API key and print it, once: only its digest is kept.

    A server that runs takes it within `serving.poll`.
    """
    from ratchet.serving.auth import issue_key

    project = options.load()
    with project.open_ledger() as ledger:
        key, secret = issue_key(ledger, name, scope or (), by=_who())
    body = {**_key_json(key), "key": secret}

    def show(console: Console) -> None:
        from rich.text import Text

        console.print(Text(secret), soft_wrap=True)
        told = f"Key {key.key_id} for {key.name} ({', '.join(key.scopes)}). It is not shown again."
        _tell(told)

    return Answer(body, show)


@command
def list_keys(options: Options) -> Answer:
    """List the API keys, oldest first; never their secrets."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        keys = ledger.api_keys()
    rows = [_key_json(key) for key in keys]
    return Answer({"keys": rows}, lambda console: _print_keys(console, rows))


@command
def revoke(
    options: Options,
    key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or its name.")],
) -> Answer:
    """End an API key for good. A server that runs refuses it within `serving.poll`."""
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        before = {each.key_id for each in ledger.api_keys() if not each.live}
        revoked = ledger.revoke_key(key, by=_who())
        left = sum(each.live for each in ledger.api_keys())
    already = revoked.key_id in before

    def show(console: Console) -> None:
        from rich.text import Text

        named = f"Key {revoked.key_id} ({revoked.name})"
        if already:
            at = f"{revoked.revoked:%Y-%m-%d %H:%M:%S} UTC by {revoked.revoked_by}"
            console.print(Text(f"{named} was revoked already, at {at}"), soft_wrap=True)
            return
        console.print(Text(f"{named} opens nothing any more"))
        if not left:
            console.print("It was the last one: nobody can call the server until there is another.")

    return Answer({**_key_json(revoked), "already": already, "live_keys": left}, show)


def _key_json(key: Key) -> dict[str, Any]:
    return {
        "id": key.key_id,
        "name": key.name,
        "scopes": list(key.scopes),
        "created": key.at.isoformat(),
        "created_by": key.by,
        "revoked": None if key.revoked is None else key.revoked.isoformat(),
        "revoked_by": key.revoked_by,
    }


def _print_keys(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from ratchet.cli.tables import plain_table

    if not rows:
        console.print("No key yet: make one with `ratchet keys create NAME --scope predict`.")
        return
    table = plain_table("id", "name", "scopes", "created (UTC)", "by", "revoked (UTC)")
    for row in rows:
        table.add_row(
            row["id"],
            Text(row["name"]),
            ", ".join(row["scopes"]),
            _short(row["created"]),
            Text(row["created_by"]),
            Text(_short(row["revoked"]), style="yellow"),
        )
    console.print(table)


def _short(time: str | None) -> str:
    return "" if time is None else time[:19].replace("T", " ")


def _tell(line: str) -> None:
    """For people only: whoever pipes the key elsewhere gets the key alone."""
    from ratchet.cli.output import console

    console(stderr=True).print(line, soft_wrap=True)


def _who() -> str:
    """Who asks; in a container a user may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
