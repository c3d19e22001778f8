"""One look at what serves: new predictions are counted, drift and performance judged.

Everything is as of a moment. What is found is an ``Observation``; ``summary`` is the part of it
that goes into the ledger as the event ``monitored``, from which the triggers decide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ratchet.data.lake import Lake
from ratchet.data.predictions.pinned import utc
from ratchet.ledger.reader import LedgerReader
from ratchet.monitoring.counting import Folded, fold_new
from ratchet.monitoring.drift import score_window
from ratchet.monitoring.findings import DriftReport
from ratchet.monitoring.maturity import Maturity
from ratchet.monitoring.past import thresholds_at
from ratchet.monitoring.performance import Question, measure
from ratchet.monitoring.profile import Profile, Window
from ratchet.monitoring.rows import Span, VersionRows
from ratchet.monitoring.rules import DriftRules
from ratchet.monitoring.settings import DriftSettings, MonitoringSettings
from ratchet.monitoring.standing import Performance
from ratchet.monitoring.subjects import Subjects
from ratchet.monitoring.thresholds import FEWEST_WINDOWS, Thresholds, calibrate
from ratchet.monitoring.told import drift_facts, label_need, performance_facts
from ratchet.monitoring.windows import counted_rows, window_sums

EVENT: Final = "monitored"
_PAST: Final = 20


@dataclass(frozen=True, slots=True)
class VersionDrift:
    """The newest window of a version against what it learned from.

    Attributes:
        version: the model version.
        since: of the window.
        until: of the window.
        rows: predictions in it.
        report: None with too few rows, or without a profile.
        in_a_row: 2 when the window before drifted, too; 1 when only this one did; else 0.
        alarm: drift in two windows in a row, or at twice a threshold.
        reason: what was found, or why nothing was judged.
    """

    version: int
    since: datetime
    until: datetime
    rows: int
    report: DriftReport | None
    in_a_row: int
    alarm: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "version": self.version,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "rows": self.rows,
            "in_a_row": self.in_a_row,
            "alarm": self.alarm,
            "reason": self.reason,
            "report": None if self.report is None else self.report.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look found.

    Attributes:
        at: the moment that it is as of.
        champion: the version that served; None when none did.
        lineage: versions that were promoted by then, oldest first, each with when.
        folded: predictions that were counted.
        drift: of every version that answered, the champion first.
        performance: None without predictions.
        notes: what could not be looked at, and why.
    """

    at: datetime
    champion: int | None
    lineage: tuple[tuple[int, datetime], ...]
    folded: Folded
    drift: tuple[VersionDrift, ...]
    performance: Performance | None
    notes: tuple[str, ...] = ()

    def drift_of(self, version: int | None) -> VersionDrift | None:
        """A version's drift."""
        return next((one for one in self.drift if one.version == version), None)

    def summary(self) -> dict[str, Any]:
        """The facts of the event: ``drift`` and ``performance`` of the champion, for the triggers.

        Both have the fields of ``DriftFacts`` and ``PerformanceFacts`` (``triggers/facts.py``).
        """
        drift = self.drift_of(self.champion)
        performance = None
        if self.performance is not None and self.champion is not None:
            performance = performance_facts(self.performance, self.champion, self.lineage)
        return {
            "as_of": self.at,
            "champion": self.champion,
            "folded": self.folded.rows,
            "drift": None
            if drift is None or drift.report is None
            else {
                **drift_facts(drift.report, until=drift.until, in_a_row=drift.in_a_row),
                **label_need(self.performance, drift.version, drift.since),
            },
            "performance": performance,
            "labels": None if self.performance is None else self.performance.labels.to_json(),
            "notes": list(self.notes),
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, as a JSON object."""
        return {
            "as_of": self.at.isoformat(),
            "champion": self.champion,
            "lineage": [[version, at.isoformat()] for version, at in self.lineage],
            "folded": {
                "rows": self.folded.rows,
                "windows": self.folded.windows,
                "rebuilt": self.folded.rebuilt,
            },
            "drift": [one.to_json() for one in self.drift],
            "performance": None if self.performance is None else self.performance.to_json(),
            "notes": list(self.notes),
        }


def observe(
    ledger: LedgerReader,
    lake: Lake,
    settings: MonitoringSettings,
    *,
    bundles: Path,
    as_of: datetime,
    metric: str | None = None,
    unlogged: Collection[str] = (),
) -> Observation:
    """Look once.

    Args:
        ledger: the project's.
        lake: the project's.
        settings: what is watched, and against what.
        bundles: the folder that the versions' bundle paths are relative to.
        as_of: nothing answered or observed later is used.
        metric: what performance is judged by where the settings name none.
        unlogged: columns that the log drops or keeps as digests.

    Raises:
        StorageError, UnreachableError: the ledger or the lake cannot be read or written.
        ConflictError: somebody else counted the same predictions at the same time.
    """
    moment = utc(as_of)
    subjects = Subjects(ledger.versions(), bundles, moment)
    folded = fold_new(lake, subjects.profile, unlogged=unlogged)
    lineage = _lineage(ledger, moment)
    champion = ledger.who_served(moment)
    served = None if champion is None else champion.version
    since = moment - settings.history_span
    answered = counted_rows(lake, since=since.replace(minute=0, second=0), until=moment)
    versions = sorted(set(answered["version"]), key=lambda number: (number != served, -number))
    recent = set(
        counted_rows(lake, since=moment - 2 * settings.drift.span, until=moment)["version"]
    )

    def rows_of(version: int, profile: Profile) -> VersionRows:
        return VersionRows(ledger, lake, bundles, ledger.version(version), profile)

    drift = [
        found
        for version in versions
        if version in recent or version == served
        if (found := _drift(lake, subjects, rows_of, version, settings.drift, moment)) is not None
    ]
    performance = None
    if versions:
        known = {*versions, *(number for number, _ in lineage[-3:])}
        question = ask(settings, moment, metric, [number for number, _ in lineage], unlogged)
        performance = measure(lake, subjects.watched(known), question)
    return Observation(
        moment, served, lineage, folded, tuple(drift), performance, tuple(subjects.notes)
    )


def ask(
    settings: MonitoringSettings,
    as_of: datetime,
    metric: str | None,
    lineage: Sequence[int],
    unlogged: Collection[str] = (),
) -> Question:
    """The question about performance that the settings put."""
    return Question(
        as_of=as_of,
        metric=settings.metric or metric,
        period=settings.period_span,
        recent=settings.recent_span,
        history=settings.history_span,
        maturity=Maturity(settings.labels.share, settings.labels.fixed),
        margin=settings.margin,
        confidence=settings.confidence,
        lineage=tuple(lineage),
        slices=settings.slices,
        unlogged=frozenset(unlogged),
    )


def _lineage(ledger: LedgerReader, as_of: datetime) -> tuple[tuple[int, datetime], ...]:
    """Versions in the order in which they first served."""
    first: dict[int, datetime] = {}
    for change in ledger.deployments("champion"):
        if change.version is not None and change.at <= as_of:
            first.setdefault(change.version, change.at)
    return tuple(first.items())


def _drift(
    lake: Lake,
    subjects: Subjects,
    rows_of: Callable[[int, Profile], VersionRows],
    version: int,
    rules: DriftSettings,
    as_of: datetime,
) -> VersionDrift | None:
    profile = subjects.profile(version)
    since = _whole_hour(as_of - rules.span)
    if profile is None:
        return None
    # The window, the one before it, and those that tell what is usual.
    starts = [since - place * rules.span for place in range(_PAST + 2)]
    ends = [as_of, *starts[:-1]]
    spans = list(zip(starts, ends, strict=True))
    window, before, *past = window_sums(lake, profile, version, spans)
    if window.rows < rules.min_rows:
        why = (
            f"{window.rows:,} predictions in {rules.window}: at least {rules.min_rows:,} are needed"
        )
        return VersionDrift(version, since, as_of, window.rows, None, 0, False, why)
    limits = _rules(profile, window.rows, past, rules)
    behind = rows_of(version, profile)
    newest, last = (Span(one, *span) for one, span in zip((window, before), spans[:2], strict=True))
    report = score_window(profile, window, limits, exact=behind.exact(newest))
    earlier = False
    if report.drifted and before.rows >= rules.min_rows:
        earlier = score_window(profile, before, limits, exact=behind.exact(last)).drifted
    in_a_row = 0 if not report.drifted else 2 if earlier else 1
    alarm = report.drifted and (earlier or report.alarming)
    return VersionDrift(version, since, as_of, window.rows, report, in_a_row, alarm, report.reason)


def _rules(
    profile: Profile, rows: int, past: Sequence[Window], settings: DriftSettings
) -> DriftRules:
    """The rules: thresholds of quiet windows of the past, and the user's limits in their place.

    Only windows that are quiet by what the training rows say teach what is usual: drift that came
    slowly must not raise the threshold it is to be found by.
    """
    known = thresholds_at(profile, rows, alpha=settings.alpha)
    first = DriftRules(thresholds=known, alpha=settings.alpha, share=settings.share)
    full = [window for window in past if window.rows >= settings.min_rows]
    live: Thresholds | None = None
    if len(full) >= FEWEST_WINDOWS:
        quiet = [window for window in full if not score_window(profile, window, first).drifted]
        live = calibrate(quiet, profile, alpha=settings.alpha)
    fixed = {str(name): limit for name, limit in settings.thresholds.items()}
    return replace(first, thresholds=known if live is None else live, fixed=fixed)


def _whole_hour(moment: datetime) -> datetime:
    """The hour that a moment lies in: windows are kept by the hour."""
    return moment.replace(minute=0, second=0, microsecond=0)
