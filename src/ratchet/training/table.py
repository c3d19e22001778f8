"""The training rows, and their encodings for any part of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.training.fitted import Matrix, Targets, TrainingRows
from ratchet.training.folds import Positions


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTable:
    """Raw training rows with class codes or numbers ``y`` (n,), and what is needed to encode them.

    ``time`` and ``groups`` (n,) are codes that order or group the rows when folds are cut.
    """

    frame: pl.DataFrame
    y: Targets
    weight: npt.NDArray[np.float32] | None
    time: npt.NDArray[np.int64] | None
    groups: npt.NDArray[np.int64] | None
    task: Task
    roles: Roles
    schema: TableSchema
    features: FeaturesSettings
    root: Path
    seed: int

    @property
    def columns(self) -> int:
        """Raw columns that features are made of."""
        return len(self.roles.features(self.schema))

    def take(self, rows: Positions) -> TrainingTable:
        """The table of these rows."""
        return replace(
            self,
            frame=self.frame[rows],
            y=self.y[rows],
            weight=None if self.weight is None else self.weight[rows],
            time=None if self.time is None else self.time[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def encode(self, rows: Positions | None, encoding: Encoding) -> tuple[Recipe, TrainingRows]:
        """A recipe learned on these rows alone (all if None), and the rows encoded by it."""
        frame = self.frame if rows is None else self.frame[rows]
        y = self.y if rows is None else self.y[rows]
        weight = self.weight if rows is None or self.weight is None else self.weight[rows]
        recipe, X = fit_recipe(
            frame,
            y,
            roles=self.roles,
            schema=self.schema,
            settings=self.features,
            encoding=encoding,
            task=self.task,
            seed=self.seed,
            root=self.root,
        )
        return recipe, self._rows(recipe, X, y, weight)

    def encode_by(self, recipe: Recipe, rows: Positions | None) -> TrainingRows:
        """These rows (all if None) encoded by a recipe that was learned before there were any."""
        frame = self.frame if rows is None else self.frame[rows]
        y = self.y if rows is None else self.y[rows]
        weight = self.weight if rows is None or self.weight is None else self.weight[rows]
        return self._rows(recipe, recipe.matrix(frame), y, weight)

    def apply(self, recipe: Recipe, rows: Positions) -> Matrix:
        """These rows encoded by a recipe learned on others."""
        return recipe.matrix(self.frame[rows])

    def _rows(
        self, recipe: Recipe, X: Matrix, y: Targets, weight: npt.NDArray[np.float32] | None
    ) -> TrainingRows:
        return TrainingRows(
            X, y, weight, recipe.categorical, recipe.feature_names, len(self.task.classes)
        )


def order_codes(column: pl.Series) -> npt.NDArray[np.int64]:
    """A column's values as whole numbers in the same order (n,); missing ones come first."""
    return column.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()


def group_codes(column: pl.Series) -> npt.NDArray[np.int64]:
    """The group of each row as a whole number (n,); a row without one is a group of its own."""
    codes = order_codes(column)
    alone = np.flatnonzero(codes == 0)
    codes = codes.copy()
    codes[alone] = -1 - np.arange(len(alone))
    return codes
