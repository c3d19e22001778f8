"""One configuration while it is tried, fold by fold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ratchet.training.attempt import Attempt
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import Proba
from ratchet.training.folds import Fold
from ratchet.training.results import Origin, TrialRecord, TrialStatus
from ratchet.training.scoring import LOWER_IS_BETTER


@dataclass(slots=True, eq=False)
class Trial:
    """A configuration of the candidate at position ``candidate``, and what came of its folds.

    ``status`` is None until it is over. ``asked`` is what the tuner wants back with the result.
    ``rows`` are those of the table it is tried on, ``folds`` its folds.
    """

    number: int
    candidate: int
    entrant: Entrant
    origin: Origin
    started: float
    rows: int
    folds: int = 0
    attempts: dict[int, Attempt] = field(default_factory=dict)
    status: TrialStatus | None = None
    asked: Any = None

    @property
    def made(self) -> list[Attempt]:
        """The folds' attempts, in the folds' order."""
        return [attempt for _, attempt in sorted(self.attempts.items())]

    @property
    def error(self) -> str:
        """The first error, empty if there is none."""
        return next((attempt.error for attempt in self.made if attempt.error), "")

    @property
    def stopped(self) -> bool:
        """Whether a fit was given up for want of time."""
        return any(attempt.stopped for attempt in self.attempts.values())

    @property
    def seconds(self) -> float:
        """Time spent fitting and scoring."""
        return sum(attempt.seconds for attempt in self.attempts.values())

    @property
    def rounds(self) -> int | None:
        """Median of the rounds of the folds."""
        kept = [attempt.rounds for attempt in self.made if attempt.rounds is not None]
        return max(1, int(np.median(kept))) if kept else None

    @property
    def scores(self) -> tuple[Mapping[str, float], ...]:
        """The scores of the folds that were scored, in order."""
        return tuple(attempt.scores for attempt in self.made if attempt.scores)

    def losses(self, metric: str) -> dict[int, float]:
        """What it lost in each fold where the metric is defined: lower is better."""
        sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
        return {
            number: sign * attempt.scores[metric]
            for number, attempt in sorted(self.attempts.items())
            if metric in attempt.scores
        }

    def loss(self, metric: str) -> float:
        """Mean of ``losses``; infinity if there is none."""
        losses = list(self.losses(metric).values())
        return float(np.mean(losses)) if losses else float("inf")

    @property
    def key(self) -> str:
        """The same for the same configuration tried on as many rows."""
        return trial_key(self.entrant.name, self.entrant.tuned, self.rows)

    def forget_scores(self) -> None:
        """Let the folds' predictions go; what they scored stays."""
        for number, attempt in self.attempts.items():
            if attempt.proba is not None:
                self.attempts[number] = replace(attempt, proba=None)

    def take_scores(self, oof: Proba, folds: Sequence[Fold]) -> None:
        """Put back the predictions that ``oof`` gave."""
        for number, fold in enumerate(folds):
            self.attempts[number] = replace(self.attempts[number], proba=oof[fold.score])

    def oof(self, folds: Sequence[Fold]) -> Proba | None:
        """Scores of the rows by models that did not see them (n, k); NaN where there are none.

        None if a fold's scores are not there.
        """
        found = {number: attempt.proba for number, attempt in self.attempts.items()}
        if any(found.get(number) is None for number in range(len(folds))):
            return None
        first = found[0]
        assert first is not None
        scores = np.full((self.rows, first.shape[1]), np.nan)
        for number, proba in found.items():
            scores[folds[number].score] = proba
        return scores

    def record(self, metric: str) -> TrialRecord:
        """The trial for the history."""
        loss = self.loss(metric)
        sign = 1.0 if metric in LOWER_IS_BETTER else -1.0
        return TrialRecord(
            number=self.number,
            candidate=self.entrant.name,
            algorithm=self.entrant.algorithm.name,
            origin=self.origin,
            params=self.entrant.params,
            tuned=self.entrant.tuned,
            status=self.status or "stopped",
            metric=metric,
            mean=sign * loss if np.isfinite(loss) else None,
            folds=self.scores,
            seconds=self.seconds,
            started=self.started,
            rows=self.rows,
            rounds=self.rounds,
            error=self.error,
        )


def trial_key(candidate: str, tuned: Mapping[str, Any], rows: int) -> str:
    """The digest of a configuration and of how many rows it is tried on."""
    text = json.dumps([candidate, dict(tuned), rows], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def recorded_trial(record: TrialRecord, number: int, candidate: int, entrant: Entrant) -> Trial:
    """A trial from the history: with its folds' scores, without their predictions."""
    share = record.seconds / max(1, len(record.folds))
    trial = Trial(
        number=number,
        candidate=candidate,
        entrant=entrant,
        origin=record.origin,
        started=record.started,
        rows=record.rows,
        status=record.status,
    )
    for fold, scores in enumerate(record.folds):
        trial.attempts[fold] = Attempt(share, (), rounds=record.rounds, scores=scores)
    if not record.folds and record.error:
        trial.attempts[0] = Attempt(record.seconds, (), error=record.error)
    return trial


def best_of(trials: Iterable[Trial], metric: str) -> Trial | None:
    """The finished trial that lost least, the earlier one of two alike."""
    finished = [trial for trial in trials if trial.status == "finished"]
    return min(finished, key=lambda trial: (trial.loss(metric), trial.number), default=None)
