"""What is known of each candidate while the search goes on: who leads, and by how much more than
chance.

Trials are compared on the same folds. A fold that is hard is hard for all, so that differences by
fold vary far less than scores do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ratchet.training.search.trial import Trial, best_of

CLEARLY = 1.5
"""Standard errors behind the best from which a trial is given up."""

KEPT_SCORES = 6
"""Trials of a candidate whose out-of-fold scores stay in memory."""

FAR = 4.0
"""Standard errors behind the leader from which a candidate hardly adds to an ensemble."""


class Standings:
    """The finished trials of all candidates by one metric."""

    def __init__(self, candidates: int, metric: str) -> None:
        self.metric = metric
        self.trials: list[list[Trial]] = [[] for _ in range(candidates)]
        self._best: list[Trial | None] = [None] * candidates

    def add(self, trial: Trial) -> None:
        """Take a trial that is over."""
        self.trials[trial.candidate].append(trial)
        self._best[trial.candidate] = best_of(
            (known for known in (self._best[trial.candidate], trial) if known is not None),
            self.metric,
        )

    def best(self, candidate: int) -> Trial | None:
        """The candidate's best finished trial."""
        return self._best[candidate]

    @property
    def leader(self) -> Trial | None:
        """The best finished trial of all."""
        return best_of((trial for trial in self._best if trial is not None), self.metric)

    def ranked(self, candidate: int, metric: str = "") -> list[Trial]:
        """The candidate's finished trials from the best down, by its metric or another one."""
        return sorted(
            (trial for trial in self.trials[candidate] if trial.status == "finished"),
            key=lambda trial: (trial.loss(metric or self.metric), trial.number),
        )

    def forget_scores(self, candidate: int) -> None:
        """Only the best few keep their out-of-fold scores in memory."""
        for trial in self.ranked(candidate)[KEPT_SCORES:]:
            trial.forget_scores()

    def is_hopeless(self, trial: Trial) -> bool:
        """Whether its folds so far are clearly worse than the same folds of its candidate's best.

        The mean difference is held against its standard error, the spread of differences being
        taken from all of the candidate's trials: two or three folds do not tell it.
        """
        best = self._best[trial.candidate]
        if best is None:
            return False
        behind = differences(trial, best, self.metric)
        if not behind:
            return False
        return float(np.mean(behind)) > CLEARLY * self.spread(trial.candidate) / math.sqrt(
            len(behind)
        )

    def is_far_behind(self, trial: Trial) -> bool:
        """Whether its folds so far are so much worse than the leader's that it cannot matter."""
        leader = self.leader
        behind = [] if leader is None else differences(trial, leader, self.metric)
        if leader is None or not behind:
            return False
        error = self.spread(leader.candidate) / math.sqrt(len(behind))
        return float(np.mean(behind)) > FAR * error

    def spread(self, candidate: int) -> float:
        """Typical standard deviation, over the folds, of the difference to the best."""
        best = self._best[candidate]
        if best is None:
            return 0.0
        others = [
            differences(trial, best, self.metric)
            for trial in self.trials[candidate]
            if trial is not best and trial.status == "finished"
        ]
        found = [float(np.std(values, ddof=1)) for values in others if len(values) > 1]
        own = list(best.losses(self.metric).values())
        # Nothing to compare with yet: differences vary about half as much as scores.
        first = float(np.std(own, ddof=1)) / 2 if len(own) > 1 else 0.0
        return float(np.median([*found, first]))

    def gap(self, candidate: int) -> tuple[float, float]:
        """How far the candidate's best is behind the leader, and the standard error of that."""
        best, leader = self._best[candidate], self.leader
        if best is None or leader is None:
            return math.inf, 0.0
        behind = differences(best, leader, self.metric)
        if best is leader or not behind:
            return 0.0, 0.0
        error = float(np.std(behind, ddof=1)) / math.sqrt(len(behind)) if len(behind) > 1 else 0.0
        return float(np.mean(behind)), error

    def promising(self) -> list[Trial]:
        """The best of each candidate that is not far behind the leader."""
        gaps = [self.gap(place) for place in range(len(self.trials))]
        return [
            trial
            for trial, (gap, error) in zip(self._best, gaps, strict=True)
            if trial is not None and gap <= FAR * error
        ]

    def expected_loss(self, trial: Trial) -> float:
        """Its loss over all folds, told from those it was given: the best's, and how far behind."""
        best = self._best[trial.candidate]
        if trial.status == "finished" or best is None:
            return trial.loss(self.metric)
        behind = differences(trial, best, self.metric)
        if not behind:
            return math.inf
        return best.loss(self.metric) + float(np.mean(behind))


def differences(trial: Trial, other: Trial, metric: str) -> Sequence[float]:
    """How much more ``trial`` lost in each fold that both were scored on."""
    left, right = trial.losses(metric), other.losses(metric)
    return [left[fold] - right[fold] for fold in left if fold in right]
