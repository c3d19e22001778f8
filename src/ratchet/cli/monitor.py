"""``ratchet monitor``: one look at what serves: its data, its labels, its performance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ratchet.cli.data import AsOf
from ratchet.cli.output import Answer, Options, command

if TYPE_CHECKING:
    from rich.console import Console

    from ratchet.monitoring.monitor import Observation
    from ratchet.monitoring.standing import ArmPerformance, Performance
    from ratchet.monitoring.weighing import Reading
    from ratchet.project import Project

_NONE = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("monitor")(monitor)


@command
def monitor(
    options: Options,
    as_of: AsOf = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the report there, as one .html page."),
    ] = None,
    wanted: Annotated[
        Path | None,
        typer.Option(
            "--wanted",
            metavar="FILE",
            help="Write there, as .csv, which predictions of the newest window to label first.",
        ),
    ] = None,
) -> Answer:
    """Look once at what serves: drift of its data, labels, realised and estimated performance.

    The loop does this by itself every `monitoring.every`. What was answered is moved into the
    lake first. A look at the present goes into the ledger, where the triggers find it; a look at
    the past (--as-of) is only printed.
    """
    from ratchet.cli.moments import parse_moment
    from ratchet.data.predictions.compaction import compact
    from ratchet.pipeline.watching import watch_project

    moment = None if as_of is None else parse_moment(as_of)
    project = options.load()
    with project.open_ledger(create=False) as ledger:
        compact(project.site().log_folder, project.open_lake(), patience=30.0, seal=5.0)
        found = watch_project(project, ledger, as_of=moment)
    if out is not None:
        _write(out, found, project.name)
    body, asked = found.to_json(), 0
    if wanted is not None:
        asked = body["wanted"] = _write_wanted(wanted, found, project)

    def show(console: Console) -> None:
        _show(console, found, out)
        if wanted is not None:
            console.print(f"{asked} predictions to label first: {wanted}", soft_wrap=True)

    return Answer(body, show)


def _write_wanted(path: Path, found: Observation, project: Project) -> int:
    """Write which predictions of the champion to label first, and say how many they are."""
    from ratchet.errors import UsageError
    from ratchet.monitoring.wanted import wanted_labels
    from ratchet.pipeline.store import storing

    if found.champion is None:
        raise UsageError(
            "Nothing served at that time, so no labels are wanted",
            fix="promote a version, or leave --wanted out",
            code="no_champion",
        )
    drift = found.drift_of(found.champion)
    span = project.settings.monitoring.drift.span
    since = found.at - span if drift is None else drift.since
    rows = wanted_labels(project.open_lake(), found.champion, since=since, until=found.at)
    with storing():
        rows.write_csv(path)
    return rows.height


def _write(out: Path, found: Observation, name: str) -> None:
    from ratchet.pipeline.report.observation import render_observation
    from ratchet.pipeline.store import storing

    with storing():
        out.write_text(render_observation(found, name), encoding="utf-8")


def _show(console: Console, found: Observation, out: Path | None) -> None:
    from rich.text import Text

    def say(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    who = "nothing serves" if found.champion is None else f"version {found.champion} serves"
    say(f"as of {found.at:%Y-%m-%d %H:%M} UTC: {who}, {found.folded.rows:,} new predictions")
    for one in found.drift:
        state = "not judged" if one.report is None else "no drift"
        if one.report is not None and one.report.drifted:
            state = "drift, alarm" if one.alarm else "drift, once"
        say(f"version {one.version} data: {state}: {one.reason}")
    if found.performance is None:
        say("no predictions in the span that is looked at (monitoring.history)")
    else:
        _show_performance(console, found.performance)
    for note in found.notes:
        say(f"note: {note}")
    if out is not None:
        say(f"report {out}")


def _show_performance(console: Console, found: Performance) -> None:
    from rich.text import Text

    from ratchet.cli.tables import plain_table

    console.print(Text(_labels(found)), soft_wrap=True)
    console.print(Text(_maturity(found)), soft_wrap=True)
    table = plain_table(
        "version", "arm", "metric", "realised", "rows", "baseline", "drop", "estimated", "mature"
    )
    for arm in found.arms:
        table.add_row(
            str(arm.version),
            arm.arm,
            arm.metric,
            _reading(arm.recent),
            _NONE if arm.recent is None else f"{arm.recent.rows:,}",
            _NONE if arm.baseline is None else f"{arm.baseline.value:.4f} ({arm.baseline.source})",
            _drop(arm),
            _estimated(arm),
            f"{arm.mature} of {arm.mature + arm.immature}",
        )
    console.print(table)
    for pair in found.pairs:
        told = pair.comparison
        if told.difference is not None and told.low is not None and told.high is not None:
            text = (
                f"version {pair.version} as a shadow of {pair.against}: {told.metric} better by "
                f"{told.difference:+.4f} ({told.low:+.4f} to {told.high:+.4f}, {told.n:,} rows)"
            )
            console.print(Text(text), soft_wrap=True)


def _labels(found: Performance) -> str:
    lag, labels = found.lag, found.labels
    nine = lag.age_of(0.9)
    if not lag.labelled:
        return f"no label yet for {found.rows:,} predictions"
    text = f"{lag.labelled:,} of {lag.rows:,} predictions have a label"
    if nine is None:
        text += "; how many ever will, and when, is not known yet"
    else:
        text += f"; {lag.eventual:.0%} ever will, nine in ten of these within {_span(nine)}"
    if labels.falling:
        text += f". FEWER labels come: {labels.labelled:,}, {labels.expected:,.0f} were expected"
    if labels.growing:
        text += ". Labels take LONGER than before"
    return text


def _maturity(found: Performance) -> str:
    """From what age on cohorts are mature, or why none is."""
    needed = found.label_age
    if needed.after is None:
        why = needed.why or "the delays of labels are not known"
        return f"no cohort is mature: {why}; monitoring.labels.age sets a fixed age"
    why = "as set" if needed.fixed else "so long take the labels of the slowest outcome"
    return f"cohorts are mature after {_span(needed.after)}: {why}"


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def _reading(reading: Reading | None) -> str:
    if reading is None:
        return _NONE
    return f"{reading.value:.4f} ({reading.low:.4f} to {reading.high:.4f})"


def _drop(arm: ArmPerformance) -> str:
    if arm.drop is None:
        return _NONE
    chance = "" if arm.z is None else f" (z {arm.z:.1f})"
    return f"{arm.drop:+.4f}{chance}"


def _estimated(arm: ArmPerformance) -> str:
    told = arm.estimated
    if told.reading is None:
        return _NONE
    text = f"{told.reading.value:.4f}"
    if told.muted:
        return f"{text} (muted)"
    return text if told.error is None else f"{text} (error {told.error.error:.4f})"
