"""Two distributions over one another, drawn."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.markup import Html, join, tag
from ratchet.pipeline.report.plot import (
    Axis,
    Frame,
    Point,
    band,
    chart,
    legend,
    line,
    nice_axis,
)

if TYPE_CHECKING:
    from ratchet.monitoring.pictures import LevelPicture, NumberPicture, Picture

_HEIGHT = 150
_KEYS = (("c8", "reference"), ("c2", "new rows"))
_MARKS = 5


def draw(picture: Picture, title: str, key: str, verdict: Html, below: str) -> Html:
    """A figure of one column.

    Args:
        picture: the shares.
        title: the column's name.
        key: unique on the page.
        verdict: beside the title.
        below: what to read from it.
    """
    from ratchet.monitoring.pictures import NumberPicture

    drawn = (
        _histogram(picture, title, key)
        if isinstance(picture, NumberPicture)
        else _bars(picture, title)
    )
    heading = tag(
        "figcaption",
        tag("h3", title, " ", verdict),
        tag("p", below, class_="hint"),
    )
    return tag("figure", heading, legend(_KEYS, "box"), drawn)


def _histogram(picture: NumberPicture, title: str, key: str) -> Html:
    most = max((*picture.before, *picture.after, 1e-9))
    x = _log_axis(picture) if picture.log else _across(picture)
    y = Axis(0.0, most * 1.05, _shares(most))
    frame = Frame(x, y, _HEIGHT)
    edges = [log10(edge) for edge in picture.edges] if picture.log else list(picture.edges)
    before, after = _stairs(edges, picture.before), _stairs(edges, picture.after)
    ground = [(point[0], 0.0) for point in before]
    layers = [band(frame, ground, before, "c8 before"), line(frame, after, "c2")]
    said = f"Shares of rows by value of {title}, in the reference and in the new rows"
    drawn = chart(frame, layers, key=key, title=title, description=said)
    outside = [words.percent(share) for share in picture.beyond]
    if max(picture.beyond) < 0.0105:
        return drawn
    note = f"Beyond the picture: {outside[0]} of the reference, {outside[1]} of the new rows."
    return join([drawn, tag("p", note, class_="hint")])


def _stairs(edges: list[float], shares: tuple[float, ...]) -> list[Point]:
    points: list[Point] = [(edges[0], 0.0)]
    for place, share in enumerate(shares):
        points += [(edges[place], share), (edges[place + 1], share)]
    return [*points, (edges[-1], 0.0)]


def _across(picture: NumberPicture) -> Axis:
    made = nice_axis(picture.edges[0], picture.edges[-1], most=_MARKS)
    return Axis(picture.edges[0], picture.edges[-1], made.marks)


def _log_axis(picture: NumberPicture) -> Axis:
    low, high = log10(picture.edges[0]), log10(picture.edges[-1])
    step = max(1, round((high - low) / _MARKS))
    powers = range(-300, 300, step)
    marks = tuple((float(p), f"1e{p}" if abs(p) > 3 else f"{10.0**p:g}") for p in powers)
    return Axis(low, high, tuple(mark for mark in marks if low <= mark[0] <= high))


def _shares(most: float) -> tuple[tuple[float, str], ...]:
    made = nice_axis(0.0, most * 100, most=3)
    return tuple((mark / 100, f"{shown}%") for mark, shown in made.marks)


def _bars(picture: LevelPicture, title: str) -> Html:
    """Pairs of bars, one pair a level: the reference above the new rows."""
    most = max((*picture.before, *picture.after, 1e-9))
    rows = [
        tag(
            "div",
            tag("span", words.name(name, 28), class_="name"),
            tag("span", _pair(before / most, after / most), class_="two"),
            tag("span", words.percent(before), tag("b", words.percent(after)), class_="shares"),
        )
        for name, before, after in zip(picture.names, picture.before, picture.after, strict=True)
    ]
    return tag("div", rows, class_="levels", role="img", aria_label=_spoken(picture, title))


def _pair(before: float, after: float) -> Html:
    return tag(
        "svg",
        tag("rect", x=0, y=1, height=8, width=f"{before * 100:.1f}%", rx=1.5, class_="fill c8"),
        tag("rect", x=0, y=11, height=8, width=f"{after * 100:.1f}%", rx=1.5, class_="fill c2"),
        height=20,
        aria_hidden="true",
    )


def _spoken(picture: LevelPicture, title: str) -> str:
    said = [
        f"{name} {words.percent(before)}, now {words.percent(after)}"
        for name, before, after in zip(picture.names, picture.before, picture.after, strict=True)
    ]
    return f"{title}: {'; '.join(said)}"
