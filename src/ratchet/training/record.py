"""What is known of one candidate while it trains, and the result it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ratchet.features.recipe import Recipe
from ratchet.training.attempt import Attempt
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import Proba
from ratchet.training.folds import Fold
from ratchet.training.results import CandidateResult


@dataclass(slots=True)
class Record:
    """A candidate's attempts by fold, and its final fit with the recipe of all rows."""

    entrant: Entrant
    attempts: dict[int, Attempt] = field(default_factory=dict)
    final: Attempt | None = None
    recipe: Recipe | None = None

    @property
    def made(self) -> list[Attempt]:
        """All attempts so far, the folds' in order, then the final one."""
        folds = [attempt for _, attempt in sorted(self.attempts.items())]
        return folds if self.final is None else [*folds, self.final]

    @property
    def error(self) -> str:
        """The first error, empty if there is none."""
        return next((attempt.error for attempt in self.made if attempt.error), "")

    @property
    def rounds(self) -> int | None:
        """Median of the rounds of the folds."""
        kept = [attempt.rounds for attempt in self.made if attempt.rounds is not None]
        return max(1, int(np.median(kept))) if kept else None

    def result(self, folds: Sequence[Fold], rows: int, classes: int) -> CandidateResult:
        """The result, once all attempts are over."""
        error = self.error
        fitted = self.final.fitted if self.final is not None and not error else None
        scores = tuple(attempt.scores for attempt in self.made if attempt.scores)
        return CandidateResult(
            name=self.entrant.name,
            algorithm=self.entrant.algorithm.name,
            params=self.entrant.params,
            status="failed" if error else "ok",
            error=error,
            cv=spread(scores),
            folds=scores,
            oof=None if error or not folds else self._out_of_fold(folds, rows, classes),
            rounds=None if fitted is None else fitted.rounds,
            seconds=sum(attempt.seconds for attempt in self.made),
            notes=tuple(dict.fromkeys(note for attempt in self.made for note in attempt.notes)),
            recipe=None if error else self.recipe,
            fitted=fitted,
        )

    def _out_of_fold(self, folds: Sequence[Fold], rows: int, classes: int) -> Proba:
        scores = np.full((rows, classes), np.nan)
        for number, attempt in self.attempts.items():
            scores[folds[number].score] = attempt.proba
        return scores


def spread(scores: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation (n - 1) of each metric over the folds that have it."""
    found = {}
    for name in dict.fromkeys(name for fold in scores for name in fold):
        values = np.array([fold[name] for fold in scores if name in fold])
        deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        found[name] = (float(values.mean()), deviation)
    return found
