"""Fits a recipe: looks at the training rows once and decides what each column becomes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ratchet.data.schema import Column, Kind
from ratchet.errors import DataError
from ratchet.features.derive import Engine
from ratchet.features.derived import Derivation
from ratchet.features.encoders.encoder import Encoder
from ratchet.features.encoders.slots import Codes, Floats, Matrix
from ratchet.features.encoders.target import assign_folds
from ratchet.features.encoding import Encoding
from ratchet.features.frame import FramePath, canonical_frame
from ratchet.features.planning import check_generators, plan_derivation, usable_kinds
from ratchet.features.study import Learned, Study

if TYPE_CHECKING:
    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.data.task import Task
    from ratchet.features.settings import FeaturesSettings


@dataclass(frozen=True, slots=True)
class Parts:
    """What a recipe is made of, and the encoded training rows."""

    inputs: tuple[Column, ...]
    derivation: Derivation
    encoders: tuple[Encoder, ...]
    matrix: Matrix


@dataclass(frozen=True, slots=True)
class Fit:
    """What a fit needs besides the rows; arguments as in ``recipe.fit_recipe``."""

    roles: Roles
    schema: TableSchema
    settings: FeaturesSettings
    encoding: Encoding
    task: Task
    seed: int
    root: Path

    def learn(self, frame: pl.DataFrame, y: Any) -> Parts:
        """See ``recipe.fit_recipe``."""
        if frame.height == 0 or frame.height != len(y):
            raise DataError(f"A recipe needs rows with a label each: {frame.height} and {len(y)}")
        plan = plan_derivation(self.settings, schema=self.schema, roles=self.roles, root=self.root)
        engine = Engine(plan, usable_kinds(self.schema, self.roles))
        features = self.roles.features(self.schema)
        raw: dict[str, Kind] = {
            name: self.schema.kind(name)
            for name in self.schema.names
            if name in engine.inputs or name in features
        }
        derivation, table = engine.fit(canonical_frame(frame, list(raw.items())))
        kinds = {name: raw[name] for name in features} | engine.kinds
        check_generators(self.settings.generate, kinds)
        study = Study(
            table=table,
            kinds=kinds,
            labels=self._labels(y),
            label_names=self._label_names(),
            folds=self._folds(frame, y),
            encoding=self.encoding,
            settings=self.settings,
            seed=self.seed,
        )
        learned = study.learn()
        encoders = tuple(item.encoder for item in learned)
        if not encoders:
            raise DataError(
                "No feature is left to learn from",
                why="Every column has another role, is excluded, or is a date with dates off",
                fix="Remove columns from data.exclude",
                where="data.exclude",
                code="no_features",
            )
        used = {slot.column for encoder in encoders for slot in encoder.sources}
        inputs = [Column(n, k) for n, k in raw.items() if n in used or n in engine.inputs]
        return Parts(tuple(inputs), derivation, encoders, _encoded(table, learned))

    def _label_names(self) -> list[str]:
        """What is told apart by the columns of a target encoding."""
        if self.task.kind == "multiclass":
            return [f"={label}" for label in self.task.classes]
        return [""]

    def _labels(self, y: Any) -> Floats:
        """(rows, columns): the target, or a 0/1 column per class."""
        codes = np.asarray(y)
        if self.task.kind == "multiclass":
            same = codes[:, None] == np.arange(len(self.task.classes))[None, :]
            return np.asarray(same, dtype=np.float64)
        return np.asarray(codes, dtype=np.float64)[:, None]

    def _folds(self, frame: pl.DataFrame, y: Any) -> Callable[[], Codes]:
        """The folds of target encodings, made when the first one asks."""
        made: list[Codes] = []

        def folds() -> Codes:
            if not made:
                groups = None
                if self.roles.group is not None and self.roles.group in frame.columns:
                    rank = frame[self.roles.group].rank("dense").fill_null(0)
                    groups = rank.to_numpy().astype(np.int64)
                target = np.asarray(y, dtype=np.float64)
                discrete = self.task.kind != "regression"
                count = min(self.settings.encoding.folds, len(target))
                made.append(
                    assign_folds(target, count, self.seed, groups=groups, discrete=discrete)
                )
            return made[0]

        return folds


def _encoded(table: pl.DataFrame, learned: Sequence[Learned]) -> Matrix:
    """The training rows' matrix; where labels were used, each row without its own."""
    matrix = FramePath((), None, [item.encoder for item in learned]).encode(table)
    at = 0
    for item in learned:
        width = len(item.encoder.columns)
        if item.crossed is not None:
            matrix[:, at : at + width] = item.crossed
        at += width
    return matrix
