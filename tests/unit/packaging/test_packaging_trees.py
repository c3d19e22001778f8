"""The tree node, by hand-made trees whose answers are known."""

import numpy as np
import pytest

from ratchet.packaging.graph import INPUT, OUTPUT, Graph
from ratchet.packaging.scorers import OnnxScorer
from ratchet.packaging.trees import AT_MOST, BELOW, MEMBER, Tree, add_trees, one_leaf

NAN = float("nan")


def decide(mode, split, *, missing_yes=False, members=(), yes=1.0, no=2.0):
    """A tree of one decision on column 0."""
    return Tree(
        feature=np.array([0]),
        split=np.array([split], float),
        mode=np.array([mode], np.uint8),
        yes=np.array([~0]),
        no=np.array([~1]),
        missing_yes=np.array([missing_yes]),
        leaves=np.array([yes, no]),
        members=tuple(np.array(m, np.int64) for m in members),
    )


def score(trees, rows, *, targets=(), dtype=np.float64, features=1):
    graph = Graph()
    values = INPUT if dtype is np.float32 else graph.wide_input()
    total = add_trees(graph, values, "total", trees, targets=targets, dtype=dtype)
    if dtype is np.float32:
        total = graph.widen(total, "wide")
    graph.add("Identity", [total], OUTPUT)
    content = graph.finish(features=features, classes=max(targets, default=0) + 1)
    return OnnxScorer(content).score(np.array(rows, np.float32).reshape(-1, features))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("mode", "at_the_split"), [(AT_MOST, 1.0), (BELOW, 2.0)], ids=["at most", "below"]
)
def test_the_split_itself_goes_where_the_mode_says(mode, at_the_split, dtype):
    split = np.float32(0.1)
    above = np.nextafter(split, np.float32(1))
    below = np.nextafter(split, np.float32(0))
    got = score([decide(mode, float(split))], [below, split, above], dtype=dtype).ravel()
    assert got.tolist() == [1.0, at_the_split, 2.0]


@pytest.mark.parametrize("mode", [AT_MOST, BELOW, MEMBER])
@pytest.mark.parametrize(("missing_yes", "expected"), [(True, 1.0), (False, 2.0)])
def test_a_missing_value_goes_its_own_way(mode, missing_yes, expected):
    tree = decide(mode, 0.0, missing_yes=missing_yes, members=[(1,)] if mode == MEMBER else ())
    assert score([tree], [NAN])[0, 0] == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sets_hold_their_members_and_nothing_else(dtype):
    members = (0, 3, 31, 32, 63, 64, 65, 500)
    tree = decide(MEMBER, 0.0, members=[members])
    asked = np.arange(-3, 600)
    got = score([tree], asked, dtype=dtype).ravel()
    assert asked[got == 1.0].tolist() == list(members)


def test_sets_of_several_nodes_are_not_mixed_up():
    trees = [
        decide(MEMBER, 0.0, members=[(1, 2)], yes=1.0, no=0.0),
        decide(AT_MOST, 1.5, yes=10.0, no=0.0),
        decide(MEMBER, 0.0, members=[(2, 100)], yes=100.0, no=0.0),
    ]
    assert score(trees, [0, 1, 2, 100]).ravel().tolist() == [10.0, 11.0, 101.0, 100.0]


def test_a_tree_of_one_leaf_counts_for_every_row():
    trees = [one_leaf(0.25), decide(AT_MOST, 0.0), one_leaf(-1.0)]
    assert score(trees, [-1.0, 1.0, NAN]).ravel().tolist() == [0.25, 1.25, 1.25]


def test_only_leaves_are_a_model_too():
    assert score([one_leaf(0.25), one_leaf(0.5)], [1.0, NAN]).ravel().tolist() == [0.75, 0.75]


def test_trees_count_for_their_target():
    trees = [one_leaf(1.0), one_leaf(10.0), decide(AT_MOST, 0.0), one_leaf(100.0)]
    got = score(trees, [-1.0, 1.0], targets=[0, 1, 2, 0])
    assert got.tolist() == [[101.0, 10.0, 1.0], [101.0, 10.0, 2.0]]


def test_float32_sums_follow_the_order_of_the_trees():
    """XGBoost's sums can only be matched if rounding happens in the same order."""
    values = np.random.default_rng(1).normal(0, 1, 300).astype(np.float32)
    total = np.float32(0.0)
    for value in values:
        total = np.float32(total + value)
    trees = [one_leaf(float(value)) for value in values]
    got = score(trees, np.zeros(700), dtype=np.float32).ravel()
    assert set(got.tolist()) == {float(total)}
    assert score(trees, [0.0], dtype=np.float32)[0, 0] == float(total)
    assert float(total) != float(values.astype(float).sum())


def test_inner_nodes_lead_on():
    deep = Tree(
        feature=np.array([0, 1]),
        split=np.array([0.0, 5.0]),
        mode=np.array([AT_MOST, BELOW], np.uint8),
        yes=np.array([~0, ~2]),
        no=np.array([1, ~1]),
        missing_yes=np.array([True, False]),
        leaves=np.array([1.0, 2.0, 3.0]),
    )
    rows = [[0, 0], [1, 4], [1, 5], [NAN, 9], [1, NAN]]
    assert score([deep], rows, features=2).ravel().tolist() == [1.0, 3.0, 2.0, 1.0, 2.0]
