"""What each model of the past did in each later period: worked out when asked for, once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ratchet.backtest.matrix import Matrix
from ratchet.backtest.stream import Stream
from ratchet.evaluation.measures import row_losses
from ratchet.evaluation.scored import Scored, scored_rows
from ratchet.monitoring.cohorts import FEWEST
from ratchet.monitoring.weighing import Reading, read_metric

Floats = npt.NDArray[np.float64]

_SURE = 1e-7


class Cells:
    """The models of a stream, and what they did.

    Attributes:
        stream: the rows.
        metric: what models are made for, as ``training.metric``.
        watched: what monitoring looks at, as ``monitoring.metric``.
        loss: what adds up over rows: ``log_loss``, or ``squared_error`` of numbers.
    """

    def __init__(
        self,
        stream: Stream,
        matrix: Matrix,
        metric: str,
        *,
        watched: str | None = None,
        confidence: float = 0.95,
    ) -> None:
        self.stream, self.metric, self.watched = stream, metric, watched or metric
        self.fits = matrix.fits
        self.loss = "squared_error" if stream.task.kind == "regression" else "log_loss"
        self._confidence = confidence
        self._readings: dict[tuple[int, int, int, str], Reading | None] = {}
        self._losses: dict[int, Floats] = {}
        self._right: dict[int, Floats] = {}

    def proba(self, point: int, start: int, stop: int) -> Floats:
        """Scores (stop - start, k) that a model gives rows it never saw."""
        fit = self.fits[point]
        if start < fit.cut:
            raise ValueError(f"the model of period {point} has learned from row {start}")
        scores = np.asarray(fit.scores[start - fit.cut : stop - fit.cut], dtype=np.float64)
        if self.stream.task.kind == "binary":
            # Kept in 32 bits, a score within 3e-8 of 1 has become 1.
            sure = np.clip(scores, _SURE, 1.0 - _SURE)
            return np.column_stack([1.0 - sure, sure])
        return scores.reshape(len(scores), -1)

    def scored(self, point: int, start: int, stop: int) -> Scored:
        """Rows with their labels and a model's scores."""
        y = self.stream.y[start:stop]
        proba = self.proba(point, start, stop)
        return scored_rows(y, proba, task=self.stream.task, threshold=self.fits[point].threshold)

    def reading(self, point: int, start: int, stop: int, metric: str) -> Reading | None:
        """A metric of a model on some rows; None where it has no value."""
        key = (point, start, stop, metric)
        if key not in self._readings:
            found = None
            if stop - start >= FEWEST:
                rows = self.scored(point, start, stop)
                found = read_metric(rows, metric, np.ones(rows.rows), confidence=self._confidence)
            self._readings[key] = found
        return self._readings[key]

    def in_period(self, point: int, period: int, metric: str) -> Reading | None:
        """The same of all rows of a period."""
        rows = self.stream.rows_of(period)
        return self.reading(point, rows.start, rows.stop, metric)

    def losses(self, point: int) -> Floats:
        """The summed loss of a model in every period (periods,); NaN where it did not exist."""
        if point not in self._losses:
            self._losses[point] = self._sums(point, self._row_losses)
        return self._losses[point]

    def right(self, point: int) -> Floats:
        """How many decisions of a model were right in every period, likewise."""
        if point not in self._right:
            self._right[point] = self._sums(
                point, lambda rows: (rows.predicted == rows.y).astype(np.float64)
            )
        return self._right[point]

    def _row_losses(self, rows: Scored) -> Floats:
        if self.loss == "squared_error":
            return np.square(rows.errors)
        found: Floats = row_losses(rows, "log_loss")
        return found

    def _sums(self, point: int, of_rows: object) -> Floats:
        stream = self.stream
        made = np.full(stream.periods, np.nan)
        start = int(stream.bounds[point + 1])
        if start == stream.rows:
            return made
        values = of_rows(self.scored(point, start, stream.rows))  # type: ignore[operator]
        total = np.concatenate([[0.0], np.cumsum(values)])
        edges = stream.bounds[point + 1 :] - start
        made[point + 1 :] = total[edges[1:]] - total[edges[:-1]]
        return made


def served_rows(stream: Stream) -> npt.NDArray[np.int64]:
    """Rows of each period that is answered (served periods,)."""
    counts = np.diff(stream.bounds)
    return counts[stream.first + 1 :]


def path_of(stream: Stream, changes: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Which model answers each served period.

    Args:
        stream: the rows.
        changes: (after which period, the model of which point), in order.
    """
    path, serving, waiting = [], stream.first, list(changes)
    for period in stream.served:
        while waiting and waiting[0][0] < period:
            serving = waiting.pop(0)[1]
        path.append(serving)
    return tuple(path)
