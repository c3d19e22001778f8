"""What an algorithm has to offer to be a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ratchet.data.task import Task
from ratchet.features.recipe import Encoding
from ratchet.training.fitted import Fitted, TrainingRows

EARLY_STOPPING = "early_stopping_rounds"
"""The parameter, common to all boosted algorithms, that ends training when nothing improves."""


class Algorithm(Protocol):
    """One way to learn a classifier from encoded rows.

    Promises: ``fit`` may be called from several threads at once, uses at most ``threads`` threads,
    keeps no state between calls, and gives the same model for the same rows, parameters, seed and
    threads. It raises whatever its library raises: the caller reports that as a failed candidate.
    Everything but ``fit`` works without loading the library.

    An algorithm with rounds (boosting) names their parameter in ``rounds_parameter`` and stops
    early on the ``validation`` rows it is given.
    """

    @property
    def name(self) -> str:
        """Its name in the project file."""
        ...

    @property
    def library(self) -> str:
        """The module it needs, for ``import``."""
        ...

    @property
    def extra(self) -> str:
        """The extra of ``ratchet-ml`` that installs it, empty if it always is."""
        ...

    @property
    def rounds_parameter(self) -> str | None:
        """The parameter that counts boosting rounds, if it has any."""
        ...

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under their own names; ConfigError for one it does not know."""
        ...

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """How raw columns should become numbers for it."""
        ...

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """Parameters for data of this size; with rounds: the most, and when to stop early."""
        ...

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """Rounds to train when nothing can stop it early."""
        ...

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
    ) -> Fitted:
        """Learn from ``rows``; ``params`` are complete. ``validation`` only stops the rounds."""
        ...


def kept_rounds(best: int, trained: int, params: Mapping[str, Any]) -> int:
    """Rounds to keep of those trained: the best number, but not next to none.

    Where the world drifts, the latest rows may be hardly predictable, or have another base rate,
    and the loss on them rises from the first round on: on bank_marketing by time 3 rounds would
    be kept, and score .55 where 30 score .65. So at least 2 / learning rate rounds are kept, which
    cost nothing where that does not happen.
    """
    return min(trained, max(best, round(2 / float(params["learning_rate"]))))
