"""Trees of scikit-learn written as ONNX: forests, single trees, boosting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.graph import OLD_TREES_OPSET, OUTPUT, TREES_OPSET, Graph
from ratchet.packaging.trees import (
    AT_MOST,
    InexpressibleError,
    Tree,
    add_trees,
    one_leaf,
    share_out,
)


def convert_forest(model: Any) -> bytes:
    """A decision tree, or the mean over a forest's trees, as ONNX.

    Of classifiers the class shares, of regressors the estimates.

    Raises:
        InexpressibleError: several targets at once, or a single class.
    """
    members = [tree.tree_ for tree in getattr(model, "estimators_", [model])]
    estimates = not hasattr(model, "classes_")
    classes = 1 if estimates else int(np.max(model.n_classes_))
    features = int(model.n_features_in_)
    if members[0].n_outputs != 1 or (classes < 2 and not estimates):
        raise InexpressibleError("a forest without classes or with several targets")
    graph = Graph(TREES_OPSET if classes <= 2 else OLD_TREES_OPSET)
    count = graph.constant("count", [float(len(members))])
    # Summed first and divided then, in the library's order: the same ties on 0.5.
    if classes > 2:
        values, parts = graph.wide_input(), share_out([tree.node_count for tree in members])
        if len(parts) == 1:
            total = _add_shared_leaves(graph, values, "sum", members, classes)
        else:
            sums = [
                _add_shared_leaves(graph, values, f"part{place}_", members[part], classes)
                for place, part in enumerate(parts)
            ]
            total = graph.add("Sum", sums, "sum")
        graph.add("Div", [total, count], OUTPUT)
        return graph.finish(features=features, classes=classes)
    trees = [_read_tree(tree, min(1, tree.value.shape[2] - 1)) for tree in members]
    total = add_trees(graph, graph.wide_input(), "sum", trees)
    if estimates:
        graph.add("Div", [total, count], OUTPUT)
    else:
        graph.two_classes(graph.add("Div", [total, count], "positive"))
    return graph.finish(features=features, classes=classes)


def convert_histogram_boosting(model: Any) -> bytes:
    """``HistGradientBoostingClassifier`` and ``-Regressor`` as ONNX.

    Raises:
        InexpressibleError: it treats columns as categories, which it renumbers first, or its
            estimates are not the sum of its trees.
    """
    if getattr(model, "is_categorical_", None) is not None:
        raise InexpressibleError("histogram boosting with categories")
    estimates = not hasattr(model, "classes_")
    if estimates and model.loss not in ("squared_error", "absolute_error", "quantile"):
        raise InexpressibleError(f"histogram boosting with the loss {model.loss}")
    base = np.ravel(model._baseline_prediction)
    classes = 1 if estimates else len(model.classes_)
    rounds = [tree for one in model._predictors for tree in one]
    trees = [*map(one_leaf, base.tolist()), *(_read_nodes(tree.nodes) for tree in rounds)]
    targets = [i % len(base) for i in range(len(trees))]
    graph = Graph()
    name = OUTPUT if estimates else "margin"
    margin = add_trees(graph, graph.wide_input(), name, trees, targets=targets)
    if classes == 2:
        graph.two_classes(graph.add("Sigmoid", [margin], "positive"))
    elif not estimates:
        graph.add("Softmax", [margin], OUTPUT, axis=1)
    return graph.finish(features=int(model.n_features_in_), classes=classes)


def convert_gradient_boosting(model: Any) -> bytes:
    """``GradientBoostingRegressor`` as ONNX: a constant, and its trees times the learning rate.

    Raises:
        InexpressibleError: it starts from an estimator of the user's own.
    """
    start = getattr(model.init_, "constant_", None)
    if start is None:
        raise InexpressibleError("gradient boosting that starts from another estimator")
    read = [_read_tree(stage[0].tree_, 0) for stage in model.estimators_]
    rate = float(model.learning_rate)
    trees = [replace(tree, leaves=tree.leaves * rate) for tree in read]
    graph = Graph()
    first = one_leaf(float(np.ravel(start)[0]))
    add_trees(graph, graph.wide_input(), OUTPUT, [first, *trees])
    return graph.finish(features=int(model.n_features_in_), classes=1)


def _read_tree(tree: Any, column: int) -> Tree:
    """``column`` of the leaves' values counts: the positive class, or the only estimate."""
    inner = tree.children_left >= 0
    position = _positions(inner)
    return Tree(
        feature=tree.feature[inner].astype(np.int64),
        split=tree.threshold[inner].astype(np.float64),
        mode=np.full(int(inner.sum()), AT_MOST, np.uint8),
        yes=position[tree.children_left[inner]],
        no=position[tree.children_right[inner]],
        missing_yes=tree.missing_go_to_left[inner].astype(np.bool_),
        leaves=tree.value[~inner, 0, column].astype(np.float64),
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


def _add_shared_leaves(
    graph: Graph, values: str, output: str, members: list[Any], classes: int
) -> str:
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
        [values],
        f"{output}32",
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
    return graph.widen(total, output)
