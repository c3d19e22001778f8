"""The tables of the story's page: versions, alerts, and what the runs cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratchet.cli.demo_decisions import RUN_BADGES
from ratchet.cli.demo_plots import style_of
from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import Column, badge, card, prose, share_bar, table, unfold
from ratchet.pipeline.report.markup import Child, Html, join, tag

if TYPE_CHECKING:
    from ratchet.cli.demo_story import Served, Story
    from ratchet.ledger.runs import Run


def versions_section(story: Story) -> Html | None:
    """Each version: what became of it, its metric offline and live, and how many it answered."""
    if not story.versions:
        return None
    title = words.metric_title(story.metric)
    columns = (
        Column("Version", "name"),
        Column("Became", "short"),
        Column("Trained on", "number"),
        Column(f"{title}, test", "number"),
        Column(f"{title}, live", "number"),
        Column("Answered", "number"),
        Column("", "bar"),
    )
    rows = [_version(story, one) for one in story.versions]
    below = (
        "Test: on the rows that the gate judged it by. Live: on the newest labels of what it "
        "answered."
    )
    return section(
        "versions",
        "The versions",
        card(table("Versions", columns, rows), style="flush"),
        tag("p", below, class_="hint under"),
    )


def _version(story: Story, one: Served) -> list[Child]:
    number = one.version.version
    performance = story.performance
    arm = None if performance is None else performance.of(number)
    recent = None if arm is None else arm.recent
    return [
        f"Version {number}",
        _fate(story, one),
        words.count(one.rows),
        words.figure(one.test),
        words.figure(None if recent is None else recent.value),
        words.count(one.answers),
        share_bar(one.answers / story.answers if story.answers else 0.0, style_of(number)),
    ]


def _fate(story: Story, one: Served) -> Html:
    if one.version.version == story.champion:
        return badge("good", "serves")
    if one.rollout is not None and one.rollout.status == "rolled_back":
        return badge("bad", "taken back")
    if one.rollout is not None and one.rollout.open:
        return badge("info", "in rollout")
    return badge("none", "replaced" if one.version.status == "retired" else one.version.status)


def alerts_section(story: Story) -> Html | None:
    """Every alert, to be unfolded; None without any."""
    if not story.alerts:
        return None
    columns = (
        Column("When", "name"),
        Column("Alert", "words"),
        Column("To", "short"),
        Column("", "short"),
    )
    rows: list[list[Child]] = []
    for one in sorted(story.alerts, key=lambda each: each.created):
        style = {"delivered": "good", "waiting": "warn"}.get(one.status, "bad")
        title = str(one.body.get("title", one.occasion)).partition(": ")[2] or one.occasion
        did = str(one.body.get("did", ""))
        said = join(
            part
            for part in (
                tag("span", words.sentence(title), class_="strong"),
                tag("span", prose(did), class_="sub") if did else None,
            )
            if part is not None
        )
        rows.append([moment(one.created.isoformat()), said, one.channel, badge(style, one.status)])
    return section(
        "alerts",
        "Who was told",
        unfold(f"{len(rows)} alerts, one by one", table("Alerts", columns, rows)),
    )


def costs_section(story: Story) -> Html:
    """What each run took."""
    columns = (
        Column("Run", "name"),
        Column("Set off by", "short"),
        Column("Outcome", "short"),
        Column("Rows", "number"),
        Column("Took", "number"),
        Column("CPU", "number"),
    )
    rows = [_cost(run) for run in story.runs]
    wall = sum(run.seconds or 0.0 for run in story.runs)
    spent = sum(float(run.summary.get("cpu_seconds") or 0.0) for run in story.runs)
    lead = (
        f"All runs together took {words.duration(wall)} and {words.duration(spent)} of processor "
        "time."
    )
    made = card(table("Runs and what they took", columns, rows), style="flush")
    return section("costs", "What it cost", tag("p", lead, class_="lead"), made)


def _cost(run: Run) -> list[Child]:
    style, label = RUN_BADGES.get(run.outcome or "", ("none", run.outcome or "open"))
    return [
        moment(run.started.isoformat()),
        "hand" if run.trigger == "manual" else run.trigger,
        badge(style, label),
        words.count((run.summary.get("snapshot") or {}).get("rows")),
        words.duration(run.seconds),
        words.duration(run.summary.get("cpu_seconds")),
    ]


def was_trained(run: Run) -> bool:
    """Whether a run came as far as a model."""
    return bool(run.summary.get("candidates"))


def was_stopped(run: Run) -> bool:
    """Whether the checks stopped a run before anything was trained."""
    return run.outcome == "rejected" and not was_trained(run)


def section(key: str, title: str, *children: Child) -> Html:
    """A part of the page under its heading."""
    heading = tag("h2", title, id=f"{key}-h")
    return tag("section", heading, *children, id=key, aria_labelledby=f"{key}-h")


def moment(iso: str) -> str:
    """A time as people read it; that all are UTC the page need not say each time."""
    return words.moment(iso).removesuffix(" UTC")
