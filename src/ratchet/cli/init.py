"""``ratchet init``: look at a table and write a project file with every guess in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


@command
def init(
    options: Options,
    data: Annotated[
        str,
        typer.Option("--data", metavar="FILE", help="CSV or Parquet: a file, folder or glob."),
    ],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="The column to predict.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help=r"Where to \[default: here].")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help=r"The project's name \[default: the folder's].")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="LABEL", help="The class to find.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column that names a row.")
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option("--time", metavar="COLUMN", help="When a row was; none for a random split."),
    ] = None,
) -> Answer:
    """Look at the data and write ratchet.yaml: types, roles, checks and sensible models.

    Nothing is overwritten. Every guess is printed and stands in the file, to be corrected.
    """
    from ratchet.errors import UsageError
    from ratchet.pipeline.starting import Wishes, start_project

    asked = options.project
    if asked is not None and folder is not None and asked.resolve() != folder.resolve():
        raise UsageError(
            f"Two folders are named: {folder} and --project {asked}",
            fix="name one of them",
        )
    wishes = Wishes(
        data=data,
        target=target,
        name=name,
        positive=positive,
        id=id_column,
        time=time_column,
    )
    started = start_project(options.project or folder or Path(), wishes)
    body = {
        "file": str(started.file),
        "project": started.project,
        "target": target,
        "task": started.task,
        "rows": started.rows,
        "columns": dict(started.columns),
        "notes": list(started.notes),
    }

    def show(console: Console) -> None:
        from rich.text import Text

        console.print(Text(f"{started.rows:,} rows, {len(started.columns)} columns. Guessed:"))
        for note in started.notes:
            console.print(Text(f"  {note}"), soft_wrap=True)
        console.print(Text(f"Wrote {started.file}"), soft_wrap=True)
        where = "" if started.file.parent == Path.cwd() else f"cd {started.file.parent} && "
        console.print(Text(f"Next: {where}ratchet run"), soft_wrap=True)

    return Answer(body, show)
