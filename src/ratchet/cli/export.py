"""``ratchet export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

DASHBOARD, RULES = "ratchet-dashboard.json", "ratchet-rules.yaml"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Write files for other tools.", no_args_is_help=True)
    group.callback()(_root)
    group.command("grafana")(grafana)
    app.add_typer(group, name="export")


def _root() -> None:
    """Write files for other tools."""


@command
def grafana(
    options: Options,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to; made when it is not there.")
    ] = Path("grafana"),
) -> Answer:
    """Write a Grafana dashboard and Prometheus alert rules. They fit every project."""
    from ratchet.exports.grafana import dashboard
    from ratchet.exports.prometheus_rules import alert_rules
    from ratchet.pipeline.store import storing, write_atomic

    with storing():
        out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / DASHBOARD, dashboard())
    write_atomic(out / RULES, alert_rules())
    body = {"dashboard": str(out / DASHBOARD), "rules": str(out / RULES)}

    def show(console: Console) -> None:
        from rich.text import Text

        console.print(Text(f"{body['dashboard']}: import it in Grafana"), soft_wrap=True)
        console.print(
            Text(f"{body['rules']}: name it under rule_files: in prometheus.yml"), soft_wrap=True
        )

    return Answer(body, show)
