"""What an answer cost, given what became of it: one number a row, so that rows can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Answers:
    """Answers of one version, and what became of them.

    Attributes:
        classes: in the order of the scores; none for regression.
        scores: (n, k); (n, 1) for regression.
        decided: the number of the class that was decided, (n,); -1 where it is no class.
        outcome: the number of the true class, (n,), -1 where it is no class; for regression the
            true number, NaN where there is none.
    """

    classes: tuple[Any, ...]
    scores: Floats
    decided: npt.NDArray[np.int64]
    outcome: Floats

    @classmethod
    def of(cls, rows: pl.DataFrame, classes: Sequence[Any]) -> Answers:
        """From rows with ``scores``, ``label`` and ``outcome`` as the lake has them."""
        width = len(classes) or 1
        scores = np.full((rows.height, width), np.nan)
        flat = rows["scores"].list
        for place in range(width):
            scores[:, place] = flat.get(place, null_on_oob=True).cast(pl.Float64).to_numpy()
        if not classes:
            told = rows["outcome"].cast(pl.Float64, strict=False).to_numpy()
            return cls((), scores, np.full(rows.height, -1), told)
        return cls(
            tuple(classes),
            scores,
            _numbers(rows["label"], classes),
            _numbers(rows["outcome"], classes).astype(float),
        )

    def in_order(self, classes: Sequence[Any]) -> Floats:
        """The scores in the order of other classes, NaN for one that this version does not know."""
        if not self.classes:
            return self.scores
        places = [self.classes.index(each) if each in self.classes else -1 for each in classes]
        padded = np.column_stack([self.scores, np.full(len(self.scores), np.nan)])
        return np.asarray(padded[:, places])


def losses_of(answers: Answers, loss: str) -> Floats:
    """The loss of each row, (n,): the lower, the better; NaN where it cannot be told.

    Args:
        loss: ``brier`` (for two classes that of the positive one, for more their sum), ``error``,
            ``absolute_error``, ``squared_error``; ``auto`` is brier or absolute_error.
    """
    if not answers.classes:
        away = np.asarray(answers.scores[:, 0] - answers.outcome)
        return np.asarray(away**2 if loss == "squared_error" else np.abs(away))
    known = answers.outcome >= 0
    if loss == "error":
        found = (answers.decided != answers.outcome).astype(float)
    else:
        truth = answers.outcome[:, None] == np.arange(len(answers.classes))
        squares = (answers.scores - truth) ** 2
        found = squares[:, 1] if len(answers.classes) == 2 else squares.sum(axis=1)
    return np.where(known, found, np.nan)


def _numbers(texts: pl.Series, classes: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The numbers of the classes that JSON texts name; -1 for what is none, and for null."""
    known: dict[str, int] = {}
    for text in texts.drop_nulls().unique():
        value = msgspec.json.decode(text)
        same = [
            place
            for place, each in enumerate(classes)
            if each == value and isinstance(each, bool) == isinstance(value, bool)
        ]
        if same:
            known[text] = same[0]
    found = texts.replace_strict(known, default=-1, return_dtype=pl.Int64) if known else None
    if found is None:
        return np.full(len(texts), -1)
    return found.fill_null(-1).to_numpy()
