"""What a candidate tries next: its last winners, its portfolio, then what its tuner draws."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from ratchet.data.task import Task
from ratchet.training.algorithms.catalogue import Candidate
from ratchet.training.entrant import Entrant, enter
from ratchet.training.results import Origin
from ratchet.training.search.trial import Trial, trial_key
from ratchet.training.search.tuner import Tuner

PER_DIMENSION = 15
ANYWAY = 10
"""Trials of a candidate that are enough, per parameter that is searched, and besides."""

DRAWS = 5
"""Draws in a row that were tried before, after which nothing new is to be expected."""


class Proposals:
    """The configurations of one candidate; parameters that the user gave are never varied.

    ``rows`` and ``features`` are those of all training rows: what suits these is searched, be it
    on a sample.
    """

    def __init__(
        self,
        candidate: Candidate,
        task: Task,
        rows: int,
        features: int,
        *,
        seed: int,
        warm: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.candidate = candidate
        self._size = (task, rows, features)
        algorithm, given = candidate.algorithm, candidate.params
        self.space = tuple(
            item for item in algorithm.space(task, rows, features) if item.name not in given
        )
        self._given: deque[tuple[Origin, Mapping[str, Any]]] = deque()
        self._defaults = algorithm.defaults(task, rows, features)
        for params in warm:
            # Only what a search would vary: rounds and the like are found anew on these rows.
            varied = {item.name: params[item.name] for item in self.space if item.name in params}
            self._add("warm", varied)
        for params in algorithm.portfolio(task, rows, features):
            self._add("portfolio", params)
        self._tuner = Tuner(self.space, seed) if self.space else None
        self._seen: set[str] = set()
        self._drawn = 0
        self._most = ANYWAY + PER_DIMENSION * len(self.space)

    def _add(self, origin: Origin, params: Mapping[str, Any]) -> None:
        changed = self._changed(params)
        if changed:
            self._given.append((origin, changed))

    def _changed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Those that are not the user's, nor what they would be anyway."""
        return {
            name: value
            for name, value in params.items()
            if name not in self.candidate.params and self._defaults.get(name, _NOTHING) != value
        }

    def defaults(self) -> Entrant:
        """The defaults, with what the user gave."""
        return self.enter({})

    def enter(self, tuned: Mapping[str, Any]) -> Entrant:
        """The candidate with these parameters changed."""
        self._seen.add(trial_key(self.candidate.name, tuned, 0))
        return enter(self.candidate, *self._size, cross_validated=True, tuned=tuned)

    def warm_ones(self) -> list[Entrant]:
        """The last winners, which are tried whatever the candidate's prospects."""
        found = []
        while self._given and self._given[0][0] == "warm":
            _, params = self._given.popleft()
            if not self._known(params):
                found.append(self.enter(params))
        return found

    def propose(self) -> tuple[Entrant, Origin, Any] | None:
        """What to try next, where it is from, and what the tuner wants back; None: all is tried."""
        while self._given:
            origin, params = self._given.popleft()
            if not self._known(params):
                return self.enter(params), origin, None
        if self._tuner is None or self._drawn >= self._most:
            return None
        for _ in range(DRAWS):
            self._drawn += 1
            asked, drawn = self._tuner.ask(self._drawn)
            params = self._changed(drawn)
            if not self._known(params):
                return self.enter(params), "search", asked
            self._tuner.tell(asked, float("inf"))
        self._drawn = self._most
        return None

    def learn(self, trial: Trial, loss: float) -> None:
        """The result of a trial, as well as it is known."""
        if self._tuner is None:
            return
        if trial.asked is not None:
            self._tuner.tell(trial.asked, loss)
        else:
            self._tuner.learn(trial.entrant.params, loss)

    def _known(self, tuned: Mapping[str, Any]) -> bool:
        return trial_key(self.candidate.name, tuned, 0) in self._seen


_NOTHING = object()
