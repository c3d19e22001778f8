"""What every decision of a forest strikes out, as tables of bit masks for ``quickscorer``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.packaging.trees import BELOW, MEMBER

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Masks = npt.NDArray[np.unsignedinteger[Any]]
Values = npt.NDArray[np.floating[Any]]
Width = type[np.unsignedinteger[Any]]

WIDTHS: Final[tuple[tuple[int, Width], ...]] = (
    (8, np.uint8),
    (16, np.uint16),
    (32, np.uint32),
    (64, np.uint64),
)
"""Leaves of a tree, and the type of a mask for so many."""
MOST_LINES: Final = 256
"""Lines of a table that several columns share."""

_EVERY: Final = ~np.uint64(0)


class TooManyLeavesError(Exception):
    """A tree has more leaves than a mask has bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """The trees of a ``TreeEnsemble`` node (ai.onnx.ml 5), flat as they stand there.

    Args:
        feature, split, mode, missing_yes: (n,) of each inner node: column, threshold, decision
            (see ``trees``), whether a missing value is decided with yes.
        yes, no: (n,) where a decision leads: an inner node, or where ``yes_leaf`` and
            ``no_leaf`` say so a leaf.
        members: the sets of the nodes of mode ``MEMBER``, each ended by a NaN.
        roots: the first node of each tree.
        leaves, targets: (m,) each leaf's value, and the column of scores it counts for.
    """

    feature: Ints
    split: Values
    mode: npt.NDArray[np.uint8]
    missing_yes: Ints
    yes: Ints
    yes_leaf: Ints
    no: Ints
    no_leaf: Ints
    members: Values
    roots: Ints
    leaves: Values
    targets: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """Which leaves lie behind each decision of a forest.

    Attributes:
        tree: (n,) of each inner node.
        yes, no: (n,) uint64, the leaves behind a decision, as bits of the tree's own leaves.
        leaves: of each tree, in the order of its bits.
        depth: decisions on the way to a leaf, the mean over all leaves.
    """

    tree: Ints
    yes: npt.NDArray[np.uint64]
    no: npt.NDArray[np.uint64]
    leaves: tuple[tuple[int, ...], ...]
    depth: float

    @property
    def width(self) -> Width:
        """The type of a mask for the largest tree's leaves."""
        most = max(map(len, self.leaves))
        return next(kind for leaves, kind in WIDTHS if most <= leaves)

    @property
    def all_of_it(self) -> npt.NDArray[np.uint64]:
        """(trees,) a bit for every leaf."""
        return np.array([(1 << len(own)) - 1 for own in self.leaves], np.uint64)


def shape_of(forest: Forest) -> Shape:
    """Number every tree's leaves, and note which of them each decision leads to.

    Raises:
        TooManyLeavesError: a tree has more than 64 leaves.
        ValueError: it is no tree.
    """
    count = len(forest.feature)
    trees, behind, leaves = [0] * count, ([0] * count, [0] * count), []
    steps = 0
    sides = (
        [*zip(forest.yes.tolist(), forest.yes_leaf.tolist(), strict=True)],
        [*zip(forest.no.tolist(), forest.no_leaf.tolist(), strict=True)],
    )
    for tree, root in enumerate(forest.roots.tolist()):
        order, level = [root], {root: 1}
        for node in order:  # grows on the way: parents stand before their children
            for side in sides:
                child, leaf = side[node]
                if leaf:
                    steps += level[node]
                else:
                    if child in level:
                        raise ValueError("a tree leads back to itself")
                    level[child] = level[node] + 1
                    order.append(child)
        own: list[int] = []
        for node in reversed(order):
            trees[node] = tree
            for side, found in zip(sides, behind, strict=True):
                child, leaf = side[node]
                if leaf:
                    found[node] = 1 << len(own)
                    own.append(child)
                else:
                    found[node] = behind[0][child] | behind[1][child]
        if len(own) > WIDTHS[-1][0]:
            raise TooManyLeavesError
        leaves.append(tuple(own))
    return Shape(
        np.array(trees),
        np.array(behind[0], np.uint64),
        np.array(behind[1], np.uint64),
        tuple(leaves),
        steps / max(1, len(forest.leaves)),
    )


def make_table(forest: Forest, shape: Shape, column: int) -> tuple[Floats, Masks]:
    """A column's borders, ascending, and its masks (borders + 2, trees).

    A value stands on the line of as many borders as are below it, a missing one on the last.
    A mask is the AND of what each decision of a tree leaves over.
    """
    own = np.flatnonzero(forest.feature == column)
    mode, tree = forest.mode[own], shape.tree[own]
    yes, no = ~shape.no[own], ~shape.yes[own]
    # x < split where x <= the next number below it.
    split = forest.split[own].astype(np.float64)
    split = np.where(mode == BELOW, np.nextafter(split, -np.inf), split)
    sets = _sets(forest, own)
    around = (side for each in sets.values() for side in (each, np.nextafter(each, -np.inf)))
    borders = np.unique(np.concatenate([split[mode != MEMBER], *around]))
    table = np.tile(shape.all_of_it, (len(borders) + 2, 1))
    there = table[:-1]
    # Decided with yes up to a line, and with no from the next one on.
    ordered = np.flatnonzero(mode != MEMBER)
    last = np.searchsorted(borders, split[ordered])
    upper, lower = np.full_like(there, _EVERY), np.full_like(there, _EVERY)
    np.bitwise_and.at(upper, (last, tree[ordered]), yes[ordered])
    np.bitwise_and.at(lower, (last + 1, tree[ordered]), no[ordered])
    there &= np.bitwise_and.accumulate(upper[::-1], axis=0)[::-1]
    there &= np.bitwise_and.accumulate(lower, axis=0)
    for place, members in sets.items():
        decided = np.full(len(there), no[place])
        decided[np.searchsorted(borders, members)] = yes[place]
        there[:, tree[place]] &= decided
    missing = np.where(forest.missing_yes[own] != 0, yes, no)
    np.bitwise_and.at(table, (np.full_like(tree, len(there)), tree), missing)
    return borders, table.astype(shape.width)


def _sets(forest: Forest, own: Ints) -> Mapping[int, Floats]:
    """The sets of the nodes ``own`` that decide by one, by their place in ``own``."""
    by_set = forest.mode == MEMBER
    if not by_set[own].any():
        return {}
    members = forest.members.astype(np.float64)
    each = np.split(members, np.flatnonzero(np.isnan(members)) + 1)
    number = np.cumsum(by_set) - 1
    return {
        int(place): each[number[own[place]]][:-1] for place in np.flatnonzero(by_set[own]).tolist()
    }


def share_tables(lines: Mapping[int, int]) -> Iterator[list[int]]:
    """Columns, given with their tables' lines, in groups that can share a table."""
    group: list[int] = []
    product = 1
    for column in sorted(lines, key=lines.__getitem__):
        if group and product * lines[column] > MOST_LINES:
            yield group
            group, product = [], 1
        group.append(column)
        product *= lines[column]
    if group:
        yield group


def join_tables(tables: Sequence[Masks]) -> Masks:
    """One table for several columns: a line for each combination of theirs, the last fastest."""
    joined = tables[0]
    for table in tables[1:]:
        joined = (joined[:, None, :] & table[None, :, :]).reshape(-1, table.shape[1])
    return joined


def values_of(forest: Forest, shape: Shape) -> list[Values]:
    """The leaves' values of each tree, by what ``quickscorer`` makes of a mask of one bit.

    A mask of a byte is its own place among 256; of others the bit's number is.
    """
    if shape.width is not np.uint8:
        return [forest.leaves[list(own)] for own in shape.leaves]
    found = []
    for own in shape.leaves:
        values = np.zeros(256, forest.leaves.dtype)
        values[1 << np.arange(len(own))] = forest.leaves[list(own)]
        found.append(values)
    return found
