"""Everything the policy looks at, as plain values: gathered by ``gather.py``, once a tick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ratchet.ids import digest_of
from ratchet.ledger.tables import plain


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves, and since when."""

    version: int
    since: datetime
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that ended; ``rows`` of its snapshot, where they are known."""

    run_id: str
    trigger: str
    key: str | None
    outcome: str
    started: datetime
    finished: datetime
    seconds: float = 0.0
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that a dead process left open; ``overrides`` are the settings it began with."""

    run_id: str
    trigger: str
    key: str | None
    attempts: int
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Granted:
    """The last decision to train.

    Attributes:
        attempts: how often in a row it was made: more than once when no run came of it.
        waiting: no run came of it, and none began since: a process died, or has just begun.
        resume: the run it was to go on with.
    """

    key: str
    trigger: str
    reason: str
    at: datetime
    attempts: int = 1
    waiting: bool = True
    overrides: Mapping[str, Any] = field(default_factory=dict)
    resume: str | None = None


@dataclass(frozen=True, slots=True)
class Manual:
    """Somebody asked for a run: the number of the event, who, and why."""

    seq: int
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric over rows.

    Attributes:
        se: its standard error.
        until: the end of the rows' cohort; of a baseline, when the version was promoted.
        version: whose it is, of a baseline.
    """

    value: float
    se: float
    rows: int
    until: datetime | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """The newest window against the champion's reference.

    Attributes:
        window: what tells this window from others, best its end in ISO form.
        share: drifted share of the judged columns.
        importance: the importance the drifted columns hold; None where nobody knows.
        columns: the drifted columns, the most important first.
        in_a_row: windows that drifted without a break, this one included.
        alarming: a column is at twice its threshold.
        reason: what drifted, in a sentence.
        since: where the cohorts begin that the window lies in; None where nobody looked.
        rows: predictions of the champion in these cohorts.
        unlabelled: of these, without a label so far.
    """

    window: str
    share: float
    importance: float | None
    columns: tuple[str, ...]
    drifted: bool
    in_a_row: int = 1
    alarming: bool = False
    reason: str = ""
    since: str | None = None
    rows: int | None = None
    unlabelled: int | None = None


@dataclass(frozen=True, slots=True)
class PerformanceFacts:
    """The champion's quality on rows whose labels have come in.

    Attributes:
        version: the champion it is about.
        metric: the one that decides, as in ``training.metric``; never ``auto``.
        cohorts: by metric, the champion's mature cohorts since it was promoted, oldest first.
        baselines: by metric, of promoted versions when they were new, oldest first.
        estimated: by metric, the estimates of the newest windows without labels, oldest first.
        estimator_error: by metric, how far estimates have been from what was realised.
        growth: how much worse the metric gets in a day, positive; None where nobody can tell.
        label_lag: the time by which most labels have come; None where nobody can tell.
    """

    version: int
    metric: str
    cohorts: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    baselines: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    estimated: Mapping[str, tuple[Measured, ...]] = field(default_factory=dict)
    estimator_error: Mapping[str, float] = field(default_factory=dict)
    growth: float | None = None
    label_lag: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the source and the lake say without reading a row.

    Attributes:
        rows: in the source now; None where it does not tell.
        new: of these, since the last training; None likewise.
        changed: the source is not as at the last ingest; None where nobody looked.
        fingerprint: what tells this state of the source from others.
        source: the source in a few words.
    """

    rows: int | None = None
    new: int | None = None
    changed: bool | None = None
    fingerprint: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What retraining used in the budget's period, and what the next run is expected to."""

    runs: int = 0
    cpu_minutes: float = 0.0
    next_cpu_minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at one moment.

    Attributes:
        at: now, UTC.
        trained: the last run that judged a model; not one that was skipped or failed, nor one
            that the checks of the data stopped, nor one that only looked closer.
        last_run: the last run that ended, however.
        failures: runs in a row, up to the last one, that failed.
        rejections: runs in a row, up to the last trained one, whose model was rejected.
        schedules: by name, until when its times were looked at; absent: never.
        holding: by rule, since when it holds without a break.
        run_in_progress: who runs; empty when nobody does.
        rollout_in_progress: what is rolled out; empty when nothing is.
        granted: the last decision to train.
        answered: by trigger key, the run it set off.
        cooldown_until: no run before, unless somebody asks for it.
        shadow_taken: what stands in the way of a model that only answers unseen: one that does
            already, or one that is watched after its promotion; empty when nothing does.
        looked_until: no other run that only looks closer before.
    """

    at: datetime
    champion: Champion | None = None
    trained: PastRun | None = None
    last_run: PastRun | None = None
    failures: int = 0
    rejections: int = 0
    open_run: OpenRun | None = None
    arrivals: Arrivals = Arrivals()
    drift: DriftFacts | None = None
    performance: PerformanceFacts | None = None
    schedules: Mapping[str, datetime] = field(default_factory=dict)
    holding: Mapping[str, datetime] = field(default_factory=dict)
    spent: Spent = Spent()
    run_in_progress: str = ""
    rollout_in_progress: str = ""
    manual: Manual | None = None
    granted: Granted | None = None
    answered: Mapping[str, str] = field(default_factory=dict)
    cooldown_until: datetime | None = None
    shadow_taken: str = ""
    looked_until: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without what was only needed to find them."""
        return _told(replace(self, answered={}))

    def digest(self) -> str:
        """The digest of all but the time: equal while nothing was learned."""
        return digest_of({**self.to_json(), "at": None, "schedules": None, "holding": None})


@dataclass(frozen=True, slots=True)
class Observed:
    """What monitoring tells the policy; kept in the ledger between ticks.

    Attributes:
        champion: the version that it is about; None: the one that serves.
    """

    drift: DriftFacts | None = None
    performance: PerformanceFacts | None = None
    champion: int | None = None

    def about(self, version: int | None) -> Observed:
        """What of it is about the version that serves: what another one did is no evidence."""
        same = self.champion is None or self.champion == version
        seen = self.performance if same else None
        if seen is not None and version is not None and seen.version != version:
            seen = None
        return Observed(self.drift if same else None, seen, version)

    def to_json(self) -> dict[str, Any]:
        """As in the facts of the event ``monitored``."""
        return _told(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Observed:
        """What ``to_json`` made."""
        drift, performance = body.get("drift"), body.get("performance")
        return cls(
            None if drift is None else DriftFacts(**{**drift, "columns": tuple(drift["columns"])}),
            None if performance is None else _performance(performance),
            body.get("champion"),
        )


def _told(facts: Facts | Observed) -> dict[str, Any]:
    told = asdict(facts)
    performance = told["performance"]
    if performance is not None and performance["label_lag"] is not None:
        performance["label_lag"] = performance["label_lag"].total_seconds()
    found: dict[str, Any] = plain(told)
    return found


def _performance(body: Mapping[str, Any]) -> PerformanceFacts:
    lag = body["label_lag"]
    measured = {
        name: {metric: _series(found) for metric, found in body[name].items()}
        for name in ("cohorts", "baselines", "estimated")
    }
    return PerformanceFacts(
        **{**body, **measured, "label_lag": None if lag is None else timedelta(seconds=lag)}
    )


def _series(bodies: Sequence[Mapping[str, Any]]) -> tuple[Measured, ...]:
    # A number that is not finite is null in the ledger: such a cohort says nothing.
    whole = (body for body in bodies if body["value"] is not None and body["se"] is not None)
    return tuple(Measured(**{**body, "until": _moment(body["until"])}) for body in whole)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
