"""``ratchet validate-model``: the minimum gate on its own, for a CI job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

Least = Annotated[float | None, typer.Option(min=0.0, max=1.0)]
Most = Annotated[float | None, typer.Option(min=0.0)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate-model")(validate_model)


@command
def validate_model(
    options: Options,
    model_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[@ALIAS|/VERSION]",
            help=r"The model \[default: the project's champion].",
        ),
    ] = None,
    min_accuracy: Least = None,
    min_precision: Least = None,
    min_recall: Least = None,
    min_f1: Least = None,
    min_roc_auc: Least = None,
    min_r2: Least = None,
    max_log_loss: Most = None,
    max_rmse: Most = None,
    max_mae: Most = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Measure on these labelled rows instead of the stored test metrics.",
        ),
    ] = None,
    output_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report there as JSON.")
    ] = None,
) -> Answer:
    """Hold a registered model against minimum metrics; exit code 3 when it falls short.

    Without any --min-* or --max-* option the project's own gates.minimum are used.
    """
    from ratchet.pipeline.store import write_atomic
    from ratchet.pipeline.validating import validate_version

    given = {
        "accuracy": min_accuracy,
        "precision": min_precision,
        "recall": min_recall,
        "f1": min_f1,
        "roc_auc": min_roc_auc,
        "r2": min_r2,
        "log_loss": max_log_loss,
        "rmse": max_rmse,
        "mae": max_mae,
    }
    least = {name: value for name, value in given.items() if value is not None}
    found = validate_version(options.load(), model_name, least, data.resolve() if data else None)
    body = found.to_json()
    if output_file is not None:
        write_atomic(output_file, json.dumps(body, indent=1, ensure_ascii=False) + "\n")

    def show(console: Console) -> None:
        from rich.text import Text

        from ratchet.cli.tables import gates_table

        console.print(Text(f"{found.model} version {found.version}, {found.measured_on}"))
        console.print(gates_table(body["results"]))
        console.print(Text(found.report.summary()), soft_wrap=True)

    return Answer(body, show, 0 if found.report.passed else 3)
