"""Two models on the same rows: the difference of a metric, its interval, and what that proves.

Because both models score the same rows, what they share cancels: the interval is that of the mean
of the rows' differences (paired DeLong for AUC, paired z for log loss, Brier score, absolute errors
and accuracy, the paired infinitesimal jackknife, where a paired bootstrap converges to, for the
others). With few rows on which the decisions of two models differ, accuracy is judged by McNemar's
exact test. A positive difference is an improvement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, hypot
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.disagreements import Spread, of_decisions
from ratchet.evaluation.estimate import quantile_one_sided, quantile_two_sided
from ratchet.evaluation.measures import Undefined, measure, standard_error
from ratchet.evaluation.scored import Scored, Targets, scored_rows

if TYPE_CHECKING:
    from ratchet.data.task import Task

Verdict = Literal["superior", "non_inferior", "worse", "not_enough_evidence"]
Floats = npt.NDArray[np.float64]

SAME_SCORES = "both models score these rows alike"
MIN_ROWS = 30
MIN_CLASS_ROWS = 10
POWER = 0.8
RESOLUTION = 1e-6
"""Scores of one model through two runtimes agree to about this, so a metric is known no finer."""

_MOST_ROWS = 1e9
_METHODS = {
    "roc_auc": "paired DeLong",
    "log_loss": "paired z",
    "brier": "paired z",
    "mae": "paired z",
    "accuracy": "McNemar, Bonett and Price",
    "recall": "McNemar, Bonett and Price",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A new model against an old one on one metric.

    Attributes:
        metric: the metric's name.
        new: the new model's value; None when it is undefined on these rows.
        old: the old model's value, likewise.
        difference: how much better the new one is, in the metric's unit; negative is worse.
        low: lower end of the two-sided interval of the difference.
        high: upper end.
        lower: the one-sided lower bound, which decides on better and on not worse.
        upper: the one-sided upper bound, which decides on worse.
        confidence: of the interval, and of each bound.
        se: standard error of the difference.
        margin: the loss that counts as no loss.
        verdict: *superior* when ``lower`` > 0; else *worse* when ``upper`` < 0; else
            *non_inferior* when ``lower`` > -``margin``; else *not_enough_evidence*.
        n: rows compared.
        rows_needed: rows at which a difference such as this one would be proven with a power of 80
            %; None when it points the wrong way.
        reason: why there is no evidence at all, or how the rows limit it; else empty.
        method: how the standard error was made; empty when there is none.
        wins: rows of which only the new model's decision is right; None for other metrics than
            those of decisions.
        losses: rows of which only the old model's decision is right, likewise.
    """

    metric: str
    new: float | None
    old: float | None
    difference: float | None
    low: float | None
    high: float | None
    lower: float | None
    upper: float | None
    confidence: float
    se: float | None
    margin: float
    verdict: Verdict
    n: int
    rows_needed: int | None
    reason: str = ""
    method: str = ""
    wins: int | None = None
    losses: int | None = None

    @property
    def superior(self) -> bool:
        """The new model is better, by the one-sided bound."""
        return self.lower is not None and self.lower > 0

    @property
    def non_inferior(self) -> bool:
        """The new model is not worse by the margin or more, by the one-sided bound."""
        return self.lower is not None and self.lower > -self.margin

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_json` wrote."""
        return cls(**data)


def compare(
    y: Targets,
    new: Floats,
    old: Floats,
    *,
    task: Task,
    metric: str,
    threshold: float | None = 0.5,
    old_threshold: float | None = None,
    margin: float = 0.0,
    confidence: float = 0.95,
    groups: npt.NDArray[np.integer] | None = None,
) -> Comparison:
    """Compare two models on the same rows.

    Args:
        y: true class codes (n,); for regression the true values.
        new: the new model's class scores (n, k); for regression estimates (n, 1).
        old: the old model's, likewise.
        task: what is predicted.
        metric: what is compared.
        threshold: the new model's decision threshold; binary only, 0.5 when None.
        old_threshold: the old model's; the same one when not given.
        margin: the loss, in the metric's unit, that counts as no loss; at least 0.
        confidence: of the two-sided interval, and of each one-sided bound.
        groups: codes (n,) of rows that belong together, such as rows of one customer.

    Raises:
        DataError: no rows, or scores that are not finite.
        ValueError: an unknown metric.
    """
    ours = scored_rows(y, new, task=task, threshold=threshold)
    theirs = scored_rows(
        y, old, task=task, threshold=threshold if old_threshold is None else old_threshold
    )
    info = find_metric(metric)
    first, second = measure(ours, metric), measure(theirs, metric)
    if isinstance(first, Undefined) or isinstance(second, Undefined):
        reason = first.reason if isinstance(first, Undefined) else ""
        return _no_evidence(metric, (None, None), margin, confidence, len(y), reason)
    values = (first.value, second.value)
    short = _too_few(ours, ranked=metric in ("roc_auc", "pr_auc"), groups=groups)
    if short:
        return _no_evidence(metric, values, margin, confidence, len(y), short)
    influence = info.sign * (first.influence - second.influence)
    se = standard_error(influence, strata=y if metric == "roc_auc" else None, groups=groups)
    found = Spread(se, _METHODS.get(metric, "paired infinitesimal jackknife"))
    if info.from_labels:
        found = of_decisions(found, metric, influence, (ours, theirs), exact=groups is None)
    return _conclude(metric, values, found, _resolution(ours, metric), margin, confidence, len(y))


def _resolution(scored: Scored, metric: str) -> float:
    """How finely a metric is known: scores' resolution, or as small a part of the target's spread.

    R² has no unit, like scores.
    """
    if scored.task.kind != "regression" or metric == "r2":
        return RESOLUTION
    return RESOLUTION * float(scored.y.std())


def _conclude(
    metric: str,
    values: tuple[float, float],
    found: Spread,
    resolution: float,
    margin: float,
    confidence: float,
    rows: int,
) -> Comparison:
    """The interval, the bounds and the verdict of a difference known no finer than a resolution."""
    difference = find_metric(metric).sign * (values[0] - values[1])
    alike = max(found.se, abs(difference)) <= resolution
    se = hypot(found.se, resolution)
    half = quantile_two_sided(confidence) * se
    reach = quantile_one_sided(1 - confidence) * se
    lower, upper = difference - reach, difference + reach
    return Comparison(
        metric=metric,
        new=values[0],
        old=values[1],
        difference=difference,
        low=difference - half,
        high=difference + half,
        lower=lower,
        upper=upper,
        confidence=confidence,
        se=se,
        margin=margin,
        verdict=_verdict(lower, upper, margin),
        n=rows,
        rows_needed=rows_needed(difference + margin, se, rows, 1 - confidence),
        reason=SAME_SCORES if alike else "",
        method=found.method,
        wins=found.wins,
        losses=found.losses,
    )


def _verdict(lower: float, upper: float, margin: float) -> Verdict:
    """What the bounds prove."""
    if lower > 0:
        return "superior"
    if upper < 0:
        return "worse"
    return "non_inferior" if lower > -margin else "not_enough_evidence"


def rows_needed(effect: float, se: float, rows: int, level: float) -> int | None:
    """Rows at which a true ``effect`` is proven with a power of 80 %; None beyond a billion.

    Rows x ((z_level + z_power) se / effect)^2, as the standard error falls with the root of the
    rows.

    Args:
        effect: the difference plus the margin; at most 0 is never proven.
        se: standard error of the difference on ``rows`` rows.
        rows: rows at hand.
        level: of the one-sided proof, 1 - confidence.
    """
    if effect <= 0 or se == 0:
        return None
    reach = quantile_one_sided(level) + quantile_one_sided(1 - POWER)
    needed = rows * (reach * (se / effect)) ** 2 if se / effect < _MOST_ROWS else _MOST_ROWS
    return ceil(needed) if needed < _MOST_ROWS else None


def _too_few(scored: Scored, *, ranked: bool, groups: npt.NDArray[np.integer] | None) -> str:
    """Why the rows are too few for any conclusion; empty when they are enough."""
    draws = scored.rows if groups is None else len(np.unique(groups))
    if draws < MIN_ROWS:
        what = "rows" if groups is None else "groups of rows"
        return f"{draws} {what} are too few to compare two models: at least {MIN_ROWS}"
    if ranked:
        sizes = np.bincount(scored.y, minlength=scored.classes)
        code = int(np.where(sizes > 0, sizes, scored.rows + 1).argmin())
        if sizes[code] < MIN_CLASS_ROWS:
            label = scored.task.classes[code]
            return (
                f"{sizes[code]} rows of the class {label!r} are too few to compare two rankings: "
                f"at least {MIN_CLASS_ROWS}"
            )
    return ""


def _no_evidence(
    metric: str,
    values: tuple[float | None, float | None],
    margin: float,
    confidence: float,
    rows: int,
    reason: str,
) -> Comparison:
    """A comparison that proves nothing, and why."""
    new, old = values
    difference = None
    if new is not None and old is not None:
        difference = find_metric(metric).sign * (new - old)
    return Comparison(
        metric,
        new,
        old,
        difference,
        None,
        None,
        None,
        None,
        confidence,
        None,
        margin,
        "not_enough_evidence",
        rows,
        None,
        reason,
    )
