"""Drawing by hand: fluid SVG that keeps its text size on every screen.

A plot has no view box. Its height is fixed, its width is the page's, and positions across are
percentages, so that text and dots stay as they are while the plot grows. Lines and clouds of dots
live in a nested ``svg`` that is stretched, with strokes that are not (``non-scaling-stroke``).
Colours are CSS variables, so the same drawing follows light, dark and print.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite, log10

from ratchet.pipeline.report import words
from ratchet.pipeline.report.markup import Html, join, tag, text

WIDE = 1000
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a plot: its ends, the marks on it, and what it measures."""

    low: float
    high: float
    marks: tuple[tuple[float, str], ...] = ()
    label: str = ""

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one; held within both."""
        wide = self.high - self.low
        return min(max((value - self.low) / wide, 0.0), 1.0) if wide else 0.5

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high


def unit_axis(label: str) -> Axis:
    """From 0 to 1, marked in percent."""
    return Axis(0.0, 1.0, tuple((m / 4, f"{m * 25}%") for m in range(5)), label)


def percent_axis(low: float, high: float, label: str) -> Axis:
    """The part of 0 to 1 that holds ``low`` to ``high``, marked in percent."""
    if high - low > 0.7:
        return unit_axis(label)
    found = nice_axis(low * 100, high * 100, most=4, pad=0.02)
    marks = tuple((mark / 100, f"{shown}%") for mark, shown in found.marks)
    return Axis(max(found.low / 100, 0.0), min(found.high / 100, 1.0), marks, label)


def nice_axis(low: float, high: float, label: str = "", *, most: int = 5, pad: float = 0.0) -> Axis:
    """An axis that holds ``low`` to ``high``, with round marks.

    Args:
        low: the least value that must fit.
        high: the greatest.
        label: what is measured.
        most: about how many marks.
        pad: room at both ends, as a share of the range.
    """
    if not (isfinite(low) and isfinite(high)):
        low, high = 0.0, 1.0
    if high <= low:
        room = abs(low) * 0.1 or 0.5
        low, high = low - room, high + room
    room = (high - low) * pad
    low, high = low - room, high + room
    step = _step((high - low) / max(most, 1))
    marks = [n * step for n in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
    largest = max(abs(low), abs(high))
    return Axis(low, high, tuple((mark, _mark(mark, step, largest)) for mark in marks), label)


def _step(rough: float) -> float:
    """The round number (1, 2 or 5 times a power of ten) at or above ``rough``."""
    power: float = 10.0 ** floor(log10(rough))
    return next(unit * power for unit in (1.0, 2.0, 5.0, 10.0) if unit * power >= rough * 0.999)


def _mark(value: float, step: float, largest: float) -> str:
    """A mark with as many digits as tell it from its neighbours."""
    if abs(value) < step / 1e6:
        return "0"
    if largest >= 1e6 or largest < 1e-3:
        digits = floor(log10(largest)) - floor(log10(step) + 1e-9) + 1
        shown = f"{value:.{max(digits, 1)}g}".replace("e+0", "e").replace("e+", "e")
    else:
        shown = f"{value:,.{max(0, -floor(log10(step) + 1e-9))}f}"
    return shown.replace("-", words.MINUS)


@dataclass(frozen=True, slots=True)
class Frame:
    """Two axes and a height in pixels; turns values into positions."""

    x: Axis
    y: Axis
    height: int = 260

    def across(self, value: float) -> str:
        """A position across, as an SVG length."""
        return f"{_short(self.x.share(value) * 100)}%"

    def down(self, value: float) -> str:
        """A position down, in pixels."""
        return _short((1 - self.y.share(value)) * self.height)

    def place(self, point: Point) -> str:
        """A position in the stretched drawing."""
        return f"{_short(self.x.share(point[0]) * WIDE)} {self.down(point[1])}"


def stretched(height: int, *children: str) -> Html:
    """A drawing ``WIDE`` by ``height`` stretched over the whole plot."""
    return tag(
        "svg",
        children,
        width="100%",
        height=height,
        view_box=f"0 0 {WIDE} {height}",
        aspect="none",
        class_="in",
    )


def line(frame: Frame, points: Sequence[Point], style: str, *, steps: bool = False) -> Html:
    """A line through points, or stairs that hold each value until the next point."""
    if not points:
        return Html("")
    places = [frame.place(points[0])]
    for before, point in pairwise(points):
        if steps:
            places.append(frame.place((point[0], before[1])))
        places.append(frame.place(point))
    drawn = tag("path", d="M" + "L".join(_thinned(places)), class_=f"line {style}")
    return stretched(frame.height, drawn)


def band(frame: Frame, low: Sequence[Point], high: Sequence[Point], style: str) -> Html:
    """The area between two lines."""
    around = [*high, *reversed(low)]
    if not around:
        return Html("")
    d = "M" + "L".join(frame.place(point) for point in around) + "Z"
    return stretched(frame.height, tag("path", d=d, class_=f"band {style}"))


def cloud(frame: Frame, points: Iterable[Point], style: str) -> Html:
    """Many dots in one path; equal places are drawn once."""
    places = dict.fromkeys(frame.place(point) for point in points)
    if not places:
        return Html("")
    d = "".join(f"M{place}h0" for place in places)
    return stretched(frame.height, tag("path", d=d, class_=f"cloud {style}"))


def spot(frame: Frame, point: Point, style: str, title: str = "", radius: float = 4.5) -> Html:
    """One dot, with a title for the pointer."""
    named = tag("title", title) if title else None
    return tag(
        "circle",
        named,
        cx=frame.across(point[0]),
        cy=frame.down(point[1]),
        r=_short(radius),
        class_=f"spot {style}",
    )


def rule(frame: Frame, *, x: float | None = None, y: float | None = None, style: str = "") -> Html:
    """A straight line across the whole plot at one value."""
    if x is not None:
        at = frame.across(x)
        return tag("line", x1=at, x2=at, y1=0, y2=frame.height, class_=f"rule {style}".strip())
    level = frame.down(y or 0.0)
    return tag("line", x1=0, x2="100%", y1=level, y2=level, class_=f"rule {style}".strip())


def note(
    frame: Frame,
    point: Point,
    *lines: str,
    shift: Point = (8, -8),
    style: str = "",
    turn: float = 0.5,
) -> Html:
    """Lines of text at a point; beyond ``turn`` of the width they run to the left of it."""
    left = frame.x.share(point[0]) > turn
    x = frame.across(point[0])
    dx = -shift[0] if left else shift[0]
    spans = [
        tag("tspan", said, x=x, dx=dx, dy=None if place == 0 else "1.25em")
        for place, said in enumerate(lines)
    ]
    return tag(
        "text",
        spans,
        y=frame.down(point[1]),
        dy=shift[1],
        text_anchor="end" if left else "start",
        class_=f"note {style}".strip(),
    )


def chart(frame: Frame, layers: Iterable[str], *, key: str, title: str, description: str) -> Html:
    """A plot with its axes, ready for a page.

    Args:
        frame: the axes.
        layers: what is drawn, the lowest first.
        key: unique on the page; names the title for assistive technology.
        title: what it shows.
        description: what can be read from it, in words.
    """
    drawing = tag(
        "svg",
        tag("title", title, id=f"{key}-t"),
        tag("desc", description, id=f"{key}-d"),
        _grid(frame),
        layers,
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
        height=frame.height,
        class_="plot",
    )
    above = tag("div", frame.y.label, class_="ylabel") if frame.y.label else None
    below = tag("div", frame.x.label, class_="xlabel") if frame.x.label else None
    return tag("div", above, drawing, below, class_="chart")


def _grid(frame: Frame) -> Html:
    parts = []
    for value, shown in frame.y.marks:
        parts.append(rule(frame, y=value, style="grid"))
        parts.append(tag("text", shown, x=-8, y=frame.down(value), dy="0.32em", class_="tick end"))
    for value, shown in frame.x.marks:
        parts.append(rule(frame, x=value, style="grid"))
        parts.append(
            tag("text", shown, x=frame.across(value), y=frame.height + 17, class_="tick mid")
        )
    return join(parts)


def legend(entries: Iterable[tuple[str, str]], shape: str = "dash") -> Html:
    """Colour and name of each series; ``entries`` are (style, name)."""
    items = [
        tag("li", tag("span", class_=f"key {shape} {style}", aria_hidden="true"), text(name))
        for style, name in entries
    ]
    return tag("ul", items, class_="legend")


def _thinned(places: Sequence[str]) -> list[str]:
    """Places without repetitions in a row."""
    return [place for at, place in enumerate(places) if at == 0 or place != places[at - 1]]


def _short(value: float) -> str:
    """At most one decimal, and none where it is 0."""
    return f"{value:.1f}".removesuffix(".0")
