"""Small rows of every task, and fits of any algorithm on them."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from ratchet.data.task import Task
from ratchet.training.algorithms.catalogue import BUILT_IN, resolve_candidates
from ratchet.training.deadline import NEVER
from ratchet.training.fitted import TrainingRows

QUICK = {
    "lightgbm": {"num_iterations": 30, "learning_rate": 0.2},
    "xgboost": {"n_estimators": 30},
    "random_forest": {"n_estimators": 15},
    "extra_trees": {"n_estimators": 15},
}
ENDLESS = {
    # Slow: where nothing is left to learn LightGBM ends by itself.
    "lightgbm": {"num_iterations": 10**6, "learning_rate": 1e-4},
    "xgboost": {"n_estimators": 10**6},
    "random_forest": {"n_estimators": 10**6},
    "extra_trees": {"n_estimators": 10**6},
}
KINDS = {2: "binary", 3: "multiclass", 0: "regression"}
HERE = [name for name in BUILT_IN if name != "torch" and (name != "xgboost" or find_spec(name))]
"""The algorithms to try; the neural network has tests of its own."""
ALL = [
    (name, classes)
    for name in HERE
    for classes in KINDS
    if KINDS[classes] in resolve_candidates({name: {}})[0].algorithm.tasks
]


def task_of(classes: int) -> Task:
    """The task with this many classes; regression with none."""
    return Task(KINDS[classes], tuple(range(classes)))


def make_rows(
    n: int = 300, classes: int = 2, seed: int = 0, *, center: float = 0.0, scale: float = 1.0
) -> TrainingRows:
    """Two category columns and four numbers; a clear signal, nothing missing."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(np.float32)
    X[:, :2] = rng.integers(0, 5, size=(n, 2))
    signal = X[:, 2] + (X[:, 0] == 2) + 0.3 * rng.normal(size=n)
    if classes:
        cuts = np.quantile(signal, np.arange(1, classes) / classes)
        y = np.searchsorted(cuts, signal).astype(np.int32)
    else:
        y = signal.astype(np.float64) * scale + center
    return TrainingRows(X, y, None, (0, 1), tuple("abcdef"), classes)


def fit(name, rows, *, params=None, seed=7, threads=1, validation=None, deadline=NEVER, start=None):
    """The algorithm with its defaults and quick or given parameters, fitted on ``rows``."""
    given = QUICK.get(name, {}) if params is None else params
    (candidate,) = resolve_candidates({name: given})
    algorithm = candidate.algorithm
    defaults = algorithm.defaults(task_of(rows.classes), len(rows.y), rows.X.shape[1])
    return algorithm.fit(
        rows,
        params={**defaults, **candidate.params},
        seed=seed,
        threads=threads,
        validation=validation,
        deadline=deadline,
        start=start,
    )


def algorithm_of(name):
    """The algorithm itself."""
    return resolve_candidates({name: {}})[0].algorithm


def explained(y, estimates) -> float:
    """R squared."""
    return 1 - float(((y - estimates) ** 2).sum() / ((y - y.mean()) ** 2).sum())
