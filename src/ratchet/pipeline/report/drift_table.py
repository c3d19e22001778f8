"""The table of the drift report, and the words that it shares with the rest of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import Column, badge, card, interval_bar, named, table
from ratchet.pipeline.report.markup import Child, Html, join, tag

if TYPE_CHECKING:
    from ratchet.monitoring.findings import ColumnDrift, DriftReport

_UNJUDGED = {
    "time": "Time moves on by itself: not judged",
    "identifier": "Its values hardly repeat: not judged",
}
_ANSWERS = {"__score": "Score", "__label": "Decided class"}
_NAMES = {
    "ks": "KS",
    "psi": "PSI",
    "wasserstein": "Wasserstein",
    "js": "J–S",
    "cramers_v": "Cramér’s V",
    "missing": "missing",
    "new": "new levels",
    "combined": "combined",
    "kind": "kind",
}


def columns_table(report: DriftReport) -> Html:
    """All columns with their verdicts and statistics."""
    columns = [
        Column("Column", "name"),
        Column("Verdict", "short"),
        Column("Of its limit", "bar"),
        Column("KS", "number"),
        Column("PSI", "number"),
        Column("Wasserstein", "number"),
        Column("J–S", "number"),
        Column("Cramér’s V", "number"),
        Column("Missing", "number"),
        Column("New", "number"),
    ]
    weighted = any(column.importance is not None for column in report.columns)
    if weighted:
        columns.append(Column("Importance", "number"))
    rows = [_row(column, weighted) for column in report.columns]
    made = table("All columns, the most telling ones first", columns, rows)
    others = [
        tag("p", f"{said}: {shown}.", class_="hint")
        for said, names in (
            ("Not in the new rows", report.absent),
            ("Only in the new rows", report.added),
        )
        if (shown := ", ".join(words.name(_answer(name), 30) for name in names[:20]))
    ]
    lead = "By drift times importance to the model" if weighted else "By how far they drifted"
    return tag(
        "section",
        tag("h2", "Columns", id="columns-h"),
        tag("p", f"{lead}; what the model answers comes first.", class_="lead"),
        card(made, style="flush drift"),
        *others,
        id="columns",
        aria_labelledby="columns-h",
    )


def _row(column: ColumnDrift, weighted: bool) -> list[Child]:
    before, after = column.missing
    missing = words.percent(after)
    if abs(after - before) >= 0.0005:
        missing = f"{words.percent(before)} → {words.percent(after)}"
    cells: list[Child] = [
        join(
            [
                tag("span", shown_name(column), class_="strong"),
                tag("span", decided_by(column), class_="sub"),
            ]
        ),
        verdict_of(column),
        _strength_bar(column),
        _shown(column.ks.value if column.ks else None),
        _shown(column.psi),
        _shown(column.wasserstein),
        _shown(column.js),
        _shown(column.cramers_v),
        missing,
        words.NONE if column.new_share is None else words.percent(column.new_share),
    ]
    if weighted:
        cells.append(words.NONE if column.importance is None else words.percent(column.importance))
    return cells


def shown_name(column: ColumnDrift) -> Html:
    """A column's name, breakable."""
    return named(_answer(column.column), 40)


def title_of(column: ColumnDrift) -> str:
    """A column's name as text; the model's answers in words."""
    return words.name(_answer(column.column), 40)


def _answer(name: str) -> str:
    if name.startswith("__score:"):
        return f"Score of {name.removeprefix('__score:')}"
    return _ANSWERS.get(name, name)


def verdict_of(column: ColumnDrift) -> Html:
    """Whether a column drifted."""
    if column.still:
        return badge("none", "Not judged")
    return badge("bad", "Drifted") if column.drifted else badge("good", "Quiet")


def decided_by(column: ColumnDrift) -> str:
    """What decided on a column, in a few words."""
    if column.still:
        return _UNJUDGED[column.unjudged]
    if column.statistic == "kind":
        unfit = f"; {words.percent(column.unfit)} of the values do not fit" if column.unfit else ""
        return f"was {column.kind}, is {column.now}{unfit}"
    if column.statistic == "missing":
        shares = [words.percent(share) for share in column.missing]
        return f"missing {shares[0]}, now {shares[1]}"
    known = " from past windows" if column.calibrated else ""
    limit = words.figure(column.threshold, 3)
    return f"{_NAMES[column.statistic]} {_shown(column.value)}, limit {limit}{known}"


def _shown(value: float | None) -> str:
    """A distance: three decimals, and no powers of ten for next to nothing."""
    return "<0.001" if value is not None and 0 < value < 0.0005 else words.figure(value, 3)


def _strength_bar(column: ColumnDrift) -> Html | None:
    """The value against its limit, which is in the middle; up to twice of it."""
    if column.still:
        return None
    reach = min(column.strength / 2, 1.0)
    style = "bad" if column.drifted else "c8"
    return interval_bar(0.0, reach, reach, style, reference=0.5)
