"""A project's story, read from its ledger and its lake: what served, what was seen and decided.

Nothing is taken from the demo's own memory, so that its page tells what really happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from ratchet.cli.demo_decisions import Decision, number_decisions

if TYPE_CHECKING:
    from ratchet.ledger.outbox import OutboxEntry
    from ratchet.ledger.rollouts import Rollout
    from ratchet.ledger.runs import Run
    from ratchet.ledger.store import Ledger
    from ratchet.ledger.versions import Version
    from ratchet.monitoring.cohorts import Cohort
    from ratchet.monitoring.standing import Performance
    from ratchet.project import Project

PERIOD = "10d"
"""Predictions of so long make one point of the quality over time."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found of the data.

    Attributes:
        importance: the share of the model's importance that drifted columns hold.
        limit: from which on it counts.
    """

    at: datetime
    version: int
    importance: float
    limit: float | None
    drifted: bool


@dataclass(frozen=True, slots=True)
class Served:
    """What a version did.

    Attributes:
        answers: customers it answered, shadows not counted.
        rows: it was trained on, test rows included; ``test`` its metric on the latter.
    """

    version: Version
    answers: int
    rollout: Rollout | None
    rows: int | None
    test: float | None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the page tells.

    Attributes:
        traffic: ``day version rows`` of what was answered, by day.
        cohorts: quality of each version over time, shadows left out.
        micros: the median and the 99th percentile of the time of a request that asks for one row.
    """

    project: str
    metric: str
    began: datetime
    ended: datetime
    champion: int | None
    traffic: pl.DataFrame
    cohorts: tuple[Cohort, ...]
    performance: Performance | None
    looks: tuple[Look, ...]
    decisions: tuple[Decision, ...]
    versions: tuple[Served, ...]
    runs: tuple[Run, ...]
    alerts: tuple[OutboxEntry, ...]
    labelled: int
    micros: tuple[float, float] | None
    chain: int
    whole: bool
    rollouts: tuple[Rollout, ...] = field(default=())

    @property
    def answers(self) -> int:
        """Customers that were answered."""
        return int(self.traffic["rows"].sum())

    @property
    def taken_back(self) -> tuple[Rollout, ...]:
        """The rollouts that the loop took back."""
        return tuple(one for one in self.rollouts if one.status == "rolled_back")

    def answered_by(self, version: int) -> int:
        """Customers that a version answered."""
        return int(self.traffic.filter(version=version)["rows"].sum())

    @property
    def marks(self) -> tuple[tuple[int, datetime], ...]:
        """The numbers on the time axis, each once."""
        found: dict[int, datetime] = {}
        for one in self.decisions:
            found.setdefault(one.mark, one.at)
        return tuple(found.items())


def read_story(project: Project, now: datetime) -> Story:
    """Read it.

    Raises:
        StorageError, UnreachableError: the ledger or the lake cannot be read.
    """
    with project.open_ledger() as ledger:
        return _read(project, ledger, now)


def _read(project: Project, ledger: Ledger, now: datetime) -> Story:
    from ratchet.monitoring.monitor import observe

    settings = project.settings.monitoring.model_copy(update={"period": PERIOD})
    lake = project.open_lake()
    metric = project.settings.training.metric
    found = observe(
        ledger,
        lake,
        settings,
        bundles=project.state,
        as_of=now,
        metric=None if metric == "auto" else metric,
    )
    performance = found.performance
    champion = ledger.champion()
    runs = tuple(reversed(ledger.runs(1000)))
    answers = _answers(project)
    rollouts = tuple(reversed(ledger.rollouts()))
    chain = ledger.verify_chain()
    return Story(
        project=project.name,
        metric=_metric(performance, runs),
        began=runs[0].started if runs else now,
        ended=now,
        champion=None if champion is None else champion.version,
        traffic=_by_day(answers),
        cohorts=() if performance is None else _cohorts(performance.cohorts),
        performance=performance,
        looks=tuple(_looks(ledger)),
        decisions=number_decisions(ledger.events()),
        versions=tuple(_served(ledger, rollouts, answers)),
        runs=runs,
        alerts=ledger.outbox(),
        labelled=0 if performance is None else performance.lag.labelled,
        micros=_micros(answers),
        chain=chain.events,
        whole=chain.intact,
        rollouts=rollouts,
    )


def _answers(project: Project) -> pl.DataFrame:
    """What was answered: ``at version request micros``, without the shadows."""
    from ratchet.data.predictions.pinned import pin_table

    columns = ("prediction_id", "at", "version", "of", "request", "micros")
    rows = pin_table(project.open_lake(), "predictions").scan(columns)
    return rows.filter(pl.col("of").is_null()).drop("of").collect(engine="streaming")


def _by_day(answers: pl.DataFrame) -> pl.DataFrame:
    return (
        answers.group_by(pl.col("at").dt.date().alias("day"), "version")
        .agg(pl.len().alias("rows"))
        .sort("day", "version")
    )


def _micros(answers: pl.DataFrame) -> tuple[float, float] | None:
    alone = answers.filter(pl.len().over(pl.coalesce("request", "prediction_id"), "at") == 1)
    if not alone.height:
        return None
    found = alone["micros"]
    return float(found.quantile(0.5) or 0.0), float(found.quantile(0.99) or 0.0)


def _metric(performance: Performance | None, runs: Sequence[Run]) -> str:
    if performance is not None and performance.arms:
        return performance.arms[0].metric
    return next((str(run.summary["metric"]) for run in runs if run.summary.get("metric")), "")


def _cohorts(cohorts: Sequence[Cohort]) -> tuple[Cohort, ...]:
    """One of each version and period: the arm in which it answered most."""
    best: dict[tuple[int, datetime], Cohort] = {}
    for one in cohorts:
        key = (one.version, one.start)
        known = best.get(key)
        if one.arm != "shadow" and (known is None or one.predictions > known.predictions):
            best[key] = one
    return tuple(best[key] for key in sorted(best))


def _looks(ledger: Ledger) -> Iterator[Look]:
    from ratchet.ledger.triggers import EVALUATED, MONITORED

    limit: float | None = None
    for event in ledger.events():
        if event.kind == EVALUATED:
            rules: list[dict[str, Any]] = event.facts["rules"]
            told = next((one for one in rules if one["name"] == "drift"), {})
            known = told.get("threshold")
            limit = known if isinstance(known, float) else limit
    for event in ledger.events(kind=MONITORED):
        drift = event.facts.get("drift")
        if drift is not None and drift["importance"] is not None:
            yield Look(
                event.at,
                event.facts["champion"],
                float(drift["importance"]),
                limit,
                bool(drift["drifted"]),
            )


def _served(ledger: Ledger, rollouts: Sequence[Rollout], answers: pl.DataFrame) -> Iterator[Served]:
    counts = dict(answers.group_by("version").len().iter_rows())
    for version in sorted(ledger.versions(), key=lambda one: one.version):
        summary = ledger.get_run(version.run_id).summary
        metrics = summary.get("metrics") or {}
        own = [one for one in rollouts if one.version == version.version]
        yield Served(
            version,
            int(counts.get(version.version, 0)),
            own[-1] if own else None,
            (summary.get("snapshot") or {}).get("rows"),
            metrics.get(summary.get("metric", "")),
        )
