"""Rows with their true classes and a model's scores, checked once, ranked at most once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError, RatchetError
from ratchet.evaluation.ranking import Ranking, rank

if TYPE_CHECKING:
    from ratchet.data.task import Task

Codes = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]

_MOST_KEPT = 20_000_000


@dataclass(frozen=True)
class Scored:
    """Labelled rows scored by one model.

    Attributes:
        y: true class codes (n,).
        proba: class scores (n, k), in the task's class order.
        predicted: class codes the model decides for (n,).
        task: the classes.
    """

    y: Codes
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
        """How many classes there are."""
        return len(self.task.classes)

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


def scored_rows(y: Codes, proba: Floats, *, task: Task, threshold: float = 0.5) -> Scored:
    """Check shapes and values, and decide.

    Args:
        y: true class codes (n,), each from 0 to k - 1.
        proba: class scores (n, k).
        task: binary or multiclass, with k classes.
        threshold: the positive class is predicted from this score on; binary only.

    Raises:
        DataError: no rows, or scores that are not finite numbers.
        RatchetError: shapes or codes that do not fit the task (a bug of the caller).
    """
    count = len(task.classes)
    if task.kind == "regression":
        raise RatchetError("A regression model has no class scores to evaluate")
    if y.ndim != 1 or proba.shape != (len(y), count):
        raise RatchetError(
            f"Scores of shape {proba.shape} do not fit {y.shape} labels and {count} classes"
        )
    if len(y) == 0:
        raise DataError(
            "There are no rows to evaluate on",
            fix="give the test part more rows: data.split.test",
        )
    if int(y.min()) < 0 or int(y.max()) >= count:
        raise RatchetError(f"Label codes must be from 0 to {count - 1}")
    proba = np.asarray(proba, dtype=np.float64)
    if not np.isfinite(proba).all():
        broken = int((~np.isfinite(proba).all(axis=1)).sum())
        raise DataError(
            f"The model's scores of {broken} of {len(y)} rows are not finite numbers",
            why="a model that divides by zero or overflows cannot be measured",
            fix="leave the algorithm out, or scale the features",
        )
    return Scored(y, proba, decide(proba, threshold), task)
