"""Whether quality fell: on cohorts with labels, added up as regret, estimated without labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ratchet.evaluation.catalog import find_metric
from ratchet.triggers.costs import best_baseline, drop_from, pool, regret
from ratchet.triggers.facts import Measured, PerformanceFacts
from ratchet.triggers.rule_settings import EstimatedRule, MetricRule, PerformanceRules
from ratchet.triggers.settings import TriggerCost

_CERTAIN = 1.0
"""Standard errors by which a regret must be more than nothing: the baseline is a sample too."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of quality: ``amount`` is the regret in the unit of ``cost``."""

    fell: bool
    value: float | None
    threshold: float | None
    reason: str
    until: datetime | None = None
    amount: float = 0.0


def judge_quality(rules: PerformanceRules, seen: PerformanceFacts) -> Finding:
    """Whether the newest mature cohorts are worse than they may be: by test or by limit."""
    found: list[Finding] = []
    if rules.statistical:
        found.append(_test(rules, seen))
    found += [
        _limit(name, rule, rules.cohorts, seen) for name, rule in sorted(rules.limits.items())
    ]
    if not found:
        return Finding(False, None, None, "no test and no limit is set")
    fallen = [finding for finding in found if finding.fell]
    if len(fallen) > 1:
        first = fallen[0]
        said = "; ".join(finding.reason for finding in fallen)
        return Finding(True, first.value, first.threshold, said, first.until)
    return fallen[0] if fallen else found[0]


def judge_regret(seen: PerformanceFacts, cost: TriggerCost) -> Finding:
    """Whether what the drop has cost so far reaches the cost of training."""
    cohorts = seen.cohorts.get(seen.metric, ())
    baseline = best_baseline(seen.metric, seen.baselines.get(seen.metric, ()))
    if baseline is None or not cohorts:
        return Finding(False, None, cost.retrain, "no baseline or no mature cohort yet")
    lost = regret(seen.metric, baseline, cohorts)
    amount = lost.drop * cost.value
    certain = lost.drop > _CERTAIN * lost.se
    reason = (
        f"{amount:,.4g} lost on {sum(cohort.rows for cohort in cohorts):,} rows since version "
        f"{seen.version} was promoted, training costs {cost.retrain:,.4g}"
    )
    if amount >= cost.retrain and not certain:
        reason += "; within what chance gives"
    fell = amount >= cost.retrain and certain
    return Finding(
        fell, round(amount, 6), cost.retrain, reason, cohorts[-1].until, max(amount, 0.0)
    )


def judge_estimate(
    rule: EstimatedRule, rules: PerformanceRules | None, seen: PerformanceFacts
) -> Finding:
    """Whether the estimates of the newest windows are all down; a bad estimator is not heard."""
    metric = seen.metric
    windows = seen.estimated.get(metric, ())[-rule.windows :]
    baseline = best_baseline(metric, seen.baselines.get(metric, ()))
    if baseline is None:
        return Finding(False, None, rule.drop, "no baseline yet")
    margin = (rules or PerformanceRules()).margin_for(metric, baseline.value)
    limit = 2 * margin if rule.drop is None else rule.drop
    drops = [drop_from(metric, baseline, window).drop for window in windows]
    newest = drops[-1]
    error = seen.estimator_error.get(metric)
    reason = (
        f"{metric} is estimated at {windows[-1].value:.4g}, {baseline.value:.4g} when new; down "
        f"by more than {limit:.4g} in {sum(drop > limit for drop in drops)} of {rule.windows} "
        "windows"
    )
    if error is not None and abs(error) > margin:
        return Finding(
            False, newest, limit, f"{reason}; muted, as estimates were off by {abs(error):.4g}"
        )
    fell = len(drops) == rule.windows and all(drop > limit for drop in drops)
    return Finding(fell, round(newest, 6), limit, reason, windows[-1].until)


def _test(rules: PerformanceRules, seen: PerformanceFacts) -> Finding:
    metric = seen.metric
    baseline = best_baseline(metric, seen.baselines.get(metric, ()))
    recent = pool(seen.cohorts.get(metric, ())[-rules.cohorts :])
    if baseline is None or recent is None:
        return Finding(False, None, rules.z, f"no baseline or no mature cohort of {metric} yet")
    margin = rules.margin_for(metric, baseline.value)
    drop = drop_from(metric, baseline, recent)
    z = drop.z(margin)
    reason = (
        f"{metric} {recent.value:.4g} on {recent.rows:,} rows with labels, {baseline.value:.4g} "
        f"when {_whose(baseline)} was new: {_change(metric, drop.drop)} ± {drop.se:.2g}, margin "
        f"{margin:.4g}"
    )
    value = max(-99.0, min(99.0, round(z, 3)))
    return Finding(z > rules.z, value, rules.z, reason, recent.until)


def _limit(name: str, rule: MetricRule, cohorts: int, seen: PerformanceFacts) -> Finding:
    recent = pool(seen.cohorts.get(name, ())[-cohorts:])
    if recent is None:
        return Finding(False, None, rule.below, f"no mature cohort of {name} yet")
    sign = find_metric(name).sign
    if rule.below is not None and sign * recent.value < sign * rule.below:
        word = "below" if sign > 0 else "above"
        reason = f"{name} {recent.value:.4g} is {word} {rule.below:.4g}"
        return Finding(True, recent.value, rule.below, reason, recent.until)
    baseline = best_baseline(name, seen.baselines.get(name, ()))
    if rule.drop is None or baseline is None:
        return Finding(False, recent.value, rule.below, f"{name} {recent.value:.4g}", recent.until)
    drop = drop_from(name, baseline, recent).drop
    reason = (
        f"{name} {recent.value:.4g}, {baseline.value:.4g} when {_whose(baseline)} was new: "
        f"{_change(name, drop)}"
    )
    return Finding(drop > rule.drop, round(drop, 6), rule.drop, reason, recent.until)


def _whose(baseline: Measured) -> str:
    return "the model" if baseline.version is None else f"version {baseline.version}"


def _change(metric: str, drop: float) -> str:
    return f"{abs(drop):.4g} {'worse' if drop > 0 else 'better'}"
