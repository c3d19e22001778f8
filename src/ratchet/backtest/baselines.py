"""What a policy is held against: the best schedule in hindsight, and knowing nothing but the last.

The oracle knows every later loss. For each number of retrainings it gives the least loss that any
schedule of so many could have had, by dynamic programming over (last training, period): no cost
of a retraining has to be guessed for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratchet.backtest.cells import Cells
from ratchet.backtest.stream import Stream

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Oracle:
    """The best schedules in hindsight.

    Attributes:
        losses: least summed loss with exactly so many retrainings (most + 1,).
        choices: which model served each period, for each number of retrainings.
    """

    losses: Floats
    choices: tuple[tuple[int, ...], ...]

    def within(self, retrainings: int) -> int:
        """The number of retrainings, of at most so many, with the least loss."""
        most = min(retrainings, len(self.losses) - 1)
        return int(np.argmin(self.losses[: most + 1]))

    def cheapest(self, cost: float) -> int:
        """The number of retrainings with the least loss and cost together."""
        return int(np.argmin(self.losses + cost * np.arange(len(self.losses))))


def loss_table(cells: Cells) -> Floats:
    """Summed loss of the model of each point (points,) in each served period (periods,)."""
    stream = cells.stream
    table = np.full((len(stream.points), len(stream.served)), np.inf)
    for row, point in enumerate(stream.points):
        table[row, row:] = cells.losses(point)[point + 1 :]
    return table


def best_schedules(table: Floats, first: int) -> Oracle:
    """The oracle of a table of losses (models, periods).

    Model i can serve from period i on; each retraining takes the newest model. The first model is
    there without one.

    Args:
        table: losses; infinite where a model did not exist yet.
        first: the training point of the first model.
    """
    models, periods = table.shape
    # sums[i, u]: loss of model i from when it was made up to and with period u.
    sums = np.zeros((models, periods))
    for model in range(models):
        sums[model, model:] = np.cumsum(table[model, model:])
    # best[k, u]: least loss up to period u - 1 after k retrainings, the next model being u's.
    best = np.full((periods + 1, periods + 1), np.inf)
    came = np.full((periods + 1, periods + 1), -1, dtype=np.int64)
    best[0, 0] = 0.0
    for stretch in range(1, periods + 1):
        for end in range(stretch, periods + 1):
            starts = np.arange(stretch - 1, min(end, models))
            total = best[stretch - 1, starts] + sums[starts, end - 1]
            chosen = int(np.argmin(total))
            best[stretch, end], came[stretch, end] = total[chosen], starts[chosen]
    choices = (_walk(came, stretch, periods, first) for stretch in range(1, periods + 1))
    return Oracle(best[1:, periods].copy(), tuple(choices))


def _walk(came: npt.NDArray[np.int64], stretches: int, periods: int, first: int) -> tuple[int, ...]:
    path = [0] * periods
    end = periods
    for stretch in range(stretches, 0, -1):
        start = int(came[stretch, end])
        for period in range(start, end):
            path[period] = first + start
        end = start
    return tuple(path)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Saying the last label again: what needs no model at all.

    Attributes:
        at_once: share of right answers if each label were known at once.
        delayed: ... with the newest label that is known when the row is answered.
        commonest: ... of always saying the class that was most frequent at the first training.
    """

    at_once: float
    delayed: float
    commonest: float


def no_change(stream: Stream) -> Unchanged | None:
    """How often the last label is right, over the served rows; None for numbers."""
    if stream.task.kind == "regression":
        return None
    y = np.asarray(stream.y)
    start = int(stream.bounds[stream.first + 1])
    rows = np.arange(start, stream.rows)
    delay = int(stream.delay.total_seconds() * 1e6)
    newest = np.searchsorted(stream.at, stream.at[rows] - delay, side="right") - 1
    newest = np.minimum(newest, rows - 1)
    usual = int(np.bincount(y[: stream.known(stream.first)]).argmax())
    return Unchanged(
        float((y[rows] == y[rows - 1]).mean()),
        float((y[rows] == y[np.maximum(newest, 0)]).mean()),
        float((y[rows] == usual).mean()),
    )
