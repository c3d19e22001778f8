"""Trees of scikit-learn written as ONNX: forests, single trees, histogram boosting."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.graph import OLD_TREES_OPSET, OUTPUT, TREES_OPSET, Graph
from ratchet.packaging.trees import AT_MOST, InexpressibleError, Tree, add_trees, one_leaf


def convert_forest(model: Any) -> bytes:
    """A decision tree, or the mean over a forest's trees of their class shares, as ONNX.

    Raises:
        InexpressibleError: several targets at once, or a single class.
    """
    members = [tree.tree_ for tree in getattr(model, "estimators_", [model])]
    classes, features = int(np.max(model.n_classes_)), int(model.n_features_in_)
    if members[0].n_outputs != 1 or classes < 2:
        raise InexpressibleError("a forest without classes or with several targets")
    graph = Graph(TREES_OPSET if classes == 2 else OLD_TREES_OPSET)
    count = graph.constant("count", [float(len(members))])
    # Summed first and divided then, in the library's order: the same ties on 0.5.
    if classes == 2:
        total = add_trees(graph, graph.wide_input(), "sum", [_read_tree(tree) for tree in members])
        graph.two_classes(graph.add("Div", [total, count], "positive"))
    else:
        total = _add_shared_leaves(graph, members, classes)
        graph.add("Div", [total, count], OUTPUT)
    return graph.finish(features=features, classes=classes)


def convert_histogram_boosting(model: Any) -> bytes:
    """``HistGradientBoostingClassifier`` as ONNX.

    Raises:
        InexpressibleError: it treats columns as categories, which it renumbers first.
    """
    if getattr(model, "is_categorical_", None) is not None:
        raise InexpressibleError("histogram boosting with categories")
    base = np.ravel(model._baseline_prediction)
    classes = len(model.classes_)
    rounds = [tree for one in model._predictors for tree in one]
    trees = [*map(one_leaf, base.tolist()), *(_read_nodes(tree.nodes) for tree in rounds)]
    targets = [i % len(base) for i in range(len(trees))]
    graph = Graph()
    margin = add_trees(graph, graph.wide_input(), "margin", trees, targets=targets)
    if classes == 2:
        graph.two_classes(graph.add("Sigmoid", [margin], "positive"))
    else:
        graph.add("Softmax", [margin], OUTPUT, axis=1)
    return graph.finish(features=int(model.n_features_in_), classes=classes)


def _read_tree(tree: Any) -> Tree:
    inner = tree.children_left >= 0
    position = _positions(inner)
    return Tree(
        feature=tree.feature[inner].astype(np.int64),
        split=tree.threshold[inner].astype(np.float64),
        mode=np.full(int(inner.sum()), AT_MOST, np.uint8),
        yes=position[tree.children_left[inner]],
        no=position[tree.children_right[inner]],
        missing_yes=tree.missing_go_to_left[inner].astype(np.bool_),
        leaves=tree.value[~inner, 0, 1].astype(np.float64),
    )


def _read_nodes(nodes: npt.NDArray[Any]) -> Tree:
    inner = nodes["is_leaf"] == 0
    position = _positions(inner)
    return Tree(
        feature=nodes["feature_idx"][inner].astype(np.int64),
        split=nodes["num_threshold"][inner].astype(np.float64),
        mode=np.full(int(inner.sum()), AT_MOST, np.uint8),
        yes=position[nodes["left"][inner]],
        no=position[nodes["right"][inner]],
        missing_yes=nodes["missing_go_to_left"][inner].astype(np.bool_),
        leaves=nodes["value"][~inner].astype(np.float64),
    )


def _positions(inner: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Each node's place among the inner nodes, or ``~place`` among the leaves."""
    return np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1)).astype(np.int64)


def _add_shared_leaves(graph: Graph, members: list[Any], classes: int) -> str:
    """Trees whose leaves hold a share of every class.

    The newer operator gives a leaf one target, so that k classes would walk every tree k times
    (measured with three classes: 0.34 ms a row against 0.12); the older one walks once. It
    rounds its sum to float32: 5e-8, where 1e-6 is allowed.
    """
    sizes = [tree.node_count for tree in members]
    leaf = np.concatenate([tree.children_left < 0 for tree in members])
    tree_id = np.repeat(np.arange(len(members)), sizes)
    node_id = np.concatenate([np.arange(size) for size in sizes])

    def inner(name: str, dtype: type[np.int64 | np.float64]) -> npt.NDArray[Any]:
        every = np.concatenate([getattr(tree, name) for tree in members])
        return np.where(leaf, 0, every).astype(dtype)

    total = graph.add(
        "TreeEnsembleRegressor",
        [graph.wide_input()],
        "sum32",
        domain="ai.onnx.ml",
        n_targets=classes,
        aggregate_function="SUM",
        nodes_treeids=tree_id,
        nodes_nodeids=node_id,
        nodes_featureids=inner("feature", np.int64),
        nodes_modes=np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_truenodeids=inner("children_left", np.int64),
        nodes_falsenodeids=inner("children_right", np.int64),
        nodes_missing_value_tracks_true=inner("missing_go_to_left", np.int64),
        nodes_values_as_tensor=inner("threshold", np.float64),
        target_treeids=np.repeat(tree_id[leaf], classes),
        target_nodeids=np.repeat(node_id[leaf], classes),
        target_ids=np.tile(np.arange(classes), int(leaf.sum())),
        target_weights_as_tensor=np.concatenate(
            [tree.value[tree.children_left < 0, 0, :].ravel() for tree in members]
        ),
    )
    return graph.widen(total, "sum")
