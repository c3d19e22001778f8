"""When boosting ends before its last round: at its deadline, or when more rounds stop helping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from ratchet.training.algorithms.port import EARLY_STOPPING
from ratchet.training.deadline import Deadline

AUTO: Final = "auto"


def patience_of(params: Mapping[str, Any]) -> int | str:
    """``early_stopping_rounds`` of ``params``: a number of rounds, 0 for never, or ``auto``."""
    given = params.get(EARLY_STOPPING, 0)
    return AUTO if given == AUTO else int(given or 0)


class RoundWatch:
    """Told of every round, says when to stop.

    ``auto`` waits for better rounds in proportion to what they can bring: 1 / learning rate
    rounds, at least 20 (the loss can fall by about as much in twice the rounds at half the rate),
    and a tenth of the rounds that were needed so far, since long curves are flat.
    """

    def __init__(self, deadline: Deadline, patience: int | str, rate: float) -> None:
        self._deadline, self._patience = deadline, patience
        self._least = max(20, round(1 / rate))
        self.rounds = self.best = 0
        self._lowest = math.inf

    def stops(self, loss: float | None) -> bool:
        """Whether the round that just ended, with this validation loss, is the last.

        Raises:
            StoppedError: the deadline passed, and half a model is of no use.
        """
        self.rounds += 1
        if loss is not None and loss < self._lowest:
            self.best, self._lowest = self.rounds, loss
        if self._deadline.over:
            self._deadline.check()
            return True
        return loss is not None and self.rounds - self.best >= self._wait()

    def _wait(self) -> int:
        if isinstance(self._patience, int):
            return self._patience
        return self._least + self.best // 10
