"""What staleness costs against what training costs.

Retraining is worth it when the loss that a stale model has caused reaches the cost of a new one:
the rule of the ski rental problem, at most twice as dear as the best choice in hindsight. Mahadevan
and Mathioudakis, "Cost-aware retraining for machine learning" (arXiv 2310.04216), measure such
cumulative thresholds near the optimum of dynamic programming; Regol et al., ICML 2025 (arXiv
2505.14903), put the same trade-off as alpha x retrainings + loss of quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import hypot, sqrt

from ratchet.evaluation.catalog import find_metric
from ratchet.triggers.facts import Measured

LAST_PROMOTED = 3


@dataclass(frozen=True, slots=True)
class Drop:
    """How much worse than the baseline: positive is worse, in the metric's unit."""

    drop: float
    se: float

    def z(self, margin: float) -> float:
        """Standard errors by which the drop is more than the margin."""
        beyond = self.drop - margin
        if self.se > 0:
            return beyond / self.se
        return float("inf") if beyond > 0 else float("-inf")


def pool(cohorts: Sequence[Measured]) -> Measured | None:
    """Cohorts as one: the mean by rows, which is exact for means over rows; None for none."""
    rows = sum(cohort.rows for cohort in cohorts)
    if not rows:
        return None
    value = sum(cohort.value * cohort.rows for cohort in cohorts) / rows
    se = sqrt(sum((cohort.se * cohort.rows) ** 2 for cohort in cohorts)) / rows
    return Measured(value, se, rows, cohorts[-1].until)


def best_baseline(metric: str, baselines: Sequence[Measured]) -> Measured | None:
    """The best of the last three promoted models, each as it was when it was new.

    A model that was trained in the middle of a change begins badly; measured against itself it
    would never be found worse.
    """
    sign = find_metric(metric).sign
    recent = baselines[-LAST_PROMOTED:]
    return max(recent, key=lambda found: sign * found.value, default=None)


def drop_from(metric: str, baseline: Measured, recent: Measured) -> Drop:
    """How much worse ``recent`` is; the two are of different rows, so their errors add."""
    drop = find_metric(metric).sign * (baseline.value - recent.value)
    return Drop(drop, hypot(baseline.se, recent.se))


def regret(metric: str, baseline: Measured, cohorts: Sequence[Measured]) -> Drop:
    """The drops of all cohorts, each times its rows, in points of the metric times rows.

    Better cohorts count against worse ones. The baseline's own error is the same in every
    cohort, so it grows with all the rows; the cohorts' errors are independent.
    """
    sign = find_metric(metric).sign
    lost = sum(sign * (baseline.value - cohort.value) * cohort.rows for cohort in cohorts)
    rows = sum(cohort.rows for cohort in cohorts)
    own = sqrt(sum((cohort.se * cohort.rows) ** 2 for cohort in cohorts))
    return Drop(lost, hypot(own, baseline.se * rows))


def best_interval(cost: float, growth: float, value: float) -> timedelta | None:
    """How often to train when quality falls evenly: sqrt(2 C / (r V)).

    Between two trainings T days apart r V T^2 / 2 is lost, and C spent; the sum per day is least
    at that T.

    Args:
        cost: C, of a training.
        growth: r, how much worse the metric gets in a day.
        value: V, of 1.0 of the metric for a day: value per row times rows a day.

    Returns:
        None where nothing falls.
    """
    if growth <= 0 or value <= 0:
        return None
    days = sqrt(2 * cost / (growth * value))
    return timedelta(days=days) if days < 36500 else None
