"""How right the model is, drawn: curves of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import figure
from ratchet.pipeline.report.facts import ReportFacts
from ratchet.pipeline.report.markup import Html, tag
from ratchet.pipeline.report.plot import (
    Axis,
    Frame,
    band,
    chart,
    legend,
    line,
    nice_axis,
    note,
    percent_axis,
    rule,
    spot,
    unit_axis,
)
from ratchet.pipeline.report.plot_facts import CurveFacts, CurvesFacts, HistogramFacts

_LINES = 8
_DASHES = ("", " dash", " dot")


def curves(facts: ReportFacts) -> list[Html | None]:
    """ROC, precision and recall, calibration, threshold and scores, as far as they are known."""
    found = facts.curves
    if found is None:
        return []
    positive = facts.task.classes[1] if facts.task and len(facts.task.classes) == 2 else ""
    return [
        _roc(found),
        _precision_recall(found),
        _calibration(found),
        _threshold(found, facts, positive),
        _scores(found.scores) if found.scores else None,
    ]


def _area(lines: Sequence[CurveFacts], name: str) -> str:
    known = [line.value for line in lines if line.value is not None]
    if len(lines) == 1 and known:
        return f"{name} {words.figure(known[0], 3)}"
    return "Each class against the rest; the area is in the legend" if lines[1:] else ""


def _styles(lines: Sequence[CurveFacts]) -> list[str]:
    dash = [_DASHES[place // _LINES % len(_DASHES)] for place in range(len(lines))]
    return [f"c{place % _LINES + 1}{dash[place]}" for place in range(len(lines))]


def _keys(lines: Sequence[CurveFacts]) -> Html | None:
    if len(lines) < 2:
        return None
    named = []
    for style, curve in zip(_styles(lines), lines, strict=True):
        area = f" {words.figure(curve.value, 3)}" if curve.value is not None else ""
        named.append(
            (
                style.replace("dash", "dash2").replace(" dot", " dot2"),
                words.name(curve.label, 30) + area,
            )
        )
    return legend(named)


def _band(frame: Frame, curve: CurveFacts, style: str) -> Html:
    if len(curve.low) != len(curve.points) or len(curve.high) != len(curve.points):
        return Html("")
    low = [(point[0], edge) for point, edge in zip(curve.points, curve.low, strict=True)]
    high = [(point[0], edge) for point, edge in zip(curve.points, curve.high, strict=True)]
    return band(frame, low, high, style)


def pairs(points: Sequence[Sequence[float]], up: int = 1) -> list[tuple[float, float]]:
    """Points across and up, where ``up`` says which of the numbers."""
    return [(point[0], point[up]) for point in points]


def _roc(found: CurvesFacts) -> Html | None:
    if not found.roc:
        return None
    x = unit_axis("Share of the others flagged")
    frame = Frame(x, unit_axis("Share of the class found"), 290)
    layers = [line(frame, [(0, 0), (1, 1)], "soft")]
    for style, curve in zip(_styles(found.roc), found.roc, strict=True):
        layers.append(_band(frame, curve, style))
        layers.append(line(frame, pairs(curve.points), style))
    layers.append(note(frame, (0.72, 0.66), "chance", shift=(0, 16), style="soft"))
    if found.roc_chosen is not None:
        layers += _chosen(frame, found.roc_chosen, "flags", "finds", turn=0.55)
    drawn = chart(
        frame,
        layers,
        key="roc",
        title="ROC curve",
        description=f"{_area(found.roc, 'ROC-AUC')}. The diagonal is what chance gives.",
    )
    return figure("ROC curve", _keys(found.roc), drawn, below=_area(found.roc, "ROC-AUC"))


def _chosen(
    frame: Frame, at: tuple[float, float], across: str, up: str, *, turn: float
) -> list[Html]:
    """The point of the decision threshold with its numbers, below the curve."""
    said = (f"{up} {words.percent(at[1])}", f"{across} {words.percent(at[0])}")
    low = at[1] < 0.15
    return [
        spot(frame, at, "chosen", f"At the threshold: {said[0]}, {said[1]}", 6),
        note(frame, at, *said, shift=(10.0, -26.0 if low else 20.0), turn=turn),
    ]


def _precision_recall(found: CurvesFacts) -> Html | None:
    if not found.precision_recall:
        return None
    x = unit_axis("Recall: share found")
    frame = Frame(x, unit_axis("Precision of those flagged"), 290)
    layers = []
    for style, curve in zip(_styles(found.precision_recall), found.precision_recall, strict=True):
        layers.append(_band(frame, curve, style))
        layers.append(line(frame, pairs(curve.points), style))
    base = found.precision_recall[0].base
    if len(found.precision_recall) == 1 and base is not None:
        layers.append(rule(frame, y=base))
        layers.append(
            note(frame, (0, base), f"chance {words.percent(base)}", shift=(6, 16), style="soft")
        )
    if found.precision_recall_chosen is not None:
        layers += _chosen(frame, found.precision_recall_chosen, "recall", "precision", turn=0.3)
    drawn = chart(
        frame,
        layers,
        key="precision-recall",
        title="Precision and recall",
        description=f"{_area(found.precision_recall, 'PR-AUC')}.",
    )
    keys = _keys(found.precision_recall)
    return figure(
        "Precision and recall", keys, drawn, below=_area(found.precision_recall, "PR-AUC")
    )


def _calibration(found: CurvesFacts) -> Html | None:
    points = found.calibration
    if not points:
        return None
    frame = Frame(unit_axis("Score: what was promised"), unit_axis("What happened"), 290)
    layers = [line(frame, [(0, 0), (1, 1)], "soft")]
    if all(len(point) >= 4 for point in points):
        layers += [whisker(frame, point[0], point[2], point[3]) for point in points]
    layers.append(line(frame, pairs(points), "c1"))
    for point in points:
        rows = f", {point[4]:,.0f} rows" if len(point) > 4 else ""
        said = f"promised {words.percent(point[0])}, happened {words.percent(point[1])}{rows}"
        layers.append(spot(frame, (point[0], point[1]), "c1", said))
    gap = f"Off by {words.percent(found.gap)} on average" if found.gap is not None else ""
    drawn = chart(
        frame,
        layers,
        key="calibration",
        title="Calibration",
        description=f"{gap or 'Promised against happened'}. On the diagonal, scores hold.",
    )
    below = f"{gap}; on the diagonal, scores hold what they promise" if gap else ""
    return figure("Calibration", drawn, below=below)


def whisker(frame: Frame, x: float, low: float, high: float) -> Html:
    """An interval that stands upright."""
    at = frame.across(x)
    return tag("line", x1=at, x2=at, y1=frame.down(low), y2=frame.down(high), class_="whisker c1")


def _threshold(found: CurvesFacts, facts: ReportFacts, positive: str) -> Html | None:
    points = sorted(found.threshold)
    if len(points) < 2:
        return None
    chosen = facts.model.threshold.value if facts.model and facts.model.threshold else None
    ends = [points[0][0], points[-1][0], *([] if chosen is None else [chosen])]
    frame = Frame(percent_axis(min(ends), max(ends), "Threshold"), unit_axis("Share"), 290)
    named = (
        ("c1", "Precision", 1),
        ("c2 dash", "Recall", 2),
        ("c3", "F1", 3),
        ("c8 dot", "Flagged", 4),
    )
    shown = [entry for entry in named if all(len(point) > entry[2] for point in points)]
    layers = [line(frame, pairs(points, place), style) for style, _, place in shown]
    if chosen is not None:
        layers.insert(0, rule(frame, x=chosen, style="strong"))
        layers.append(note(frame, (chosen, 1.0), f"chosen {chosen:.3g}", shift=(7, 12)))
    drawn = chart(
        frame,
        layers,
        key="threshold",
        title="What each threshold would give",
        description=f"Precision, recall and F1 of {words.name(positive or 'the positive class')} "
        "at every threshold.",
    )
    keys = [(s.replace("dash", "dash2").replace("dot", "dot2"), name) for s, name, _ in shown]
    below = f"For {words.name(positive, 40)}, at every possible threshold" if positive else ""
    return figure("Threshold", legend(keys), drawn, below=below)


def _scores(found: HistogramFacts) -> Html | None:
    drawn = histogram(found, key="scores", x_label="Score", title="How scores are spread")
    if drawn is None:
        return None
    keys = [
        (f"c{place + 1}", words.name(label, 30)) for place, (label, _) in enumerate(found.counts)
    ]
    keys_ = legend(keys, "box") if len(keys) > 1 else None
    return figure("Scores", keys_, drawn, below="How many test rows have which score")


def histogram(found: HistogramFacts, *, key: str, x_label: str, title: str) -> Html | None:
    """Bars, one label upon the other."""
    bins = len(found.edges) - 1
    totals = [sum(counts[place] for _, counts in found.counts) for place in range(bins)]
    if bins < 1 or not any(totals):
        return None
    x = _edge_axis(found.edges, x_label)
    frame = Frame(x, nice_axis(0, max(totals), "Rows", most=4), 290)
    layers = []
    below = [0] * bins
    for place, (label, counts) in enumerate(found.counts):
        for at, number in enumerate(counts):
            if not number:
                continue
            layers.append(
                _bar(frame, found.edges[at : at + 2], below[at], number, f"c{place + 1}", label)
            )
            below[at] += number
    return chart(frame, layers, key=key, title=title, description=f"Rows by {x_label.lower()}.")


def _edge_axis(edges: Sequence[float], label: str) -> Axis:
    if edges[0] == 0 and edges[-1] == 1:
        return unit_axis(label)
    marks = nice_axis(edges[0], edges[-1]).marks
    return Axis(edges[0], edges[-1], marks, label)


def _bar(
    frame: Frame, ends: Sequence[float], low: int, number: int, style: str, label: str
) -> Html:
    wide = (frame.x.share(ends[1]) - frame.x.share(ends[0])) * 100
    top, bottom = float(frame.down(low + number)), float(frame.down(low))
    said = f"{number:,} rows from {words.figure(ends[0], 3)} to {words.figure(ends[1], 3)}"
    return tag(
        "rect",
        tag("title", f"{words.name(label, 40)}: {said}" if label else said),
        x=frame.across(ends[0]),
        y=f"{top:.1f}",
        width=f"{wide * 0.9:.2f}%",
        height=f"{max(bottom - top, 0.5):.1f}",
        class_=f"fill {style}",
    )
