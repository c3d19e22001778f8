"""Performance, labels and their delays over time, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import figure
from ratchet.pipeline.report.markup import Html
from ratchet.pipeline.report.plot import (
    Axis,
    Frame,
    Point,
    band,
    chart,
    legend,
    line,
    nice_axis,
    rule,
    spot,
    unit_axis,
)

if TYPE_CHECKING:
    from ratchet.monitoring.cohorts import Cohort
    from ratchet.monitoring.standing import ArmPerformance, Performance
    from ratchet.monitoring.weighing import Reading

_DAY = 86_400.0


def performance_plot(performance: Performance, arm: ArmPerformance) -> Html | None:
    """Realised beside estimated, cohort by cohort; None with nothing to draw."""
    metric = arm.metric
    mine = [one for one in performance.cohorts if (one.version, one.arm) == (arm.version, arm.arm)]
    realised = [one for one in mine if metric in one.metrics]
    guessed = [one for one in mine if metric in one.estimated and one.end <= performance.as_of]
    if not realised and not guessed:
        return None
    shown: list[Reading] = [one.metrics[metric] for one in realised if one.mature]
    values = [value for one in shown for value in (one.low, one.high)]
    values += [one.metrics[metric].value for one in realised]
    values += [one.estimated[metric].value for one in guessed]
    if arm.baseline is not None:
        values.append(arm.baseline.value)
    title = words.metric_title(metric)
    frame = Frame(_time_axis(mine), nice_axis(min(values), max(values), title), 240)
    mature = [one for one in realised if one.mature]
    layers = [
        band(frame, *_ends(mature, metric, "metrics"), "c1"),
        band(frame, *_ends(guessed, metric, "estimated"), "c2"),
    ]
    if arm.baseline is not None:
        layers.append(rule(frame, y=arm.baseline.value))
    layers.append(line(frame, [_point(o, o.estimated[metric]) for o in guessed], "c2 dash"))
    layers.append(line(frame, [_point(o, o.metrics[metric]) for o in mature], "c1"))
    for one in realised:
        if metric in one.bounds:
            at, (low, high) = _point(one, one.metrics[metric])[0], one.bounds[metric]
            layers.append(line(frame, [(at, low), (at, high)], "soft"))
    for one in realised:
        reading = one.metrics[metric]
        style = "c1" if one.mature else "c1 hollow"
        said = f"{words.moment(one.start.isoformat())}: {words.figure(reading.value)}"
        layers.append(spot(frame, _point(one, reading), style, said, 3.5))
    entries = [("c1", "realised"), ("c2 dash2", "estimated")]
    if arm.baseline is not None:
        entries.append(("none dash2", f"baseline, version {arm.baseline.version}"))
    described = _described(mature, guessed, metric)
    drawn = chart(
        frame,
        layers,
        key=f"perf-{arm.version}-{_key(arm.arm)}",
        title=f"{title} of version {arm.version}",
        description=described,
    )
    hollow = any(not one.mature for one in realised)
    below = ""
    if hollow:
        below = "Hollow: labels are still to come; the upright line is where it can still end."
    return figure(
        f"Version {arm.version}, {arm.arm}", legend(entries), drawn, below=below, wide=True
    )


def coverage_plot(performance: Performance) -> Html | None:
    """The share of each cohort that has its label."""
    seen = [one for one in performance.cohorts if one.arm != "shadow"]
    if not seen:
        return None
    totals: dict[datetime, list[int]] = {}
    for one in seen:
        held = totals.setdefault(one.start, [0, 0])
        held[0] += one.labelled
        held[1] += one.predictions
    middle = (seen[0].end - seen[0].start) / 2
    points = [
        ((start + middle).timestamp(), labelled / count)
        for start, (labelled, count) in sorted(totals.items())
    ]
    frame = Frame(_time_axis(seen), unit_axis("labelled"), 200)
    layers = [line(frame, points, "c1")]
    if len(points) <= 100:
        layers += [spot(frame, one, "c1", words.percent(one[1]), 3) for one in points]
    if performance.lag.settled:
        layers.insert(0, rule(frame, y=performance.lag.eventual))
    return figure(
        "Labels by the day of the prediction",
        chart(
            frame,
            layers,
            key="coverage",
            title="Share of predictions with a label",
            description=f"The newest cohort has {words.percent(points[-1][1])}.",
        ),
        below="Dashed: the share that ever gets one." if performance.lag.settled else "",
    )


def lag_plot(performance: Performance) -> Html | None:
    """How long labels take."""
    lag = performance.lag
    if not lag.ages:
        return None
    scale, unit = _unit(max(lag.followed, 1.0))
    points: list[Point] = [(0.0, 0.0)]
    points += [(age / scale, share) for age, share in zip(lag.ages, lag.shares, strict=True)]
    points.append((lag.followed / scale, lag.eventual))
    frame = Frame(
        nice_axis(0.0, lag.followed / scale, f"{unit} since the prediction", pad=0.0),
        unit_axis("labelled"),
        200,
    )
    layers = [line(frame, points, "c1", steps=True)]
    said = "How many ever get one is not known yet."
    nine = lag.age_of(0.9)
    if nine is not None:
        layers.insert(0, rule(frame, x=nine / scale))
        said = f"Nine in ten of all labels are there after {nine / scale:.3g} {unit}."
    needed = performance.label_age
    if needed.after is not None:
        said += f" Cohorts are mature after {needed.after / scale:.3g} {unit}"
        said += ", as set." if needed.fixed else ": the slowest outcome's labels take so long."
    elif needed.why:
        said += f" No cohort is mature: {needed.why}."
    return figure(
        "How long labels take",
        chart(frame, layers, key="lag", title="Delay of labels", description=said),
        below=said,
    )


def _point(cohort: Cohort, reading: Reading) -> Point:
    middle = cohort.start + (cohort.end - cohort.start) / 2
    return middle.timestamp(), reading.value


def _ends(cohorts: Sequence[Cohort], metric: str, which: str) -> tuple[list[Point], list[Point]]:
    low, high = [], []
    for one in cohorts:
        reading = getattr(one, which)[metric]
        at = _point(one, reading)[0]
        low.append((at, reading.low))
        high.append((at, reading.high))
    return low, high


def _described(mature: Sequence[Cohort], guessed: Sequence[Cohort], metric: str) -> str:
    parts = []
    if mature:
        parts.append(f"Realised last: {words.figure(mature[-1].metrics[metric].value)}.")
    if guessed:
        parts.append(f"Estimated last: {words.figure(guessed[-1].estimated[metric].value)}.")
    return " ".join(parts) or "Nothing is mature yet."


def _time_axis(cohorts: Sequence[Cohort]) -> Axis:
    return time_axis(min(one.start for one in cohorts), max(one.end for one in cohorts))


def time_axis(start: datetime, end: datetime) -> Axis:
    """From the first to the last moment, marked at about five round times."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    length = (end - start).total_seconds()
    steps = (3_600, 10_800, 21_600, 43_200, *(days * _DAY for days in (1, 2, 5, 10, 20, 50, 100)))
    step = next((one for one in steps if length / one <= 6), 365 * _DAY)
    first = start.timestamp() - start.timestamp() % step
    marks, at = [], first if first >= start.timestamp() else first + step
    while at <= end.timestamp():
        moment = datetime.fromtimestamp(at, UTC)
        shown = f"{moment:%H:%M}" if step < _DAY and moment.hour else f"{moment.day} {moment:%b}"
        marks.append((at, shown))
        at += step
    return Axis(start.timestamp(), max(end, start + timedelta(seconds=1)).timestamp(), tuple(marks))


def _unit(seconds: float) -> tuple[float, str]:
    for scale, unit in ((_DAY, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * scale:
            return scale, unit
    return 1.0, "seconds"


def _key(arm: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in arm)
