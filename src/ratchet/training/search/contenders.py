"""What the search found worth a final fit, and the blend of it that is to be shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ratchet.data.task import Task
from ratchet.training.calibrate import Calibration, fit_calibration
from ratchet.training.combine import combine
from ratchet.training.ensemble import Ensemble, Limits, select_weights
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import Proba, Targets
from ratchet.training.folds import Fold
from ratchet.training.scoring import score_all
from ratchet.training.search.arena import Arena
from ratchet.training.search.standings import Standings
from ratchet.training.search.trial import Trial
from ratchet.training.settings import TrainingSettings
from ratchet.training.threshold import Threshold, choose_threshold

MOST_GROWTH = 4.0
"""Times the rounds of the folds that a fit on many more rows has at most."""

PER_CANDIDATE = 3
"""Configurations of one candidate that may be in an ensemble."""


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A configuration that was cross-validated: its name, and its out-of-fold scores (n, k)."""

    name: str
    trial: Trial
    oof: Proba

    @property
    def final(self) -> Entrant:
        """The configuration for all rows: the rounds that the folds found best."""
        entrant, rounds = self.trial.entrant, self.trial.rounds
        if rounds is None:
            return entrant.settle(None)
        return entrant.settle(max(1, rounds - entrant.known_rounds))

    def final_on(self, rows: int) -> Entrant | None:
        """The configuration for many more rows than the folds had, which bear more rounds.

        It is to be stopped early. None where the rounds are not to be found out.
        """
        entrant, rounds = self.trial.entrant, self.trial.rounds
        parameter = entrant.algorithm.rounds_parameter
        if parameter is None or rounds is None or not entrant.stops_early:
            return None
        growth = min(MOST_GROWTH, max(1.0, (rows / self.trial.rows) ** 0.5))
        most = max(1, round(growth * (rounds - entrant.known_rounds)))
        return replace(entrant, params={**entrant.params, parameter: most})


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A blend before its members are fitted on all rows; ``oof`` are its scores, uncalibrated."""

    members: tuple[Contender, ...]
    weights: tuple[float, ...]
    calibration: Calibration | None
    threshold: Threshold | None
    oof: Proba


def find_contenders(standings: Standings, arena: Arena, metric: str) -> tuple[Contender, ...]:
    """The best configurations of each candidate, the best one under the candidate's name."""
    found = []
    for candidate in range(len(standings.trials)):
        place = 0
        for trial in standings.ranked(candidate, metric)[:PER_CANDIDATE]:
            oof = trial.oof(arena.folds)
            if oof is None:
                continue
            place += 1
            name = trial.entrant.name + (f"#{place}" if place > 1 else "")
            found.append(Contender(name, trial, oof))
    return tuple(found)


def choose_ensemble(
    contenders: Sequence[Contender], arena: Arena, metric: str, limits: Limits | None
) -> Ensemble | None:
    """The ensemble of ``contenders``, if it is better than the best of them by more than chance."""
    if len(contenders) < 2:
        return None
    losses = [contender.trial.loss(metric) for contender in contenders]
    ensemble = select_weights(
        [contender.oof for contender in contenders],
        arena.table.y,
        arena.folds,
        metric,
        single=int(np.argmin(losses)),
        limits=limits,
        seed=arena.table.seed,
    )
    return ensemble if ensemble.worthwhile else None


def draft_blend(
    contenders: Sequence[Contender],
    weights: Sequence[float],
    arena: Arena,
    settings: TrainingSettings,
    method: str | None = None,
) -> Draft:
    """A blend with the calibration and threshold that its out-of-fold scores ask for.

    ``method`` is the calibration's, if it is not the settings' to say: ``none`` for none.
    """
    used = [place for place, weight in enumerate(weights) if weight > 0]
    members = tuple(contenders[place] for place in used)
    kept = tuple(float(weights[place]) for place in used)
    oof = combine([member.oof for member in members], kept, None)
    task, y = arena.table.task, arena.table.y
    calibration = fit_calibration(
        oof,
        y,
        arena.folds,
        task,
        method=method or settings.calibration,  # type: ignore[arg-type]
    )
    calibrated = oof if calibration is None else _calibrated(oof, calibration)
    return Draft(members, kept, calibration, _threshold(calibrated, y, task, settings), oof)


def fold_scores(oof: Proba, y: Targets, folds: Sequence[Fold]) -> tuple[Mapping[str, float], ...]:
    """Every metric of out-of-fold scores, fold by fold."""
    return tuple(score_all(y[fold.score], oof[fold.score]) for fold in folds)


def _calibrated(oof: Proba, calibration: Calibration) -> Proba:
    scored = np.isfinite(oof).all(axis=1)
    calibrated = oof.copy()
    calibrated[scored] = calibration.apply(oof[scored])
    return calibrated


def _threshold(oof: Proba, y: Targets, task: Task, settings: TrainingSettings) -> Threshold | None:
    if task.kind != "binary":
        return None
    scored = np.isfinite(oof).all(axis=1)
    return choose_threshold(oof[scored], y[scored].astype(np.int32), settings.threshold)
