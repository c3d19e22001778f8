"""The columns of a reference profile: the bins, and what training put into them.

Numbers (dates and moments too, as microseconds) lie in about a thousand bins of about equal
weight; a value that many rows share has a bin of its own, so that discrete columns are exact.
Levels (text, booleans) are counted by name while they are frequent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratchet.data.schema import Kind

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

NUMBERS: frozenset[Kind] = frozenset({"integer", "number", "date", "datetime"})
"""The kinds whose values are ordered; the others are levels."""

Unjudged = Literal["", "time", "identifier"]
"""Why a column's drift says nothing: time moves on by itself, and identifiers are new each time."""

_MANY = 1_000


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """A column of ordered values.

    Attributes:
        name: the column.
        kind: its kind; the values of dates and moments are microseconds since 1970.
        centre: the median; ``sums`` are of differences from it, so that they stay exact.
        edges: increasing (e,). Bin 0 lies below the first edge, bin j holds
            ``edges[j-1] <= value < edges[j]``, the last one has no end.
        counts: rows in each bin (e + 1,).
        sums: of ``value - centre`` in each bin (e + 1,).
        missing: rows without a finite value.
        mean: of the finite values.
        std: their population standard deviation.
        low: the least one.
        high: the greatest one.
        distinct: how many different ones there are.
    """

    name: str
    kind: Kind
    centre: float
    edges: Floats = field(repr=False)
    counts: Counts = field(repr=False)
    sums: Floats = field(repr=False)
    missing: int
    mean: float
    std: float
    low: float
    high: float
    distinct: int

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.edges) + 1

    @property
    def slots(self) -> int:
        """Counters that a window keeps: one for each bin."""
        return self.bins

    @cached_property
    def present(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @cached_property
    def single(self) -> npt.NDArray[np.bool_]:
        """Bins (e + 1,) into which no two different values can fall."""
        return single_bins(self.edges, self.kind)

    @property
    def unjudged(self) -> Unjudged:
        """Why its drift says nothing; empty where it does."""
        return unjudged(self.kind, self.distinct, self.present)

    def shares(self) -> Floats:
        """Cumulative shares (e + 2,) of the reference at the bins' ends, 0 first and 1 last."""
        return cumulative(self.counts)

    def groups(self, wanted: int) -> npt.NDArray[np.int64]:
        """The first bins of about ``wanted`` groups of bins of about equal weight.

        A value that has the weight of a group is a group of its own.
        """
        made = self._groups.get(wanted)
        if made is None:
            upto = np.concatenate([[0], np.cumsum(self.counts)])
            ranks = np.arange(1, wanted) * self.present // wanted
            place = np.searchsorted(upto[1:], ranks, side="right").clip(max=self.bins - 1)
            # A group begins with the value of that rank; inside a bin, at its nearer end.
            nearer = place + (2 * ranks > upto[place] + upto[place + 1])
            near = np.where(self.single[place], place, nearer)
            heavy = np.flatnonzero(self.single & (self.counts * wanted >= self.present))
            starts = np.unique(np.concatenate([[0], near, heavy, heavy + 1]))
            made = self._groups[wanted] = starts[starts < self.bins]
        return made

    @cached_property
    def _groups(self) -> dict[int, npt.NDArray[np.int64]]:
        return {}


@dataclass(frozen=True, eq=False)
class LevelColumn:
    """A column of names.

    Attributes:
        name: the column.
        kind: ``string`` or ``boolean``.
        levels: the frequent levels (L,), the most frequent first.
        counts: rows (L + 2,): of each level, of all known rare levels, of levels never seen.
        rare: sorted CRC-32 of the known rare levels: enough to know one again, not to name it.
        closed: every level of the reference is known, so that a new one is known to be new;
            otherwise what is not frequent counts as rare.
        missing: rows without a value.
        distinct: how many levels there were.
    """

    name: str
    kind: Kind
    levels: tuple[str, ...]
    counts: Counts = field(repr=False)
    rare: npt.NDArray[np.uint32] = field(repr=False)
    closed: bool
    missing: int
    distinct: int

    @property
    def slots(self) -> int:
        """Counters that a window keeps: the levels, the rare ones, the new ones."""
        return len(self.levels) + 2

    @cached_property
    def present(self) -> int:
        """Rows with a value."""
        return int(self.counts.sum())

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each frequent level is counted."""
        return {level: place for place, level in enumerate(self.levels)}

    @property
    def unjudged(self) -> Unjudged:
        """Why its drift says nothing; empty where it does."""
        return unjudged(self.kind, self.distinct, self.present)


ProfileColumn: TypeAlias = NumberColumn | LevelColumn


def unjudged(kind: Kind, distinct: int, present: int) -> Unjudged:
    """Why drift of a column with so many different values in so many rows says nothing."""
    if kind in ("date", "datetime"):
        return "time"
    if kind == "integer":
        return "identifier" if distinct == present >= _MANY else ""
    return "identifier" if kind == "string" and distinct > max(100, present / 2) else ""


def single_bins(edges: Floats, kind: Kind) -> npt.NDArray[np.bool_]:
    """Bins (e + 1,) that have room for one value only, given what values the kind has."""
    found = np.zeros(len(edges) + 1, dtype=bool)
    if len(edges) > 1:
        if kind == "integer":
            whole = np.ceil(edges)
            found[1:-1] = np.diff(whole) == 1
        else:
            found[1:-1] = np.nextafter(edges[:-1], np.inf) == edges[1:]
    return found


def cumulative(counts: npt.NDArray[Any]) -> Floats:
    """Cumulative shares (b + 1,) of counts (b,): 0 first, 1 last; all 0 without rows."""
    total = np.concatenate([[0], np.cumsum(counts)]).astype(np.float64)
    return total / total[-1] if total[-1] else total
