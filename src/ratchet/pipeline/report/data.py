"""What the model was made of, and what the checks found in it."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    code,
    facts_list,
    named,
    prose,
    share_bar,
    table,
    unfold,
)
from ratchet.pipeline.report.facts import CheckFacts, DataFacts, PartFacts, ReportFacts
from ratchet.pipeline.report.markup import Child, Html, join, tag

DATA = "The data"
CHECKS = "Checks"
_METHODS = {
    "time": "by time: the latest rows are for testing",
    "group": "by group: rows that belong together stay together",
    "hash": "by a hash of the id",
    "stratified": "at random, with equal shares of each class",
}
_MOST_CLASSES = 20
_MOST_EXAMPLES = 12


def data(facts: ReportFacts) -> list[Html | None]:
    """The snapshot, how it was cut, and how its target is spread."""
    found = facts.data
    if found is None:
        return []
    lead = f"Version {found.version} of the table {found.table}: {found.rows:,} rows"
    lead += f" in {words.counted(found.columns, 'column')}" if found.columns else ""
    lead += f"; {found.reason}." if found.reason else "."
    made: list[Html | None] = [tag("p", lead, class_="lead")]
    about = _about(found)
    if about is not None:
        made.append(card(about))
    if found.parts:
        made.append(card(_parts(found.parts), style="flush"))
        made += _shares(found.parts, facts.task.target if facts.task else "the target")
    return made


def _about(found: DataFacts) -> Html | None:
    dropped = f"{found.duplicates:,} rows that repeat an earlier one" if found.duplicates else ""
    left = f"{found.left_out:,} rows that the sample did not take" if found.left_out else ""
    method = _METHODS.get(found.method, found.method)
    if found.seed is not None and found.method in ("stratified", "group", "hash"):
        method += f", seed {found.seed}"
    return facts_list(
        (
            ("Content digest", code(found.digest[:16]) if found.digest else None),
            ("Newest row", words.moment(found.newest) if found.newest else None),
            ("Split", method),
            ("Dropped", dropped),
            ("Left out", left),
        )
    )


def _parts(parts: Sequence[PartFacts]) -> Html:
    total = sum(part.rows for part in parts) or 1
    timed = any(part.first or part.last for part in parts)
    names = list(dict.fromkeys(name for part in parts for name, _ in part.summary))
    columns = [
        Column("Part", "name"),
        Column("Rows", "number"),
        Column("Share", "number"),
        Column("", "bar"),
    ]
    if timed:
        columns += [Column("From", "short"), Column("To", "short")]
    columns += [Column(f"Target {name}", "number") for name in names]
    rows = []
    for part in parts:
        row: list[Child] = [
            part.name.capitalize(),
            words.count(part.rows),
            words.percent(part.rows / total),
            share_bar(part.rows / total),
        ]
        if timed:
            row += [words.moment(part.first) or words.NONE, words.moment(part.last) or words.NONE]
        known = dict(part.summary)
        row += [words.figure(known.get(name)) for name in names]
        rows.append(row)
    return table("The parts of the data", columns, rows)


def _shares(parts: Sequence[PartFacts], target: str) -> list[Html]:
    """How often each class occurs in each part."""
    labels = list(dict.fromkeys(label for part in parts for label, _ in part.shares))
    shown = [part for part in parts if part.shares]
    if not labels:
        return []
    shares = {part.name: dict(part.shares) for part in shown}
    largest = max((share for part in shown for _, share in part.shares), default=1.0) or 1.0
    columns = [Column(f"Class of {words.name(target, 40)}", "name")]
    for part in shown:
        columns += [Column(f"{part.name.capitalize()} rows", "number"), Column("", "bar")]
    rows = []
    for label in labels:
        row: list[Child] = [named(label, 120)]
        for part in shown:
            share = shares[part.name].get(label, 0.0)
            row += [words.percent(share), share_bar(share / largest)]
        rows.append(row)
    caption = "Share of each class in each part"
    made = [card(table(caption, columns, rows[:_MOST_CLASSES]), style="flush")]
    if len(rows) > _MOST_CLASSES:
        rest = rows[_MOST_CLASSES:]
        made.append(unfold(f"{len(rest)} more classes", table(caption, columns, rest)))
    return made


def checks(facts: ReportFacts) -> list[Html | None]:
    """Failures first, with rows to look at; what passed is there to unfold."""
    if not facts.checks:
        return []
    errors = [check for check in facts.checks if not check.passed and check.severity == "error"]
    warnings = [check for check in facts.checks if not check.passed and check.severity != "error"]
    passed = [check for check in facts.checks if check.passed]
    total = len(facts.checks)
    said = [f"{len(passed)} of {total} passed"]
    if errors:
        said.append(f"{len(errors)} failed and stopped the run")
    if warnings:
        said.append(f"{words.counted(len(warnings), 'warning')}")
    made: list[Html | None] = [tag("p", "; ".join(said) + ".", class_="lead")]
    if errors or warnings:
        made.append(card(_failures([*errors, *warnings]), style="flush"))
    if passed:
        summary = f"{words.counted(len(passed), 'check')} passed"
        made.append(unfold(summary, _passes(passed)))
    return made


def _failures(found: Sequence[CheckFacts]) -> Html:
    """One below the other rather than a table: the messages are what matters."""
    return tag("ul", [_failure(check) for check in found], class_="issues")


def _failure(check: CheckFacts) -> Html:
    error = check.severity == "error"
    mark = badge("bad", "Failed") if error else badge("warn", "Warning")
    column = code(words.name(check.column, 120)) if check.column else None
    title = tag("b", words.check_title(check.name))
    head = tag("div", mark, title, column, _failing(check), class_="head")
    expected = tag("p", f"Expected: {check.expected}", class_="hint") if check.expected else None
    return tag("li", head, tag("p", prose(check.message)), expected, _examples(check))


def _passes(found: Sequence[CheckFacts]) -> Html:
    columns = (Column("Check", "name"), Column("What was found", "words"))
    rows = [(_named(check), prose(check.message)) for check in found]
    return table("Checks that passed", columns, rows)


def _named(check: CheckFacts) -> Html:
    about = tag("span", named(check.column, 120), class_="sub") if check.column else ""
    return join([words.check_title(check.name), about])


def _failing(check: CheckFacts) -> Html | None:
    """How many rows broke it, and their share."""
    if check.failing is None:
        return None
    said = words.counted(check.failing, "row")
    if check.rows:
        said += f" of {check.rows:,} ({words.percent(check.failing / check.rows)})"
    return tag("span", said, class_="muted small")


def _examples(check: CheckFacts) -> Html | None:
    """Rows to look at."""
    if not check.examples:
        return None
    shown = [code(words.name(row, 60)) for row in check.examples[:_MOST_EXAMPLES]]
    left = len(check.examples) - _MOST_EXAMPLES
    more = f"and {left} more" if left > 0 else None
    return tag("p", "For example rows ", shown, more, class_="hint examples")
