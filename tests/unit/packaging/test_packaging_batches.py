"""Trees by bit masks: the bits of ONNX Runtime, for whatever forest and whatever values."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.packaging import batches, quickscorer
from ratchet.packaging.batches import FEW, PAYS, BatchScorer, open_masked
from ratchet.packaging.graph import INPUT, OUTPUT, Graph
from ratchet.packaging.onnx import export_model
from ratchet.packaging.scorers import OnnxScorer
from ratchet.packaging.session import Session
from ratchet.packaging.trees import AT_MOST, BELOW, MEMBER, Tree, add_trees, one_leaf
from ratchet.packaging.wire import UnreadableError, read_file
from unit.packaging.packaging_models import train

NAN, INF = float("nan"), float("inf")
COLUMNS = 5


@pytest.fixture
def always(monkeypatch):
    """Masks are taken whatever they are estimated to cost."""
    monkeypatch.setattr(quickscorer.QuickScorer, "_worth", lambda self, shape: 1)


def grow(rng, leaves, *, modes=(AT_MOST, BELOW, MEMBER), columns=COLUMNS):
    """A tree of random shape with splits on whole and half numbers, where values lie too."""
    if leaves == 1:
        return one_leaf(float(rng.normal()))
    yes, no, free = [], [], []
    for node in range(leaves - 1):
        if node:
            parent, side = free.pop(rng.integers(len(free)))
            side[parent] = node
        yes.append(None)
        no.append(None)
        free += [(node, yes), (node, no)]
    for leaf, (parent, side) in enumerate(free):
        side[parent] = ~leaf
    mode = rng.choice(modes, leaves - 1).astype(np.uint8)
    return Tree(
        feature=rng.integers(0, columns, leaves - 1),
        split=np.where(mode == MEMBER, 0.0, rng.integers(-4, 9, leaves - 1) / 2),
        mode=mode,
        yes=np.array(yes),
        no=np.array(no),
        missing_yes=rng.random(leaves - 1) < 0.5,
        leaves=rng.normal(size=leaves),
        members=tuple(
            rng.choice(9, rng.integers(1, 6), replace=False) for one in mode if one == MEMBER
        ),
    )


def write(trees, *, targets=(), dtype=np.float64, columns=COLUMNS, tail="Sigmoid"):
    graph = Graph()
    values = INPUT if dtype is np.float32 else graph.wide_input()
    total = add_trees(graph, values, "total", trees, targets=targets, dtype=dtype)
    if dtype is np.float32:
        total = graph.widen(total, "wide")
    graph.add(tail, [total], OUTPUT)
    return graph.finish(features=columns, classes=max(targets, default=0) + 1)


def strange(rng, rows, columns=COLUMNS):
    """Values on splits and beside them, in sets and out of them, missing and endless."""
    X = (rng.integers(-6, 20, (rows, columns)) / 2).astype(np.float32)
    X[rng.random(X.shape) < 0.1] += np.float32(1e-6)
    for value in (NAN, INF, -INF, 1e30):
        X[rng.random(X.shape) < 0.03] = value
    return X


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("most", [1, 8, 16, 32, 64])
def test_random_forests_have_the_bits_of_the_runtime(most, dtype):
    rng = np.random.default_rng(most)
    trees = [grow(rng, int(rng.integers(1, most + 1))) for _ in range(20)] + [grow(rng, most)]
    content = write(trees, dtype=dtype)
    X = strange(rng, 700)
    masked = open_masked(content)
    assert masked is not None
    assert np.array_equal(masked.score(X), Session(content).run(X))


@pytest.mark.usefixtures("always")
@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), mode=st.sampled_from([AT_MOST, BELOW, MEMBER]))
def test_every_way_to_decide_has_the_bits_of_the_runtime(seed, mode):
    rng = np.random.default_rng(seed)
    trees = [grow(rng, int(rng.integers(1, 12)), modes=(mode,)) for _ in range(6)]
    content = write(trees, targets=[0, 1, 2, 0, 1, 2], tail="Softmax")
    X = strange(rng, 80)
    assert np.array_equal(open_masked(content).score(X), Session(content).run(X))


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "random_forest"])
def test_trained_models_have_the_bits_of_the_runtime(tmp_path, name, classes):
    trained = train(name, classes)
    content = export_model(trained.fitted, trained.X, tmp_path).file.read_bytes()
    masked = open_masked(content)
    if (name, classes) == ("random_forest", 3) or masked is None:
        # Its leaves hold a share of every class, which another operator sums; or they are many.
        assert name == "random_forest"
        assert masked is None
    else:
        assert np.array_equal(masked.score(trained.X), Session(content).run(trained.X))


def test_masks_are_made_once_enough_rows_came_in_batches(monkeypatch):
    rng = np.random.default_rng(5)
    content = write([grow(rng, 8) for _ in range(100)])
    opened = []
    monkeypatch.setattr(
        batches, "open_masked", lambda content: opened.append(open_masked(content)) or opened[0]
    )
    scorer, X = OnnxScorer(content), strange(rng, PAYS // 2)
    expected = Session(content).run(X)
    for _ in range(PAYS // FEW):
        scorer.score(X[: FEW - 1])
    scorer.score(X)
    assert not opened
    scorer.score(X)
    scorer._batches.making.join()
    assert len(opened) == 1
    assert opened[0].worth > FEW
    used = []
    score = opened[0].score
    monkeypatch.setattr(type(opened[0]), "score", lambda self, X: used.append(len(X)) or score(X))
    for rows in (1, FEW, opened[0].worth - 1, opened[0].worth, len(X)):
        assert np.array_equal(scorer.score(X[:rows]), expected[:rows])
    assert used == [opened[0].worth, len(X)]
    assert len(opened) == 1


def test_masks_that_score_otherwise_are_not_taken(monkeypatch):
    rng = np.random.default_rng(6)
    content = write([grow(rng, 8) for _ in range(100)])
    wrong = open_masked(content)
    monkeypatch.setattr(type(wrong), "score", lambda self, X: Session(content).run(X) + 1e-9)
    monkeypatch.setattr(batches, "open_masked", lambda content: wrong)
    scorer, X = BatchScorer(Session(content), content), strange(rng, PAYS)
    for _ in range(3):
        assert np.array_equal(scorer.score(X), Session(content).run(X))
        scorer.making.join()


@pytest.mark.usefixtures("always")
def test_what_no_tree_here_does_is_left_to_the_runtime():
    rng = np.random.default_rng(12)
    equal, endless = grow(rng, 8, modes=(AT_MOST,)), grow(rng, 8, modes=(AT_MOST,))
    equal.mode[:] = 4  # BRANCH_EQ
    endless.split[0] = -INF
    for tree in (equal, endless):
        content = write([tree])
        Session(content)
        assert open_masked(content) is None


@pytest.mark.usefixtures("always")
def test_damaged_files_are_refused_and_raise_nothing():
    rng = np.random.default_rng(13)
    content = bytearray(write([grow(rng, 8) for _ in range(3)]))
    assert open_masked(bytes(content)) is not None
    for place in range(0, len(content), 7):
        before, content[place] = content[place], content[place] ^ (1 << int(rng.integers(8)))
        open_masked(bytes(content))
        content[place] = before


def test_what_gains_nothing_is_left_to_the_runtime():
    rng = np.random.default_rng(7)
    deep = write([grow(rng, 65)])
    wide = write([grow(rng, 8, columns=400) for _ in range(400)], columns=400)
    assert open_masked(deep) is None
    assert open_masked(wide) is None
    assert open_masked(write([grow(rng, 8) for _ in range(100)])) is not None


def test_masks_have_a_largest_size(monkeypatch):
    rng = np.random.default_rng(8)
    content = write([grow(rng, 8) for _ in range(100)])
    monkeypatch.setattr(batches, "_MOST_BYTES", 1_000)
    assert open_masked(content) is None


def test_other_models_are_left_to_the_runtime(tmp_path):
    trained = train("svm", 2)
    content = export_model(trained.fitted, trained.X, tmp_path).file.read_bytes()
    assert open_masked(content) is None
    X = np.tile(trained.X, (PAYS // len(trained.X) + 1, 1))
    assert np.array_equal(OnnxScorer(content).score(X), Session(content).run(X))


def test_a_model_that_reads_its_input_twice_is_left_to_the_runtime():
    graph = Graph()
    total = add_trees(graph, graph.wide_input(), "total", [grow(np.random.default_rng(9), 4)])
    graph.add("Add", [total, graph.widen(INPUT, "again")], OUTPUT)
    assert open_masked(graph.finish(features=1, classes=1)) is None


def test_a_file_reads_as_the_package_onnx_reads_it():
    rng = np.random.default_rng(10)
    content = write([grow(rng, 30, columns=300) for _ in range(40)], columns=300)
    node = next(each for each in read_file(content).nodes if each.op == "TreeEnsemble")
    theirs = next(
        each for each in onnx.load_from_string(content).graph.node if each.op_type == node.op
    )
    told = node.attributes()
    assert len(told) >= 15
    for attribute in theirs.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.TensorProto):
            value = onnx.numpy_helper.to_array(value)
        assert np.array_equal(told.pop(attribute.name), value, equal_nan=True)
    assert not told


@pytest.mark.parametrize("size", [0, 1, 40, 500])
def test_half_a_file_is_refused(size):
    content = write([grow(np.random.default_rng(11), 30)])
    with pytest.raises(UnreadableError):
        read_file(content[:size])
    assert open_masked(content[:size]) is None
