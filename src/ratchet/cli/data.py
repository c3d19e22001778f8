"""``ratchet data``: what was served and what came of it, brought together to be trained on."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.data.predictions.collect import Collected
    from ratchet.data.predictions.compaction import Compacted
    from ratchet.data.predictions.coverage import Coverage
    from ratchet.project import Project

_PATIENCE = 30.0
"""Seconds to wait for another compaction of the same log."""

_SEAL = 5.0
"""Seconds to wait for servers at work to hand over what they answered just now."""

AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help=r"Use no label observed later; ISO time, UTC without a zone \[default: now].",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Served predictions and their labels, on the way to training.", no_args_is_help=True
    )
    group.command("compact")(compact)
    group.command("collect")(collect)
    group.command("labels")(labels)
    app.add_typer(group, name="data")


@command
def compact(options: Options) -> Answer:
    """Move what the server has logged into the lake. The server does this by itself.

    Nothing is lost and nothing comes twice, whoever is killed in between.
    """
    project = options.load()
    done = move_log(project)
    body = {
        "segments": done.segments,
        "served": done.served,
        "feedback": done.feedback,
        "failed": done.failed,
        "bytes": done.bytes,
        "torn": done.torn,
        "damaged": done.damaged,
        "busy": done.busy,
    }
    return Answer(body, lambda console: _lines(console, *_compacted_lines(done)))


@command
def collect(
    options: Options,
    as_of: AsOf = None,
    external: Annotated[
        list[Path] | None,
        typer.Option(
            "--external",
            metavar="FILE",
            help="Also take up labelled rows from this file (CSV or Parquet); may be repeated.",
        ),
    ] = None,
) -> Answer:
    """Turn predictions whose labels came back into rows to train on.

    They become the next version of the lake's table `collected`, which the source
    `{type: production}` reads. What is in it already is not taken twice; a label that was
    corrected meanwhile replaces the row's.
    """
    from ratchet.cli.moments import parse_moment
    from ratchet.errors import UsageError
    from ratchet.pipeline.collecting import collect_project

    moment = None if as_of is None else parse_moment(as_of)
    files = [file.absolute() for file in external or ()]
    for file in files:
        if not file.exists():
            raise UsageError(
                f"There is no file {file}", fix="name an existing file with --external"
            )
    project = options.load()
    moved = move_log(project)
    done = collect_project(project, as_of=moment, external=files)
    used = project.settings.data.source.type == "production"
    return Answer(
        _collected_json(done), lambda console: _lines(console, *_collected_lines(done, moved, used))
    )


@command
def labels(
    options: Options,
    days: Annotated[
        int, typer.Option("--days", min=1, max=36_500, help="How many days back.")
    ] = 30,
    as_of: AsOf = None,
) -> Answer:
    """Show for each day how many predictions have their label, and how long labels take."""
    from ratchet import clock
    from ratchet.cli.moments import parse_moment
    from ratchet.data.predictions.coverage import label_coverage

    project = options.load()
    moment = clock.now() if as_of is None else parse_moment(as_of)
    first = moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    move_log(project)
    found = label_coverage(project.open_lake(), as_of=moment, since=first)
    return Answer(_coverage_json(found, moment), lambda console: _print_coverage(console, found))


def move_log(project: Project) -> Compacted:
    """Move what servers have logged into the project's lake, also what they took just now."""
    from ratchet.data.predictions.compaction import compact

    folder = project.site().log_folder
    return compact(folder, project.open_lake(), patience=_PATIENCE, seal=_SEAL)


def _lines(console: Console, *lines: str) -> None:
    from rich.text import Text

    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _compacted_lines(done: Compacted) -> list[str]:
    if done.busy:
        return ["Another compaction is at work: nothing was done"]
    if not done.segments:
        return ["Nothing new was logged"]
    moved = f"{done.served:,} predictions, {done.feedback:,} labels, {done.failed:,} failures"
    lines = [f"{moved} moved into the lake ({done.segments:,} segments, {done.bytes:,} bytes)"]
    if done.torn:
        lines.append(f"{done.torn:,} bytes of unfinished records were cut; nobody had an answer")
    if done.damaged:
        lines.append(f"{done.damaged:,} damaged segments were put aside; what could be read is in")
    return lines


def _collected_json(done: Collected) -> dict[str, Any]:
    return {
        "change": done.change,
        "reason": done.reason,
        "table": "collected",
        "version": done.version,
        "rows": done.rows,
        "as_of": done.as_of.isoformat(),
        "added": done.added,
        "external": done.external,
        "corrected": done.corrected,
        "withdrawn": done.withdrawn,
        "waiting": done.waiting,
        "unmatched": done.unmatched,
        "unfit": done.unfit,
        "notes": list(done.notes),
    }


def _collected_lines(done: Collected, moved: Compacted, used: bool) -> list[str]:
    where = "" if done.version is None else f": version {done.version}, {done.rows:,} rows"
    lines = [f"{done.change}{where} ({done.reason})"]
    told = {
        "labelled predictions are too young still": done.waiting,
        "labels match no prediction in the lake: see `ratchet data labels`": done.unmatched,
        "labels or rows do not fit the table and were left out": done.unfit,
    }
    lines += [f"  {count:,} {text}" for text, count in told.items() if count]
    lines += [f"  {note}" for note in done.notes]
    if moved.busy:
        lines.append("  another compaction was at work: the newest predictions may be missing")
    if done.version is not None and not used:
        lines.append("  to train on them: data.source: {type: production, base: …}")
    return lines


def _coverage_json(found: Coverage, moment: datetime) -> dict[str, Any]:
    return {
        "as_of": moment.isoformat(),
        "predictions": sum(day.predictions for day in found.days),
        "labelled": sum(day.labelled for day in found.days),
        "days": [
            {
                "day": day.day.isoformat(),
                "predictions": day.predictions,
                "labelled": day.labelled,
                "coverage": day.coverage,
                "delay_median": day.delay,
                "delay_p90": day.slow,
            }
            for day in found.days
        ],
        "unmatched": found.unmatched,
        "unmatched_examples": [
            {
                "key": one.key,
                "prediction_id": one.prediction,
                "entity": one.entity,
                "time": None if one.time is None else one.time.isoformat(),
                "label": one.label,
                "at": one.at.isoformat(),
            }
            for one in found.examples
        ],
    }


def _print_coverage(console: Console, found: Coverage) -> None:
    from ratchet.cli.tables import plain_table

    if not found.days:
        _lines(console, "Nothing was predicted in these days")
    else:
        table = plain_table("day (UTC)", "predictions", "labelled", "share", "median", "9 in 10")
        for day in found.days:
            table.add_row(
                day.day.isoformat(),
                f"{day.predictions:,}",
                f"{day.labelled:,}",
                f"{day.coverage:.0%}",
                _duration(day.delay),
                _duration(day.slow),
            )
        console.print(table)
    if found.unmatched:
        _lines(console, f"{found.unmatched:,} labels match no prediction in the lake:")
    for one in found.examples:
        of = one.prediction or f"{one.entity} at {one.time or one.at}"
        _lines(console, f"  {one.label} for {of} (key {one.key}, accepted {one.at:%Y-%m-%d %H:%M})")


def _duration(seconds: float | None) -> str:
    """A delay as a person reads it."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
