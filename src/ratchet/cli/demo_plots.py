"""The story drawn: quality, drift and traffic on one time axis, with what was decided on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import figure
from ratchet.pipeline.report.markup import Html, join, tag
from ratchet.pipeline.report.observation_plots import time_axis
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
    stretched,
    unit_axis,
)

if TYPE_CHECKING:
    from ratchet.cli.demo_story import Story
    from ratchet.monitoring.cohorts import Cohort

_NEAR = 0.045
"""Marks closer than this share of the axis carry one number between them."""
_ROOM = "\N{NO-BREAK SPACE}"
"""In an axis' label's place: the numbers of the marks stand there."""
_STYLES = ("c1", "c2", "c3", "c4", "c5", "c6", "c7")


def style_of(version: int) -> str:
    """A version's colour, the same in every plot."""
    return _STYLES[(version - 1) % len(_STYLES)]


def quality_plot(story: Story) -> Html | None:
    """The metric of each version over time, as realised, and as estimated before labels came."""
    shown = [one for one in story.cohorts if story.metric in one.metrics and one.mature]
    guessed = [
        one for one in story.cohorts if story.metric in one.estimated and one.end <= story.ended
    ]
    if not shown:
        return None
    readings = [one.metrics[story.metric] for one in shown]
    values = [value for one in readings for value in (one.low, one.high)]
    values += [one.estimated[story.metric].value for one in guessed]
    title = words.metric_title(story.metric)
    frame = Frame(_axis(story), nice_axis(min(values), max(values), label=_ROOM, pad=0.04), 280)
    layers, entries = [_marks(story, frame)], []
    for version in _versions(story):
        style = style_of(version)
        own = [one for one in shown if one.version == version]
        before = [one for one in guessed if one.version == version]
        layers += _quality(story, frame, own, before, style)
        if own or before:
            entries.append((style, f"version {version}"))
    if guessed:
        entries.append(("none dash2", "estimated before the labels came"))
    return figure(
        f"{title} of what was served",
        legend(entries),
        chart(
            frame,
            layers,
            key="quality",
            title=f"{title} of each version over time",
            description=_spread(story, shown),
        ),
        below=(
            "Each point: ten days of predictions of one version, once their labels were in, with "
            f"its 95% interval. {_way(story)}The estimate comes from the scores alone: it follows "
            "other customers, and cannot see that they leave for other reasons."
            if guessed
            else "Each point: ten days of predictions of one version, once their labels were in, "
            f"with its 95% interval. {_way(story)}"
        ),
        wide=True,
    )


def _quality(
    story: Story, frame: Frame, own: Sequence[Cohort], before: Sequence[Cohort], style: str
) -> Iterator[Html]:
    metric = story.metric
    yield line(frame, [_at(one, one.estimated[metric].value) for one in before], f"{style} dash")
    low = [_at(one, one.metrics[metric].low) for one in own]
    high = [_at(one, one.metrics[metric].high) for one in own]
    yield band(frame, low, high, style)
    yield line(frame, [_at(one, one.metrics[metric].value) for one in own], style)
    for one in own:
        reading = one.metrics[metric]
        said = (
            f"version {one.version}, {one.start.day} {one.start:%b}: "
            f"{words.figure(reading.value)} on {words.count(reading.rows)} labels"
        )
        yield spot(frame, _at(one, reading.value), style, said, 4.0)


def traffic_plot(story: Story) -> Html | None:
    """Who answered: the share of each version, day by day."""
    if not story.traffic.height:
        return None
    frame = Frame(_axis(story), unit_axis(_ROOM), 180)
    totals: dict[date, int] = {}
    for day, _, rows in story.traffic.iter_rows():
        totals[day] = totals.get(day, 0) + rows
    days = sorted(totals)
    floor = dict.fromkeys(days, 0.0)
    layers, entries = [], []
    for version in _versions(story):
        own = dict(story.traffic.filter(version=version).select("day", "rows").iter_rows())
        roof = {day: floor[day] + own.get(day, 0) / totals[day] for day in days}
        low, high = (_stairs(days, level) for level in (floor, roof))
        layers.append(_area(frame, low, high, style_of(version)))
        entries.append((style_of(version), f"version {version}"))
        floor = roof
    layers.append(_marks(story, frame))
    return figure(
        "Who answered which share of the customers",
        legend(entries, "box"),
        chart(
            frame,
            layers,
            key="traffic",
            title="Share of the answers of each version, by day",
            description="; ".join(
                f"version {version}: {words.count(story.answered_by(version))} customers"
                for version in _versions(story)
            ),
        ),
        below="Counted in the log of what was answered. A new version earns customers in steps.",
        wide=True,
    )


def drift_plot(story: Story) -> Html | None:
    """How far the data had moved from what the serving version learned from."""
    if not story.looks:
        return None
    frame = Frame(_axis(story), unit_axis(_ROOM), 180)
    layers, entries = [_marks(story, frame)], []
    limit = story.looks[-1].limit
    if limit is not None:
        layers.append(rule(frame, y=limit, style="bad"))
    for version in dict.fromkeys(look.version for look in story.looks):
        own = [look for look in story.looks if look.version == version]
        points = [(look.at.timestamp(), look.importance) for look in own]
        style = style_of(version)
        layers.append(line(frame, points, style))
        for look, point in zip(own, points, strict=True):
            said = f"{look.at.day} {look.at:%b}: {words.percent(look.importance)}"
            layers.append(spot(frame, point, style if look.drifted else f"{style} hollow", said))
        entries.append((style, f"against what version {version} learned from"))
    first = next(
        (look for look in story.looks if look.limit and look.importance > look.limit), None
    )
    told = "It never counted." if first is None else f"First beyond the limit on {_day(first.at)}."
    return figure(
        "Drift of what was asked, in shares of the importance to the model",
        legend(entries),
        chart(
            frame,
            layers,
            key="drift",
            title="Share of the model's importance that drifted columns hold, by look",
            description=told,
        ),
        below="Each spot: a look of the loop at the newest predictions, labels or not. Filled: a "
        "column had drifted. Red: the limit from which on people are told.",
        wide=True,
    )


def _marks(story: Story, frame: Frame) -> Html:
    """A rule where something was decided, and its number above; near ones share a number."""
    parts, group = [], list[tuple[int, float]]()
    for number, at in story.marks:
        parts.append(rule(frame, x=at.timestamp(), style="grid solid mark"))
        place = at.timestamp()
        if group and frame.x.share(place) - frame.x.share(group[0][1]) > _NEAR:
            parts.append(_number(frame, group))
            group = []
        group.append((number, place))
    if group:
        parts.append(_number(frame, group))
    return join(parts)


def _number(frame: Frame, group: Sequence[tuple[int, float]]) -> Html:
    first, last = group[0][0], group[-1][0]
    shown = str(first) if first == last else f"{first}–{last}"
    middle = (group[0][1] + group[-1][1]) / 2
    return tag("text", shown, x=frame.across(middle), y=-6, class_="tick mid")


def _axis(story: Story) -> Axis:
    """From the first day to the last, a mark for each month."""
    axis = time_axis(story.began, story.ended)
    at = story.began.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    marks = []
    while at <= story.ended:
        if at.timestamp() >= axis.low - 86_400:
            marks.append((max(at.timestamp(), axis.low), f"{at:%b}"))
        at = (at + timedelta(days=32)).replace(day=1)
    # A calendar of years needs rarer marks than months.
    return Axis(axis.low, axis.high, tuple(marks)) if len(marks) <= 15 else axis


def _area(frame: Frame, low: Sequence[Point], high: Sequence[Point], style: str) -> Html:
    around = [*high, *reversed(low)]
    d = "M" + "L".join(frame.place(point) for point in around) + "Z"
    return stretched(frame.height, tag("path", d=d, class_=f"fill {style}"))


def _stairs(days: Sequence[date], level: Mapping[date, float]) -> list[Point]:
    """Each day's level from its beginning to its end."""
    points: list[Point] = []
    for day in days:
        begun = datetime.combine(day, time(), UTC).timestamp()
        points += [(begun, level[day]), (begun + 86_400, level[day])]
    return points


def _versions(story: Story) -> list[int]:
    return sorted(set(story.traffic["version"].to_list()))


def _at(cohort: Cohort, value: float) -> Point:
    middle = cohort.start + (cohort.end - cohort.start) / 2
    return middle.timestamp(), value


def _spread(story: Story, shown: Sequence[Cohort]) -> str:
    parts = []
    for version in _versions(story):
        own = [one.metrics[story.metric].value for one in shown if one.version == version]
        if own:
            ends = f"{words.figure(min(own))} to {words.figure(max(own))}"
            parts.append(f"version {version}: {ends}")
    return "; ".join(parts)


def _way(story: Story) -> str:
    return "Higher is better. " if words.better(story.metric) == "higher" else "Lower is better. "


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B}"
