"""An experiment before it starts: what it goes by, and what it can show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from ratchet.errors import UsageError
from ratchet.ledger.experiments import Trial
from ratchet.rollout.experiment_evidence import Classes, measured_wait, pair_of
from ratchet.rollout.outcome_metrics import check_metric
from ratchet.rollout.power import Power, plan_power

if TYPE_CHECKING:
    from ratchet.data.lake import Lake

WEEK: Final = 7.0
"""Days before which nothing good is concluded: people differ from Monday to Sunday."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment before it starts.

    Attributes:
        power: what it can show.
    """

    trial: Trial
    power: Power


def plan(
    lake: Lake,
    trial: Trial,
    classes: Classes,
    now: datetime,
    *,
    days: float,
    margin: float | None,
) -> Plan:
    """Say what an experiment can show, and fix what it goes by.

    Args:
        trial: with the rules ``alpha``, ``window`` and ``labels_after`` (seconds; None: measured).

    Raises:
        UsageError: a metric that these models have none of, or that compares nothing.
        StorageError: the lake cannot be read.
    """
    known = classes(trial.a), classes(trial.b)
    metric = check_metric(trial.metric, len(known[0]))
    if known[0] != known[1]:
        raise UsageError(
            f"Versions {trial.a} and {trial.b} cannot be compared",
            why=f"their classes are {known[0]} and {known[1]}",
            code="other_classes",
        )
    rules = trial.rules
    pair = pair_of(trial.a, trial.b, trial.share, now, classes)
    wait = rules["labels_after"]
    if wait is None:
        wait = measured_wait(lake, pair, now)
    power = plan_power(
        lake,
        pair,
        metric,
        now,
        share=trial.share / 100.0,
        days=days,
        alpha=rules["alpha"],
        margin=margin,
        window=rules["window"],
        labels_after=wait,
    )
    fixed = {
        **rules,
        "labels_after": wait,
        "days": days,
        "least_days": min(WEEK, days),
        "margin": power.margin,
        "tightest": power.tightest,
        "power": power.to_json(),
    }
    ends = now + timedelta(days=days)
    return Plan(replace(trial, metric=metric, rules=fixed, ends=ends), power)
