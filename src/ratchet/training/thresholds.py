"""Tree thresholds that are exact in float32.

A tree asks ``x <= t`` with a 64-bit ``t``. Exported models compare in 32 bits, where ``t`` is
rounded to nearest and may change sides of a data value. For float32 ``x`` the question is the same
with the largest float32 not above ``t``; asked that way both forms decide alike, always.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt


def round_down(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The largest float32 not above each threshold, as float64."""
    limit = np.finfo(np.float32).max
    near = np.clip(thresholds, -limit, limit).astype(np.float32)
    with np.errstate(over="ignore"):  # below the lowest float32 is minus infinity
        below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > thresholds, below, near).astype(np.float64)


def round_sklearn_trees(model: Any) -> None:
    """Round the thresholds of every scikit-learn tree in ``model``, in place.

    Single trees, forests, boosting and bagging of trees are found; a model without trees is left
    as it is.
    """
    tree = getattr(model, "tree_", None)
    if tree is not None:
        tree.threshold[:] = round_down(tree.threshold)
    for predictors in getattr(model, "_predictors", ()):
        for predictor in predictors:
            predictor.nodes["num_threshold"] = round_down(predictor.nodes["num_threshold"])
    for part in np.ravel(np.asarray(getattr(model, "estimators_", ()), dtype=object)):
        round_sklearn_trees(part)


def round_lightgbm_text(text: str) -> str:
    """LightGBM's model text with rounded thresholds, and without this machine's parameters.

    In a categorical split the threshold is the index of a category set and stays as it is.
    """
    head, trees, tail = _parts(text)
    tail = re.sub(r"\nparameters:\n.*?\nend of parameters\n", "", tail, flags=re.DOTALL)
    return _joined(head, [_round_tree(tree) for tree in trees], tail)


def scale_lightgbm_text(text: str, *, center: float, scale: float) -> str:
    """LightGBM's model text for the target ``center + scale * y`` instead of ``y``.

    Every leaf is multiplied by ``scale``, and those of the first tree, through which every row
    goes, are moved by ``center`` as well.
    """
    head, trees, tail = _parts(text)
    moved = [
        _scale_tree(tree, center if place == 0 else 0.0, scale) for place, tree in enumerate(trees)
    ]
    return _joined(head, moved, tail)


def _joined(head: str, trees: list[str], tail: str) -> str:
    """The text of these parts.

    The header's ``tree_sizes`` are the lengths of the tree blocks in bytes: LightGBM aborts the
    process when they do not fit, so they are counted anew.
    """
    sizes = " ".join(str(len(tree.encode())) for tree in trees)
    head = re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", head, flags=re.MULTILINE)
    return head + "".join(trees) + tail


def _scale_tree(tree: str, center: float, scale: float) -> str:
    def moved(match: re.Match[str]) -> str:
        values = np.array(match[2].split(), dtype=np.float64) * scale + center
        return match[1] + _numbers(values)

    return re.sub(r"^(leaf_value=|internal_value=)(.+)$", moved, tree, flags=re.MULTILINE)


def _numbers(values: npt.NDArray[np.float64]) -> str:
    return " ".join(f"{value:.17g}" for value in values.tolist())


def _parts(text: str) -> tuple[str, list[str], str]:
    """Header, one block per tree, and what follows the trees."""
    end = text.index("end of trees")
    starts = [match.start() for match in re.finditer(r"^Tree=\d+$", text[:end], re.MULTILINE)]
    bounds = [*starts, end]
    trees = [text[start:stop] for start, stop in pairwise(bounds)]
    return text[: bounds[0]], trees, text[end:]


def _round_tree(tree: str) -> str:
    threshold = re.search(r"^threshold=(.+)$", tree, re.MULTILINE)
    decision = re.search(r"^decision_type=(.+)$", tree, re.MULTILINE)
    if threshold is None or decision is None:
        return tree  # a tree that is a single leaf
    values = np.array(threshold[1].split(), dtype=np.float64)
    categorical = (np.array(decision[1].split(), dtype=np.int64) & 1).astype(bool)
    exact = np.where(categorical, values, round_down(values))
    return tree[: threshold.start(1)] + _numbers(exact) + tree[threshold.end(1) :]
