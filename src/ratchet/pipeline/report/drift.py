"""The drift report: one page that says what changed, how much, and whether it matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    figures,
    glossary,
    named,
    prose,
    table,
    tile,
    tiles,
    unfold,
)
from ratchet.pipeline.report.drift_plots import draw
from ratchet.pipeline.report.drift_table import (
    columns_table,
    decided_by,
    title_of,
    verdict_of,
)
from ratchet.pipeline.report.markup import Html, tag
from ratchet.pipeline.report.shell import heading, render_page

if TYPE_CHECKING:
    from ratchet.monitoring.findings import ColumnDrift, DriftReport
    from ratchet.monitoring.multivariate import ToldApart
    from ratchet.monitoring.pictures import Picture

MOST_PICTURES = 24
"""Columns that are drawn; the others stand in the table."""

_WORDS = (
    (
        "KS",
        (
            "The largest difference between the shares of rows below a value, before and after: "
            "0 for equal distributions, 1 for ones that do not overlap."
        ),
    ),
    (
        "Jensen–Shannon",
        "A distance of two distributions from 0 to 1, over levels or over 64 groups of values.",
    ),
    (
        "PSI",
        (
            "Population stability index over ten groups. It grows with few rows by chance; "
            "0.1 and 0.25 are customary limits."
        ),
    ),
    (
        "Wasserstein",
        (
            "How far values moved on average, in standard deviations of the reference. "
            "A single extreme value moves it."
        ),
    ),
    ("Cramér’s V", "The effect behind the chi-squared test of levels: 0 to 1."),
    ("Combined", "0.7 × KS + 0.3 × the smaller of Wasserstein and 1."),
    (
        "Limit",
        (
            "From past windows where there are ten of them: what a quiet window exceeds by chance, "
            "in any column, in 5% of cases. Otherwise twice the least distance that matters, and "
            "more than chance explains. Limits that were given stand as they are."
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class DriftPage:
    """What the page shows.

    Attributes:
        report: the verdict and the columns.
        pictures: of columns, where there are any.
        before: what the reference is, in a few words.
        after: what the new rows are.
        told: whether a model can tell new rows from old ones; None where it was not tried.
        title: above everything; the project's name, say.
    """

    report: DriftReport
    pictures: Mapping[str, Picture]
    before: str
    after: str
    told: ToldApart | None = None
    title: str = "Drift"


def render_drift(page: DriftPage) -> str:
    """The page as HTML that needs nothing else: no network, no script."""
    top = heading(page.title, f"{page.after} against {page.before}")
    parts = [
        _verdict(page),
        columns_table(page.report),
        _pictures(page),
        _told(page),
        glossary(_WORDS),
    ]
    return render_page(f"{page.title}: {page.after}", parts, top=top)


def _verdict(page: DriftPage) -> Html:
    report = page.report
    moved = [column for column in report.columns if column.drifted]
    judged = [column for column in report.columns if not column.still]
    style, label = ("bad", "Drifted") if report.drifted else ("good", "No drift")
    if (moved or report.lost) and not report.drifted:
        style, label = "warn", "Some drift"
    made = [
        badge(style, label),
        tag("h2", _headline(report), id="verdict-h"),
        tag("p", prose(words.sentence(report.reason)), class_="reason"),
    ]
    if not report.calibrated and judged:
        made.append(tag("p", _how_judged(judged), class_="hint"))
    numbers = [
        tile(
            "Columns that drifted",
            f"{len(moved) + len(report.lost)} of {len(judged) + len(report.lost)}",
            style=style,
        ),
        tile("Rows", words.count(report.rows[1]), f"reference {words.count(report.rows[0])}"),
    ]
    if report.importance_share is not None:
        numbers.append(
            tile(
                "Importance they hold",
                words.percent(report.importance_share),
                "of all inputs to the model",
            )
        )
    if page.told is not None:
        known = "can be told apart" if page.told.drifted else "as good as chance is 0.5"
        numbers.append(tile("AUC of old against new", words.figure(page.told.auc, 3), known))
    return tag(
        "section",
        card(*made, style=f"hero {style}"),
        tiles(*numbers),
        id="verdict",
        aria_labelledby="verdict-h",
    )


def _headline(report: DriftReport) -> str:
    moved = [column for column in report.columns if column.drifted]
    if not moved and report.lost:
        gone = words.listed([words.name(name, 40) for name in report.lost[:3]])
        return f"The new rows lack columns of the reference: {gone}"
    if not moved:
        return "The new rows look like the reference"
    first = title_of(moved[0])
    if len(moved) == 1:
        return f"One column no longer looks like the reference: {first}"
    return f"{len(moved)} columns no longer look like the reference, {first} first of all"


def _how_judged(judged: list[ColumnDrift]) -> str:
    known = sum(column.calibrated for column in judged)
    if known:
        return f"{known} of {len(judged)} columns are judged by limits from past windows."
    return (
        "The limits are not calibrated: they are general ones, or those that were given. "
        "With ten past windows, limits come from what is usual here."
    )


def _pictures(page: DriftPage) -> Html | None:
    drawn = [column for column in page.report.columns if column.column in page.pictures]
    shown = drawn[:MOST_PICTURES]
    if not shown:
        return None
    made = [
        draw(
            page.pictures[column.column],
            title_of(column),
            f"c-{place}",
            verdict_of(column),
            _below(column),
        )
        for place, column in enumerate(shown)
    ]
    more = ""
    if len(drawn) > len(shown):
        more = f" The {len(shown)} columns at the top of the table; {len(drawn)} are known."
    return tag(
        "section",
        tag("h2", "Before and after", id="pictures-h"),
        tag(
            "p",
            f"Shares of rows: the reference filled, the new rows as a line.{more}",
            class_="lead",
        ),
        figures(made),
        id="pictures",
        aria_labelledby="pictures-h",
    )


def _below(column: ColumnDrift) -> str:
    said = decided_by(column)
    if column.means is not None and not column.unjudged:
        before, after = (words.figure(mean, 3) for mean in column.means)
        said += f"; mean {before}, now {after}"
    if column.new_levels:
        shown = ", ".join(words.name(level, 24) for level in column.new_levels[:5])
        said += f"; new: {shown}"
    return words.sentence(said)


def _told(page: DriftPage) -> Html | None:
    told = page.told
    if told is None:
        return None
    style, label = ("bad", "Can be told apart") if told.drifted else ("good", "No difference found")
    low, high = words.figure(told.low, 3), words.figure(told.high, 3)
    rows = [[named(name, 40), words.percent(share)] for name, share in told.columns]
    by = None
    if told.drifted:
        known = [Column("Column", "name"), Column("Share of the difference", "number")]
        by = unfold("By which columns", table("Columns it was told by", known, rows))
    return tag(
        "section",
        tag("h2", "All columns together", id="together-h"),
        tag(
            "p",
            "A model tries to tell new rows from those of the reference: it sees what no column "
            "shows alone.",
            class_="lead",
        ),
        card(
            badge(style, label),
            tag(
                "p",
                f"AUC {words.figure(told.auc, 3)} ({low} to {high}) on rows it did not learn from, "
                f"{words.count(told.rows[0])} of the reference and {words.count(told.rows[1])} new "
                "ones; 0.5 is chance, and from 0.55 on it counts.",
            ),
            by,
        ),
        id="together",
        aria_labelledby="together-h",
    )
