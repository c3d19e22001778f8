"""One training from its candidates to its blends: search, larger samples, final fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ratchet import clock
from ratchet.training.algorithms.catalogue import Candidate
from ratchet.training.attempt import Attempt
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.results import Trained, TrainingEvent, TrialRecord
from ratchet.training.scoring import LOWER_IS_BETTER
from ratchet.training.search.arena import Arena
from ratchet.training.search.conclusion import Concluding, Conclusion
from ratchet.training.search.engine import Search
from ratchet.training.search.lone import fit_one
from ratchet.training.search.opening import quickness
from ratchet.training.search.proposals import Proposals
from ratchet.training.search.reserve import reserved_seconds
from ratchet.training.search.rungs import climb
from ratchet.training.search.sampling import draw_sample, sample_size
from ratchet.training.search.setting import Setting, all_failed
from ratchet.training.search.store import SearchStore
from ratchet.training.search.terms import Terms
from ratchet.training.search.trial import Trial

ON_SAMPLE = 0.6
"""The share of the search's time that is spent on a sample, if there is one."""

OTHERS = 2.0
"""Times the quickest candidate's trial that a trial of any candidate is taken to need."""

MOST_RESERVED = 0.4
"""The share of the whole time that final fits are kept at most: late, they stop where they are."""


class Training:
    """One call of ``fit_candidates`` that searches, or trains the defaults."""

    def __init__(
        self,
        setting: Setting,
        candidates: Sequence[Candidate],
        folds: int,
        store: SearchStore | None,
        warm: Mapping[str, Sequence[Mapping[str, Any]]],
    ) -> None:
        tuning = setting.job.settings.tuning
        self.setting = setting
        self.candidates = tuple(candidates)
        self.folds = folds
        self.searches = folds > 0 and tuning != "off" and tuning.searches
        limit = None if tuning == "off" else tuning.trials
        self.most = limit if self.searches else len(candidates)
        self.timed = self.searches and setting.timed
        self.budget, self.promised = 0.0, NEVER.at
        self.searched: list[Search] = []
        self.store = store if self.searches else None
        self.recorded = () if self.store is None else self.store.load()
        self.elapsed = max((item.started + item.seconds for item in self.recorded), default=0.0)
        rows, features = len(setting.table.y), setting.table.columns
        self.proposals = [
            Proposals(
                candidate,
                setting.table.task,
                rows,
                features,
                seed=setting.table.seed,
                warm=warm.get(candidate.name, ()),
            )
            for candidate in candidates
        ]

    def run(self) -> Trained:
        """Train.

        Raises:
            RatchetError: every candidate failed.
        """
        setting = self.setting
        if not self.folds:
            return fit_one(setting, self.candidates, ())
        if self.timed:
            # What was spent before the process was killed is spent.
            self.budget, self.promised = setting.deadline.left, setting.deadline.at
            setting.deadline = Deadline(setting.deadline.at - self.elapsed)
            if not all(item.algorithm.interruptible for item in self.candidates):
                setting.isolate()
        search = self._search(self._arena())
        search.run(setting.pool)
        if search.arena.sample is not None and search.standings.leader is not None:
            search.arena.matrices.clear()
            search = climb(search, setting, self._search)
        trials = [trial for each in self.searched for trial in each.trials]
        records = tuple(trial.record(search.metric) for trial in trials if trial.status)
        if search.standings.leader is None:
            if any(trial.stopped for trial in trials):
                return fit_one(setting, self.candidates, records)
            raise all_failed([(trial.entrant.name, trial.error) for trial in trials])
        search.archive.return_scores(search.standings)
        search.arena.matrices.clear()
        return self._trained(self._conclude(search), records)

    def _trained(self, conclusion: Conclusion, records: tuple[TrialRecord, ...]) -> Trained:
        if not conclusion.blends:
            raise all_failed([(item.name, item.error) for item in conclusion.candidates])
        return Trained(
            candidates=conclusion.candidates,
            choice=conclusion.choice,
            blends=conclusion.blends,
            trials=records,
            seconds=self.setting.seconds,
            notes=conclusion.notes,
        )

    def _conclude(self, search: Search) -> Conclusion:
        setting = self.setting
        if self.elapsed:
            # Its time was up before it began: what was found is to be fitted all the same.
            needed = min(self._least_reserve(search), MOST_RESERVED * self.budget)
            late = max(setting.deadline.at, clock.monotonic() + needed)
            setting.deadline = Deadline(min(late, self.promised))
        return Concluding(
            search.arena,
            search.standings,
            setting.finals(self.folds),
            setting,
            earlier=[each.standings for each in self.searched if each is not search],
        ).conclude()

    def _arena(self) -> Arena:
        """All rows; or a sample of them, the one that an earlier process has used if there is."""
        setting = self.setting
        rows = len(setting.table.y)
        used = [item.rows for item in self.recorded]
        size = min(used) if used else None
        if size is None and self.timed:
            seconds = ON_SAMPLE * setting.deadline.left
            size = sample_size(setting.table, seconds, self._trial_seconds)
        sample = None if size is None or size >= rows else draw_sample(setting.table, size)
        return setting.arena(self.folds, sample)

    def _trial_seconds(self, rows: int) -> float:
        """What a full trial takes on a sample of so many rows: measured on a fold, which warms up
        the libraries, and once more on the next."""
        arena = self.setting.arena(self.folds, draw_sample(self.setting.table, rows))
        first = min(self.proposals, key=lambda item: quickness(item.candidate.algorithm.name))
        trial = Trial(0, 0, first.defaults(), "defaults", 0.0, rows)
        attempt = Attempt(0.0, ())
        for number in range(min(2, len(arena.folds))):
            attempt = arena.try_fold(trial, number, Deadline(self.setting.deadline.at))
        return OTHERS * attempt.seconds * len(arena.folds)

    def _search(self, arena: Arena) -> Search:
        setting = self.setting
        until = float("inf")
        if self.timed and arena.sample is not None and not self.searched:
            until = clock.monotonic() + ON_SAMPLE * setting.deadline.left
        terms = Terms(
            trials=self.most,
            timed=self.timed,
            ends=lambda search: min(until, self._ends(search)),
            ends_at_last=self._ends,
            elapsed=self.elapsed,
        )
        search = Search(
            arena,
            self.proposals,
            setting.job.searched,
            terms,
            store=self.store,
            recorded=self.recorded,
            before=sum(len(each.trials) for each in self.searched),
            on_fold=self._tell_fold,
            on_trial=self._tell_trial if self.searches else None,
        )
        self.searched.append(search)
        return search

    def _ends(self, search: Search) -> float:
        """When a search has to be over: the deadline, less what the final fits will take."""
        if not self.timed:
            return NEVER.at
        reserve = min(self._reserve(search), MOST_RESERVED * self.budget)
        return self.setting.deadline.at - reserve

    def _reserve(self, search: Search) -> float:
        """Seconds for the final fits, on all rows also where these are too many for memory."""
        task, final_rows = self.setting.table.task, self.setting.final_rows
        found = search.standings.promising()

        def rows_of(trial: Trial) -> int:
            return final_rows(trial.entrant.algorithm)

        return reserved_seconds(found, search.arena, rows_of, task.outputs)

    def _least_reserve(self, search: Search) -> float:
        """Seconds for final fits on the rows in memory."""
        task, rows = self.setting.table.task, len(self.setting.table.y)
        found = search.standings.promising()
        return reserved_seconds(found, search.arena, lambda _: rows, task.outputs)

    def _tell_fold(self, trial: Trial, attempt: Attempt) -> None:
        if trial.origin != "defaults" or attempt.stopped:
            return
        self.setting.tell(
            TrainingEvent(
                kind="failed" if attempt.error else "fold",
                candidate=trial.entrant.name,
                done=len(trial.attempts),
                total=trial.folds + 1,
                seconds=attempt.seconds,
                scores=attempt.scores,
                error=attempt.error,
                trial=trial.number,
            )
        )

    def _tell_trial(self, trial: Trial, search: Search) -> None:
        leader = search.standings.leader
        sign = 1.0 if search.metric in LOWER_IS_BETTER else -1.0
        loss = trial.loss(search.metric)
        self.setting.tell(
            TrainingEvent(
                kind="trial",
                candidate=trial.entrant.name,
                done=search.over,
                total=self.most or 0,
                seconds=trial.seconds,
                scores={},
                error=trial.error,
                trial=trial.number,
                status=trial.status,
                metric=search.metric,
                score=sign * loss if trial.scores else None,
                best=None if leader is None else sign * leader.loss(search.metric),
                best_candidate="" if leader is None else leader.entrant.name,
                left=search.left if self.timed else None,
            )
        )
