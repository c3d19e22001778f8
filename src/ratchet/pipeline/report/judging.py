"""What the gates demanded, and where the model is weak."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import (
    Column,
    badge,
    card,
    chip,
    code,
    grouped_table,
    interval_bar,
    named,
    table,
    unfold,
)
from ratchet.pipeline.report.facts import GateFacts, MetricFacts, ReportFacts, SliceFacts
from ratchet.pipeline.report.markup import Child, Html, join, tag
from ratchet.pipeline.report.plot import Axis, nice_axis

GATES = "Gates"
SLICES = "Slices"
_GROUPS = {
    "thresholds": "How good it must be",
    "champion": "Against the model that serves",
    "artifacts": "The bundle",
    "budget": "What it may cost",
}
_MOST_SLICES = 10
_MOST_REST = 100


def gates(facts: ReportFacts) -> list[Html | None]:
    """Every gate with value, limit, verdict, and where the limit was set."""
    if not facts.gates:
        return []
    failed = sum(not gate.passed for gate in facts.gates)
    total = words.counted(len(facts.gates), "gate")
    said = f"{failed} of {total} said no." if failed else f"All {total} said yes."
    columns = (
        Column("Gate", "name"),
        Column("", "short"),
        Column("Value", "number"),
        Column("Limit", "number"),
        Column("Set in", "short"),
    )
    by_group: dict[str, list[GateFacts]] = {}
    for gate in facts.gates:
        by_group.setdefault(gate.group, []).append(gate)
    groups = [
        (_GROUPS.get(name, words.gate_title(name)), [_gate(gate) for gate in found])
        for name, found in by_group.items()
    ]
    return [
        tag("p", said, class_="lead"),
        card(grouped_table("Gates", columns, groups), style="flush"),
    ]


def _gate(gate: GateFacts) -> Sequence[Child]:
    reason = tag("span", gate.reason, class_="sub" if gate.passed else "sub bad")
    return (
        join([words.gate_title(gate.name), reason]),
        badge("good", "Passed") if gate.passed else badge("bad", "Failed"),
        words.gate_figure(gate.name, gate.value),
        words.gate_figure(gate.name, gate.threshold),
        code(gate.where) if gate.where != "default" else tag("span", "default", class_="muted"),
    )


def slices(facts: ReportFacts) -> list[Html | None]:
    """The parts of the rows on which the model does worst, with intervals."""
    found = [part for part in facts.slices if part.metric.value is not None]
    if not found:
        return []
    ordered = sorted(found, key=lambda part: (not part.worse, part.difference or 0.0))
    worse = sum(part.worse for part in found)
    title = words.metric_title(found[0].metric.name)
    said = f"{title} on {words.counted(len(found), 'part')} of the test rows. "
    if worse:
        verb = "is" if worse == 1 else "are"
        said += f"{worse} {verb} worse than the whole by more than chance, with the number of "
        said += "parts looked at accounted for."
    else:
        said += "None is worse than the whole by more than chance."
    overall = _overall(facts)
    axis = _scale(ordered, overall)
    first, rest = ordered[:_MOST_SLICES], ordered[_MOST_SLICES:][:_MOST_REST]
    hint = None
    if overall is not None and overall.value is not None:
        text = f"The dashed line is {title} over all test rows, {words.figure(overall.value)}."
        hint = tag("p", text, class_="hint under")
    made: list[Html | None] = [
        tag("p", said, class_="lead"),
        card(_slices(first, axis, overall, title), style="flush"),
        hint,
    ]
    if rest:
        summary = f"{words.counted(len(rest), 'other part')}"
        made.append(unfold(summary, _slices(rest, axis, overall, title)))
    return made


def _overall(facts: ReportFacts) -> MetricFacts | None:
    if facts.model is None or not facts.slices:
        return None
    wanted = facts.slices[0].metric.name
    return next((metric for metric in facts.model.metrics if metric.name == wanted), None)


def _scale(parts: Sequence[SliceFacts], overall: MetricFacts | None) -> Axis:
    metrics = [part.metric for part in parts] + ([overall] if overall else [])
    known = [v for m in metrics for v in (m.low, m.value, m.high) if v is not None]
    return nice_axis(min(known), max(known))


def _slices(
    parts: Sequence[SliceFacts], axis: Axis, overall: MetricFacts | None, title: str
) -> Html:
    columns = (
        Column("Test rows where", "name"),
        Column("Rows", "number"),
        Column(title, "number"),
        Column("Interval", "number"),
        Column("", "bar"),
        Column("Difference", "number"),
    )
    whole = None if overall is None or overall.value is None else axis.share(overall.value)
    rows = []
    for part in parts:
        metric = part.metric
        value, low, high = metric.value, metric.low, metric.high
        interval, bar = words.NONE, None
        if value is not None and low is not None and high is not None:
            interval = f"{words.figure(low, 3)} to {words.figure(high, 3)}"
            ends = (axis.share(low), axis.share(value), axis.share(high))
            bar = interval_bar(*ends, "bad" if part.worse else "c1", whole)
        rows.append(
            (
                _named(part),
                join(
                    [
                        f"{part.rows:,}",
                        tag("span", f" ({words.percent(part.share)})", class_="muted"),
                    ]
                ),
                tag("b", words.figure(value)),
                interval,
                bar,
                words.signed(part.difference, 3),
            )
        )
    return table("Parts of the test rows, the worst first", columns, rows)


def _named(part: SliceFacts) -> Html:
    made: list[str] = [named(part.column, 80), " = ", named(part.label, 80)]
    if part.worse:
        made.append(chip("worse", "bad"))
    return join(made)
