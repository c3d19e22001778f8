"""Cells: from a number to its bin without a search, and exactly.

A value's difference from the column's centre, as float32, without its last 14 bits, is one of
2^18 cells that are finest near the centre and keep their relative width far away. Values and
cells have the same order, so a table from cells to bins is exact wherever a bin begins with a
cell; inside the few cells that hold an edge, values are compared with it.

Measured for a million values: 4 ns each for bin and sum, against 60 ns for a binary search among
1,024 edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ratchet.monitoring.columns import Floats

_BITS = 14
_CELLS = 1 << (32 - _BITS)
_SIGN = _CELLS >> 1
_INFINITE = 0xFF << (23 - _BITS)
_FEW_STEPS = 2
CHUNK = 32_768
"""Values looked up at a time: what is computed on the way stays in the processor's cache."""

Ints = npt.NDArray[np.int64]
_Value = TypeVar("_Value", np.uint16, np.bool_)


def cells_of(values: Floats, centre: float) -> Ints:
    """Cells (n,) of values, in the order of the values: -0 and 0 share the lower one."""
    with np.errstate(over="ignore", invalid="ignore"):
        bits = (values - centre + 0.0).astype(np.float32).view(np.uint32) >> _BITS
    return _ordered(bits.astype(np.int64))


def _ordered(raw: Ints) -> Ints:
    """From bits to a number that grows with the value: negative values run backwards."""
    return np.where(raw >= _SIGN, _CELLS - 1 - raw, raw + _SIGN)


def first_in_cell(values: Floats, centre: float) -> Floats:
    """For each value the least float64 that lies in the same cell."""
    cell = cells_of(values, centre)
    # Floats are ordered as their bits are, so halving the bits finds the border exactly.
    high = _rank(values)
    low = np.full_like(high, _rank(np.array([-np.finfo(np.float64).max]))[0])
    for _ in range(64):
        # Written so that the sum of two large ranks cannot overflow.
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        inside = cells_of(_unrank(middle), centre) == cell
        high, low = np.where(inside, middle, high), np.where(inside, low, middle)
    return _unrank(high)


def _rank(values: Floats) -> Ints:
    """Whole numbers in the order of the floats."""
    bits = (values + 0.0).view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _unrank(ranks: Ints) -> Floats:
    return np.where(ranks < 0, np.int64(-(2**63)) - ranks, ranks).view(np.float64)


@dataclass(frozen=True, slots=True)
class CellTable:
    """From cells to bins of one column.

    Attributes:
        centre: what is subtracted from values.
        edges: of the bins (e,).
        first: for each cell, by its bits, the bin of the least value in it; cells of what is not
            finite lead to bin e + 1.
        split: cells, by their bits, that have edges inside; None where there are none.
        steps: the most edges inside a cell.
    """

    centre: float
    edges: Floats
    first: npt.NDArray[np.uint16]
    split: npt.NDArray[np.bool_] | None
    steps: int

    @classmethod
    def of(cls, edges: Floats, centre: float) -> CellTable:
        """The table of a column's bins."""
        cell = cells_of(edges, centre)
        begins = cells_of(np.nextafter(edges, -np.inf), centre) != cell
        # A bin is that of a cell's least value from the cell on in which its edge is, or after it.
        starts = np.concatenate([[0], cell + ~begins, [_CELLS]])
        ordered = np.repeat(np.arange(len(edges) + 1, dtype=np.uint16), np.diff(starts))
        first = _by_bits(ordered)
        for sign in (0, _SIGN):
            first[_INFINITE + sign : _SIGN + sign] = len(edges) + 1
        within, sizes = np.unique(cell[~begins], return_counts=True)
        split = np.zeros(_CELLS, dtype=np.bool_)
        split[within] = True
        return cls(
            centre,
            edges,
            first,
            _by_bits(split) if len(within) else None,
            int(sizes.max(initial=0)),
        )

    def count(self, values: npt.NDArray[np.floating | np.integer]) -> tuple[Ints, Floats]:
        """Rows in each bin and their sum of differences from the centre (e + 2,).

        The last place counts what is not finite; its sum means nothing.
        """
        slots = len(self.edges) + 2
        counts, sums = np.zeros(slots, np.int64), np.zeros(slots)
        size = min(CHUNK, len(values))
        wide, narrow = np.empty(size), np.empty(size, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(values), CHUNK):
                part = values[start : start + CHUNK]
                away, short = wide[: len(part)], narrow[: len(part)]
                np.subtract(part, self.centre, out=away, casting="unsafe")
                if self.centre == 0:
                    away += 0.0  # -0 becomes the 0 that it equals
                short[:] = away
                cell = short.view(np.uint32)
                np.right_shift(cell, _BITS, out=cell)
                bins = self.first.take(cell, mode="clip").astype(np.intp)
                if self.split is not None:
                    self._settle(part, cell, bins)
                counts += np.bincount(bins, minlength=slots)
                sums += np.bincount(bins, weights=away, minlength=slots)
        return counts, sums

    def _settle(
        self,
        part: npt.NDArray[np.floating | np.integer],
        cell: npt.NDArray[np.uint32],
        bins: npt.NDArray[np.intp],
    ) -> None:
        """Move values that lie above an edge inside their cell to their bins."""
        assert self.split is not None
        if self.steps <= _FEW_STEPS:
            # Nothing reaches the edge after the last one, not even infinity.
            ended = np.concatenate([self.edges, [np.nan, np.nan]])
            for _ in range(self.steps):
                bins += part >= ended.take(bins, mode="clip")
        else:
            at = np.flatnonzero(self.split.take(cell, mode="clip"))
            bins[at] = np.searchsorted(self.edges, part[at], side="right")


def _by_bits(ordered: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
    """What is in the order of values, in the order of bits: the negative ones backwards."""
    return np.concatenate([ordered[_SIGN:], ordered[_SIGN - 1 :: -1]])
