"""The page as a whole: its head, its contents, and the sections that have something to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ratchet.pipeline.report import (
    closing,
    confusion,
    curves,
    data,
    explanation,
    judging,
    model,
    residuals,
    words,
)
from ratchet.pipeline.report import search as searching
from ratchet.pipeline.report.blocks import figures
from ratchet.pipeline.report.facts import ReportFacts
from ratchet.pipeline.report.markup import Html, tag
from ratchet.pipeline.report.shell import render_page
from ratchet.pipeline.report.verdict import verdict

_FEW_CLASSES = 4
# The contents stand in one line.
_SHORT = {
    "model": "Model",
    "data": "Data",
    "search": "Search",
    "plots": "Plots",
    "explanation": "Explanation",
    "reproduction": "Reproduction",
}
_TOLD = {"manual": "started by hand"}

Parts = Callable[[ReportFacts], list[Html | None]]


def render_report(facts: ReportFacts) -> str:
    """The report as one HTML page that needs nothing else: no network, no script.

    The same facts give the same page. Text from the data is always text.
    """
    sections = list(_sections(facts))
    title = f"{facts.run.project}: run {facts.run.run_id}"
    return render_page(
        title,
        [verdict(facts), *(section for _, _, section in sections)],
        top=_top(facts),
        contents=_contents(sections),
        foot=f"Made by Ratchet from the facts of run {facts.run.run_id}.",
    )


def _sections(facts: ReportFacts) -> Iterable[tuple[str, str, Html]]:
    """Key, short title and content of every section that has any."""
    named: tuple[tuple[str, str, Parts], ...] = (
        ("model", model.TITLE, model.model),
        ("data", data.DATA, data.data),
        ("checks", data.CHECKS, data.checks),
        ("candidates", searching.CANDIDATES, searching.candidates),
        ("search", searching.SEARCH, searching.search),
        ("gates", judging.GATES, judging.gates),
        ("slices", judging.SLICES, judging.slices),
        ("plots", "How right it is", _plots),
        ("explanation", explanation.TITLE, explanation.explanation),
        ("features", closing.FEATURES, closing.features),
        ("reproduction", closing.REPRODUCTION, closing.reproduction),
        ("words", closing.GLOSSARY, closing.glossary),
    )
    for key, title, parts in named:
        made = [part for part in parts(facts) if part]
        if made:
            heading = tag("h2", title, id=f"{key}-h")
            yield (
                key,
                _SHORT.get(key, title),
                tag("section", heading, made, id=key, aria_labelledby=f"{key}-h"),
            )


def _plots(facts: ReportFacts) -> list[Html | None]:
    if facts.task is not None and facts.task.kind == "regression":
        return [residuals.regression(facts)]
    matrix = confusion.matrix(facts)
    small = len(facts.confusion) <= _FEW_CLASSES
    drawn = [*curves.curves(facts), matrix if small else None]
    return [figures(drawn), None if small else matrix, *confusion.classes(facts)]


def _top(facts: ReportFacts) -> Html:
    run = facts.run
    told = [f"Run {run.run_id}"]
    if run.started:
        told.append(words.moment(run.started))
    if run.trigger:
        told.append(_TOLD.get(run.trigger, run.trigger))
    made = [tag("p", one) for one in told]
    return tag("header", tag("h1", run.project), made, class_="top")


def _contents(sections: Iterable[tuple[str, str, Html]]) -> Html:
    links = [("verdict", "Verdict"), *((key, title) for key, title, _ in sections)]
    items = [tag("li", tag("a", title, href=f"#{key}")) for key, title in links]
    return tag("nav", tag("ul", items), aria_label="On this page", class_="contents")
