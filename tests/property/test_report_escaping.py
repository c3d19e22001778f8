"""Whatever names and labels the data holds, the report stays a page with the same markup."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from html_reader import Page
from ratchet.pipeline.report.page import render_report
from report_samples import binary, failed, multiclass, regression, rejected_by_checks

# Meaning hangs on these: they choose what is drawn.
_CHOSEN = {
    "outcome",
    "kind",
    "status",
    "severity",
    "verdict",
    "group",
    "metric",
    "method",
    "update",
}
_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "div", "header", "h1", "h2", "h3"),
    *("p", "nav", "ul", "li", "main", "section", "span", "dl", "dt", "dd", "table", "caption"),
    *("thead", "tbody", "tr", "th", "td", "code", "pre", "b", "i", "details", "summary", "figure"),
    *("figcaption", "svg", "g", "path", "line", "rect", "circle", "text", "tspan", "desc", "wbr"),
    "footer",
}
_SAMPLES = (binary, multiclass, regression, rejected_by_checks, failed)
ODD = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "</style><b>",
            "'--></title>",
            "&lt;&amp;&#60;",
            "\x00\x1b\ud800\u202e",
            "\u65e5\u672c\u8a9e \U0001f600 \u0627\u0644\u0639",
            "`<`",
            "a_b" * 200,
        ]
    ),
)


def spoiled(value: Any, odd: str, name: str = "") -> Any:
    """The same facts with ``odd`` in every text from the data."""
    if is_dataclass(value) and not isinstance(value, type):
        made = {f.name: spoiled(getattr(value, f.name), odd, f.name) for f in fields(value)}
        if "name" in made and type(value).__name__ == "MetricFacts":
            made["name"] = value.name
        return replace(value, **made)
    if isinstance(value, tuple):
        return tuple(spoiled(part, odd, name) for part in value)
    if isinstance(value, str) and value and name not in _CHOSEN:
        return f"{odd}{value}" if name != "started" else odd
    return value


@settings(max_examples=25, deadline=None)
@given(
    odd=ODD, sample=st.sampled_from([binary, multiclass, regression, rejected_by_checks, failed])
)
def test_no_text_of_the_data_becomes_markup(odd: str, sample: Any) -> None:
    source = render_report(spoiled(sample(), odd))
    source.encode()
    page = Page(source)
    assert set(page.names) <= _TAGS
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert page.names.count("style") == 1
    # Every "<" of the page opens or closes a tag of ours: none is the data's.
    closed = sum(tag not in ("meta", "wbr") for tag in page.names)
    shapes = source.count("/>")
    assert source.count("<") == len(page.names) + closed - shapes + 1
