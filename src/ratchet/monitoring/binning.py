"""Cuts a column's values into bins, once, when its reference profile is made."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ratchet.data.schema import Kind
from ratchet.monitoring.cells import CellTable, first_in_cell
from ratchet.monitoring.columns import Floats, LevelColumn, NumberColumn, single_bins

if TYPE_CHECKING:
    pass

BINS = 1000
"""About how many bins of equal weight a column of numbers has."""

NAMED_LEVELS = 256
RARE_LEVELS = 4096
FEWEST_NAMED = 5
"""Levels of fewer rows are known again by a checksum, but their names are not kept."""

_LONGEST_NAME = 200


def bin_numbers(name: str, kind: Kind, values: Floats) -> NumberColumn:
    """The column of a reference with the given values (n,); what is not finite is missing."""
    ordered = np.sort(values)
    with np.errstate(over="ignore"):
        ordered = ordered[np.isfinite(ordered.astype(np.float32))]
    if not len(ordered):
        return _empty(name, kind, len(values))
    centre = float(ordered[len(ordered) // 2])
    edges = _edges(ordered, kind, centre)
    # In the order of the rows: the same table gives the same sums to the last digit.
    counts, sums = CellTable.of(edges, centre).count(values)
    away = ordered - centre
    shift = float(away.mean())
    return NumberColumn(
        name=name,
        kind=kind,
        centre=centre,
        edges=edges,
        counts=counts[:-1],
        sums=sums[:-1],
        missing=int(counts[-1]),
        mean=centre + shift,
        std=float(np.sqrt(np.mean((away - shift) ** 2))),
        low=float(ordered[0]),
        high=float(ordered[-1]),
        distinct=1 + int(np.count_nonzero(ordered[1:] != ordered[:-1])),
    )


def _empty(name: str, kind: Kind, missing: int) -> NumberColumn:
    nan = float("nan")
    zero = np.zeros(1)
    return NumberColumn(
        name, kind, 0.0, zero[:0], zero.astype(np.int64), zero, missing, nan, nan, nan, nan, 0
    )


def _edges(ordered: Floats, kind: Kind, centre: float) -> Floats:
    """Edges for sorted values (n,): no bin of more than a 1/500 but bins of a single value."""
    most = len(ordered) / BINS
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(ordered)))
    heavy = ordered[starts[sizes > most]]
    if len(starts) <= BINS // 2:
        heavy = ordered[starts]
    cuts = ordered[(np.arange(1, BINS) * most).astype(np.int64)]
    cuts = np.setdiff1d(cuts, heavy)
    if kind == "integer":
        borders = np.unique(np.concatenate([heavy, heavy + 1, cuts]))
        edges = _between_integers(borders, centre)
    else:
        edges = np.unique(
            np.concatenate([heavy, np.nextafter(heavy, np.inf), first_in_cell(cuts, centre)])
        )
    return _split_full(ordered, edges, cuts, kind, 2 * most)


def _between_integers(borders: Floats, centre: float) -> Floats:
    """Edges that part whole numbers below ``borders`` from those at or above, where cells begin."""
    edges = first_in_cell(borders, centre)
    return np.where(edges > borders - 1, edges, borders)


def _split_full(ordered: Floats, edges: Floats, cuts: Floats, kind: Kind, most: float) -> Floats:
    """Edges, and the exact cuts inside bins that hold too many values of which none is heavy."""
    ends = np.concatenate([[0], np.searchsorted(ordered, edges), [len(ordered)]])
    full = (np.diff(ends) > most) & ~single_bins(edges, kind)
    inside = full[np.searchsorted(edges, cuts, side="right")]
    return np.unique(np.concatenate([edges, cuts[inside]]))


def bin_levels(
    name: str,
    kind: Kind,
    counted: Iterable[tuple[str, int]],
    missing: int,
    *,
    fewest: int = FEWEST_NAMED,
) -> LevelColumn:
    """The column of a reference whose levels were counted; those of ``fewest`` rows are named."""
    ranked = sorted(counted, key=lambda item: (-item[1], item[0]))
    named = [item for item in ranked if item[1] >= fewest and len(item[0]) <= _LONGEST_NAME][
        :NAMED_LEVELS
    ]
    kept = {level for level, _ in named}
    others = [item for item in ranked if item[0] not in kept]
    rest = sum(size for _, size in others)
    rare = np.array([level_mark(level) for level, _ in others], dtype=np.uint32)
    return LevelColumn(
        name=name,
        kind=kind,
        levels=tuple(level for level, _ in named),
        counts=np.array([*(size for _, size in named), rest, 0], dtype=np.int64),
        rare=np.unique(rare)[:RARE_LEVELS] if len(rare) <= RARE_LEVELS else rare[:0],
        closed=len(rare) <= RARE_LEVELS,
        missing=missing,
        distinct=len(ranked),
    )


def level_mark(level: str) -> int:
    """What is remembered of a rare level: the CRC-32 of its UTF-8 text."""
    return zlib.crc32(level.encode("utf-8", "surrogatepass"))
