"""Target means learned anew, from more rows than a recipe was made of.

A recipe that was learned on a sample knows little of a category that has few rows there. What its
target means are made of, counts and sums per category, is collected piece by piece from all rows,
once for each fold, so that every row can be given what was learned without its fold. Which
categories there are stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.features.encoders.encoder import Encoder
from ratchet.features.encoders.lookup import LookupEncoder
from ratchet.features.encoders.slots import Floats, Matrix
from ratchet.features.encoders.target import shrunken
from ratchet.features.frame import codes_of, read_texts
from ratchet.features.recipe import Recipe

MEANS = "target mean"

Folds = npt.NDArray[np.integer[Any]]


@dataclass(slots=True, eq=False)
class _Means:
    """One target-encoded column: ``at`` is its first in the matrix.

    ``counts`` (folds, places), ``sums`` (folds, places, labels); ``tables`` (folds + 1, places,
    labels) once they are known: without each fold, and of all rows.
    """

    encoder: LookupEncoder
    at: int
    categories: pl.DataType
    counts: Floats
    sums: Floats
    tables: Matrix | None = None

    def codes(self, block: pl.DataFrame) -> npt.NDArray[np.int64]:
        texts = read_texts(block[self.encoder.source.column])
        found = codes_of(texts, self.categories, len(self.encoder.categories))
        return np.asarray(found, dtype=np.int64)


class Relearning:
    """The target means of ``recipe``, from labels (rows, ``labels``) and ``folds`` folds.

    ``center`` is a number near the labels' mean: sums of what lies far from zero lose digits.
    """

    def __init__(self, recipe: Recipe, *, labels: int, folds: int, center: float) -> None:
        self.recipe = recipe
        self.folds = folds
        self._center = center
        self._squares = np.zeros((folds, labels))
        self._means: list[_Means] = []
        at = 0
        for encoder in recipe.encoders:
            if _is_mean(encoder):
                assert isinstance(encoder, LookupEncoder)
                places = len(encoder.categories) + 2
                self._means.append(
                    _Means(
                        encoder,
                        at,
                        pl.Enum(encoder.categories),
                        np.zeros((folds, places)),
                        np.zeros((folds, places, labels)),
                    )
                )
            at += len(encoder.columns)

    @property
    def needed(self) -> bool:
        """Whether there is anything to learn anew."""
        # Standardised means would have to be standardised anew, by what every row is given.
        return bool(self._means) and not self.recipe.encoding.scale

    def add(self, frame: pl.DataFrame, labels: Floats, folds: Folds) -> None:
        """Learn from raw rows with their labels (rows, labels) and the fold of each (rows,)."""
        values = labels - self._center
        for number in range(self.folds):
            self._squares[number] += (values[folds == number] ** 2).sum(axis=0)
        for start, block in self.recipe.frame_path().blocks(frame):
            here = slice(start, start + block.height)
            for means in self._means:
                places = means.counts.shape[1]
                flat = folds[here].astype(np.int64) * places + means.codes(block)
                size = self.folds * places
                means.counts += np.bincount(flat, minlength=size).reshape(self.folds, places)
                for label in range(values.shape[1]):
                    sums = np.bincount(flat, weights=values[here, label], minlength=size)
                    means.sums[:, :, label] += sums.reshape(self.folds, places)

    def learned(self) -> Recipe:
        """The recipe with the means of all rows; after it :meth:`matrix` may be asked."""
        anew: dict[int, LookupEncoder] = {}
        for means in self._means:
            parts = [*range(self.folds), None]
            means.tables = np.stack([self._table(means, part) for part in parts])
            *rows, unseen, missing = (tuple(row) for row in means.tables[-1].tolist())
            anew[id(means.encoder)] = replace(
                means.encoder, rows=tuple(rows), unseen=unseen, missing=missing
            )
        encoders = tuple(anew.get(id(encoder), encoder) for encoder in self.recipe.encoders)
        return Recipe(self.recipe.inputs, self.recipe.derivation, encoders, self.recipe.encoding)

    def matrix(self, frame: pl.DataFrame, folds: Folds) -> Matrix:
        """The matrix of raw rows, each with the means of the other folds than its own (rows,).

        A row in no fold (number ``folds``) has the means of all rows.
        """
        path = self.recipe.frame_path()
        out = np.empty((frame.height, path.width), dtype=np.float32)
        for start, block in path.blocks(frame):
            here = slice(start, start + block.height)
            path.write(block, out[here])
            for means in self._means:
                assert means.tables is not None
                found = means.tables[folds[here], means.codes(block)]
                out[here, means.at : means.at + found.shape[1]] = found
        return out

    def _table(self, means: _Means, without: int | None) -> Matrix:
        """The means (places, labels) of all rows, or of those that are not in a fold."""
        kept = [fold for fold in range(self.folds) if fold != without]
        counts = means.counts[kept].sum(axis=0)
        rows = max(1.0, float(counts.sum()))
        columns = []
        for label in range(means.sums.shape[2]):
            sums = means.sums[kept, :, label].sum(axis=0)
            grand = float(sums.sum()) / rows
            square = float(self._squares[kept, label].sum()) - rows * grand**2
            apart = shrunken(counts, sums - counts * grand, max(0.0, square))
            columns.append(self._center + grand + apart)
        return np.stack(columns, axis=1).astype(np.float32)


def _is_mean(encoder: Encoder) -> bool:
    return isinstance(encoder, LookupEncoder) and encoder.label == MEANS
