"""Which candidate gets the next trial.

The estimated cost for improvement of FLAML (Wang, Wu, Weimer & Zhu, "FLAML: A Fast and Lightweight
AutoML Library", MLSys 2021, section 4.2): what a candidate has to spend to get better than it is,
judged by what it has spent since it last got better; and, if it is behind, to catch up, judged by
how fast it has improved. A candidate is drawn with a chance inverse to it. Unlike there, a part of
the chances is kept for all that are within chance of the best, so that they share a part of the
time: an ensemble lives from good models that differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESERVED = 0.3
"""The share of chances that is kept for all within chance of the best, inverse to their costs."""


@dataclass(slots=True)
class Account:
    """What a candidate has spent, and what that brought.

    ``spent`` in all, ``at_best`` when its best was found, ``at_second`` when the best before that;
    losses likewise. The unit is seconds, or trials where the clock must have no say.
    """

    trials: int = 0
    spent: float = 0.0
    at_best: float = 0.0
    at_second: float = 0.0
    best: float = math.inf
    second: float = math.inf

    def book(self, cost: float, loss: float) -> None:
        """Enter a trial."""
        self.trials += 1
        self.spent += cost
        if loss < self.best:
            self.at_second, self.second = self.at_best, self.best
            self.at_best, self.best = self.spent, loss

    @property
    def each(self) -> float:
        """What one of its trials costs."""
        return self.spent / max(1, self.trials)

    def cost_for_improvement(self, gap: float, noise: float) -> float:
        """FLAML's ECI of a candidate whose best is ``gap`` behind the leader's.

        One that has never improved yet is taken to win ``noise`` for all that it has spent.
        """
        better = max(self.spent - self.at_best, self.at_best - self.at_second)
        if gap <= 0:
            return better
        won, within = self.second - self.best, self.spent - self.at_second
        if not math.isfinite(won) or won <= 0:
            won = max(noise, 1e-12)
        return max(better, gap / won * within)


def choose_account(
    accounts: Mapping[int, Account],
    gaps: Mapping[int, tuple[float, float]],
    noise: float,
    rng: np.random.Generator,
) -> int:
    """One of the accounts, by its cost for improvement; ``gaps`` with their standard errors."""
    names: Sequence[int] = sorted(accounts)
    costs = np.array([accounts[name].cost_for_improvement(gaps[name][0], noise) for name in names])
    chances = 1.0 / np.maximum(costs, 1e-9)
    chances /= chances.sum()
    close = np.array(
        [(gaps[name][0] <= gaps[name][1]) / max(1e-9, accounts[name].each) for name in names]
    )
    if close.any():
        chances = (1 - RESERVED) * chances + RESERVED * close / close.sum()
    return int(names[int(rng.choice(len(names), p=chances / chances.sum()))])
