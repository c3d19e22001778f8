"""The curves of a model's scores: ROC, precision against recall, calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation import canvas
from ratchet.evaluation.calibration import calibration_bins, wilson_bands
from ratchet.evaluation.canvas import BLUE, DASHES, ORANGE, PALETTE, SOFT, plain
from ratchet.evaluation.estimate import Estimate
from ratchet.evaluation.ranking import Ranking, auc, average_precision
from ratchet.evaluation.scored import Scored

if TYPE_CHECKING:
    from ratchet.evaluation.metrics import Metrics

Floats = npt.NDArray[np.float64]
_MOST_LINES = len(PALETTE)


def roc_page(scored: Scored, metrics: Metrics) -> Any:
    """Share of the class found against share of the rest wrongly flagged, at every cut-off."""
    page = canvas.start_page(*_heading("ROC curve", "ROC-AUC", metrics["roc_auc"], scored, metrics))
    axes = canvas.unit_axes(
        page, "False positives: share of the others", "Share of the class found"
    )
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.87, 0.81, "chance", size=9, color=SOFT)
    if scored.classes == 2:
        found, flagged = _curve(scored.ranking(1))
        rows = np.full(len(found), scored.ranking(1).totals[0])
        low, high = wilson_bands(found, rows, metrics.confidence)
        axes.fill_between(flagged, low, high, color=BLUE, alpha=0.14, linewidth=0)
        axes.plot(flagged, found, color=BLUE, linewidth=2.2)
        counts = np.array(metrics.confusion)
        at = (counts[0, 1] / max(counts[0].sum(), 1), counts[1, 1] / max(counts[1].sum(), 1))
        text = f"threshold {metrics.threshold:.2g}\nfinds {at[1]:.0%}\nfalse alarms {at[0]:.0%}"
        canvas.add_note(axes, text, at, (40 if at[0] < 0.6 else -40, -26))
        return page
    for code, colour, dash in _lines(metrics):
        area = auc(scored.ranking(code))[0]
        found, flagged = _curve(scored.ranking(code))
        label = f"{plain(metrics.classes[code])}  {area:.3f}"
        axes.plot(flagged, found, color=colour, linestyle=dash, linewidth=1.9, label=label)
    canvas.add_legend(axes, "lower right")
    return page


def precision_recall_page(scored: Scored, metrics: Metrics) -> Any:
    """How right the flagged rows are, against the share of the class found."""
    page = canvas.start_page(
        *_heading("Precision and recall", "PR-AUC", metrics["pr_auc"], scored, metrics)
    )
    axes = canvas.unit_axes(page, "Recall: share of the class found", "Precision of those flagged")
    if scored.classes == 2:
        count, others = scored.ranking(1).totals
        found, precision, chosen = _precision_curve(scored.ranking(1))
        low, high = wilson_bands(precision, chosen, metrics.confidence)
        axes.fill_between(found, low, high, step="pre", color=BLUE, alpha=0.14, linewidth=0)
        axes.plot(found, precision, color=BLUE, linewidth=2.2, drawstyle="steps-pre")
        rate = count / (count + others)
        axes.axhline(rate, color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        axes.text(0.005, rate + 0.015, f"chance {rate:.0%}", size=9, color=SOFT)
        at = (metrics["recall_positive"].value or 0.0, metrics["precision_positive"].value or 0.0)
        text = f"threshold {metrics.threshold:.2g}\nprecision {at[1]:.0%}, recall {at[0]:.0%}"
        canvas.add_note(axes, text, at, (34 if at[0] < 0.6 else -34, 34 if at[1] < 0.75 else -34))
        return page
    for code, colour, dash in _lines(metrics):
        ranking = scored.ranking(code)
        found, precision, _ = _precision_curve(ranking)
        label = f"{plain(metrics.classes[code])}  {average_precision(ranking)[0]:.3f}"
        axes.plot(
            found,
            precision,
            color=colour,
            linestyle=dash,
            linewidth=1.9,
            label=label,
            drawstyle="steps-pre",
        )
    canvas.add_legend(axes, "best")
    return page


def _precision_curve(ranking: Ranking) -> tuple[Floats, Floats, Floats]:
    """Recall, precision and rows flagged at each cut-off, from recall 0 on.

    Precision belongs to the step up to its recall, as average precision counts it: a straight line
    between two points would promise more than any cut-off gives.
    """
    count, others = ranking.totals
    found, flagged = (part[1:] for part in _curve(ranking))
    chosen = found * count + flagged * others
    first = np.zeros(1)
    return (
        np.concatenate((first, found)),
        np.concatenate((found[:1] * count / chosen[:1], found * count / chosen)),
        np.concatenate((chosen[:1], chosen)),
    )


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
        most = len(metrics.classes) > _MOST_LINES
        rows += f", {'the most frequent classes' if most else 'each class'} against the rest"
    return f"{title}: {name} {estimate.value:.3f}", f"{interval}  ·  {rows}"


def _lines(metrics: Metrics) -> list[tuple[int, str, str]]:
    """Class code, colour and dash of each line: the classes with most rows."""
    by_rows = sorted(range(len(metrics.classes)), key=lambda code: -metrics.report[code].support)
    shown = sorted(code for code in by_rows[:_MOST_LINES] if metrics.report[code].support)
    return list(zip(shown, PALETTE, DASHES, strict=False))


def _curve(ranking: Ranking, points: int = 400) -> tuple[Floats, Floats]:
    """Share of positives and of others scored at each cut-off or above, thinned out."""
    count, others = ranking.totals
    found = np.concatenate(([0.0], np.cumsum(ranking.positives[::-1]))) / count
    flagged = np.concatenate(([0.0], np.cumsum(ranking.negatives[::-1]))) / others
    if len(found) > points:
        marks = np.linspace(0, 1, points // 2)
        kept = np.unique(
            np.concatenate((np.searchsorted(found, marks), np.searchsorted(flagged, marks)))
        )
        kept = kept[kept < len(found)]
        return found[kept], flagged[kept]
    return found, flagged


def calibration_page(scored: Scored, metrics: Metrics) -> Any:
    """What the scores promise against what happened, and how the scores are spread."""
    bins = calibration_bins(scored, metrics.confidence)
    binary = scored.classes == 2
    label = plain(metrics.classes[1]) if binary else ""
    page = canvas.start_page(
        f"Calibration: mean gap {bins.gap:.1%}",
        f"log loss {metrics['log_loss'].value:.4f}  ·  Brier score {metrics['brier'].value:.4f}  ·"
        f"  bars are {metrics.confidence * 100:g}% intervals",
    )
    width = canvas.RIGHT - canvas.LEFT
    happened = f"Share that is {label}" if binary else "Share predicted right"
    axes = canvas.unit_axes(page, "", happened, (canvas.LEFT, 0.335, width, 0.51))
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
    axes.errorbar(
        bins.promised,
        bins.happened,
        yerr=(bins.happened - bins.low, bins.high - bins.happened),
        color=BLUE,
        ecolor=BLUE,
        elinewidth=1.4,
        capsize=3,
        marker="o",
        markersize=6,
        markeredgecolor="white",
        linewidth=1.6,
    )
    axes.tick_params(labelbottom=False)
    axes.text(1.0, 0.79, "as promised", size=9, color=SOFT, ha="right")
    below = canvas.add_axes(
        page,
        f"Score for {label}" if binary else "Score of the predicted class",
        "Rows",
        (canvas.LEFT, 0.115, width, 0.175),
    )
    _histogram(below, scored, metrics)
    return page


def _histogram(axes: Any, scored: Scored, metrics: Metrics) -> None:
    """Rows by score, one colour for each true class or for right and wrong."""
    edges = np.linspace(0, 1, 31)
    if scored.classes == 2:
        scores, mark = scored.proba[:, 1], scored.y == 1
        names = (plain(metrics.classes[0]), plain(metrics.classes[1]))
    else:
        scores, mark = scored.proba.max(axis=1), scored.y != scored.predicted
        names = ("right", "wrong")
    first = np.histogram(scores[~mark], edges)[0]
    second = np.histogram(scores[mark], edges)[0]
    step = edges[1]
    axes.bar(edges[:-1], first, step * 0.9, align="edge", color=BLUE, label=names[0])
    axes.bar(
        edges[:-1], second, step * 0.9, bottom=first, align="edge", color=ORANGE, label=names[1]
    )
    axes.set_xlim(-0.01, 1.01)
    axes.set_xticks((0, 0.2, 0.4, 0.6, 0.8, 1), ("0%", "20%", "40%", "60%", "80%", "100%"))
    axes.locator_params(axis="y", nbins=3)
    canvas.add_legend(axes, "upper right" if scored.classes == 2 else "upper left", columns=2)
