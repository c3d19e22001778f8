"""The curves of a classifier's scores as numbers: what plots draw and reports can draw again.

Every function gives a JSON object of lists of equal length, thinned to at most ``points`` points,
without NaN or infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.calibration import calibration_bins, wilson_bands
from ratchet.evaluation.ranking import Ranking, auc, average_precision
from ratchet.evaluation.scored import Scored

if TYPE_CHECKING:
    from ratchet.evaluation.metrics import Metrics

Floats = npt.NDArray[np.float64]

POINTS = 200
MOST_LINES = 7
"""Classes that are drawn: those with most rows."""


def listed(values: Any, digits: int = 6) -> list[float]:
    """Numbers for JSON, as short as a plot allows."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=np.float64)]


def roc_points(scored: Scored, metrics: Metrics, *, points: int = POINTS) -> dict[str, Any]:
    """Share of a class found (``y``) against share of the others flagged (``x``).

    ``lines`` has one entry for two classes, of the positive one and with the ends of its interval,
    else one for each class against the rest; ``chosen`` is where the threshold lies.
    """
    lines = []
    for code in shown_classes(scored):
        ranking = scored.ranking(code)
        found, flagged = thin_curve(ranking, points)
        line = {
            "label": str(scored.task.classes[code]),
            "code": code,
            "area": auc(ranking)[0],
            "x": listed(flagged),
            "y": listed(found),
        }
        if scored.classes == 2:
            rows = np.full(len(found), ranking.totals[0])
            low, high = wilson_bands(found, rows, metrics.confidence)
            line |= {"low": listed(low), "high": listed(high)}
        lines.append(line)
    chosen = None
    if metrics.threshold is not None:
        counts = np.array(metrics.confusion)
        chosen = {
            "threshold": metrics.threshold,
            "x": float(counts[0, 1] / max(counts[0].sum(), 1)),
            "y": float(counts[1, 1] / max(counts[1].sum(), 1)),
        }
    return {"lines": lines, "chosen": chosen}


def precision_recall_points(
    scored: Scored, metrics: Metrics, *, points: int = POINTS
) -> dict[str, Any]:
    """Precision (``y``) against recall (``x``); a step belongs to the recall it leads up to."""
    lines = []
    for code in shown_classes(scored):
        ranking = scored.ranking(code)
        count, others = ranking.totals
        found, precision, flagged = _precision_curve(ranking, points)
        line = {
            "label": str(scored.task.classes[code]),
            "code": code,
            "area": average_precision(ranking)[0],
            "chance": count / (count + others),
            "x": listed(found),
            "y": listed(precision),
        }
        if scored.classes == 2:
            low, high = wilson_bands(precision, flagged, metrics.confidence)
            line |= {"low": listed(low), "high": listed(high)}
        lines.append(line)
    chosen = None
    if metrics.threshold is not None:
        counts = np.array(metrics.confusion)
        chosen = {
            "threshold": metrics.threshold,
            "x": float(counts[1, 1] / max(counts[1].sum(), 1)),
            "y": float(counts[1, 1] / max(counts[:, 1].sum(), 1)),
        }
    return {"lines": lines, "chosen": chosen}


def calibration_points(scored: Scored, metrics: Metrics) -> dict[str, Any]:
    """What scores promise and what happened, in bins of equal size; and rows by score.

    ``scores`` counts rows in 30 equal bins from 0 to 1: of two classes ``first`` the negative and
    ``second`` the positive, of more those predicted right and wrong.
    """
    bins = calibration_bins(scored, metrics.confidence)
    edges = np.linspace(0, 1, 31)
    if scored.classes == 2:
        scores, mark = scored.proba[:, 1], scored.y == 1
        names = [str(label) for label in scored.task.classes]
    else:
        scores, mark = scored.proba.max(axis=1), scored.y != scored.predicted
        names = ["right", "wrong"]
    scores = np.clip(scores, 0, 1)
    return {
        "promised": listed(bins.promised),
        "happened": listed(bins.happened),
        "low": listed(bins.low),
        "high": listed(bins.high),
        "rows": listed(bins.rows),
        "gap": bins.gap,
        "scores": {
            "edges": listed(edges),
            "first": listed(np.histogram(scores[~mark], edges)[0]),
            "second": listed(np.histogram(scores[mark], edges)[0]),
            "names": names,
        },
    }


def threshold_points(
    scored: Scored, metrics: Metrics, *, points: int = POINTS
) -> dict[str, Any] | None:
    """Precision, recall and F1 of the positive class at each threshold; None unless binary.

    ``flagged`` is the share of all rows predicted positive. A threshold between two of these has
    the values of the higher one.
    """
    if scored.classes != 2 or not (scored.y == 1).any():
        return None
    ranking = scored.ranking(1)
    count, others = ranking.totals
    hits = np.cumsum(ranking.positives[::-1])[::-1]
    flagged = hits + np.cumsum(ranking.negatives[::-1])[::-1]
    scores = ranking.thresholds
    even = np.searchsorted(scores, np.linspace(scores[0], scores[-1], points // 2))
    ranked = np.linspace(0, len(scores) - 1, points // 2).astype(np.int64)
    kept = np.unique(np.concatenate((even, ranked)).clip(0, len(scores) - 1))
    hits, flagged, scores = hits[kept], flagged[kept], scores[kept]
    return {
        "threshold": listed(scores),
        "precision": listed(hits / flagged),
        "recall": listed(hits / count),
        "f1": listed(2 * hits / (count + flagged)),
        "flagged": listed(flagged / (count + others)),
        "chosen": {
            "threshold": metrics.threshold,
            "precision": metrics.report[1].precision,
            "recall": metrics.report[1].recall,
            "f1": metrics.report[1].f1,
            "flagged": metrics.report[1].predicted / metrics.rows,
        },
    }


def shown_classes(scored: Scored) -> list[int]:
    """The codes that get a line: the positive class of two, else those with most rows."""
    if scored.classes == 2:
        return [1]
    sizes = np.bincount(scored.y, minlength=scored.classes)
    order = np.argsort(-sizes, kind="stable")[:MOST_LINES]
    return sorted(int(code) for code in order if 0 < sizes[code] < scored.rows)


def thin_curve(ranking: Ranking, points: int) -> tuple[Floats, Floats]:
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


def _precision_curve(ranking: Ranking, points: int) -> tuple[Floats, Floats, Floats]:
    """Recall, precision and rows flagged at each cut-off, from recall 0 on.

    Precision belongs to the step up to its recall, as average precision counts it: a straight line
    between two points would promise more than any cut-off gives.
    """
    count, others = ranking.totals
    found, flagged = (part[1:] for part in thin_curve(ranking, points))
    chosen = found * count + flagged * others
    return (
        np.concatenate((np.zeros(1), found)),
        np.concatenate((found[:1] * count / chosen[:1], found * count / chosen)),
        np.concatenate((chosen[:1], chosen)),
    )
