"""Metrics against fixed limits: what was configured, and chance."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from ratchet.config.suggest import hint
from ratchet.errors import UsageError
from ratchet.evaluation.catalog import METRICS, find_metric
from ratchet.gates.report import GateReport, GateResult, Where, default_places

if TYPE_CHECKING:
    from ratchet.evaluation.estimate import Estimate
    from ratchet.evaluation.metrics import Metrics

_KNOWING_NOTHING = {"roc_auc": (0.5, "chance"), "r2": (0.0, "always saying the mean")}


def judge_minimum(
    metrics: Metrics, minimum: Mapping[str, float], *, where: Where = default_places
) -> tuple[GateResult, ...]:
    """Each configured limit against the metric's value on the test rows.

    Args:
        metrics: of the model.
        minimum: metric and limit; the largest value allowed where less is better.
        where: where each limit was set.
    """
    return tuple(
        _judge_estimate(name, metrics, limit, where("gates", "minimum", name))
        for name, limit in minimum.items()
    )


def _judge_estimate(name: str, metrics: Metrics, limit: float, place: str) -> GateResult:
    """One limit, with the interval in the reason."""
    if name not in metrics:
        return judge_value(name, None, limit, why="it is not a metric of this task", where=place)
    estimate = metrics[name]
    return judge_value(
        name,
        estimate.value,
        limit,
        why=estimate.note,
        interval=_interval(estimate, limit, metrics.confidence),
        where=place,
    )


def _interval(estimate: Estimate, limit: float, confidence: float) -> str:
    """The interval in words, and whether the limit lies within it."""
    if estimate.low is None or estimate.high is None:
        return ""
    text = f"{confidence * 100:g}% interval {estimate.low:.4f} to {estimate.high:.4f}"
    return f"{text}, which includes the limit" if estimate.low < limit < estimate.high else text


def judge_value(
    name: str,
    value: float | None,
    limit: float,
    *,
    why: str = "",
    interval: str = "",
    where: str = "default",
) -> GateResult:
    """One metric's value against its limit.

    Args:
        name: the metric.
        value: its value; None when it has none.
        limit: at least this, or at most where less is better.
        why: why there is no value.
        interval: the value's interval in words.
        where: where the limit was set.

    Raises:
        ValueError: no metric has the name.
    """
    info = find_metric(name)
    gate = f"minimum.{name}"
    if value is None or not isfinite(value):
        reason = f"{info.title} could not be measured: {why or 'it has no value'}"
        return GateResult(gate, "thresholds", None, limit, False, reason, where)
    passed = value >= limit if info.better == "higher" else value <= limit
    word = "at least" if info.better == "higher" else "at most"
    verdict = f"is {word}" if passed else f"is not {word}"
    shown = f" ({interval})" if interval else ""
    reason = f"{info.title} {value:.4f}{shown} {verdict} {limit:g}"
    return GateResult(gate, "thresholds", float(value), limit, passed, reason, where)


def judge_above_chance(metrics: Metrics, *, where: Where = default_places) -> GateResult:
    """Whether the model is proven better than knowing nothing.

    Classes: the interval of its ROC-AUC lies above 0.5. Numbers: that of R² lies above 0, which is
    always saying the mean.
    """
    place = where("gates", "above_chance")
    name = "roc_auc" if "roc_auc" in metrics else "r2"
    limit, least = _KNOWING_NOTHING[name]
    found, title = metrics[name], find_metric(name).title
    if found.value is None or found.low is None:
        reason = f"{title} could not be measured: {found.note}"
        return GateResult("above_chance", "thresholds", None, limit, False, reason, place)
    passed = found.low > limit
    verdict = f"lies above {limit:g}"
    if not passed:
        verdict = f"does not lie above {limit:g}, which is {least}"
    reason = (
        f"the {metrics.confidence * 100:g}% interval of {title} {found.value:.4f}, "
        f"{found.low:.4f} to {found.high:.4f}, {verdict}"
    )
    return GateResult("above_chance", "thresholds", found.low, limit, passed, reason, place)


def validate_metrics(
    metrics: Mapping[str, float | None],
    thresholds: Mapping[str, float],
    *,
    where: Mapping[str, str] | None = None,
) -> GateReport:
    """The gate of `ratchet validate-model`: given metrics against given limits, nothing else.

    Args:
        metrics: name and value, as stored with a model; others than known ones are let be.
        thresholds: metric and limit; the largest value allowed where less is better.
        where: where each limit came from, such as ``--min-accuracy``.

    Raises:
        UsageError: an unknown metric, a limit that is out of range, or no limit at all.
    """
    places = where or {}
    known = [metric.name for metric in METRICS]
    if not thresholds:
        raise UsageError(
            "There is nothing to validate: no limit was given",
            fix="give at least one, such as --min-accuracy 0.8",
        )
    for name, limit in thresholds.items():
        place = places.get(name, "")
        if name not in known:
            raise UsageError(f"Unknown metric `{name}`", fix=hint(name, known), where=place)
        upper = find_metric(name).upper
        if not isfinite(limit) or limit < 0 or (upper is not None and limit > upper):
            span = f"from 0 to {upper:g}" if upper is not None else "0 or more"
            raise UsageError(f"The limit {limit:g} for {name} is not {span}", where=place)
    return GateReport(
        tuple(
            judge_value(
                name,
                metrics.get(name),
                limit,
                why="" if name in metrics else "the model's metrics do not hold it",
                where=places.get(name, "default"),
            )
            for name, limit in thresholds.items()
        )
    )
