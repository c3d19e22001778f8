"""Rows with their labels and a model's scores, checked once, ranked at most once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError, RatchetError
from ratchet.evaluation.ranking import Ranking, rank

if TYPE_CHECKING:
    from ratchet.data.task import Task

Codes = npt.NDArray[np.integer]
Targets = npt.NDArray[Any]
"""Class codes (n,), or for regression the values float64 (n,)."""
Floats = npt.NDArray[np.float64]

_MOST_KEPT = 20_000_000


@dataclass(frozen=True)
class Scored:
    """Labelled rows scored by one model.

    Attributes:
        y: true class codes (n,); the true values for regression.
        proba: class scores (n, k), in the task's class order; estimates (n, 1) for regression.
        predicted: class codes the model decides for (n,); none (0,) for regression.
        task: the kind of prediction and its classes.
    """

    y: Targets
    proba: Floats
    predicted: Codes
    task: Task
    _rankings: dict[int, Ranking] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.y)

    @property
    def classes(self) -> int:
        """How many classes there are; 0 for regression."""
        return len(self.task.classes)

    @property
    def errors(self) -> Floats:
        """Estimate less true value (n,); regression only."""
        errors: Floats = self.proba[:, 0] - self.y
        return errors

    def ranking(self, code: int) -> Ranking:
        """The rows ranked by their score for class ``code``; kept while they are few."""
        ranking = self._rankings.get(code)
        if ranking is None:
            ranking = rank(self.y == code, self.proba[:, code])
            if self.rows * self.classes <= _MOST_KEPT:
                self._rankings[code] = ranking
        return ranking


def decide(proba: Floats, threshold: float) -> Codes:
    """The class codes a model decides for (n,).

    Two classes: positive when its score is at least ``threshold``. More: the highest score, the
    first of equal ones.
    """
    if proba.shape[1] == 2:
        return (proba[:, 1] >= threshold).astype(np.int32)
    highest: Codes = np.argmax(proba, axis=1).astype(np.int32)
    return highest


def scored_rows(y: Targets, proba: Floats, *, task: Task, threshold: float | None = 0.5) -> Scored:
    """Check shapes and values, and decide.

    Args:
        y: true class codes (n,), each from 0 to k - 1; for regression finite values (n,).
        proba: class scores (n, k); for regression estimates (n, 1).
        task: with k classes; none for regression.
        threshold: the positive class is predicted from this score on; binary only, 0.5 when None.

    Raises:
        DataError: no rows, or scores that are not finite numbers.
        RatchetError: shapes or codes that do not fit the task (a bug of the caller).
    """
    count = len(task.classes)
    if y.ndim != 1 or proba.shape != (len(y), task.outputs):
        raise RatchetError(
            f"Scores of shape {proba.shape} do not fit {y.shape} labels and {count} classes"
        )
    if len(y) == 0:
        raise DataError(
            "There are no rows to evaluate on",
            fix="give the test part more rows: data.split.test",
        )
    proba = np.asarray(proba, dtype=np.float64)
    if not np.isfinite(proba).all():
        broken = int((~np.isfinite(proba).all(axis=1)).sum())
        raise DataError(
            f"The model's scores of {broken} of {len(y)} rows are not finite numbers",
            why="a model that divides by zero or overflows cannot be measured",
            fix="leave the algorithm out, or scale the features",
        )
    if task.kind == "regression":
        values = np.asarray(y, dtype=np.float64)
        if not np.isfinite(values).all():
            raise RatchetError("The true values must be finite numbers")
        return Scored(values, proba, np.empty(0, dtype=np.int32), task)
    if int(y.min()) < 0 or int(y.max()) >= count:
        raise RatchetError(f"Label codes must be from 0 to {count - 1}")
    return Scored(y, proba, decide(proba, 0.5 if threshold is None else threshold), task)
