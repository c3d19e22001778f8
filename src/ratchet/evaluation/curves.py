"""The pages of a classifier's curves: ROC, precision against recall, threshold, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.evaluation import canvas
from ratchet.evaluation.canvas import CHANCE, DASHES, Page, plain, short_number
from ratchet.evaluation.points import (
    MOST_LINES,
    calibration_points,
    precision_recall_points,
    roc_points,
    threshold_points,
)
from ratchet.evaluation.scored import Scored
from ratchet.evaluation.themes import Theme

if TYPE_CHECKING:
    from ratchet.evaluation.estimate import Estimate
    from ratchet.evaluation.metrics import Metrics

_FINE = 400
"""Points of a drawn curve."""


def roc_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page:
    """Share of the class found against share of the rest wrongly flagged, at every cut-off."""
    data = roc_points(scored, metrics, points=_FINE)
    title = _heading("ROC curve", "ROC-AUC", metrics["roc_auc"], scored, metrics)
    page = Page(*title, theme)
    axes = page.unit_axes("False positives: share of the others", "Share of the class found")
    axes.plot([0, 1], [0, 1], color=theme.soft, linewidth=1, linestyle=CHANCE)
    axes.text(0.87, 0.81, "chance", size=9, color=theme.soft)
    _draw_lines(axes, page, data["lines"], scored, "lower right")
    if chosen := data["chosen"]:
        x, y = chosen["x"], chosen["y"]
        text = f"threshold {chosen['threshold']:.2g}\nfinds {y:.0%}\nfalse alarms {x:.0%}"
        page.add_note(axes, text, (x, y), (40 if x < 0.6 else -40, -26 if y > 0.2 else 30))
    return page


def precision_recall_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page:
    """How right the flagged rows are, against the share of the class found."""
    data = precision_recall_points(scored, metrics, points=_FINE)
    title = _heading("Precision and recall", "PR-AUC", metrics["pr_auc"], scored, metrics)
    page = Page(*title, theme)
    axes = page.unit_axes("Recall: share of the class found", "Precision of those flagged")
    if chosen := data["chosen"]:
        rate = data["lines"][0]["chance"]
        axes.axhline(rate, color=theme.soft, linewidth=1, linestyle=CHANCE)
        # The curve passes the line's right end, so its name is at the left.
        axes.text(0.005, rate + 0.015, f"chance {rate:.2g}", size=9, color=theme.soft)
    _draw_lines(axes, page, data["lines"], scored, "best", steps=True)
    if chosen:
        x, y = chosen["x"], chosen["y"]
        text = f"threshold {chosen['threshold']:.2g}\nprecision {y:.0%}, recall {x:.0%}"
        # A curve that falls leaves room at its lower left, or it is low and leaves it above.
        towards = (-34, -40) if x > 0.4 and y > 0.3 else (34, 40 if y < 0.75 else -40)
        page.add_note(axes, text, (x, y), towards)
    return page


def _draw_lines(
    axes: Any, page: Page, lines: Any, scored: Scored, place: str, *, steps: bool = False
) -> None:
    """One line with its band for two classes, else a line a class with a legend."""
    style = {"drawstyle": "steps-pre"} if steps else {}
    if scored.classes == 2:
        line, blue = lines[0], page.theme.blue
        step = "pre" if steps else None
        axes.fill_between(
            line["x"], line["low"], line["high"], step=step, color=blue, alpha=0.16, linewidth=0
        )
        axes.plot(line["x"], line["y"], color=blue, linewidth=2.2, **style)
        return
    for line, colour, dash in zip(lines, page.theme.palette, DASHES, strict=False):
        label = f"{plain(line['label'])}  {line['area']:.3f}"
        axes.plot(
            line["x"], line["y"], color=colour, linestyle=dash, linewidth=1.9, label=label, **style
        )
    page.add_legend(axes, place)


def _heading(
    title: str, name: str, estimate: Estimate, scored: Scored, metrics: Metrics
) -> tuple[str, str]:
    """Title with the metric, subtitle with its interval and the rows it rests on."""
    share = f"{metrics.confidence * 100:g}%"
    interval = f"{share} interval {estimate.low:.3f} to {estimate.high:.3f}"
    rows = f"{scored.rows:,} rows"
    if scored.classes == 2:
        rows += f", {int((scored.y == 1).sum()):,} of them {plain(metrics.classes[1])}"
    else:
        most = len(metrics.classes) > MOST_LINES
        rows += f", {'the most frequent classes' if most else 'each class'} against the rest"
    return f"{title}: {name} {estimate.value:.3f}", f"{interval}  ·  {rows}"


def threshold_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page | None:
    """Precision, recall and F1 at each decision threshold, and the one that is used."""
    data = threshold_points(scored, metrics, points=_FINE)
    if data is None:
        return None
    chosen = data["chosen"]
    label = plain(metrics.classes[1])
    page = Page(
        f"Decision threshold: {chosen['threshold']:.3g}",
        f"there precision {chosen['precision']:.1%}, recall {chosen['recall']:.1%}, "
        f"F1 {chosen['f1']:.1%}; {chosen['flagged']:.1%} of {metrics.rows:,} rows are predicted "
        f"{label}",
        theme,
    )
    axes = page.unit_axes(f"Predicted {label} from this score on", "")
    names = {"precision": "Precision", "recall": "Recall", "f1": "F1", "flagged": "Rows flagged"}
    colours = (theme.blue, theme.orange, theme.palette[2], theme.soft)
    for (name, title), colour, dash in zip(names.items(), colours, DASHES, strict=False):
        # A threshold between two scores flags the same rows as the higher of them.
        style = {"color": colour, "linestyle": dash, "linewidth": 2, "drawstyle": "steps-pre"}
        axes.plot(data["threshold"], data[name], label=title, **style)
    axes.axvline(chosen["threshold"], color=theme.ink, linewidth=1.1)
    for name, colour in zip(names, colours, strict=True):
        axes.plot(
            [chosen["threshold"]], [chosen[name]], "o", color=colour, markersize=7, mec=theme.page
        )
    page.add_legend(axes, "best")
    return page


def calibration_page(scored: Scored, metrics: Metrics, theme: Theme) -> Page:
    """What the scores promise against what happened, and how the scores are spread."""
    data = calibration_points(scored, metrics)
    binary = scored.classes == 2
    label = plain(metrics.classes[1]) if binary else ""
    page = Page(
        f"Calibration: mean gap {data['gap']:.1%}",
        f"log loss {metrics['log_loss'].value:.4f}  ·  Brier score {metrics['brier'].value:.4f}  ·"
        f"  bars are {metrics.confidence * 100:g}% intervals",
        theme,
    )
    width = canvas.RIGHT - canvas.LEFT
    happened = f"Share that is {label}" if binary else "Share predicted right"
    axes = page.unit_axes("", happened, (canvas.LEFT, 0.335, width, 0.51))
    axes.plot([0, 1], [0, 1], color=theme.soft, linewidth=1, linestyle=CHANCE)
    middle, low, high = (np.array(data[name]) for name in ("happened", "low", "high"))
    axes.errorbar(
        data["promised"],
        middle,
        yerr=(np.maximum(middle - low, 0), np.maximum(high - middle, 0)),
        color=theme.blue,
        elinewidth=1.4,
        capsize=3,
        marker="o",
        markersize=6,
        markeredgecolor=theme.page,
        linewidth=1.6,
    )
    axes.tick_params(labelbottom=False)
    axes.text(1.0, 0.03, "dashed: as promised", size=9, color=theme.soft, ha="right")
    below = page.add_axes(
        f"Score for {label}" if binary else "Score of the predicted class",
        "Rows",
        (canvas.LEFT, 0.115, width, 0.175),
    )
    _histogram(below, page, data["scores"], left=not binary)
    return page


def _histogram(axes: Any, page: Page, scores: Any, *, left: bool) -> None:
    """Rows by score, one colour for each true class or for right and wrong."""
    edges, first, second = (np.array(scores[name]) for name in ("edges", "first", "second"))
    step = edges[1]
    first_name, second_name = (plain(name, 24) for name in scores["names"])
    axes.bar(edges[:-1], first, step * 0.9, align="edge", color=page.theme.blue, label=first_name)
    axes.bar(
        edges[:-1],
        second,
        step * 0.9,
        bottom=first,
        align="edge",
        color=page.theme.orange,
        label=second_name,
    )
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks(*canvas.PERCENT)
    axes.set_ylim(0, 1.45 * max(float((first + second).max()), 1))
    axes.locator_params(axis="y", nbins=3)
    axes.yaxis.set_major_formatter(short_number)
    page.add_legend(axes, "upper left" if left else "upper right", columns=2)
