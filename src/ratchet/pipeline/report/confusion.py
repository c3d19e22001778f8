"""Where a classifier is right and wrong: the confusion matrix and each class's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import Column, card, figure, named, table, unfold
from ratchet.pipeline.report.facts import ReportFacts
from ratchet.pipeline.report.markup import Html, tag
from ratchet.pipeline.report.plot_facts import ClassFacts

_MOST = 12
_MOST_LISTED = 200
_PAIRS = 15


def matrix(facts: ReportFacts) -> Html | None:
    """The matrix of the largest classes."""
    labels = facts.task.classes if facts.task else ()
    counts = facts.confusion
    if not counts or len(counts) != len(labels):
        return None
    order = sorted(range(len(labels)), key=lambda code: -sum(counts[code]))[:_MOST]
    hint = "A row is a true class; its cells say where its rows were put."
    if len(order) < len(labels):
        hint += f" The {len(order)} largest of {len(labels)} classes."
    return figure("Confusion matrix", _matrix(counts, labels, sorted(order)), below=hint)


def classes(facts: ReportFacts) -> list[Html | None]:
    """Each class's numbers, and the pairs that are mixed up most."""
    labels = facts.task.classes if facts.task else ()
    made: list[Html | None] = []
    if facts.classes:
        made += _classes(facts.classes)
    if len(labels) > 2 and len(facts.confusion) == len(labels):
        made.append(_mixed_up(facts.confusion, labels))
    return made


def _matrix(counts: Sequence[Sequence[int]], labels: Sequence[str], shown: Sequence[int]) -> Html:
    names = [words.name(labels[code], 30) for code in shown]
    head = [tag("th", "True ↓   decided →", scope="col")]
    head += [tag("th", name, scope="col") for name in names]
    rows = []
    for code, name in zip(shown, names, strict=True):
        total = sum(counts[code]) or 1
        cells = [_cell(counts[code][other], total, right=code == other) for other in shown]
        rows.append(tag("tr", tag("th", name, scope="row"), cells))
    inside = tag(
        "table",
        tag("caption", "Confusion matrix: true classes down, decided classes across"),
        tag("thead", tag("tr", head)),
        tag("tbody", rows),
        class_="heat",
    )
    return tag(
        "div", inside, class_="scroll", role="region", aria_label="Confusion matrix", tabindex=0
    )


def _cell(number: int, total: int, *, right: bool) -> Html:
    share = number / total
    return tag(
        "td",
        tag("span", words.count(number), class_="n" if number else "muted"),
        tag("span", words.percent(share), class_="p") if number else None,
        class_="c1" if right else "c2",
        style=f"--a:{0.05 + 0.42 * share:.2f}" if number else "--a:0",
    )


def _mixed_up(counts: Sequence[Sequence[int]], labels: Sequence[str]) -> Html | None:
    wrong = (
        (number, code, other)
        for code, row in enumerate(counts)
        for other, number in enumerate(row)
        if code != other and number
    )
    pairs = nsmallest(_PAIRS, wrong, key=lambda pair: (-pair[0], pair[1], pair[2]))
    if not pairs:
        return None
    columns = (
        Column("True class", "name"),
        Column("Decided", "text"),
        Column("Rows", "number"),
        Column("Of the true class", "number"),
    )
    rows = [
        (
            named(labels[code], 80),
            named(labels[other], 80),
            words.count(number),
            words.percent(number / (sum(counts[code]) or 1)),
        )
        for number, code, other in pairs
    ]
    return unfold("Classes mixed up most", table("Classes mixed up most", columns, rows))


def _classes(found: Sequence[ClassFacts]) -> list[Html | None]:
    columns = (
        Column("Class", "name"),
        Column("Precision", "number"),
        Column("Recall", "number"),
        Column("F1", "number"),
        Column("Test rows", "number"),
    )
    rows = [
        (
            named(one.label, 120),
            words.figure(one.precision),
            words.figure(one.recall),
            words.figure(one.f1),
            words.count(one.rows),
        )
        for one in found[:_MOST_LISTED]
    ]
    caption = "Each class on the test rows"
    made: list[Html | None] = [card(table(caption, columns, rows[:_MOST]), style="flush")]
    if len(rows) > _MOST:
        rest = rows[_MOST:]
        made.append(unfold(f"{len(found) - _MOST:,} more classes", table(caption, columns, rest)))
    return made
