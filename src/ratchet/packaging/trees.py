"""An ensemble of decision trees as flat arrays, and the ONNX node that evaluates it.

LightGBM, XGBoost and scikit-learn differ in how they write a tree down, not in what a tree is. Each
is read into ``Tree`` values; the node is ``TreeEnsemble`` (ai.onnx.ml 5), with sums in the
precision and the order of the library. The common converters write float32 nodes: measured on
Telco with 300 LightGBM trees, difference 4.3e-7 against 2.2e-16 here, converting 0.29 against
0.08 CPU-s; with a random forest of 300 trees 9.1e-7 against 1e-15, and 3.8 against 0.4 CPU-s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ratchet.packaging.graph import Graph

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

AT_MOST, BELOW, MEMBER = 0, 1, 6
"""How a node decides: ``x <= split``, ``x < split``, ``x in members``; the codes of ONNX."""
_SUM, _NO_TRANSFORM = 1, 0

NODES_AT_ONCE = 250_000
"""Inner nodes that one ONNX node holds, where the sum is float64.

While ONNX Runtime opens a node it holds it some five times over. Measured with 1.5 million inner
nodes in 100 trees (53 MB): all in one a peak of 1,109 MB and 83 us a row; in 4 parts 618 MB and
97 us; in 10 parts 518 MB and 126 us. Adding up in parts moves the last of 16 digits.
"""


class InexpressibleError(Exception):
    """A model has no exact ONNX form here; the caller tries the next form."""


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree: the ``n`` inner nodes first, the root at 0; a child below zero is leaf ``~child``.

    Args:
        feature, split, mode: (n,) column, threshold and decision of each inner node.
        yes, no: (n,) where the decision leads.
        missing_yes: (n,) whether a missing value goes where ``yes`` leads.
        members: the sets of the ``MEMBER`` nodes, in the order of the nodes.
        leaves: (m,) the values of the leaves; a tree of one leaf has no inner node.
    """

    feature: Ints
    split: Floats
    mode: npt.NDArray[np.uint8]
    yes: Ints
    no: Ints
    missing_yes: Flags
    leaves: Floats
    members: tuple[Ints, ...] = ()


def add_trees(
    graph: Graph,
    values: str,
    output: str,
    trees: Sequence[Tree],
    *,
    targets: Sequence[int] = (),
    dtype: type[np.float32 | np.float64] = np.float64,
) -> str:
    """Add nodes that sum ``trees`` to ``output`` (n, k), in ``dtype`` and in their order.

    Tree ``i`` counts for column ``targets[i]``; without targets all count for the only column.
    """
    grown = [tree if len(tree.feature) else _with_an_inner_node(tree) for tree in trees]
    target = np.asarray(targets or [0] * len(grown), dtype=np.int64)
    columns = int(target.max()) + 1
    # The order of float32 sums is the library's own, and is not touched.
    parts = (
        share_out([len(tree.feature) for tree in grown])
        if dtype is np.float64
        else [slice(0, len(grown))]
    )
    if len(parts) == 1:
        return _add_part(graph, values, output, grown, target, columns, dtype)
    names = [
        _add_part(graph, values, f"{output}_{i}", grown[part], target[part], columns, dtype)
        for i, part in enumerate(parts)
    ]
    return graph.add("Sum", names, output)


def share_out(sizes: Sequence[int]) -> list[slice]:
    """Trees of these ``sizes`` in as few parts of about equal size as ``NODES_AT_ONCE`` asks."""
    ends = np.cumsum(sizes)
    count = min(len(sizes), -(-int(ends[-1]) // NODES_AT_ONCE))
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, count) / count) + 1
    borders = [0, *np.unique(cuts[cuts < len(sizes)]).tolist(), len(sizes)]
    return [slice(start, end) for start, end in pairwise(borders)]


def _add_part(
    graph: Graph,
    values: str,
    output: str,
    grown: Sequence[Tree],
    target: Ints,
    columns: int,
    dtype: type[np.float32 | np.float64],
) -> str:
    nodes = np.array([len(tree.feature) for tree in grown], dtype=np.int64)
    leaves = np.array([len(tree.leaves) for tree in grown], dtype=np.int64)
    node_start, leaf_start = _starts(nodes), _starts(leaves)
    children: dict[str, Ints] = {}
    for side in ("yes", "no"):
        child = np.concatenate([getattr(tree, side) for tree in grown])
        leaf = child < 0
        base = np.where(leaf, np.repeat(leaf_start, nodes), np.repeat(node_start, nodes))
        name = "true" if side == "yes" else "false"
        children[f"nodes_{name}nodeids"] = np.where(leaf, ~child, child) + base
        children[f"nodes_{name}leafs"] = leaf.astype(np.int64)
    return graph.add(
        "TreeEnsemble",
        [values],
        output,
        domain="ai.onnx.ml",
        n_targets=columns,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        tree_roots=node_start,
        nodes_featureids=np.concatenate([tree.feature for tree in grown]),
        nodes_splits=np.concatenate([tree.split for tree in grown]).astype(dtype),
        nodes_modes=np.concatenate([tree.mode for tree in grown]),
        nodes_missing_value_tracks_true=np.concatenate(
            [tree.missing_yes.astype(np.int64) for tree in grown]
        ),
        leaf_weights=np.concatenate([tree.leaves for tree in grown]).astype(dtype),
        leaf_targetids=np.repeat(target, leaves),
        **children,
        **_members(grown, dtype),
    )


def one_leaf(value: float) -> Tree:
    """A tree that gives every row the same value."""
    nothing = np.zeros(0, np.int64)
    return Tree(
        feature=nothing,
        split=np.zeros(0),
        mode=np.zeros(0, np.uint8),
        yes=nothing,
        no=nothing,
        missing_yes=np.zeros(0, np.bool_),
        leaves=np.array([value], dtype=np.float64),
    )


def _with_an_inner_node(tree: Tree) -> Tree:
    """A tree of one leaf, written as a decision whose two sides are that leaf's value."""
    return Tree(
        feature=np.zeros(1, np.int64),
        split=np.zeros(1),
        mode=np.full(1, AT_MOST, np.uint8),
        yes=np.array([~0]),
        no=np.array([~1]),
        missing_yes=np.ones(1, np.bool_),
        leaves=np.repeat(tree.leaves, 2),
    )


def _starts(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)


def _members(
    trees: Sequence[Tree], dtype: type[np.float32 | np.float64]
) -> dict[str, npt.NDArray[np.floating]]:
    """The sets of all member nodes, each ended by a NaN, as ONNX wants them."""
    sets = [np.append(each.astype(dtype), dtype(np.nan)) for tree in trees for each in tree.members]
    return {"membership_values": np.concatenate(sets)} if sets else {}
