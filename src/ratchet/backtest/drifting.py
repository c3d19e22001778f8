"""Drift of the rows that a model of the past answered, as monitoring would have told it."""

from __future__ import annotations

from ratchet.backtest.cells import Cells
from ratchet.monitoring.drift import DriftRules, score_window
from ratchet.monitoring.findings import DriftReport
from ratchet.monitoring.past import past_distances, thresholds_at
from ratchet.monitoring.profile import Profile, build_profile
from ratchet.monitoring.settings import DriftSettings
from ratchet.monitoring.told import drift_facts
from ratchet.triggers.facts import DriftFacts


class Drifting:
    """Profiles of the models' training rows, and each period against them; made when asked for."""

    def __init__(self, cells: Cells, settings: DriftSettings) -> None:
        self._cells, self._settings = cells, settings
        self._profiles: dict[int, Profile] = {}
        self._reports: dict[tuple[int, int], DriftReport | None] = {}

    def facts(self, point: int, period: int, served_since: int) -> DriftFacts | None:
        """What a period was like to the model that answered it; None with too few rows."""
        report = self._report(point, period)
        if report is None:
            return None
        in_a_row = 0
        for earlier in range(period, served_since - 1, -1):
            seen = self._report(point, earlier)
            if seen is None or not seen.drifted:
                break
            in_a_row += 1
        told = drift_facts(report, until=self._cells.stream.ends[period], in_a_row=min(in_a_row, 2))
        return DriftFacts(**{**told, "columns": tuple(told["columns"])})

    def _report(self, point: int, period: int) -> DriftReport | None:
        key = (point, period)
        if key not in self._reports:
            self._reports[key] = self._judge(point, period)
        return self._reports[key]

    def _judge(self, point: int, period: int) -> DriftReport | None:
        stream, settings = self._cells.stream, self._settings
        rows = stream.rows_of(period)
        count = rows.stop - rows.start
        if count < settings.min_rows:
            return None
        profile = self._profile(point)
        window = profile.window()
        window.fold(stream.frame.slice(rows.start, count).select(tuple(profile.columns)))
        rules = DriftRules(
            thresholds=thresholds_at(profile, count, alpha=settings.alpha),
            fixed={str(name): limit for name, limit in settings.thresholds.items()},
            alpha=settings.alpha,
            share=settings.share,
        )
        return score_window(profile, window, rules)

    def _profile(self, point: int) -> Profile:
        if point not in self._profiles:
            from dataclasses import replace

            stream = self._cells.stream
            names = stream.roles.features(stream.schema)
            frame = stream.frame.head(self._cells.fits[point].cut).select(names)
            kinds = {name: stream.schema.kind(name) for name in names}
            made = build_profile(frame, kinds)
            self._profiles[point] = replace(made, past=past_distances(made, frame))
        return self._profiles[point]
