"""Encoded folds, kept from trial to trial as far as memory allows."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from ratchet import clock
from ratchet.data.memory import machine_memory
from ratchet.features.recipe import Encoding, Recipe
from ratchet.training.fitted import Matrix, Targets, TrainingRows
from ratchet.training.folds import Fold, cut_validation
from ratchet.training.table import TrainingTable

VALIDATION_SHARE = 0.15
"""Share of a fold's training rows that only tells boosting when to stop."""

SHARE_OF_MEMORY = 4
"""One part in so many of the memory may hold encoded folds."""


class EncodedFold:
    """A fold's rows, encoded by a recipe that was learned on its training rows alone.

    ``X`` and ``y`` are the rows it is scored on. ``cut`` are positions in ``rows``: those to learn
    from and those that tell when to stop; None if they cannot be cut.
    """

    def __init__(self, rows: TrainingRows, X: Matrix, y: Targets, cut: Fold | None) -> None:
        self.rows = replace(rows, cache={})
        self.X = X
        self.y = y
        self.cut = cut
        self._parts: tuple[TrainingRows, TrainingRows] | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of the matrices, and about those of what the algorithms keep beside them."""
        return self.rows.X.nbytes * (2 if self._parts is None else 3) + self.X.nbytes

    def parts(self, stops_early: bool) -> tuple[TrainingRows, TrainingRows | None]:
        """Rows to learn from and, for one that stops early, those that tell it when."""
        if not stops_early or self.cut is None:
            return self.rows, None
        with self._lock:
            if self._parts is None:
                learn, watch = self.rows.take(self.cut.train), self.rows.take(self.cut.score)
                self._parts = replace(learn, cache={}), watch
            return self._parts


class Matrices:
    """Each (fold, encoding) of ``table``, encoded once; safe for several threads.

    When they take more than ``limit`` bytes, the one that was not used for longest goes, and is
    made again when it is asked for. With ``recipes`` these, made before any of the rows were
    known, encode instead of one learned in the fold.
    """

    def __init__(
        self,
        table: TrainingTable,
        folds: Sequence[Fold],
        limit: int,
        recipes: dict[Encoding, Recipe] | None = None,
    ) -> None:
        self.table = table
        self.folds = tuple(folds)
        self.limit = limit
        self.recipes = recipes or {}
        self._kept: OrderedDict[tuple[int, Encoding], EncodedFold] = OrderedDict()
        self._making: dict[tuple[int, Encoding], threading.Lock] = {}
        self._lock = threading.Lock()
        self._seconds: dict[Encoding, list[float]] = {}

    def seconds(self, encoding: Encoding) -> float:
        """What encoding the largest fold took."""
        return max(self._seconds.get(encoding, [0.0]))

    def fold(self, number: int, encoding: Encoding) -> EncodedFold:
        """The fold, encoded so.

        Raises:
            DataError: the recipe cannot be learned.
        """
        key = (number, encoding)
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None:
                    self._kept.move_to_end(key)
                    return kept
            started = clock.monotonic()
            made = self._encode(number, encoding)
            self._seconds.setdefault(encoding, []).append(clock.monotonic() - started)
            with self._lock:
                self._kept[key] = made
                self._forget()
            return made

    def clear(self) -> None:
        """Let all matrices go."""
        with self._lock:
            self._kept.clear()

    def _forget(self) -> None:
        size = sum(fold.size for fold in self._kept.values())
        while size > self.limit and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            size -= gone.size

    def _encode(self, number: int, encoding: Encoding) -> EncodedFold:
        table, fold = self.table, self.folds[number]
        recipe = self.recipes.get(encoding)
        if recipe is None:
            recipe, rows = table.encode(fold.train, encoding)
        else:
            rows = table.encode_by(recipe, fold.train)
        cut = cut_validation(
            rows.y,
            VALIDATION_SHARE,
            seed=table.seed + 1 + number,
            time=None if table.time is None else table.time[fold.train],
            groups=None if table.groups is None else table.groups[fold.train],
        )
        return EncodedFold(rows, table.apply(recipe, fold.score), table.y[fold.score], cut)


def matrix_limit(memory: int | None) -> int:
    """Bytes that encoded folds may take, of ``memory`` bytes or of what this machine has."""
    return (machine_memory() if memory is None else memory) // SHARE_OF_MEMORY
