"""All training rows, where they are too many for memory and a search sees a sample of them.

Recipes are learned on the sample. Algorithms that read their rows in pieces are fitted on all rows:
these are encoded piece by piece into a file. The others are fitted on the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.features.recipe import Recipe
from ratchet.training.fitted import Targets, TrainingRows
from ratchet.training.folds import Positions
from ratchet.training.matrix_file import MatrixFile

HELD_BACK = 0.02
MOST_HELD_BACK = 100_000
"""Rows that only tell boosting when to stop: a share of all, and never more than so many."""


@dataclass(frozen=True, slots=True, eq=False)
class AllRows:
    """Every training row, and how to read them.

    Attributes:
        y: class codes or numbers (n,).
        sample: positions of the rows (m,) that are in memory, ascending.
        pieces: reads the raw rows from the first to the last, some at a time.
        folder: where encoded rows may lie meanwhile.
        memory: bytes that training may take.
        weight: of each row (n,), or None.
        ordered: whether rows are alike their neighbours in time or group, so that none of them
            can say how well the others are learned.
    """

    y: Targets
    sample: Positions
    pieces: Callable[[], Iterator[pl.DataFrame]]
    folder: Path
    memory: int
    weight: npt.NDArray[np.float32] | None = None
    ordered: bool = False

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.y)

    def choose(self, wanted: int, *, hold_back: bool, seed: int) -> Selection:
        """The sample and others, ``wanted`` in all; some others that are held back if asked for."""
        state = np.full(self.rows, _LEFT, dtype=np.uint8)
        others = np.ones(self.rows, dtype=np.bool_)
        others[self.sample] = False
        free = np.flatnonzero(others)
        missing = min(len(free), max(0, wanted - len(self.sample)))
        state[self.sample] = _LEARN
        lot = np.random.default_rng(seed)
        if missing == len(free):
            state[free] = _LEARN
        else:
            state[lot.choice(free, missing, replace=False, shuffle=False)] = _LEARN
        if hold_back and not self.ordered:
            most = min(MOST_HELD_BACK, int(HELD_BACK * wanted), len(free) // 2)
            state[lot.choice(free, most, replace=False, shuffle=False)] = _WATCH
        return Selection(self, state)


_LEFT, _LEARN, _WATCH = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What each of all the rows is for, as ``AllRows.choose`` says (n,)."""

    everyone: AllRows
    state: npt.NDArray[np.uint8]

    @property
    def rows(self) -> int:
        """How many are learned from."""
        return int((self.state == _LEARN).sum())

    def encode(
        self, recipe: Recipe, known: TrainingRows, file: MatrixFile
    ) -> tuple[TrainingRows, TrainingRows | None]:
        """The rows to learn from, in ``file``, and those held back, in memory; None without any.

        Args:
            recipe: was learned on the sample.
            known: the sample as it was encoded then: in a target-encoded column each row has what
                was learned without it.
            file: an empty one.

        Raises:
            OSError: the disk is full, or fails.
        """
        places = np.full(len(self.state), -1, dtype=np.int32)
        places[self.everyone.sample] = np.arange(len(known.y), dtype=np.int32)
        watched = []
        start = 0
        for piece in self.everyone.pieces():
            state = self.state[start : start + piece.height]
            place = places[start : start + piece.height]
            start += piece.height
            if not state.any():
                continue
            if not state.all():
                used = state != _LEFT
                piece, place, state = piece.filter(pl.Series(used)), place[used], state[used]
            matrix = recipe.matrix(piece)
            inside = np.flatnonzero(place >= 0)
            matrix[inside] = known.X[place[inside]]
            watch = state == _WATCH
            if watch.any():
                watched.append(matrix[watch])
                matrix = matrix[~watch]
            file.append(matrix)
        learn = self._rows(_LEARN, known)
        filed = replace(learn, file=file, cache={})
        if not watched:
            return filed, None
        return filed, replace(self._rows(_WATCH, known), X=np.concatenate(watched))

    def _rows(self, state: int, known: TrainingRows) -> TrainingRows:
        chosen = self.state == state
        weight = self.everyone.weight
        return replace(
            known,
            X=np.empty((0, known.X.shape[1]), dtype=np.float32),
            y=self.everyone.y[chosen],
            weight=None if weight is None else weight[chosen],
            cache=None,
        )
