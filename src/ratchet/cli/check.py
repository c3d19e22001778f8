"""``ratchet check``: the configuration and the data, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ratchet.cli.output import Answer, Options, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


@command
def check(
    options: Options,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="Check this file instead.")
    ] = None,
) -> Answer:
    """Check the project file and the data; nothing is stored and nothing is trained.

    Exit code 3 when a check of severity `error` fails.
    """
    from rich.text import Text

    from ratchet.cli.tables import checks_lines
    from ratchet.errors import UsageError
    from ratchet.pipeline.checking import check_source

    project = options.load()
    if data is not None and not data.exists():
        raise UsageError(f"There is no file {data}", fix="name an existing file with --data")
    found = check_source(project, data.resolve() if data else None)
    body = {"source": found.source, "rows": found.rows, **found.report.to_json()}

    def show(console: object) -> None:
        from rich.console import Console

        assert isinstance(console, Console)
        console.print(Text(f"{found.source}: {found.rows:,} rows"), soft_wrap=True)
        for line in checks_lines(found.report.to_json()):
            console.print(Text(f"  {line}"), soft_wrap=True)

    return Answer(body, show, 0 if found.report.passed else 3)
