"""The page at the demo's end: a project's story in plots, with every decision and its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratchet.cli.demo_plots import drift_plot, quality_plot, traffic_plot
from ratchet.cli.demo_tables import (
    alerts_section,
    costs_section,
    moment,
    section,
    versions_section,
    was_stopped,
    was_trained,
)
from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    badge,
    card,
    chip,
    figures,
    glossary,
    prose,
    tile,
    tiles,
)
from ratchet.pipeline.report.markup import Html, tag
from ratchet.pipeline.report.observation_plots import coverage_plot, lag_plot
from ratchet.pipeline.report.shell import heading, render_page

if TYPE_CHECKING:
    from ratchet.cli.demo_story import Story

_WORDS = (
    (
        "Canary",
        (
            "A new version answers a part of the customers, 10, then 50, then 100 percent. Each "
            "step ends on requests, errors and labels of its own, compared with the champion's at "
            "the same time by tests that may be looked at at any time."
        ),
    ),
    (
        "Drift",
        (
            "What is asked about no longer looks like what the version learned from. It needs no "
            "labels, and is no proof that the version is worse."
        ),
    ),
    (
        "Estimated",
        (
            "The metric to be expected from the scores alone, before a label came. It is blind to "
            "a change of what becomes of people."
        ),
    ),
    (
        "Realised",
        (
            "The metric on labels. It is drawn once nearly all labels of its days are in: early "
            "labels are no fair sample of all."
        ),
    ),
    (
        "Where it comes from",
        (
            "Everything here was read from the project's ledger and lake after the fact. The "
            "ledger is a chain, in which a changed entry would be found: ratchet audit verify."
        ),
    ),
)


def render_story(story: Story) -> str:
    """The page as HTML that needs nothing else: no network, no script."""
    parts = [
        _verdict(story),
        _plots(story),
        _decisions(story),
        versions_section(story),
        _labels(story),
        alerts_section(story),
        costs_section(story),
        glossary(_WORDS),
    ]
    said = f"{_date(story.began.isoformat())} to {_date(story.ended.isoformat())}"
    top = heading(story.project, said)
    return render_page(f"{story.project}: the story", parts, top=top, kind="story")


def _verdict(story: Story) -> Html:
    told = ["Nothing serves" if story.champion is None else f"Version {story.champion} serves"]
    if any((one.version, one.status) == (story.champion, "promoted") for one in story.rollouts):
        told = [f"Version {story.champion} earned the customers step by step, and serves"]
    if story.taken_back:
        told.append(f"{_listed([one.version for one in story.taken_back])} had to go back")
    saw = sum(story.answered_by(one.version) for one in story.taken_back)
    stopped = sum(was_stopped(run) for run in story.runs)
    reason = ""
    if story.taken_back:
        back = story.taken_back[-1]
        reason = f"Version {back.version} was taken back by the loop: {back.reason}."
    return tag(
        "section",
        card(
            badge("good" if story.champion else "none", "Serving"),
            tag("h2", "; ".join(told), id="verdict-h"),
            tag("p", prose(reason), class_="reason") if reason else None,
            style="hero good" if story.champion else "hero none",
        ),
        tiles(
            tile(
                "Customers answered",
                words.count(story.answers),
                f"{words.count(story.labelled)} with what became of them",
            ),
            tile(
                "Saw a model that was taken back",
                words.count(saw),
                f"{words.percent(saw / story.answers)} of all" if story.answers else None,
            ),
            tile(
                "Trainings",
                words.count(sum(was_trained(run) for run in story.runs)),
                f"{stopped} more stopped by the checks" if stopped else "no data were stopped",
            ),
            tile(
                "Alerts",
                words.count(len(story.alerts)),
                f"{sum(one.status == 'delivered' for one in story.alerts)} delivered",
            ),
            None
            if story.micros is None
            else tile(
                "Time of a request",
                f"{story.micros[0] / 1000:.2g} ms",
                f"99th percentile {story.micros[1] / 1000:.2g} ms",
            ),
        ),
        id="verdict",
        aria_labelledby="verdict-h",
    )


def _plots(story: Story) -> Html | None:
    made = figures([quality_plot(story), traffic_plot(story), drift_plot(story)])
    if made is None:
        return None
    lead = "The numbers above the plots are those of the decisions below."
    return section("time", "Over time", tag("p", lead, class_="lead"), made)


def _decisions(story: Story) -> Html:
    rows: list[Html] = []
    before = 0
    for one in story.decisions:
        # A list, not a table: on a phone the reason needs the whole width.
        head = tag(
            "div",
            chip(str(one.mark)) if one.mark != before else None,
            tag("span", moment(one.at.isoformat()), class_="strong"),
            badge(one.style, one.label),
            tag("span", one.about, class_="small"),
            class_="head",
        )
        rows.append(
            tag("li", head, tag("p", prose(words.sentence(_short(one.why))), class_="hint"))
        )
        before = one.mark
    whole = "no entry was changed" if story.whole else "ENTRIES WERE CHANGED"
    lead = f"All of it is in the ledger: {words.count(story.chain)} entries, {whole}."
    made = card(tag("ul", rows, class_="issues"), style="flush")
    return section("decisions", "What was decided", tag("p", lead, class_="lead"), made)


def _labels(story: Story) -> Html | None:
    performance = story.performance
    if performance is None:
        return None
    made = figures([coverage_plot(performance), lag_plot(performance)])
    lead = "A model is judged by what became of people, and that shows late."
    return section("labels", "Labels", tag("p", lead, class_="lead"), made)


def _listed(versions: list[int]) -> str:
    noun = "version" if len(versions) == 1 else "versions"
    return f"{noun} {words.listed([str(each) for each in versions])}"


def _short(why: str, longest: int = 320) -> str:
    return why if len(why) <= longest else f"{why[: longest - 1].rstrip()}…"


def _date(iso: str) -> str:
    return words.moment(iso[:10])
