"""What an algorithm has to offer to be a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.space import Space
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows

EARLY_STOPPING = "early_stopping_rounds"
"""The parameter, common to all boosted algorithms, that ends training when nothing improves."""

ALL_TASKS: Final[frozenset[TaskKind]] = frozenset(("binary", "multiclass", "regression"))
CLASSES: Final[frozenset[TaskKind]] = frozenset(("binary", "multiclass"))
NUMBERS: Final[frozenset[TaskKind]] = frozenset(("regression",))


class Algorithm(Protocol):
    """One way to learn a classifier or an estimator of numbers from encoded rows.

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

    @property
    def tasks(self) -> frozenset[TaskKind]:
        """The kinds of prediction it can learn."""
        ...

    @property
    def interruptible(self) -> bool:
        """Whether ``fit`` asks its deadline often enough to end within about a second of it.

        One that cannot be is trained in a process of its own, which is ended instead.
        """
        ...

    @property
    def continues(self) -> bool:
        """Whether ``fit`` can go on from an earlier model (``start``) with new rows."""
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

    def space(self, task: Task, rows: int, features: int) -> Space:
        """What a search varies for data of this size; empty: it is trained as it is."""
        ...

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Configurations worth trying after the defaults, the most promising first.

        Each is what differs from the defaults. They are tried before the search proper.
        """
        ...

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
        deadline: Deadline = NEVER,
        start: bytes | None = None,
    ) -> Fitted:
        """Learn from ``rows``; ``params`` are complete. ``validation`` only stops the rounds.

        ``start`` is what :meth:`save` made of an earlier model on the same encoding: training
        goes on from there.

        Raises:
            StoppedError: the deadline passed.
        """
        ...

    def save(self, fitted: Fitted) -> bytes | None:
        """The model as bytes that ``fit`` can go on from; None if it cannot."""
        ...


def streams(algorithm: Algorithm) -> bool:
    """Whether it can learn from rows that lie in a file (``TrainingRows.file``).

    An algorithm that can has an attribute ``streams`` that is true; one without it cannot.
    """
    return bool(getattr(algorithm, "streams", False))


def kept_rounds(best: int, trained: int, params: Mapping[str, Any]) -> int:
    """Rounds to keep of those trained: the best number, but not next to none.

    Where the world drifts, the latest rows may be hardly predictable, or have another base rate,
    and the loss on them rises from the first round on: on bank_marketing by time 3 rounds would
    be kept, and score .55 where 30 score .65. So at least 2 / learning rate rounds are kept, which
    cost nothing where that does not happen.
    """
    return min(trained, max(best, round(2 / float(params["learning_rate"]))))
