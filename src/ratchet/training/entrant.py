"""A candidate made ready: complete parameters, and the encoding it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ratchet.data.task import Task
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.catalogue import Candidate
from ratchet.training.algorithms.port import EARLY_STOPPING, Algorithm


@dataclass(frozen=True, slots=True, eq=False)
class Entrant:
    """A candidate as it trains. ``usual_rounds`` are for when nothing can stop it early.

    ``tuned`` is what a search changed in its defaults. ``saved`` is a model it goes on from,
    which has ``known_rounds``.
    """

    name: str
    algorithm: Algorithm
    params: Mapping[str, Any]
    encoding: Encoding
    usual_rounds: int | None
    tuned: Mapping[str, Any] = field(default_factory=dict)
    saved: bytes | None = None
    known_rounds: int = 0

    @property
    def stops_early(self) -> bool:
        """Whether it wants rows that tell it when to stop."""
        return bool(self.params.get(EARLY_STOPPING))

    def settle(self, rounds: int | None) -> Entrant:
        """The same with fixed rounds (its usual ones if None) and nothing to stop it."""
        parameter = self.algorithm.rounds_parameter
        if parameter is None:
            return self
        fixed = {parameter: rounds or self.usual_rounds, EARLY_STOPPING: 0}
        return replace(self, params={**self.params, **fixed})


def enter(
    candidate: Candidate,
    task: Task,
    rows: int,
    features: int,
    *,
    cross_validated: bool,
    tuned: Mapping[str, Any] | None = None,
) -> Entrant:
    """Defaults for data of this size, changed by ``tuned``, overridden by the user's parameters.

    Rounds that the user gives are trained in full unless ``early_stopping_rounds`` is given too;
    without cross-validation nothing can stop them early.
    """
    algorithm = candidate.algorithm
    given = candidate.params
    changed = {name: value for name, value in (tuned or {}).items() if name not in given}
    params = {**algorithm.defaults(task, rows, features), **changed, **given}
    parameter = algorithm.rounds_parameter
    usual = algorithm.rounds(task, rows, features)
    if parameter is not None and parameter in given:
        usual = int(given[parameter])
    entrant = Entrant(
        name=candidate.name,
        algorithm=algorithm,
        params=params,
        encoding=algorithm.encoding(task, rows, features),
        usual_rounds=usual,
        tuned=changed,
    )
    fixed = parameter in given and EARLY_STOPPING not in given
    return entrant.settle(None) if fixed or not cross_validated else entrant
