"""What is known of configurations from before, or from other processes of the same search."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ratchet import clock
from ratchet.training.deadline import NEVER
from ratchet.training.results import TrialRecord
from ratchet.training.search.arena import Arena
from ratchet.training.search.standings import KEPT_SCORES, Standings
from ratchet.training.search.store import SearchStore
from ratchet.training.search.trial import Trial, recorded_trial, trial_key

LISTEN_SECONDS = 5.0
"""How often other processes' trials are asked for."""


class Archive:
    """The trials of one arena that are over, by key; with a ``store``, those of others too.

    Safe for several threads as far as single calls go.
    """

    def __init__(
        self,
        arena: Arena,
        metric: str,
        store: SearchStore | None,
        recorded: Sequence[TrialRecord],
    ) -> None:
        self.arena = arena
        self.metric = metric
        self.store = store
        self._records = self._own(recorded)
        self._asked = clock.monotonic()

    def recall(self, trial: Trial) -> None:
        """Give the trial what came of its configuration before, if it was tried."""
        record = self._records.get(trial.key)
        if record is None:
            return
        known = recorded_trial(record, trial.number, trial.candidate, trial.entrant)
        trial.attempts, trial.status = known.attempts, known.status
        trial.started = record.started

    def keep(self, trial: Trial) -> None:
        """Keep a trial that is over. A stopped one is not: it may be tried with more time."""
        if self.store is None or trial.status == "stopped" or trial.key in self._records:
            return
        oof = trial.oof(self.arena.folds) if trial.status == "finished" else None
        record = trial.record(self.metric)
        self.store.save(record, trial.key, oof)
        self._records[trial.key] = record

    def listen(self) -> bool:
        """Ask for other processes' trials, every now and then; whether it did."""
        if self.store is None or clock.monotonic() - self._asked < LISTEN_SECONDS:
            return False
        self._asked = clock.monotonic()
        self._records = {**self._own(self.store.load()), **self._records}
        return True

    def unknown(self, keys: Collection[str]) -> list[TrialRecord]:
        """The records of trials that are not among these."""
        return [record for key, record in self._records.items() if key not in keys]

    def return_scores(self, standings: Standings) -> None:
        """Give the best trials from before, or from other processes, their out-of-fold scores.

        Each candidate's best has to have them: where they are not at hand it is tried again.
        """
        for candidate in range(len(standings.trials)):
            for place, trial in enumerate(standings.ranked(candidate)[:KEPT_SCORES]):
                if trial.oof(self.arena.folds) is None and not self._returned(trial) and not place:
                    for number in range(len(self.arena.folds)):
                        trial.attempts[number] = self.arena.try_fold(trial, number, NEVER)

    def _returned(self, trial: Trial) -> bool:
        oof = None if self.store is None else self.store.oof(trial.key)
        if oof is None or len(oof) != self.arena.rows:
            return False
        trial.take_scores(oof, self.arena.folds)
        return True

    def _own(self, records: Sequence[TrialRecord]) -> dict[str, TrialRecord]:
        """Those that were tried on as many rows."""
        return {
            trial_key(record.candidate, record.tuned, record.rows): record
            for record in records
            if record.rows == self.arena.rows and record.metric == self.metric
        }
