"""How right the model is, drawn: the estimates of a regression and their errors."""

from __future__ import annotations

from ratchet.pipeline.report import words
from ratchet.pipeline.report.blocks import figure, figures
from ratchet.pipeline.report.curves import histogram, pairs, whisker
from ratchet.pipeline.report.facts import ReportFacts
from ratchet.pipeline.report.markup import Html
from ratchet.pipeline.report.plot import (
    Axis,
    Frame,
    band,
    chart,
    cloud,
    legend,
    line,
    nice_axis,
    rule,
    spot,
)
from ratchet.pipeline.report.plot_facts import CurvesFacts


def regression(facts: ReportFacts) -> Html | None:
    """Estimates against true values, and the errors."""
    found = facts.curves
    if found is None:
        return None
    target = words.name(facts.task.target, 40) if facts.task else "the target"
    return figures((_scatter(found, target), _residuals(found, target), _errors(found, target)))


def _scatter(found: CurvesFacts, target: str) -> Html | None:
    if not found.scatter:
        return None
    values = [value for point in found.scatter for value in point[:2]]
    axis = nice_axis(min(values), max(values), f"Estimate of {target}", pad=0.03)
    up = Axis(axis.low, axis.high, axis.marks, f"True {target}")
    frame = Frame(axis, up, 320)
    layers = [
        line(frame, [(axis.low, axis.low), (axis.high, axis.high)], "soft"),
        cloud(frame, pairs(found.scatter), "c1"),
    ]
    for point in found.scatter_bins:
        layers.append(whisker(frame, point[0], point[2], point[3]))
        said = f"estimate {words.figure(point[0])}, true mean {words.figure(point[1])}"
        layers.append(spot(frame, (point[0], point[1]), "c2", said))
    drawn = chart(
        frame,
        layers,
        key="scatter",
        title="True values against estimates",
        description="On the diagonal, estimates are right.",
    )
    keys = [("c1", "a test row")]
    keys += [("c2", "mean of a tenth of the rows")] if found.scatter_bins else []
    hint = "On the diagonal, estimates are right"
    return figure("True against estimated", legend(keys, "disc"), drawn, below=hint)


def _residuals(found: CurvesFacts, target: str) -> Html | None:
    if not found.residuals:
        return None
    across = [point[0] for point in found.residuals]
    up = [point[1] for point in found.residuals]
    frame = Frame(
        nice_axis(min(across), max(across), f"Estimate of {target}", pad=0.03),
        nice_axis(min(*up, 0.0), max(*up, 0.0), "True value less estimate", pad=0.03),
        320,
    )
    bins = found.residual_bins
    low, high = [(p[0], p[1]) for p in bins], [(p[0], p[3]) for p in bins]
    layers = [
        band(frame, low, high, "c2"),
        cloud(frame, pairs(found.residuals), "c1"),
        rule(frame, y=0.0, style="strong"),
        line(frame, [(p[0], p[2]) for p in bins], "c2"),
    ]
    drawn = chart(
        frame,
        layers,
        key="residuals",
        title="Errors against estimates",
        description="An even band around 0 is what a good model leaves.",
    )
    keys = legend([("c2", "median, and where 80% of the errors lie")]) if bins else None
    below = "An even band around 0 is what a good model leaves"
    return figure("Errors by estimate", keys, drawn, below=below)


def _errors(found: CurvesFacts, target: str) -> Html | None:
    if found.errors is None:
        return None
    label = "True value less estimate"
    drawn = histogram(found.errors, key="errors", x_label=label, title="How errors are spread")
    if drawn is None:
        return None
    return figure("Errors", drawn, below=f"How many test rows are off by how much, in {target}")
