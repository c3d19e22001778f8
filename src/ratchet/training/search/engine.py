"""The search: defaults first, then what promises most, until time or trials are used up.

Two ways to go on. With a deadline, workers take the next configuration whenever they are free, and
how far they come is the clock's to say. Without one, configurations are drawn in batches of a
fixed size from what the batches before came to, so that the same rows, settings and seed always
give the same trials.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from ratchet import clock
from ratchet.training.attempt import Attempt
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.entrant import Entrant
from ratchet.training.results import Origin, TrialRecord
from ratchet.training.search.allocation import Account, choose_account
from ratchet.training.search.archive import Archive
from ratchet.training.search.arena import Arena
from ratchet.training.search.opening import Opening
from ratchet.training.search.proposals import Proposals
from ratchet.training.search.standings import Standings
from ratchet.training.search.store import SearchStore
from ratchet.training.search.terms import Terms
from ratchet.training.search.trial import Trial, recorded_trial

BATCH = 4
"""Configurations drawn at once when there is no deadline."""

LONGEST = 5.0
"""Times the candidate's usual trial that one of its trials may take."""

LEAST_SHARE = 0.1
"""The share of the time left that a trial may take anyway."""


class Search:
    """One search over the candidates' ``proposals`` in ``arena``.

    ``before`` trials were numbered before it.
    """

    def __init__(
        self,
        arena: Arena,
        proposals: Sequence[Proposals],
        metric: str,
        terms: Terms,
        *,
        store: SearchStore | None = None,
        recorded: Sequence[TrialRecord] = (),
        before: int = 0,
        on_fold: Callable[[Trial, Attempt], None] | None = None,
        on_trial: Callable[[Trial, Search], None] | None = None,
    ) -> None:
        self.arena = arena
        self.proposals = list(proposals)
        self.metric = metric
        self.terms = terms
        self.archive = Archive(arena, metric, store, recorded)
        self.on_fold, self.on_trial = on_fold, on_trial
        self.trials: list[Trial] = []
        self.standings = Standings(len(self.proposals), metric)
        self.accounts = [Account() for _ in self.proposals]
        self.started = clock.monotonic() - terms.elapsed
        self.timed = terms.timed
        self._before = before
        self._lock = threading.RLock()
        self._waiting: deque[Trial] = deque()
        self._exhausted: set[int] = set()
        self._rng = np.random.default_rng(arena.table.seed)
        self._halted = False

    @property
    def left(self) -> float:
        """Seconds until the search ends."""
        return max(0.0, self.terms.ends(self) - clock.monotonic())

    @property
    def left_in_all(self) -> float:
        """Seconds until a search on more rows, after this one, ends."""
        return max(0.0, self.terms.ends_at_last(self) - clock.monotonic())

    @property
    def over(self) -> int:
        """Trials that are over."""
        return sum(len(trials) for trials in self.standings.trials)

    def run(self, pool: ThreadPoolExecutor) -> None:
        """Search, with the threads of ``pool``."""
        defaults = [
            self._start(position, proposals.defaults(), "defaults")
            for position, proposals in enumerate(self.proposals)
        ]
        for trial in defaults:
            self.archive.recall(trial)
        opening = Opening(
            defaults,
            self.standings,
            self._try_fold,
            self._finish_default,
            (lambda: self.left) if self.timed else None,
            self.arena.plan.workers,
        )
        self._together(pool, [partial(opening.run, *pair) for pair in opening.pairs])
        if not self.timed:
            for trial in defaults:
                self._enter(trial)
        for position, proposals in enumerate(self.proposals):
            for entrant in proposals.warm_ones():
                self._waiting.append(self._start(position, entrant, "warm"))
        if self.timed:
            self._adopt()
            self._together(pool, [self._work] * self.arena.plan.workers)
        else:
            self._run_batches(pool)

    def retry(self, trials: Sequence[Trial], pool: ThreadPoolExecutor) -> None:
        """Try configurations of another arena here, those first that did best there."""
        again = [self._start(trial.candidate, trial.entrant, trial.origin) for trial in trials]

        def job(trial: Trial) -> None:
            if self.timed and self.left <= 0:
                return
            self._try(trial)
            with self._lock:
                self._enter(trial)

        self._together(pool, [partial(job, trial) for trial in again])
        self.trials = [trial for trial in self.trials if trial.status is not None]

    def _run_batches(self, pool: ThreadPoolExecutor) -> None:
        while True:
            batch = [trial for trial in (self._next() for _ in range(BATCH)) if trial is not None]
            if not batch:
                return
            self._together(pool, [partial(self._try, trial) for trial in batch])
            for trial in batch:
                self._enter(trial)

    def _work(self) -> None:
        while not self._halted:
            with self._lock:
                trial = self._next()
            if trial is None:
                return
            self._try(trial)
            with self._lock:
                self._enter(trial)
            if self.archive.listen():
                with self._lock:
                    self._adopt()

    def _together(self, pool: ThreadPoolExecutor, jobs: Sequence[Callable[[], None]]) -> None:
        """Run the jobs; the first one's error ends them all."""
        futures = [pool.submit(job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            self._halted = True
            for future in futures:
                future.cancel()
            raise

    def _start(self, position: int, entrant: Entrant, origin: Origin, asked: Any = None) -> Trial:
        trial = Trial(
            number=self._before + len(self.trials) + 1,
            candidate=position,
            entrant=entrant,
            origin=origin,
            started=clock.monotonic() - self.started,
            rows=self.arena.rows,
            folds=len(self.arena.folds),
            asked=asked,
        )
        self.trials.append(trial)
        return trial

    def _next(self) -> Trial | None:
        """The next configuration to try; None: there is no time, or nothing left to try."""
        if self._waiting and not self._is_over():
            return self._waiting.popleft()
        while not self._is_over():
            position = self._choose()
            if position is None:
                return None
            proposed = self.proposals[position].propose()
            if proposed is None:
                self._exhausted.add(position)
                continue
            entrant, origin, asked = proposed
            return self._start(position, entrant, origin, asked)
        return None

    def _is_over(self) -> bool:
        trials = self.terms.trials
        begun = len(self.trials) - len(self._waiting)
        return (trials is not None and begun >= trials) or (self.timed and self.left <= 0)

    def _choose(self) -> int | None:
        able = {
            position: account
            for position, account in enumerate(self.accounts)
            if position not in self._exhausted
            and self.standings.best(position) is not None
            and self._affords(position)
        }
        if not able:
            return None
        gaps = {position: self.standings.gap(position) for position in able}
        leader = self.standings.leader
        noise = 0.0 if leader is None else self.standings.spread(leader.candidate)
        return choose_account(able, gaps, noise / math.sqrt(5), self._rng)

    def _affords(self, position: int) -> bool:
        return not self.timed or self.usual_seconds(position) <= self.left

    def usual_seconds(self, position: int) -> float:
        """What a trial of the candidate takes when it is not pruned."""
        found = [
            trial.seconds
            for trial in self.standings.trials[position]
            if trial.status == "finished" and trial.seconds > 0
        ]
        return float(np.median(found)) if found else 0.0

    def _try(self, trial: Trial) -> None:
        """All folds of a trial, unless it is stopped, fails, or is clearly worse before."""
        self.archive.recall(trial)
        if trial.status is not None:
            return
        trial.started = clock.monotonic() - self.started
        deadline = self._deadline(trial)
        for number in range(len(self.arena.folds)):
            attempt = self._try_fold(trial, number, deadline)
            if attempt.error or attempt.stopped or self._halted:
                break
            if number + 1 < len(self.arena.folds):
                with self._lock:
                    if self.standings.is_hopeless(trial):
                        trial.status = "pruned"
                        break
        self._finish(trial)

    def _deadline(self, trial: Trial) -> Deadline:
        if not self.timed:
            return NEVER
        usual = self.usual_seconds(trial.candidate)
        most = max(LONGEST * usual, LEAST_SHARE * self.left) if usual else math.inf
        return Deadline(min(self.terms.ends(self), clock.monotonic() + most))

    def _try_fold(self, trial: Trial, number: int, deadline: Deadline) -> Attempt:
        attempt = self.arena.try_fold(trial, number, deadline)
        with self._lock:
            trial.attempts[number] = attempt
            if self.on_fold is not None:
                self.on_fold(trial, attempt)
        return attempt

    def _finish(self, trial: Trial) -> None:
        if trial.status is None:
            complete = len(trial.attempts) == len(self.arena.folds)
            trial.status = (
                "failed"
                if trial.error
                else "finished"
                if complete and not trial.stopped
                else "stopped"
            )
        self.archive.keep(trial)

    def _finish_default(self, trial: Trial) -> None:
        self._finish(trial)
        if self.timed:  # else they are entered in their order, when all are over
            with self._lock:
                self._enter(trial)

    def _enter(self, trial: Trial) -> None:
        """Take a trial that is over into the standings, and tell of it."""
        self.standings.add(trial)
        loss = self.standings.expected_loss(trial)
        if trial.status == "stopped":
            loss = math.inf
        self.proposals[trial.candidate].learn(trial, loss)
        cost = trial.seconds if self.timed else 1.0
        finished = trial.status == "finished"
        self.accounts[trial.candidate].book(cost, loss if finished else math.inf)
        self.standings.forget_scores(trial.candidate)
        if self.on_trial is not None:
            self.on_trial(trial, self)

    def _adopt(self) -> None:
        """Take stored trials that this process has not tried for its own."""
        names = {item.candidate.name: place for place, item in enumerate(self.proposals)}
        for record in self.archive.unknown({trial.key for trial in self.trials}):
            position = names.get(record.candidate)
            if position is None:
                continue
            entrant = self.proposals[position].enter(record.tuned)
            number = self._before + len(self.trials) + 1
            trial = recorded_trial(record, number, position, entrant)
            self.trials.append(trial)
            self._enter(trial)
