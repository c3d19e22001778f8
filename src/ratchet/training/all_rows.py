"""All training rows, where they are too many for memory and a search sees a sample of them.

Recipes are learned on the sample. Algorithms that read their rows in pieces are fitted on all rows:
target means are learned anew on these, and they are encoded piece by piece into a file. The others
are fitted on the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.hashing import stable_hash
from ratchet.features.encoders.target import assign_folds
from ratchet.features.recipe import Recipe
from ratchet.features.relearn import Relearning
from ratchet.training.fitted import Matrix, Targets, TrainingRows
from ratchet.training.folds import Positions
from ratchet.training.matrix_file import MatrixFile
from ratchet.training.table import TrainingTable

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
        return Selection(self, state, seed)


_LEFT, _LEARN, _WATCH = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Filed:
    """Encoded rows: those to learn from in a file, those held back in memory, None without any.

    ``recipe`` is the one that encoded them.
    """

    recipe: Recipe
    rows: TrainingRows
    watched: TrainingRows | None


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What each of all the rows is for, as ``AllRows.choose`` says (n,)."""

    everyone: AllRows
    state: npt.NDArray[np.uint8]
    seed: int

    @property
    def rows(self) -> int:
        """How many are learned from."""
        return int((self.state == _LEARN).sum())

    def encode(
        self, recipe: Recipe, known: TrainingRows, table: TrainingTable, to: MatrixFile
    ) -> Filed:
        """The chosen rows, encoded.

        Args:
            recipe: was learned on the sample; target means are learned anew on the chosen rows.
            known: the sample as it was encoded then.
            table: the sample.
            to: an empty file.

        Raises:
            OSError: the disk is full, or fails.
        """
        relearning = self._relearning(recipe, known, table)
        folds = None
        if relearning.needed:
            folds = self._folds(relearning.folds, table)
            for places, piece in self._pieces(_LEARN):
                relearning.add(piece, _labels(self.everyone.y[places], known), folds[places])
            recipe = relearning.learned()
        watched = []
        for places, piece in self._pieces(_LEARN, _WATCH):
            matrix = (
                self._overlaid(recipe.matrix(piece), places, known)
                if folds is None
                else relearning.matrix(piece, folds[places])
            )
            watch = self.state[places] == _WATCH
            if watch.any():
                watched.append(matrix[watch])
                matrix = matrix[~watch]
            to.append(matrix)
        rows = replace(self._rows(_LEARN, known), file=to, cache={})
        if not watched:
            return Filed(recipe, rows, None)
        return Filed(recipe, rows, replace(self._rows(_WATCH, known), X=np.concatenate(watched)))

    def _pieces(self, *states: int) -> Iterator[tuple[Positions, pl.DataFrame]]:
        """The rows in these states, some at a time, with their positions among all."""
        start = 0
        for piece in self.everyone.pieces():
            here = np.isin(self.state[start : start + piece.height], states)
            if here.any():
                yield start + np.flatnonzero(here), piece.filter(pl.Series(here))
            start += piece.height

    def _relearning(self, recipe: Recipe, known: TrainingRows, table: TrainingTable) -> Relearning:
        return Relearning(
            recipe,
            labels=known.classes if known.classes > 2 else 1,
            folds=table.features.encoding.folds,
            center=float(np.mean(known.y)) if known.classes == 0 else 0.0,
        )

    def _folds(self, count: int, table: TrainingTable) -> npt.NDArray[np.int8]:
        """The fold of each row (n,); those that are held back are in none, which is ``count``."""
        everyone, group = self.everyone, table.roles.group
        if group is None:
            discrete = table.task.kind != "regression"
            y = np.asarray(everyone.y, dtype=np.float64)
            found = assign_folds(y, count, self.seed, groups=None, discrete=discrete)
        else:
            hashes = [stable_hash(piece[group], self.seed) for piece in everyone.pieces()]
            found = (np.concatenate(hashes) % np.uint64(count)).astype(np.intp)
        folds = found.astype(np.int8)
        folds[self.state == _WATCH] = count
        return folds

    def _overlaid(self, matrix: Matrix, places: Positions, known: TrainingRows) -> Matrix:
        """In a target-encoded column each row of the sample has what was learned without it."""
        sample = self.everyone.sample
        own = np.minimum(np.searchsorted(sample, places), len(sample) - 1)
        inside = np.flatnonzero(sample[own] == places)
        matrix[inside] = known.X[own[inside]]
        return matrix

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


def _labels(y: Targets, known: TrainingRows) -> npt.NDArray[np.float64]:
    """What target means are means of: (rows, 1), or a 0/1 column per class of several."""
    if known.classes <= 2:
        return np.asarray(y, dtype=np.float64)[:, None]
    return np.asarray(y[:, None] == np.arange(known.classes)[None, :], dtype=np.float64)
