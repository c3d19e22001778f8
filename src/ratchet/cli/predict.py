"""``ratchet predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.output import Answer, Options, command, console

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


@command
def predict(
    options: Options,
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE", help="Rows to score: CSV or Parquet.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help=r"Where to: .csv or .parquet \[default: stdout]."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(metavar="ALIAS", help="champion, challenger, staging, or a version's number."),
    ] = "champion",
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the reasons for each row's score (SHAP values).")
    ] = False,
    reasons: Annotated[
        int | None,
        typer.Option(
            min=1, max=50, help=r"How many reasons a row gets \[default: 3]; implies --explain."
        ),
    ] = None,
) -> Answer:
    """Score a file of any size with a registered model."""
    from ratchet.errors import UsageError
    from ratchet.pipeline.scoring import score_file

    project = options.load()
    if not data.exists():
        raise UsageError(f"There is no file {data}", fix="name an existing file with --data")
    if options.json and out is None:
        raise UsageError(
            "With --json the predictions need a file to go to", fix="add --out FILE.csv"
        )
    done = score_file(
        project,
        data.resolve(),
        model=model,
        out=out,
        stdout=sys.stdout.buffer,
        reasons=reasons or (3 if explain else 0),
    )
    body = {
        "rows": done.rows,
        "model": project.name,
        "version": done.version,
        "out": done.out,
        "absent": list(done.absent),
    }

    def show(_: Console) -> None:
        from rich.text import Text

        # Standard output may hold the predictions themselves.
        told = console(stderr=True)
        if done.absent:
            told.print(Text(f"missing columns, taken as missing values: {', '.join(done.absent)}"))
        told.print(
            Text(f"{done.rows:,} rows scored by {project.name} version {done.version}: {done.out}")
        )

    return Answer(body, show)
