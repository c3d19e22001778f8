"""``ratchet drift``: one file against another, column by column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console

    from ratchet.monitoring.drift import DriftReport
    from ratchet.monitoring.multivariate import ToldApart

_SHOWN = 15


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drift")(drift)


@command
def drift(
    options: Options,
    reference: Annotated[Path, typer.Argument(metavar="REFERENCE", help="What is usual.")],
    current: Annotated[Path, typer.Argument(metavar="CURRENT", help="The new rows.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the report there, as one .html page."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", metavar="A,B", help=r"Only these columns \[default: all]."),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", metavar="A,B", help="All but these columns.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="KIND=VALUE",
            help="A limit of your own, such as ks=0.1, in the place of the usual one of its kind;"
            " kinds are ks, psi, wasserstein, js, cramers_v, missing, new and combined.",
        ),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help=r"The data drift when this share of columns does \[default: any].",
        ),
    ] = None,
    together: Annotated[
        bool,
        typer.Option(
            "--together", help="Also try to tell old rows from new ones by all columns at once."
        ),
    ] = False,
    fail: Annotated[
        bool, typer.Option("--fail", help="End with exit code 3 when the data drifted.")
    ] = False,
) -> Answer:
    """Compare two files: which columns no longer look alike, and by how much.

    Files are CSV or Parquet (a folder of Parquet or a Delta table, too); no project is needed.
    """
    from ratchet.monitoring.drift import DriftRules, compare_frames
    from ratchet.monitoring.rules import parse_limits

    _check_out(out)
    rules = DriftRules(fixed=parse_limits(threshold or []), share=share)
    before, after = _read(reference), _read(current)
    wanted = _wanted(before.columns, _names(columns), _names(without))
    _require_common(wanted, after.columns)
    every = wanted == before.columns
    report = compare_frames(before, after, rules, columns=None if every else wanted)
    told = None
    if together:
        from ratchet.monitoring.multivariate import tell_apart

        told = tell_apart(before, after, columns=wanted)
    if out is not None:
        _write(out, report, told, before, after, (reference.name, current.name))
    body = _plain(report, told) | {"out": str(out) if out else None}
    drifted = report.drifted or bool(told and told.drifted)
    return Answer(body, lambda console: _show(console, report, told, out), 3 * (fail and drifted))


def _names(texts: list[str] | None) -> list[str] | None:
    if texts is None:
        return None
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def _wanted(known: list[str], only: list[str] | None, without: list[str] | None) -> list[str]:
    from ratchet.errors import UsageError

    for name in (*(only or ()), *(without or ())):
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            raise UsageError(
                f'The reference has no column "{name}"',
                why=f"its columns are {', '.join(known[:12])}{' …' if len(known) > 12 else ''}",
                fix=f'write "{near[0]}"' if near else "name one of them",
            )
    kept = only if only is not None else known
    left = [name for name in kept if name not in (without or ())]
    if not left:
        raise UsageError("No column is left to compare", fix="name fewer with --without")
    return left


def _require_common(wanted: list[str], there: list[str]) -> None:
    from ratchet.errors import UsageError

    if not set(wanted) & set(there):
        raise UsageError(
            "The two files have no column in common",
            why=f"one has {', '.join(wanted[:12])}, the other {', '.join(there[:12])}",
            fix="name two files of the same kind",
            code="columns_missing",
        )


def _check_out(out: Path | None) -> None:
    from ratchet.errors import UsageError

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"The report cannot be written to {out.name}", fix="end the name in .html")
    if out is not None and not out.resolve().parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}", fix="make it first")


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    from ratchet.data.settings import SourceSettings
    from ratchet.data.sources.open_source import open_source
    from ratchet.errors import ConfigError, UsageError
    from ratchet.project import source_for_file

    if not path.exists():
        raise UsageError(f"There is no file {path}", fix="name an existing file")
    settings = source_for_file(SourceSettings(type="csv", path="-"), path.resolve())
    try:
        source = open_source(settings, Path(), columns=None)
        frames = list(source.batches())
        return pl.concat(frames) if frames else source.schema().polars().to_frame()
    except ConfigError as error:
        raise UsageError(error.what, why=error.why, fix=error.fix, code=error.name) from None


def _write(
    out: Path,
    report: DriftReport,
    told: ToldApart | None,
    before: pl.DataFrame,
    after: pl.DataFrame,
    names: tuple[str, str],
) -> None:
    from ratchet.monitoring.pictures import picture_between
    from ratchet.pipeline.report.drift import MOST_PICTURES, DriftPage, render_drift
    from ratchet.pipeline.store import storing

    shown = [column for column in report.columns if column.unjudged != "identifier"]
    pictures = {
        column.column: picture_between(
            column.column, column.kind, before[column.column], after[column.column]
        )
        for column in shown[:MOST_PICTURES]
    }
    page = DriftPage(
        report=report,
        pictures={name: picture for name, picture in pictures.items() if picture is not None},
        before=names[0],
        after=names[1],
        told=told,
    )
    with storing():
        out.write_text(render_drift(page), encoding="utf-8")


def _plain(report: DriftReport, told: ToldApart | None) -> dict[str, Any]:
    """The report as JSON; a threshold without an end is null."""
    body = report.to_json()
    return body | {"together": told.to_json() if told is not None else None}


def _show(console: Console, report: DriftReport, told: ToldApart | None, out: Path | None) -> None:
    from rich.text import Text

    from ratchet.cli.tables import figure, plain_table

    console.print(
        Text(f"{'drifted' if report.drifted else 'no drift'}: {report.reason}"), soft_wrap=True
    )
    table = plain_table(
        "column", "", "decided by", "value", "limit", "ks", "psi", "w1/std", "js", "missing"
    )
    for column in report.columns[:_SHOWN]:
        state = "drifted" if column.drifted else column.unjudged
        before, after = (f"{share:.1%}" for share in column.missing)
        table.add_row(
            column.column,
            state,
            column.statistic,
            figure(column.value),
            figure(column.threshold),
            figure(column.ks.value if column.ks else None),
            figure(column.psi),
            figure(column.wasserstein),
            figure(column.js),
            after if before == after else f"{before} to {after}",
        )
    console.print(table)
    if len(report.columns) > _SHOWN:
        console.print(Text(f"and {len(report.columns) - _SHOWN} columns more; see --json or --out"))
    if report.absent:
        console.print(Text(f"not in the new rows: {', '.join(report.absent)}"), soft_wrap=True)
    if report.added:
        console.print(Text(f"only in the new rows: {', '.join(report.added)}"), soft_wrap=True)
    if told is not None:
        words = "can be told apart" if told.drifted else "cannot be told apart"
        console.print(Text(f"all columns together: old and new rows {words}, AUC {told.auc:.3f}"))
    if out is not None:
        console.print(Text(f"report {out}"), soft_wrap=True)
