"""A composition, opened: raw rows to scores.

Each distinct recipe encodes a row once, however many members share it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError
from ratchet.features.recipe import Recipe
from ratchet.packaging.composition import Composition, Part, read_composition
from ratchet.packaging.heap import WORTH_RELEASING, release_heap
from ratchet.packaging.scorers import Scorer, open_scorer
from ratchet.packaging.tables import Record
from ratchet.training.combine import combine

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.schema import Column

Scores = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float32]

BLOCK = 8_192
"""Rows of a table scored at once by a thread: bounds the memory next to the scores.

Measured, a million rows of 30 columns with three members: 16.5 CPU-s, and 16.3 with four times
as many rows; but twice the peak, since each thread's part of the heap keeps what it once needed.
"""

_MOST_THREADS = 8


def available_cores() -> int:
    """Cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, eq=False)
class OpenMember:
    """A member ready to score rows that its recipe has encoded."""

    part: Part
    recipe: Recipe
    scorer: Scorer


class Composite:
    """Members, their recipes, and the one score they give; safe to use from several threads.

    Args:
        composition: what it is made of.
        recipes: of each name in ``composition.recipes``, in that order.
        scorers: of each member, in their order.

    Raises:
        DataError: a member's model does not fit its recipe, or another member.
    """

    def __init__(
        self, composition: Composition, recipes: Sequence[Recipe], scorers: Sequence[Scorer]
    ) -> None:
        self.composition = composition
        self.recipes = tuple(recipes)
        names = composition.recipes
        self._places = [names.index(part.recipe) for part in composition.members]
        self._scorers = tuple(scorers)
        self._weights = [part.weight for part in composition.members]
        self._calibration = composition.calibration
        self._one_derivation = all(
            recipe.derivation == self.recipes[0].derivation
            and recipe.inputs == self.recipes[0].inputs
            for recipe in self.recipes
        )
        self._alone = len(self._scorers) == 1 and composition.calibration is None
        self.members = tuple(
            OpenMember(part, self.recipes[place], scorer)
            for part, place, scorer in zip(
                composition.members, self._places, self._scorers, strict=True
            )
        )
        self.inputs = join_inputs(self.recipes)
        self.outputs = _check(self.members)

    @property
    def derives(self) -> bool:
        """Whether a recipe computes features by expressions or functions."""
        return any(recipe.derivation.features for recipe in self.recipes)

    def score(self, frame: pl.DataFrame) -> Scores:
        """Scores float64 (n, k) of the raw rows of a Polars frame, on every core if it is large.

        Raises:
            DataError: a value is of another kind than in training.
        """
        scores = np.empty((frame.height, self.outputs))

        def fill(start: int) -> None:
            scores[start : start + BLOCK] = self._score_block(frame.slice(start, BLOCK))

        starts = range(0, frame.height, BLOCK)
        workers = min(len(starts), available_cores(), _MOST_THREADS)
        if workers <= 1:
            for start in starts:
                fill(start)
        else:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(fill, starts):
                    pass
        return scores

    def _score_block(self, block: pl.DataFrame) -> Scores:
        parts: dict[int, Scores] = {}
        for place, recipe in enumerate(self.recipes):
            self._add(parts, place, recipe.matrix(block))  # one matrix in memory at a time
        return self._join(parts)

    def score_one(self, record: Record) -> Scores:
        """Scores float64 (1, k) of one raw row, the fast way.

        Raises:
            DataError: a value is of another kind than in training.
        """
        if self._alone:
            return self._scorers[0].score(self.recipes[0].vector(record))
        if self._one_derivation:  # some 0.5 ms, so once for all
            record = self.recipes[0].derive(record)
            rows = [recipe.encode(record) for recipe in self.recipes]
        else:
            rows = [recipe.vector(record) for recipe in self.recipes]
        scores = [
            scorer.score(rows[place])
            for scorer, place in zip(self._scorers, self._places, strict=True)
        ]
        return combine(scores, self._weights, self._calibration)

    def score_encoded(self, matrices: Sequence[Matrix]) -> Scores:
        """Scores float64 (n, k) of rows encoded by each of ``recipes``, in that order."""
        parts: dict[int, Scores] = {}
        for place, matrix in enumerate(matrices):
            self._add(parts, place, matrix)
        return self._join(parts)

    def _add(self, parts: dict[int, Scores], place: int, matrix: Matrix) -> None:
        """Add to ``parts`` the scores of the members that share the recipe at ``place``."""
        for member, own in enumerate(self._places):
            if own == place:
                parts[member] = self._scorers[member].score(matrix)

    def _join(self, parts: dict[int, Scores]) -> Scores:
        ordered = [parts[member] for member in range(len(self._scorers))]
        return combine(ordered, self._weights, self._calibration)


def open_composite(composition: Composition, read: Callable[[str], bytes]) -> Composite:
    """Open the files of ``composition``; ``read`` gives a file's bytes by its name.

    A model's bytes are let go before the next one is read.

    Raises:
        DataError: a runtime cannot read its model, or the parts do not belong together.
        MissingExtraError: a runtime is not installed.
    """
    recipes = _open_recipes(composition, read)
    scorers = [_open_member(part, read) for part in composition.members]
    return Composite(composition, recipes, scorers)


def _open_member(part: Part, read: Callable[[str], bytes]) -> Scorer:
    content = read(part.file)
    size = len(content)
    scorer = open_scorer(part.kind, content)
    del content
    if size >= WORTH_RELEASING:
        release_heap()
    return scorer


def open_exported(folder: Path) -> Composite:
    """The model that ``export_blend`` wrote into ``folder``.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    return open_composite(read_composition(folder), lambda name: (folder / name).read_bytes())


def join_inputs(recipes: Sequence[Recipe]) -> tuple[Column, ...]:
    """The raw columns of all recipes, in the order they first occur.

    Raises:
        DataError: two recipes read one column as different kinds.
    """
    joined: dict[str, Column] = {}
    for recipe in recipes:
        for column in recipe.inputs:
            known = joined.setdefault(column.name, column)
            if known.kind != column.kind:
                raise _inconsistent(
                    f"two recipes read {column.name}, as {known.kind} and as {column.kind}"
                )
    return tuple(joined.values())


def _open_recipes(composition: Composition, read: Callable[[str], bytes]) -> tuple[Recipe, ...]:
    return tuple(Recipe.from_json(json.loads(read(name))) for name in composition.recipes)


def _check(members: Sequence[OpenMember]) -> int:
    """How many scores a row has, when every model fits its recipe and the other models."""
    if not members:
        raise _inconsistent("it has no member")
    outputs = members[0].scorer.classes
    for member in members:
        features = len(member.recipe.feature_names)
        given = (member.scorer.features, member.scorer.classes)
        if given != (features, outputs):
            raise _inconsistent(
                f"the recipe of {member.part.name} makes {features} features for {outputs} "
                f"scores, its model takes {given[0]} and gives {given[1]}"
            )
    return outputs


def _inconsistent(why: str) -> DataError:
    return DataError(
        "The model's parts do not belong together", why=why, code="bundle_inconsistent"
    )
