"""The pieces that sections are made of: tables, tiles, badges, cards, things to unfold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ratchet.pipeline.report import words
from ratchet.pipeline.report.markup import Child, Html, join, tag, text

# Characters of a name, markup included, from which on it needs room on a phone.
_LONG = 60
# Shapes differ as well as colours: not everybody sees both.
_MARKS = {"good": "✓", "bad": "✗", "warn": "!", "none": "–", "info": "i"}


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; ``kind`` is ``text``, ``number``, ``bar`` or ``name``."""

    title: str
    kind: str = "text"


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[Child]]) -> Html:
    """A table in a box of its own that scrolls sideways; the column ``name`` heads its row."""
    made = [tag("tr", _cells(columns, row)) for row in rows]
    return framed(caption, columns, tag("tbody", made))


def grouped_table(
    caption: str,
    columns: Sequence[Column],
    groups: Iterable[tuple[str, Iterable[Sequence[Child]]]],
) -> Html:
    """A table whose rows stand in groups, each under its name; an empty name has no line."""
    bodies = []
    for name, rows in groups:
        made = [tag("tr", _cells(columns, row)) for row in rows]
        if not made:
            continue
        head = tag("th", name, colspan=len(columns), scope="rowgroup")
        bodies.append(tag("tbody", tag("tr", head, class_="group") if name else None, made))
    return framed(caption, columns, *bodies)


def framed(caption: str, columns: Sequence[Column], *bodies: Html) -> Html:
    """A table's outside: box, caption for those who listen, and head."""
    head = [tag("th", column.title, scope="col", class_=f"k-{column.kind}") for column in columns]
    inside = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", head)),
        bodies,
    )
    return tag("div", inside, class_="scroll", role="region", aria_label=caption, tabindex=0)


def _cells(columns: Sequence[Column], row: Sequence[Child]) -> Iterable[Html]:
    for column, cell in zip(columns, row, strict=True):
        if column.kind == "name":
            long = isinstance(cell, str) and len(cell) > _LONG
            yield tag("th", cell, scope="row", class_="k-name long" if long else "k-name")
        else:
            yield tag("td", cell, class_=f"k-{column.kind}")


def badge(style: str, label: str) -> Html:
    """A verdict in a word: ``good``, ``bad``, ``warn``, ``none`` or ``info``."""
    mark = tag("span", _MARKS[style], class_="mark", aria_hidden="true")
    return tag("span", mark, text(label), class_=f"badge {style}")


def chip(label: str, style: str = "") -> Html:
    """A small word beside a name."""
    return tag("span", label, class_=f"chip {style}".strip())


def tile(label: str, value: Child, below: Child = None, style: str = "") -> Html:
    """One number that matters."""
    return tag(
        "div",
        tag("dt", label),
        tag("dd", tag("span", value, class_="value"), tag("span", below, class_="below")),
        class_=f"tile {style}".strip(),
    )


def tiles(*made: Html | None) -> Html:
    """Numbers side by side."""
    return tag("dl", [one for one in made if one is not None], class_="tiles")


def facts_list(pairs: Iterable[tuple[str, Child]]) -> Html | None:
    """Names and values; those without a value are left out."""
    rows = [
        tag("div", tag("dt", name), tag("dd", value))
        for name, value in pairs
        if value is not None and value != ""
    ]
    return tag("dl", rows, class_="pairs") if rows else None


def code(value: str) -> Html:
    """A name or command as it is typed."""
    return tag("code", value)


def prose(said: str) -> Html:
    """A message in which `names` stand between backticks."""
    pieces = said.split("`")
    if len(pieces) % 2 == 0:  # an odd one out: nobody can tell what it meant
        return text(said)
    return join(code(piece) if place % 2 else piece for place, piece in enumerate(pieces))


def unfold(summary: str, *children: Child) -> Html:
    """Something that is there, but not in the way."""
    inside = tag("div", *children, class_="inside")
    return tag("details", tag("summary", summary), inside)


def figure(title: str, *children: Child, below: str = "", wide: bool = False) -> Html:
    """A plot with its title and the line that says what to read from it."""
    under = tag("p", below, class_="hint") if below else None
    heading = tag("figcaption", tag("h3", title), under)
    return tag("figure", heading, *children, class_="wide" if wide else None)


def figures(made: Iterable[Html | None]) -> Html | None:
    """Plots side by side where there is room."""
    found = [one for one in made if one]
    # Four in rows of three would leave the last one alone.
    style = "figures two" if len(found) in (2, 4) else "figures"
    return tag("div", found, class_=style) if found else None


def card(*children: Child, style: str = "") -> Html:
    """A surface."""
    return tag("div", *children, class_=f"card {style}".strip())


def named(value: str, longest: int | None = None) -> Html:
    """A name from the data that may be broken after ``_`` where there is no room for it."""
    pieces = words.name(value, longest).split("_")
    return join(pieces[:1] + [join(["_", tag("wbr"), piece]) for piece in pieces[1:]])


def params_text(params: Iterable[tuple[str, str]]) -> Html | None:
    """Parameters in one line."""
    made = []
    for name, value in params:
        made.append(tag("span", tag("b", words.name(name)), f" {words.name(value)}"))
    return tag("span", made, class_="params") if made else None


def interval_bar(
    low: float, value: float, high: float, style: str, reference: float | None = None
) -> Html:
    """An interval and its value; all are shares of the bar's width, from 0 to 1."""
    low, value, high = (min(max(part, 0.0), 1.0) for part in (low, value, high))
    mark = None
    if reference is not None and 0 <= reference <= 1:
        at = f"{reference * 100:.1f}%"
        mark = tag("line", x1=at, x2=at, y1=0, y2=20, class_="rule ref")
    return tag(
        "svg",
        mark,
        tag("line", x1=0, x2="100%", y1=10, y2=10, class_="rule grid"),
        tag("line", x1=f"{low * 100:.1f}%", x2=f"{high * 100:.1f}%", y1=10, y2=10, class_="span"),
        tag("circle", cx=f"{value * 100:.1f}%", cy=10, r=4, class_="spot"),
        height=20,
        class_=f"bar {style}",
        aria_hidden="true",
    )


def share_bar(share: float, style: str = "c1", *, start: float = 0.0) -> Html:
    """A bar of a length from 0 to 1, from ``start`` on."""
    low, high = sorted((start, start + share))
    low, high = max(low, 0.0), min(high, 1.0)
    return tag(
        "svg",
        tag(
            "rect",
            x=f"{low * 100:.2f}%",
            y=4,
            width=f"{max(high - low, 0.0) * 100:.2f}%",
            height=12,
            rx=2,
            class_="fill",
        ),
        height=20,
        class_=f"bar {style}",
        aria_hidden="true",
    )


def glossary(words: Iterable[tuple[str, str]]) -> Html:
    """The section that says what the page's words mean."""
    items = [tag("div", tag("dt", name), tag("dd", said)) for name, said in words]
    return tag(
        "section",
        tag("h2", "Words", id="words-h"),
        card(tag("dl", items, class_="glossary")),
        id="words",
        aria_labelledby="words-h",
    )
