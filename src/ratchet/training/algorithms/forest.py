"""What random forest and extra trees share: their parameters, and growing tree by tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ratchet import clock
from ratchet.errors import ConfigError
from ratchet.training.algorithms.estimator import fitted_estimator
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.deadline import Deadline, StoppedError
from ratchet.training.fitted import Fitted, TrainingRows
from ratchet.training.targets import Standard, standard_of
from ratchet.training.thresholds import round_sklearn_trees

OF_CLASSES = ("gini", "entropy", "log_loss")
OF_NUMBERS = ("squared_error", "absolute_error", "friedman_mse")
PARAMETERS = (
    Parameter("n_estimators", "integer", low=1, aliases=("num_trees",)),
    Parameter("criterion", "choice", choices=(*OF_CLASSES, *OF_NUMBERS)),
    Parameter("max_depth", "integer", low=1, optional=True),
    Parameter("min_samples_leaf", "integer", low=1),
    Parameter("min_samples_split", "integer", low=2),
    Parameter(
        "max_features", "number", low=0, high=1, above=True, choices=("sqrt", "log2"), optional=True
    ),
    Parameter("max_leaf_nodes", "integer", low=2, optional=True),
    Parameter("min_impurity_decrease", "number", low=0),
    Parameter("max_samples", "number", low=0, high=1, above=True, optional=True),
    Parameter("bootstrap", "boolean"),
    Parameter("ccp_alpha", "number", low=0),
)
ROWS_PER_TREE = 100_000
BETWEEN_LOOKS = 0.25
"""Seconds of growing between two looks at the deadline."""
HOPELESS = 1.5
"""A forest whose remaining trees would take this many times what is left is given up at once."""


def check_forest(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The user's parameters under scikit-learn's names.

    Raises:
        ConfigError: one does not exist, is out of range, or means nothing beside another.
    """
    checked = check_parameters(name, PARAMETERS, params)
    if checked.get("bootstrap") is False and checked.get("max_samples") is not None:
        raise ConfigError(
            f"`max_samples` of {name} means nothing without `bootstrap`",
            fix="drop one of them",
            where=f"training.algorithms.{name}.max_samples",
        )
    return checked


def tree_size(rows: int, leaf: int) -> dict[str, Any]:
    """Rows that a tree sees (``max_samples``) and the fewest in a leaf, ``leaf`` for few rows.

    For many rows a thousand leaves a tree: more cost hundreds of megabytes where it serves.
    """
    if rows < ROWS_PER_TREE:
        return {"min_samples_leaf": leaf, "max_samples": None}
    share = ROWS_PER_TREE / rows
    return {
        "min_samples_leaf": max(10, int(rows * share) // 1_000),
        "max_samples": share if share < 1 else None,
    }


def forest_space(rows: int) -> Space:
    """How many rows a leaf has, and among how many columns a split chooses.

    After Grinsztajn et al., "Why do tree-based models still outperform deep learning on tabular
    data?", 2022 (leaves of 1 to 50 rows, .1 to .9 of the columns) and TabRepo (Salinas and
    Erickson, 2024: leaves of 1 to 80 rows). The number of trees is not searched: more are better.
    """
    least = 1 if rows < 20_000 else max(2, rows // 20_000)
    return (
        Dimension("min_samples_leaf", least, max(50, 10 * least), log=True, integer=True),
        Dimension("max_features", 0.1, 1.0),
    )


def grow_forest(
    name: str,
    model: Any,
    rows: TrainingRows,
    *,
    params: Mapping[str, Any],
    deadline: Deadline,
) -> Fitted:
    """``model`` (unfitted, without its number of trees) grown on ``rows`` until the deadline.

    A forest that was stopped and kept has fewer trees, the same ones as the whole one.

    Raises:
        StoppedError: the deadline passed, or the remaining trees cannot be grown before it.
        ConfigError: the criterion is one for another kind of target.
    """
    _check_criterion(name, params, rows.classes)
    deadline.check()
    standard = standard_of(rows)
    y = rows.y if rows.classes else standard.standardise(rows.y)
    _grow(model, rows, y, int(params["n_estimators"]), deadline)
    round_sklearn_trees(model)
    if rows.classes == 0:
        _restore(model, standard)
    # Several threads would add up the trees' scores in whatever order they finish.
    model.n_jobs = 1
    return fitted_estimator(name, model, params, rows.classes)


def _grow(model: Any, rows: TrainingRows, y: Any, trees: int, deadline: Deadline) -> None:
    """Grow the trees, some at a time; each is seeded by its number, so this changes nothing."""
    model.set_params(warm_start=True)
    threads = int(model.n_jobs or 1)
    grown = looks = 0
    step = trees if deadline.at == np.inf else min(trees, threads)
    while grown < trees:
        began = clock.monotonic()
        model.set_params(n_estimators=grown + step)
        model.fit(rows.X, y, sample_weight=rows.weight)
        each = (clock.monotonic() - began) / step
        grown += step
        left, looks = trees - grown, looks + 1
        # The first trees pay for what is loaded and checked once: they say little of the others.
        if left and _ends(deadline, each, left if looks > 1 else 0, threads):
            break
        step = min(left, max(threads, int(BETWEEN_LOOKS / max(each, 1e-6))))
    model.set_params(warm_start=False)


def _ends(deadline: Deadline, each: float, left: int, threads: int) -> bool:
    """Whether to stop here; ``left`` more trees take ``each`` seconds."""
    if deadline.keep:
        return deadline.left < each * threads
    deadline.check()
    if each * left > HOPELESS * deadline.left:
        raise StoppedError(f"{left} more trees would take {each * left:.1f} s")
    return False


def _check_criterion(name: str, params: Mapping[str, Any], classes: int) -> None:
    given = params.get("criterion")
    fitting = OF_CLASSES if classes else OF_NUMBERS
    if given is not None and given not in fitting:
        raise ConfigError(
            f"`criterion` of {name} cannot be {given!r} for this target",
            fix=f"give one of {', '.join(fitting)}",
            where=f"training.algorithms.{name}.criterion",
        )


def _restore(model: Any, standard: Standard) -> None:
    """Turn the leaves, learned in standard units, back into the target's."""
    for tree in model.estimators_:
        tree.tree_.value[:] = standard.restore(tree.tree_.value)
