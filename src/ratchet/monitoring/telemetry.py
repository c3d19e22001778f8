"""A project's health and delivery for Prometheus, from what its ledger says.

Whoever answers ``/metrics`` (the server, the loop) adds a ``LedgerMetrics`` per project. They are
read from the ledger, so every process tells the same, and nothing is lost with one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ratchet import clock
from ratchet.errors import RatchetError
from ratchet.monitoring.delivery import WINDOW, Delivery, Spread, measure_delivery
from ratchet.monitoring.health import assess
from ratchet.monitoring.vitals import CODES, Health, Signs

if TYPE_CHECKING:
    from ratchet.ledger.history import History
    from ratchet.ledger.reader import LedgerReader

_AGE: Final = 15.0
_OUTCOMES: Final = ("promoted", "candidate", "rejected", "skipped", "failed")
_STATUSES: Final = ("waiting", "delivered", "dropped")
_NAMES: Final = ("project",)


class LedgerMetrics(Collector):
    """One project's numbers.

    Reading them never waits for the ledger but the first time: what is told is at most some
    seconds old, and read anew beside. While the ledger is away, ``ratchet_ledger_read`` is 0.

    Args:
        signs: what the ledger cannot know, asked for each time it is read.
        age: seconds after which it is read again.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        signs: Callable[[], Signs] = Signs,
        *,
        age: float = _AGE,
    ) -> None:
        self._ledger, self._signs, self._age = ledger, signs, age
        self._told: tuple[Metric, ...] | None = None
        self._read = 0.0
        self._busy = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """The numbers for Prometheus."""
        if self._told is None:
            self._refresh()
        elif clock.monotonic() - self._read > self._age and not self._busy.locked():
            threading.Thread(target=self._refresh, name="ratchet-metrics", daemon=True).start()
        yield from self._told or ()

    def describe(self) -> Iterator[Metric]:
        """Nothing: a registry would read the ledger just to learn the names."""
        yield from ()

    def _refresh(self) -> None:
        if not self._busy.acquire(blocking=False):
            return
        try:
            now = clock.now()
            past = self._ledger.history(since=now - WINDOW, now=now)
            found = tuple(tell(self._ledger.project, past, self._signs()))
        except RatchetError:
            found = (_gauge("ledger_read", _LEDGER_READ, [(self._ledger.project,)], [0.0]),)
        finally:
            self._busy.release()
        self._told, self._read = found, clock.monotonic()


_LEDGER_READ: Final = "Whether the numbers of the project could be read."


def tell(project: str, past: History, signs: Signs) -> Iterator[Metric]:
    """Everything that is exported of a project; pure."""
    yield _gauge("ledger_read", _LEDGER_READ, [(project,)], [1.0])
    yield from _health(project, assess(past, signs))
    yield from _pipeline(project, past, signs)
    yield from _serves(project, past)
    yield from _observed(project, past)
    yield from _delivery(project, measure_delivery(past))


def _health(project: str, health: Health) -> Iterator[Metric]:
    yield _one(project, "healthy", "Whether nothing is wrong with the pipeline.", health.healthy)
    wrong = {problem.code for problem in health.problems}
    yield _gauge(
        "problem",
        "Whether something of this kind is wrong.",
        [(project, code) for code in CODES],
        [float(code in wrong) for code in CODES],
        "code",
    )


def _pipeline(project: str, past: History, signs: Signs) -> Iterator[Metric]:
    runs = CounterMetricFamily("ratchet_runs", "Runs that ended.", labels=(*_NAMES, "outcome"))
    for outcome in _OUTCOMES:
        runs.add_metric((project, outcome), past.ended.get(outcome, 0))
    yield runs
    ended = [run for run in past.runs if run.finished is not None]
    running = [run for run in past.runs if run.finished is None]
    yield _one(project, "runs_open", "Runs without an outcome.", len(running))
    last = ended[-1] if ended else None
    yield _at(
        project, "last_run", "When the last run ended.", None if last is None else last.finished
    )
    good = [run.finished for run in ended if run.outcome != "failed"]
    yield _at(
        project, "last_good_run", "When a run last ended otherwise than failed.",
        good[-1] if good else None,
    )  # fmt: skip
    took = None if last is None else last.seconds
    yield _one(project, "last_run_seconds", "How long the last run took.", took)
    yield _at(
        project, "loop_tick", "When the loop was last heard of.",
        None if signs.loop is None else signs.loop.ticked,
    )  # fmt: skip
    yield _gauge(
        "alerts",
        "Alerts by how their delivery stands.",
        [(project, status) for status in _STATUSES],
        [float(past.post.by_status.get(status, 0)) for status in _STATUSES],
        "status",
    )


def _serves(project: str, past: History) -> Iterator[Metric]:
    champion = past.champions[-1] if past.champions else None
    version = None if champion is None else champion.version
    yield _one(project, "champion_version", "The version that serves.", version)
    since = None if champion is None else champion.at
    yield _at(project, "champion_since", "Since when it does.", since)
    rolling = [each for each in past.rollouts if each.open]
    share = rolling[0].share if rolling else 0.0
    yield _one(project, "rollout_open", "Versions that are being rolled out.", len(rolling))
    yield _one(project, "rollout_share_percent", "Traffic of the one that is.", share)


def _observed(project: str, past: History) -> Iterator[Metric]:
    event = past.monitored
    yield _at(
        project, "monitored", "When monitoring last looked.", None if event is None else event.at
    )
    facts: Mapping[str, Any] = {} if event is None else event.facts
    drift = facts.get("drift") or {}
    yield _one(project, "drifted", "Whether the newest window drifted.", drift.get("drifted"))
    share = drift.get("share")
    yield _one(project, "drift_share", "Share of the columns that drifted.", share)
    cohorts = (facts.get("performance") or {}).get("cohorts") or {}
    newest = {name: found[-1]["value"] for name, found in cohorts.items() if found}
    yield _gauge(
        "performance",
        "The champion's metric on the newest predictions whose labels are in.",
        [(project, name) for name in newest],
        list(newest.values()),
        "metric",
    )


def _delivery(project: str, found: Delivery) -> Iterator[Metric]:
    yield _one(project, "deployments", "Deployments of the last 90 days.", found.deployments)
    yield _one(project, "deployments_per_week", "Deployments a week.", found.per_week)
    yield _one(project, "rejected_models", "Models that a gate stopped, 90 days.", found.rejected)
    yield _one(
        project, "prevented_failures", "Rollouts taken back early, 90 days.", found.prevented
    )
    yield _spread(project, "lead_time", "From the decision to train to serving.", found.lead_time)
    yield _spread(project, "data_age", "Of the newest rows, when first served.", found.data_age)
    yield _spread(project, "recovery", "From a failing deployment to its end.", found.recovery)
    parts = GaugeMetricFamily(
        "ratchet_lead_time_part_seconds",
        "The median of a part of the lead time.",
        labels=(*_NAMES, "part"),
    )
    for name, spread in found.parts.items():
        if spread.median is not None:
            parts.add_metric((project, name), spread.median)
    yield parts
    failed, rework = found.change_failure.share, found.rework.share
    yield _one(project, "change_failure_ratio", "Deployments that failed, of all.", failed)
    yield _one(project, "rework_ratio", "Deployments that answer an incident, of all.", rework)


def _spread(project: str, name: str, told: str, spread: Spread) -> Metric:
    metric = GaugeMetricFamily(f"ratchet_{name}_seconds", told, labels=(*_NAMES, "percentile"))
    for percentile, value in (("50", spread.median), ("90", spread.p90)):
        if value is not None:
            metric.add_metric((project, percentile), value)
    return metric


def _at(project: str, name: str, told: str, at: datetime | None) -> Metric:
    return _one(project, f"{name}_timestamp_seconds", told, None if at is None else at.timestamp())


def _one(project: str, name: str, told: str, value: float | None) -> Metric:
    known = value is not None
    return _gauge(name, told, [(project,)] if known else [], [float(value)] if known else [])  # type: ignore[arg-type]


def _gauge(
    name: str, told: str, labels: list[tuple[str, ...]], values: list[float], *more: str
) -> Metric:
    metric = GaugeMetricFamily(f"ratchet_{name}", told, labels=(*_NAMES, *more))
    for label, value in zip(labels, values, strict=True):
        metric.add_metric(label, value)
    return metric
