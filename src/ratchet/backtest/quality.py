"""How well a path of models answered, period by period, and whether two paths differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from ratchet.backtest.cells import Cells, served_rows
from ratchet.evaluation.catalog import find_metric

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """What a path of models did.

    Attributes:
        metric: of each served period (periods,); NaN where it has no value.
        losses: summed loss of each period (periods,).
        rows: rows of each period (periods,).
        right: right decisions of each period; None for numbers.
    """

    metric: Floats
    losses: Floats
    rows: Floats
    right: Floats | None

    @property
    def value(self) -> float:
        """The metric: the mean over periods, by rows."""
        known = np.isfinite(self.metric)
        if not known.any():
            return float("nan")
        return float(np.average(self.metric[known], weights=self.rows[known]))

    @property
    def loss(self) -> float:
        """The loss of a row."""
        return float(self.losses.sum() / self.rows.sum())

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions; None for numbers."""
        return None if self.right is None else float(self.right.sum() / self.rows.sum())


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one path is than another, over the same periods; positive is better.

    Attributes:
        value: the mean difference.
        se: its standard error; neighbouring periods may be alike.
        periods: compared.
    """

    value: float
    se: float
    periods: int

    @property
    def z(self) -> float:
        """Standard errors by which it is not nothing; 0 for equal paths."""
        if self.se > 0:
            return self.value / self.se
        return 0.0 if self.value == 0 else float("inf") * (1 if self.value > 0 else -1)


def quality_of(cells: Cells, path: Sequence[int]) -> Quality:
    """What a path did: the model of each served period, by training point."""
    stream = cells.stream
    metric, losses, right = [], [], []
    for period, point in zip(stream.served, path, strict=True):
        reading = cells.in_period(point, period, cells.metric)
        metric.append(np.nan if reading is None else reading.value)
        losses.append(cells.losses(point)[period])
        if stream.task.kind != "regression":
            right.append(cells.right(point)[period])
    return Quality(
        np.array(metric),
        np.array(losses),
        served_rows(stream).astype(np.float64),
        np.array(right) if right else None,
    )


def better_by_metric(name: str, new: Quality, old: Quality) -> Difference:
    """The paired difference of the metric."""
    sign = find_metric(name).sign
    return paired(sign * (new.metric - old.metric), new.rows)


def better_by_loss(new: Quality, old: Quality) -> Difference:
    """The paired difference of the loss of a row."""
    with np.errstate(invalid="ignore"):
        return paired((old.losses - new.losses) / np.maximum(new.rows, 1), new.rows)


def paired(differences: Floats, rows: Floats) -> Difference:
    """The mean of the periods' differences by rows, and its standard error.

    Neighbouring periods are served by the same models and so are not independent: covariances up
    to the cube root of the number of periods apart are added, each weighted down by its distance
    (Newey and West, *Econometrica* 55 (1987) 703). Never less than the independent one.
    """
    known = np.isfinite(differences) & (rows > 0)
    count = int(known.sum())
    if count < 2:
        return Difference(float(differences[known].sum()), float("inf"), count)
    weight = rows[known] / rows[known].sum()
    mean = float(weight @ differences[known])
    parts = weight * (differences[known] - mean)
    alone = float(parts @ parts)
    total, reach = alone, round(count ** (1 / 3))
    for lag in range(1, min(reach, count - 1) + 1):
        total += 2 * (1 - lag / (reach + 1)) * float(parts[lag:] @ parts[:-lag])
    return Difference(mean, sqrt(max(total, alone) * count / (count - 1)), count)
