"""XGBoost: its JSON read into trees, written as ONNX, and scored by the library itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import MissingExtraError
from ratchet.ids import canonical_json
from ratchet.packaging.graph import INPUT, OUTPUT, Graph
from ratchet.packaging.trees import BELOW, MEMBER, InexpressibleError, Tree, add_trees, one_leaf
from ratchet.training.targets import CENTER, SCALE, Standard

_CATEGORICAL = 1
_ESTIMATES = "reg:squarederror"


def write_json(model: Any, rounds: int | None = None) -> bytes:
    """The booster's own JSON, cut after ``rounds`` boosting rounds when given."""
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if rounds is not None and rounds < booster.num_boosted_rounds():
        booster = booster[:rounds]
    return canonical_json(json.loads(bytes(booster.save_raw("json")))).encode()


def read_classes(learner: dict[str, Any]) -> int:
    """How many columns its scores have: one per class, or one estimate."""
    if learner["objective"]["name"] == _ESTIMATES:
        return 1
    return max(2, int(learner["learner_model_param"]["num_class"]))


def read_standard(learner: dict[str, Any]) -> Standard:
    """The units of a booster that estimates: training leaves them in its attributes."""
    attributes = learner.get("attributes", {})
    return Standard(float(attributes.get(CENTER, 0.0)), float(attributes.get(SCALE, 1.0)))


def convert(content: bytes) -> bytes:
    """The booster as ONNX.

    Raises:
        InexpressibleError: another booster than gbtree, leaves with several values, or an
            objective other than binary:logistic, multi:softprob and reg:squarederror.
    """
    learner = json.loads(content)["learner"]
    objective, booster = learner["objective"]["name"], learner["gradient_booster"]
    known = ("binary:logistic", "multi:softprob", _ESTIMATES)
    if booster["name"] != "gbtree" or objective not in known:
        raise InexpressibleError(
            f"XGBoost's {booster['name']} with {objective} has no ONNX form here"
        )
    classes, several = read_classes(learner), objective == "multi:softprob"
    model = booster["model"]
    # XGBoost sums in float32, starting from the base and in the order of the trees. With the
    # base as the first tree the node makes the same sums, where float64 differed by up to 2e-6.
    base = [one_leaf(value) for value in _base_margin(learner)]
    targets = [*range(classes), *model["tree_info"]] if several else []
    trees = [*base, *(_read_tree(tree) for tree in model["trees"])]
    graph = Graph()
    margin = add_trees(graph, INPUT, "margin32", trees, targets=targets, dtype=np.float32)
    margin = graph.widen(margin, "margin")
    if several:
        graph.add("Softmax", [margin], OUTPUT, axis=1)
    elif objective == _ESTIMATES:
        standard = read_standard(learner)
        scaled = graph.add("Mul", [margin, graph.constant("scale", [standard.scale])], "scaled")
        graph.add("Add", [scaled, graph.constant("center", [standard.center])], OUTPUT)
    else:
        graph.two_classes(graph.add("Sigmoid", [margin], "positive"))
    features = int(learner["learner_model_param"]["num_feature"])
    return graph.finish(features=features, classes=classes)


def _base_margin(learner: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Where the sums start: a number, or since XGBoost 3.1 a list of one per class, as text."""
    written = learner["learner_model_param"]["base_score"].strip("[]").split(",")
    base = np.array(written, dtype=np.float32).astype(np.float64)
    if learner["objective"]["name"] == "binary:logistic":
        return np.asarray(np.log(base) - np.log1p(-base))
    return base


def _read_tree(tree: dict[str, Any]) -> Tree:
    if int(tree["tree_param"]["size_leaf_vector"]) > 1:
        raise InexpressibleError("XGBoost's leaves with several values have no ONNX form here")
    left = np.array(tree["left_children"], dtype=np.int64)
    right = np.array(tree["right_children"], dtype=np.int64)
    value = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    inner = left >= 0
    # Inner nodes and leaves are counted apart, leaves as ~0, ~1, ...
    position = np.where(inner, np.cumsum(inner) - 1, ~(np.cumsum(~inner) - 1))
    categorical = (np.array(tree["split_type"]) == _CATEGORICAL)[inner]
    to_left = np.array(tree["default_left"], dtype=np.bool_)[inner]
    lower, upper = position[left[inner]], position[right[inner]]
    # A category in the set goes right, any other value left. Source: categorical.h, Decision.
    return Tree(
        feature=np.array(tree["split_indices"], dtype=np.int64)[inner],
        split=np.where(categorical, 0.0, value[inner]),
        mode=np.where(categorical, MEMBER, BELOW).astype(np.uint8),
        yes=np.where(categorical, upper, lower),
        no=np.where(categorical, lower, upper),
        missing_yes=to_left ^ categorical,
        leaves=value[~inner],
        members=_read_sets(tree),
    )


def _read_sets(tree: dict[str, Any]) -> tuple[npt.NDArray[np.int64], ...]:
    """The category sets of the categorical nodes, in the order of the nodes."""
    members = np.array(tree["categories"], dtype=np.int64)
    segments = zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    )
    return tuple(members[start : start + size] for _, start, size in sorted(segments))


class XGBoostScorer:
    """Scores with the XGBoost library, for a booster that has no exact ONNX form.

    Importing the library costs 1.1 CPU-s, one row about 0.4 ms.
    """

    def __init__(self, content: bytes) -> None:
        try:
            import xgboost
        except ImportError as error:
            raise MissingExtraError.of("xgboost", "xgboost", "This model version") from error
        self._library = xgboost
        self._booster = xgboost.Booster({"nthread": 1})
        self._booster.load_model(bytearray(content))
        learner = json.loads(content)["learner"]
        self.classes, self._standard = read_classes(learner), read_standard(learner)
        self.features = int(self._booster.num_features())
        self._types = self._booster.feature_types

    def score(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Scores (n, classes) of the rows of ``X`` (n, features)."""
        matrix = self._library.DMatrix(
            X, feature_types=self._types, enable_categorical=self._types is not None, nthread=1
        )
        given = np.asarray(self._booster.predict(matrix, validate_features=False), np.float64)
        if self.classes == 1:
            return self._standard.restore(given).reshape(-1, 1)
        return np.column_stack([1.0 - given, given]) if given.ndim == 1 else given
