"""What every page stands in: head, style, what it may load, and the frame around its parts."""

from __future__ import annotations

from collections.abc import Iterable

from ratchet.pipeline.report.markup import Html, tag
from ratchet.pipeline.report.style import SHEET

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def heading(title: str, said: str) -> Html:
    """The top of a page that needs no more than its title and a line."""
    return tag("header", tag("h1", title), tag("p", said), class_="top")


def render_page(
    title: str,
    parts: Iterable[Html | None],
    *,
    top: Html,
    contents: Html | None = None,
    foot: str = "Made by Ratchet.",
    kind: str = "report",
) -> str:
    """A page as HTML that needs nothing else: no network, no script.

    Args:
        title: in the browser's tab.
        parts: of the page, the verdict (``#verdict``) first; None and empty ones are left out.
        top: above the parts, see ``heading``; below it ``contents``, if there are any.
        kind: what it is called by the link that skips the top.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("title", title),
        tag("style", Html(SHEET)),
    )
    body = tag(
        "body",
        tag("a", f"Skip to the {kind}", href="#verdict", class_="skip"),
        tag(
            "div",
            top,
            contents,
            tag("main", [part for part in parts if part]),
            tag("footer", tag("p", foot)),
            class_="page",
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
