"""From what was tried to what is shipped: the ensemble, the final fits, results and blends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ratchet.training.blend import ENSEMBLE, Blend
from ratchet.training.deadline import MORE_TIME
from ratchet.training.ensemble import Ensemble
from ratchet.training.entrant import Entrant
from ratchet.training.fitted import Proba
from ratchet.training.results import NO_TIME, CandidateResult
from ratchet.training.scoring import spread
from ratchet.training.search.arena import Arena
from ratchet.training.search.contenders import (
    Contender,
    Draft,
    choose_ensemble,
    draft_blend,
    find_contenders,
    fold_scores,
)
from ratchet.training.search.finals import FinalFit, Finals, Order, member_of
from ratchet.training.search.reserve import final_seconds
from ratchet.training.search.setting import Setting
from ratchet.training.search.standings import Standings
from ratchet.training.search.trial import Trial
from ratchet.training.select import Choice, choose_best

SPARE = 0.5
"""The share of the time left that fits which nothing is shipped from may take."""

ENOUGH = 0.5
"""Of so large a share of the rows, the folds' rounds are right for all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Conclusion:
    """What the trials came to: candidates' results, the choice, and blends, the chosen first."""

    candidates: tuple[CandidateResult, ...]
    choice: Choice
    blends: tuple[Blend, ...]
    notes: tuple[str, ...]


class Concluding:
    """One conclusion; ``arena`` is where the trials of ``standings`` were tried.

    ``earlier`` are those of fewer rows, where candidates were left behind. ``weights`` of the
    contenders, and the ``method`` of calibration, are found out if not given.
    """

    def __init__(
        self,
        arena: Arena,
        standings: Standings,
        finals: Finals,
        setting: Setting,
        *,
        weights: Ensemble | None = None,
        method: str | None = None,
        earlier: Sequence[Standings] = (),
    ) -> None:
        self.arena = arena
        self.standings = standings
        self.finals = finals
        self.earlier = tuple(earlier)
        self.settings = setting.job.settings
        self.metric = setting.job.metric
        self.limits = setting.job.limits
        self.pool = setting.pool
        self.contenders = [
            contender
            for contender in find_contenders(standings, arena, self.metric)
            if self._affords(contender)
        ]
        self.ensemble = weights
        self.method = method
        self.notes: list[str] = []

    def conclude(self) -> Conclusion:
        """Choose, fit on all rows, and put together."""
        if self.settings.ensemble and self.method is None:
            self.ensemble = choose_ensemble(self.contenders, self.arena, self.metric, self.limits)
        drafts = self._drafts()
        self._fit(drafts)
        broken = self._broken(drafts.get(ENSEMBLE))
        if broken:
            self.notes.append(f"the ensemble is left out: {broken}")
            self.ensemble, drafts = (
                None,
                {name: draft for name, draft in drafts.items() if name != ENSEMBLE},
            )
        results = self._results(drafts)
        # One that was left behind on a smaller sample is not compared by what it scored there.
        compared = [result for result in results if result.name in drafts]
        choice = choose_best(
            compared or results,
            self.metric,
            self.ensemble.reason if self.ensemble else "",
            asked=results,
        )
        late = [result.name for result in results if result.error == NO_TIME]
        if late:
            self.notes.append(f"{', '.join(late)}: {NO_TIME}; {MORE_TIME}")
        blends = [self._blend(drafts[name]) for name in choice.ranking if name in drafts]
        whole = tuple(blend for blend in blends if blend is not None)
        return Conclusion(results, choice, whole, (*self.notes, *self.finals.remarks))

    def _affords(self, contender: Contender) -> bool:
        """Whether there is time for its final fit, which nothing could end."""
        if contender.trial.entrant.algorithm.interruptible:
            return True
        return self._seconds(contender.trial) <= self.finals.deadline.left

    def _seconds(self, trial: Trial) -> float:
        rows = self.finals.rows_for(trial.entrant.algorithm)
        return final_seconds(trial, self.arena, rows)

    def _drafts(self) -> dict[str, Draft]:
        """The blends by name: the ensemble, and each candidate's best configuration alone."""
        drafts = {}
        if self.ensemble is not None:
            weights = self.ensemble.weights
            drafts[ENSEMBLE] = self._draft(self.contenders, weights)
        for contender in self.contenders:
            if contender.name == contender.trial.entrant.name:
                drafts[contender.name] = self._draft([contender], [1.0])
        return drafts

    def _draft(self, contenders: Sequence[Contender], weights: Sequence[float]) -> Draft:
        return draft_blend(contenders, weights, self.arena, self.settings, self.method)

    def _fit(self, drafts: dict[str, Draft]) -> None:
        """Fit what is needed, then, as far as there is time to spare, the others."""
        singles = sorted(
            (name for name in drafts if name != ENSEMBLE),
            key=lambda name: drafts[name].members[0].trial.loss(self.metric),
        )
        if drafts.get(ENSEMBLE) is not None:
            needed = {member.name: member for member in drafts[ENSEMBLE].members}
        else:
            needed = {}
        for name in singles[:1]:
            needed[name] = drafts[name].members[0]
        others = {name: drafts[name].members[0] for name in singles[1:] if name not in needed}
        if self.finals.deadline.left == float("inf"):
            needed |= others
            others = {}
        self.finals.fit([self._order(contender) for contender in needed.values()], self.pool)
        for contender in others.values():
            order = self._order(contender)
            if order.seconds <= SPARE * self.finals.deadline.left:
                self.finals.fit([order], self.pool)

    def _order(self, contender: Contender) -> Order:
        trial = contender.trial
        few = self.arena.rows < ENOUGH * len(self.finals.table.y)
        return Order(
            contender.name,
            contender.final,
            self._seconds(trial),
            recipe=self.arena.matrices.recipes.get(trial.entrant.encoding),
            anew=trial.entrant if few else None,
            further=self._further(contender),
        )

    def _further(self, contender: Contender) -> Entrant | None:
        """What is fitted on all rows where those in memory are a sample of them."""
        everyone = self.finals.everyone
        return None if everyone is None else contender.final_on(everyone.rows)

    def _broken(self, draft: Draft | None) -> str:
        """Why a blend cannot be made, empty if it can."""
        for member in () if draft is None else draft.members:
            error = self.finals.made[member.name].attempt.error
            if error:
                return f"{member.name}: {error}"
        return ""

    def _blend(self, draft: Draft) -> Blend | None:
        fits = [self.finals.made.get(member.name) for member in draft.members]
        members = [
            member_of(contender.name, fit, weight)
            for contender, fit, weight in zip(draft.members, fits, draft.weights, strict=True)
            if fit is not None and fit.attempt.fitted is not None
        ]
        if len(members) < len(draft.members):
            return None
        return Blend(
            self.arena.table.task,
            tuple(members),
            draft.calibration,
            draft.threshold,
            self._residuals(draft),
        )

    def _residuals(self, draft: Draft) -> Proba | None:
        table = self.arena.table
        return table.y - draft.oof[:, 0] if table.task.kind == "regression" else None

    def _results(self, drafts: dict[str, Draft]) -> tuple[CandidateResult, ...]:
        found = [self._result(place) for place in range(len(self.standings.trials))]
        if self.ensemble is not None:
            found.append(self._ensemble_result(drafts[ENSEMBLE], self.ensemble))
        return tuple(found)

    def _result(self, place: int) -> CandidateResult:
        """A candidate's result: that of its best trial on the most rows it was tried on."""
        every = (self.standings, *reversed(self.earlier))
        last = next(each for each in every if each.trials[place])
        name = last.trials[place][0].entrant.name
        best = next((item for item in self.contenders if item.name == name), None)
        ranked = last.ranked(place) or last.trials[place]
        trial = ranked[0] if best is None else best.trial
        tried = [item for each in every for item in each.trials[place]]
        final = self.finals.made.get(name)
        error = self._error(trial, final, contends=best is not None)
        fitted = None if final is None else final.attempt.fitted
        entrant = trial.entrant if final is None else final.entrant
        scores = trial.scores
        notes = [note for attempt in trial.made for note in attempt.notes]
        notes += () if final is None else final.attempt.notes
        seconds = sum(item.seconds for item in tried)
        return CandidateResult(
            name=name,
            algorithm=entrant.algorithm.name,
            params=entrant.params,
            status=_status(trial, final, error),
            error=error,
            cv=spread(scores),
            folds=scores,
            oof=None if best is None or error else best.oof,
            sample=self.arena.sample,
            rounds=None if fitted is None else fitted.rounds,
            seconds=seconds + (0.0 if final is None else final.attempt.seconds),
            notes=tuple(dict.fromkeys(notes)),
            recipe=None if error or final is None else final.recipe,
            fitted=None if error else fitted,
            tuned=entrant.tuned,
            trials=len(tried),
        )

    def _error(self, trial: Trial, final: FinalFit | None, *, contends: bool) -> str:
        if trial.error:
            return trial.error
        if final is not None:
            return final.attempt.error
        if not contends and trial.status == "pruned":
            return f"given up after {len(trial.scores)} folds: far behind, and dear"
        if not contends and trial.status != "finished":
            return NO_TIME
        return ""

    def _ensemble_result(self, draft: Draft, ensemble: Ensemble) -> CandidateResult:
        """The ensemble's result; its metric is that of weights chosen on the other folds."""
        raw = draft.oof
        folds = [dict(scores) for scores in fold_scores(raw, self.arena.table.y, self.arena.folds)]
        if len(ensemble.scores) == len(folds):
            for scores, honest in zip(folds, ensemble.scores, strict=True):
                scores[self.metric] = honest
        weights = {
            member.name: weight for member, weight in zip(draft.members, draft.weights, strict=True)
        }
        return CandidateResult(
            name=ENSEMBLE,
            algorithm=ENSEMBLE,
            params={"weights": weights},
            status="ok",
            cv=spread(folds),
            folds=tuple(folds),
            oof=raw,
            sample=self.arena.sample,
            seconds=sum(self.finals.made[name].attempt.seconds for name in weights),
        )


def _status(trial: Trial, final: FinalFit | None, error: str) -> Literal["ok", "failed", "dropped"]:
    """A candidate that there was no time for, or that was far behind, has not failed."""
    if not error:
        return "ok"
    faulty = trial.error or (final is not None and final.attempt.error)
    return "failed" if faulty else "dropped"
