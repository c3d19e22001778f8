"""Where configurations are tried: some rows, their folds, and the threads to fit with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ratchet import clock
from ratchet.features.recipe import Encoding, Recipe
from ratchet.training.attempt import Attempt, try_fit
from ratchet.training.cores import CorePlan
from ratchet.training.deadline import Deadline
from ratchet.training.folds import Fold, make_folds
from ratchet.training.progress import Progress, unseen
from ratchet.training.search.isolation import Isolation
from ratchet.training.search.matrices import Matrices, matrix_limit
from ratchet.training.search.trial import Trial
from ratchet.training.table import TrainingTable
from ratchet.training.warned import WarningNotes


@dataclass(frozen=True, slots=True, eq=False)
class Arena:
    """A table cut into folds. ``sample`` are the positions of its rows among all, None if all.

    ``isolation`` trains what cannot be interrupted in a process of its own; None: there is no
    deadline, and it need not be. ``follow`` says how a fit of this name is followed.
    """

    table: TrainingTable
    folds: tuple[Fold, ...]
    matrices: Matrices
    plan: CorePlan
    notes: WarningNotes
    isolation: Isolation | None = None
    sample: npt.NDArray[np.int64] | None = None
    follow: Callable[[str], Progress] = unseen

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self.table.y)

    def try_fold(self, trial: Trial, number: int, deadline: Deadline) -> Attempt:
        """Fit the trial's configuration on a fold's training rows and score the others."""
        started = clock.monotonic()
        entrant = trial.entrant
        encoded = self.matrices.fold(number, entrant.encoding)
        learn, watch = encoded.parts(entrant.stops_early)
        if entrant.stops_early and watch is None:
            entrant = entrant.settle(None)
        if self.isolation is not None and not entrant.algorithm.interruptible:
            attempt = self.isolation.fit(
                entrant,
                learn,
                (encoded.X, encoded.y),
                seed=self.table.seed,
                threads=self.plan.threads,
                deadline=deadline,
            )
        else:
            attempt = try_fit(
                entrant,
                learn,
                watch,
                seed=self.table.seed,
                threads=self.plan.threads,
                notes=self.notes,
                score=(encoded.X, encoded.y),
                deadline=deadline,
                progress=self.follow(f"{entrant.name} trial {trial.number} fold {number + 1}"),
            )
        # The first trial on a fold pays for its encoding: a budget has to know of it.
        return replace(attempt, seconds=clock.monotonic() - started)


def make_arena(
    table: TrainingTable,
    folds: int,
    *,
    plan: CorePlan,
    notes: WarningNotes,
    memory: int | None,
    isolation: Isolation | None = None,
    sample: npt.NDArray[np.int64] | None = None,
    recipes: dict[Encoding, Recipe] | None = None,
    seed: int | None = None,
    follow: Callable[[str], Progress] = unseen,
) -> Arena:
    """The arena of these rows of ``table`` (all if ``sample`` is None).

    Raises:
        DataError: they cannot be cut into folds.
    """
    part = table if sample is None else table.take(sample)
    cut: tuple[Fold, ...] = ()
    if folds:
        cut = make_folds(
            part.y,
            folds,
            seed=table.seed if seed is None else seed,
            time=part.time,
            groups=part.groups,
        )
    matrices = Matrices(part, cut, matrix_limit(memory), recipes)
    return Arena(part, cut, matrices, plan, notes, isolation, sample, follow)
