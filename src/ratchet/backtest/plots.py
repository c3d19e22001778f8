"""The backtest drawn: quality over time, quality against work, and what each policy did when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from ratchet.backtest.outcome import Backtest, Line
from ratchet.backtest.quality import Floats
from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import figure
from ratchet.pipeline.report.markup import Html
from ratchet.pipeline.report.plot import (
    Axis,
    Frame,
    Point,
    chart,
    legend,
    line,
    nice_axis,
    note,
    rule,
    spot,
)

_DAY = 86_400.0
_ROW, _BELOW, _ABOVE = 46, 0.14, 7.0
"""Of a policy in the timeline: its height in pixels, where its dots are, and where its name is."""
_STYLES = ("c3", "c4", "c5", "c6", "c7")
NEVER_STYLE, EVERY_STYLE = "c8", "c2"


def quality_plot(found: Backtest, shown: Sequence[Line]) -> Html:
    """The metric of each period, smoothed so that lines can be told apart."""
    width = max(1, round(len(found.stream.served) / 25))
    series = [(one, _smoothed(one.quality.metric, one.quality.rows, width)) for one in shown]
    values = np.concatenate([values for _, values in series])
    values = values[np.isfinite(values)]
    title = words.metric_title(found.metric)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    frame = Frame(_time_axis(found), nice_axis(low, high, title, pad=0.04), 260)
    times = _middles(found)
    layers, entries = [], []
    for one, smooth in series:
        style = _style(found, one)
        layers.append(line(frame, _points(times, smooth), style))
        entries.append((style.replace(" dash", " dash2"), one.name))
    said = f"Mean of {width} periods in a row. " if width > 1 else ""
    best = max(shown, key=lambda one: one.quality.value)
    return figure(
        f"{title} over time",
        legend(entries),
        chart(
            frame,
            layers,
            key="quality",
            title=f"{title} of each policy over time",
            description=f"{best.name} has the largest mean, {words.figure(best.quality.value)}.",
        ),
        below=f"{said}Each model answers rows that nobody had labels of yet.",
        wide=True,
    )


def loss_plot(found: Backtest, shown: Sequence[Line], never: Line) -> Html:
    """Loss saved against never retraining, added up: a rising line is gaining."""
    series = [(one, np.cumsum(never.quality.losses - one.quality.losses)) for one in shown]
    values = np.concatenate([np.zeros(1), *(saved for _, saved in series)])
    frame = Frame(
        _time_axis(found),
        nice_axis(float(values.min()), float(values.max()), "loss saved", pad=0.04),
        260,
    )
    times = _middles(found)
    layers, entries = [rule(frame, y=0.0)], []
    for one, saved in series:
        style = _style(found, one)
        layers.append(line(frame, _points(times, saved), style))
        entries.append((style.replace(" dash", " dash2"), one.name))
    return figure(
        "What it saved over never retraining",
        legend(entries),
        chart(
            frame,
            layers,
            key="saved",
            title="Loss saved over never retraining, added up",
            description="; ".join(
                f"{one.name} {words.figure(float(saved[-1]), 1)}" for one, saved in series
            ),
        ),
        below=f"Summed {words.spoken(found.loss)} of all rows so far; upwards is better.",
        wide=True,
    )


def frontier_plot(found: Backtest) -> Html:
    """Loss against the number of retrainings, with the best that any schedule could have done."""
    rows = float(found.lines[0].quality.rows.sum())
    best = (found.oracle.losses / rows).tolist()
    most = max([len(one.played.runs) for one in found.lines] + [1])
    losses = [*best[: most + 1], *(one.quality.loss for one in found.lines)]
    frame = Frame(
        nice_axis(0.0, float(most), "retrainings", pad=0.03),
        nice_axis(min(losses), max(losses), f"{words.spoken(found.loss)} of a row", pad=0.06),
        300,
    )
    layers = [
        line(frame, [(float(n), value) for n, value in enumerate(best[: most + 1])], "dash c8")
    ]
    ordered = sorted(found.lines, key=lambda one: (len(one.played.runs), one.quality.loss))
    for place, one in enumerate(ordered):
        at = (float(len(one.played.runs)), one.quality.loss)
        chosen = one.name == found.recommendation.policy
        style = "c1" if chosen else "c8 hollow" if one.baseline else "c3"
        layers.append(spot(frame, at, style, f"{one.name}: {words.figure(one.quality.loss)}", 5.5))
        # Neighbours write above and below their spots by turns.
        shift = (8.0, -8.0 if place % 2 else 16.0)
        layers.append(
            note(frame, at, one.name, shift=shift, style="" if chosen else "soft", turn=0.7)
        )
    return figure(
        "Work against loss",
        legend([("c1", "recommended"), ("c3", "policies"), ("c8", "baselines")], "disc"),
        chart(
            frame,
            layers,
            key="frontier",
            title="Retrainings and loss of each policy",
            description="The further down and to the left, the better.",
        ),
        below="Dashed: the best schedule in hindsight with so many retrainings. It knows every "
        "later loss, so nobody reaches it.",
        wide=True,
    )


def timeline_plot(found: Backtest) -> Html:
    """When each policy retrained, and what of it came to serve."""
    shown = [one for one in found.lines if one.played.runs]
    marks = tuple((float(place), one.name) for place, one in enumerate(reversed(shown)))
    frame = Frame(_time_axis(found), Axis(-0.6, len(shown) - 0.4, ()), _ROW * len(shown))
    layers = []
    for place, name in marks:
        one = found.line(name)
        layers.append(rule(frame, y=place, style="grid"))
        layers.append(note(frame, (frame.x.low, place), name, shift=(4, -_ABOVE), style="soft"))
        for run in one.played.runs:
            at = (run.at.timestamp(), place - _BELOW)
            style = "c1" if run.promoted else "c8 hollow"
            said = f"{found.stream.tell(run.at)}: {run.trigger}, {run.verdict.replace('_', ' ')}"
            layers.append(spot(frame, at, style, said, 4.0))
    total = sum(len(one.played.runs) for one in shown)
    return figure(
        "What each policy did",
        legend([("disc c1", "came to serve"), ("ring c8", "rejected by the gate")], ""),
        chart(
            frame,
            layers,
            key="timeline",
            title="Retrainings of each policy over time",
            description=f"{total} retrainings of {len(shown)} policies.",
        ),
        wide=True,
    )


def _style(found: Backtest, one: Line) -> str:
    """The same colour in every plot."""
    if one.name == found.recommendation.policy:
        return "c1"
    if one.baseline:
        return EVERY_STYLE if one.played.runs else f"{NEVER_STYLE} dash"
    return _STYLES[found.policies.index(one) % len(_STYLES)]


def _smoothed(values: Floats, rows: Floats, width: int) -> Floats:
    """Means of ``width`` periods in a row, by rows; periods without a value do not count."""
    known = np.isfinite(values)
    weight = np.where(known, rows, 0.0)
    kernel = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0) * weight, kernel, "same")
    count = np.convolve(weight, kernel, "same")
    made: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return made


def _points(times: Sequence[float], values: Floats) -> list[Point]:
    return [
        (at, float(value)) for at, value in zip(times, values, strict=True) if np.isfinite(value)
    ]


def _middles(found: Backtest) -> list[float]:
    ends = [end.timestamp() for end in found.stream.ends]
    return [(ends[period - 1] + ends[period]) / 2 for period in found.stream.served]


def _time_axis(found: Backtest) -> Axis:
    """From the first training to the end, marked at about six round days."""
    start, end = found.stream.ends[found.stream.first], found.stream.ends[-1]
    length = (end - start) / timedelta(days=1)
    steps = (1, 2, 5, 7, 14, 28, 56, 91, 182, 365, 730)
    step = next((days for days in steps if length / days <= 7), 3650)
    at = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=1)
    marks = []
    while at <= end:
        far = length > 360
        shown = f"{at:%b %Y}" if far else f"{at.day} {at:%b}"
        marks.append((at.timestamp(), shown if found.stream.timed else found.stream.tell(at)))
        at += timedelta(days=step)
    return Axis(start.timestamp(), max(end, start + timedelta(seconds=1)).timestamp(), tuple(marks))
