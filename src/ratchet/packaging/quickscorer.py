"""Ensembles of small trees, scored for many rows at once by bit masks in NumPy.

The idea is QuickScorer's (Lucchese et al., SIGIR 2015, https://doi.org/10.1145/2766462.2767733):
each decision strikes out the leaves on its other side, and what is left of a tree's leaves after
all of its decisions is the one that is reached. A decision looks at one column, so what all
decisions of a column strike out, in all trees, depends on the interval between two of its splits
that a value lies in: a table by interval, a mask for each tree. A row's leaves are the AND of one
line of each column's table, which has no branch that a processor could guess wrong.

The leaves' values are summed in the order of the trees, as ONNX Runtime sums them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.packaging.masks import (
    Floats,
    Forest,
    Masks,
    Shape,
    Values,
    join_tables,
    make_table,
    shape_of,
    share_tables,
    values_of,
)

Rows = npt.NDArray[np.float32]

_FEW_SPLITS: Final = 4
"""Splits of a column that are counted for all such columns together."""
_BLOCK_BYTES: Final = 1 << 18
"""Masks of the rows that are scored at once: they stay in the processor's cache."""
_LEAST_ROWS: Final = 256
_GAIN: Final = 0.7
"""What is estimated to take more of the other way's time is not worth its memory."""


class QuickScorer:
    """Sums of trees, for batches.

    Args:
        forest: the trees.
        shape: of the forest.
        columns: how many sums a row has.
        tables: each column's borders and masks.
    """

    def __init__(
        self, forest: Forest, shape: Shape, columns: int, tables: Mapping[int, tuple[Floats, Masks]]
    ) -> None:
        self._columns, self._dtype = columns, forest.leaves.dtype
        self._values = values_of(forest, shape)
        self._targets = [int(forest.targets[own[0]]) for own in shape.leaves]
        few = [column for column, (borders, _) in tables.items() if len(borders) <= _FEW_SPLITS]
        self._many = [(column, tables[column][0]) for column in tables if column not in few]
        groups = [*share_tables({column: len(tables[column][1]) for column in few})]
        self._few = _Few([(column, tables[column]) for column in few], groups) if few else None
        self._tables = [tables[column][1] for column, _ in self._many]
        self._tables += [join_tables([tables[each][1] for each in group]) for group in groups]
        self.worth = self._worth(shape)

    def _worth(self, shape: Shape) -> int | None:
        """Rows from which this is faster than ONNX Runtime; None where it never is.

        Measured, nanoseconds a row, one core: there 5.4 to 8.5 for each tree and level; here 35
        to search a column's splits, .07 to .16 for a byte of masks, 3.4 to 5 to add a tree's
        value. What a call costs beside that is NumPy's, 1.6 us for each tree and 3 for each table.
        """
        trees, tables = len(self._targets), len(self._tables)
        there = 6.5 * trees * shape.depth
        size = trees * self._tables[0].itemsize
        here = 35.0 * len(self._many) + 0.12 * tables * size + 5.0 * trees
        if here > _GAIN * there:
            return None
        return int(1e3 * (1.6 * trees + 3.0 * tables + 20.0) / (there - here))

    def sums(self, X: Rows) -> Values:
        """The sums (n, columns) of encoded rows (n, features), in the precision of the leaves."""
        width = len(self._targets) * self._tables[0].itemsize
        step = max(_LEAST_ROWS, _BLOCK_BYTES // width)
        sums = np.zeros((self._columns, len(X)), self._dtype)
        for start in range(0, len(X), step):
            block = slice(start, start + step)
            self._add(self._reached(X[block]), sums[:, block])
        return sums.T

    def _reached(self, X: Rows) -> Masks:
        """The leaf of each tree that each row reaches, as a mask of one bit (trees, rows)."""
        lines = self._lines(X)
        masks = self._tables[0].take(next(lines), axis=0)
        other = np.empty_like(masks)
        for table, own in zip(self._tables[1:], lines, strict=True):
            # Without "clip" take goes by way of a copy of its own.
            table.take(own, axis=0, out=other, mode="clip")
            np.bitwise_and(masks, other, out=masks)
        return np.ascontiguousarray(masks.T)

    def _lines(self, X: Rows) -> Iterator[npt.NDArray[np.intp]]:
        """The line of each table that each row's values stand on."""
        for column, borders in self._many:
            values = X[:, column].astype(np.float64)
            line = np.searchsorted(borders, values)
            missing = np.isnan(values)
            if missing.any():
                line[missing] = len(borders) + 1
            yield line
        if self._few is not None:
            yield from self._few.lines(X)

    def _add(self, reached: Masks, sums: Values) -> None:
        """Add the values of the leaves reached, tree by tree."""
        places = _places(reached)
        for values, place, target in zip(self._values, places, self._targets, strict=True):
            sums[target] += values.take(place, mode="clip")


class _Few:
    """The columns with few splits: where their values lie is counted for all of them at once.

    Args:
        columns: each with its borders and masks.
        groups: of columns that share a table.
    """

    def __init__(
        self,
        columns: Sequence[tuple[int, tuple[Floats, Masks]]],
        groups: Sequence[Sequence[int]],
    ) -> None:
        self._columns = np.array([column for column, _ in columns])
        self._borders = np.full((_FEW_SPLITS, len(columns)), np.inf)
        self._radices = np.zeros((len(columns), len(groups)), np.float32)
        lines: dict[int, int] = {}
        for place, (column, (borders, table)) in enumerate(columns):
            self._borders[: len(borders), place] = borders
            lines[column] = len(table)
        self._missing = np.array([*lines.values()], np.float32) - 1
        order = [*lines]
        for at, group in enumerate(groups):
            factor = 1
            for column in reversed(group):
                self._radices[order.index(column), at] = factor
                factor *= lines[column]

    def lines(self, X: Rows) -> npt.NDArray[np.intp]:
        """The line (groups, n) of each shared table."""
        values = X.take(self._columns, axis=1).astype(np.float64)
        own = np.zeros(values.shape, np.float32)
        for borders in self._borders:
            own += values > borders
        missing = np.isnan(values)
        if missing.any():
            own = np.where(missing, self._missing, own)
        return (own @ self._radices).T.astype(np.intp)


def make_quick_scorer(forest: Forest, columns: int, *, most_bytes: int) -> QuickScorer | None:
    """The scorer of a forest; None where its masks take more than ``most_bytes``.

    Args:
        columns: how many sums a row has.

    Raises:
        TooManyLeavesError: a tree has more leaves than a mask has bits.
    """
    shape = shape_of(forest)
    tables: dict[int, tuple[Floats, Masks]] = {}
    for column in np.unique(forest.feature).tolist():
        tables[column] = made = make_table(forest, shape, column)
        most_bytes -= made[1].nbytes
        if most_bytes < 0:
            return None
    return QuickScorer(forest, shape, columns, tables)


def _places(reached: Masks) -> npt.NDArray[Any]:
    """Where the value of a mask's only bit stands in ``values_of``."""
    if reached.dtype == np.uint8:
        return reached
    # A power of two is its exponent, as a float.
    if reached.dtype == np.uint64:
        return (reached.astype(np.float64).view(np.int64) >> 52) - 1023
    return (reached.astype(np.float32).view(np.int32) >> 23) - 127
