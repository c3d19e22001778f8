"""LightGBM: its text read into trees, written as ONNX, and scored by the library itself.

The text is the booster's own format (``Booster.model_to_string``). Reading it needs no LightGBM.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.graph import OUTPUT, Graph
from ratchet.packaging.trees import (
    AT_MOST,
    MEMBER,
    Floats,
    InexpressibleError,
    Ints,
    Tree,
    add_trees,
)

_MISSING_IS_ZERO, _MISSING_IS_NAN = 1, 2
_ESTIMATES = "regression"


def write_text(model: Any) -> bytes:
    """The booster's own text, up to its best iteration, without the parameters of its training.

    The parameters are left out because they name threads and paths: the same trees must give
    the same bytes on any machine.
    """
    booster = getattr(model, "booster_", model)
    text: str = booster.model_to_string(importance_type="split")
    trees, _, _ = text.partition("\nparameters:")
    return (trees.rstrip("\n") + "\n").encode()


def read_head(text: str) -> dict[str, str]:
    """The lines ``key=value`` before the first tree; a line without a value is ``""``."""
    head = text.partition("\nTree=0\n")[0]
    return {key: value for key, _, value in (line.partition("=") for line in head.splitlines())}


def class_count(head: dict[str, str]) -> int:
    """How many columns its scores have: one per class, or one estimate."""
    return 1 if _objective(head) == _ESTIMATES else max(2, int(head["num_class"]))


def _objective(head: dict[str, str]) -> str:
    return head.get("objective", "none").split()[0]


def convert(text: str) -> bytes:
    """The booster as ONNX.

    Raises:
        InexpressibleError: linear leaves, averaged output, zero as missing, or an objective
            other than binary, multiclass and regression.
    """
    head = read_head(text)
    objective, *details = head.get("objective", "none").split()
    known = ("binary", "multiclass", _ESTIMATES)
    if objective not in known or "sqrt" in details or "average_output" in head:
        raise InexpressibleError(f"LightGBM's objective {objective} has no ONNX form here")
    features, classes = int(head["max_feature_idx"]) + 1, class_count(head)
    trees = _read_trees(text)
    graph = Graph()
    values = graph.wide_input()
    if objective == "multiclass":
        margin = add_trees(
            graph, values, "margin", trees, targets=[i % classes for i in range(len(trees))]
        )
        graph.add("Softmax", [margin], OUTPUT, axis=1)
        return graph.finish(features=features, classes=classes)
    if objective == _ESTIMATES:
        add_trees(graph, values, OUTPUT, trees)
        return graph.finish(features=features, classes=1)
    margin = add_trees(graph, values, "margin", trees)
    slope = next((float(part[8:]) for part in details if part.startswith("sigmoid:")), 1.0)
    if slope != 1.0:
        margin = graph.add("Mul", [margin, graph.constant("slope", [slope])], "scaled")
    graph.two_classes(graph.add("Sigmoid", [margin], "positive"))
    return graph.finish(features=features, classes=classes)


def _read_trees(text: str) -> list[Tree]:
    body = text.partition("\nTree=0\n")[2].partition("\nend of trees")[0]
    if not body:
        raise InexpressibleError("LightGBM's text holds no tree")
    return [_read_tree(block) for block in re.split(r"\nTree=\d+\n", body)]


def _read_tree(block: str) -> Tree:
    field = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    if field.get("is_linear", "0") != "0":
        raise InexpressibleError("LightGBM's linear leaves have no ONNX form here")
    decision = _ints(field, "decision_type")
    split = _floats(field, "threshold")
    missing = (decision >> 2) & 3
    if (missing == _MISSING_IS_ZERO).any():
        raise InexpressibleError("LightGBM's zero_as_missing has no ONNX form here")
    categorical = (decision & 1).astype(np.bool_)
    # Without missing values in training LightGBM reads a missing value as 0; a category that is
    # missing belongs to no set. Source: NumericalDecision, CategoricalDecision in its tree.h.
    missing_yes = np.where(missing == _MISSING_IS_NAN, (decision & 2) > 0, split >= 0)
    return Tree(
        feature=_ints(field, "split_feature"),
        split=np.where(categorical, 0.0, split),
        mode=np.where(categorical, MEMBER, AT_MOST).astype(np.uint8),
        yes=_ints(field, "left_child"),
        no=_ints(field, "right_child"),
        missing_yes=missing_yes & ~categorical,
        leaves=_floats(field, "leaf_value"),
        members=_read_sets(field, split[categorical].astype(np.int64)),
    )


def _read_sets(field: dict[str, str], chosen: Ints) -> tuple[Ints, ...]:
    """The category sets of the nodes, each a bit field cut out of one array."""
    if not len(chosen):
        return ()
    bounds = _ints(field, "cat_boundaries")
    words = np.array(field["cat_threshold"].split(), dtype="<u4")
    return tuple(
        np.flatnonzero(
            np.unpackbits(words[bounds[i] : bounds[i + 1]].view(np.uint8), bitorder="little")
        )
        for i in chosen.tolist()
    )


def _ints(field: dict[str, str], key: str) -> Ints:
    return np.array(field.get(key, "").split(), dtype=np.int64)


def _floats(field: dict[str, str], key: str) -> Floats:
    return np.array(field.get(key, "").split(), dtype=np.float64)


class LightGBMScorer:
    """Scores with the LightGBM library, for a booster that has no exact ONNX form.

    Importing the library costs 1.2 CPU-s (it pulls scikit-learn and pandas), one row 0.04 ms.
    """

    def __init__(self, content: bytes) -> None:
        from lightgbm import Booster

        text = content.decode()
        self._booster = Booster(model_str=text)
        self.classes = class_count(read_head(text))
        self.features = int(self._booster.num_feature())

    def score(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Scores (n, classes) of the rows of ``X`` (n, features)."""
        given = np.asarray(self._booster.predict(X, num_threads=1), dtype=np.float64)
        if self.classes == 1:
            return given.reshape(-1, 1)
        return np.column_stack([1.0 - given, given]) if given.ndim == 1 else given
