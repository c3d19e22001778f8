"""The start of a search: every candidate's defaults, all folds of them side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ratchet import clock
from ratchet.training.attempt import Attempt
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.search.standings import Standings
from ratchet.training.search.trial import Trial

DEFAULTS_SHARE = 0.4
"""The share of the time left that one candidate's defaults may take, but for the first one's."""

DEAR = 0.05
"""The share of the time left from which defaults that are far behind are not tried to their end."""

QUICKEST_FIRST = ("logistic_regression", "ridge", "lightgbm", "xgboost", "extra_trees")
"""Whose defaults are tried first when time may not suffice for all."""


class Opening:
    """The folds of the candidates' ``defaults`` as jobs, in the order in which to do them.

    With a deadline one candidate comes after the other, and none but the first may take more than
    a share of the time; without one each fold is done by all, so that it is encoded once.
    ``left`` gives the seconds until the search ends, None without an end; ``workers`` jobs are done
    at a time.
    """

    def __init__(
        self,
        defaults: Sequence[Trial],
        standings: Standings,
        try_fold: Callable[[Trial, int, Deadline], Attempt],
        finish: Callable[[Trial], None],
        left: Callable[[], float] | None,
        workers: int,
    ) -> None:
        self.standings = standings
        self.try_fold = try_fold
        self.finish = finish
        self.left = left
        self.workers = workers
        self.order = list(defaults)
        if left is not None:
            self.order.sort(key=lambda trial: quickness(trial.entrant.algorithm.name))
        self._deadlines: dict[int, Deadline] = {}
        self._todo = {id(trial): trial.folds for trial in self.order}
        self._lock = threading.Lock()

    @property
    def pairs(self) -> list[tuple[Trial, int]]:
        """Each trial with each of its folds."""
        pairs = [(trial, number) for trial in self.order for number in range(trial.folds)]
        return pairs if self.left is not None else sorted(pairs, key=lambda pair: pair[1])

    def run(self, trial: Trial, number: int) -> None:
        """Do one of the pairs; the last one of a trial finishes it."""
        with self._lock:
            deadline = self._deadlines.setdefault(id(trial), self._deadline(trial))
        if not (trial.status or trial.error or trial.stopped):
            self.try_fold(trial, number, deadline)
        with self._lock:
            if self._gives_up(trial):
                trial.status = "pruned"
            elif self._is_too_slow(trial, deadline):
                trial.status = "stopped"
            self._todo[id(trial)] -= 1
            over = self._todo[id(trial)] == 0
        if over:
            whole = len(trial.attempts) == trial.folds and not trial.stopped
            if trial.status == "stopped" and whole:
                trial.status = None  # those on their way made it
            self.finish(trial)

    def _deadline(self, trial: Trial) -> Deadline:
        """By when its folds have to be over: one slow candidate must not take all the time."""
        if self.left is None:
            return NEVER
        share = 1.0 if trial is self.order[0] else DEFAULTS_SHARE
        return Deadline(clock.monotonic() + share * self.left())

    def _gives_up(self, trial: Trial) -> bool:
        """Whether a candidate's defaults are dear and so far behind that they cannot matter."""
        if self.left is None or trial.status or not trial.scores or not self._rest(trial):
            return False
        return self._rest(trial) > DEAR * self.left() and self.standings.is_far_behind(trial)

    def _is_too_slow(self, trial: Trial, deadline: Deadline) -> bool:
        """Whether what is left of it could not end in its time: better not to begin."""
        if trial.status or trial is self.order[0]:
            return False
        return self._rest(trial) > self.workers * deadline.left

    def _rest(self, trial: Trial) -> float:
        """Seconds that the folds to come should take, one after the other."""
        todo = trial.folds - len(trial.attempts)
        return trial.seconds / len(trial.attempts) * todo if trial.attempts else 0.0


def quickness(name: str) -> int:
    """The place of an algorithm among those whose defaults are tried first."""
    return QUICKEST_FIRST.index(name) if name in QUICKEST_FIRST else len(QUICKEST_FIRST)
