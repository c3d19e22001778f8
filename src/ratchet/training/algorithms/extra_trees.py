"""Extra trees: averaged deep trees whose splits are drawn at random (scikit-learn).

Geurts, Ernst and Wehenkel, "Extremely randomized trees", 2006. Their errors are unlike those of
a random forest or of boosting, which is what an ensemble needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.forest import check_forest, forest_space, grow_forest, tree_size
from ratchet.training.algorithms.port import ALL_TASKS
from ratchet.training.algorithms.space import Space
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows


class ExtraTrees:
    """Averaged trees with random splits, on category codes; it does not continue."""

    name: ClassVar[str] = "extra_trees"
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = None
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    interruptible: ClassVar[bool] = True
    continues: ClassVar[bool] = False

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under scikit-learn's names."""
        return check_forest(self.name, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """Category codes as numbers; missing values are filled."""
        return Encoding(categories="codes", missing="impute", scale=False)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """More trees for few rows; every tree sees all of them, up to a hundred thousand."""
        trees = 300 if rows < 1_000 else 200 if rows < 10_000 else 150 if rows < 100_000 else 100
        leaf = 4 if rows < 1_000 else 10 if rows < 10_000 else 8
        size = tree_size(rows, 2 if task.kind == "regression" else leaf)
        sampled = size["max_samples"] is not None
        return {"n_estimators": trees, **size, "bootstrap": sampled, "max_features": 0.5}

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """A forest has no rounds."""
        return None

    def space(self, task: Task, rows: int, features: int) -> Space:
        """Leaves and columns; see ``forest_space``."""
        return forest_space(rows)

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Coarse leaves with all columns, fine leaves with few, leaves of a handful of rows.

        After AutoGluon's portfolio of 2023, learned on TabRepo (XT r4, r126 and r172).
        """
        many = rows >= 100_000
        return (
            {"max_features": 1.0, "min_samples_leaf": 20 if not many else 100},
            {"max_features": "sqrt", "min_samples_leaf": 2 if not many else 20},
            {"max_features": 1.0, "min_samples_leaf": 5 if not many else 40},
        )

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
        deadline: Deadline = NEVER,
        start: bytes | None = None,
    ) -> Fitted:
        """Train; trees are seeded one by one, so threads change nothing."""
        calm_openmp()
        from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

        if not params.get("bootstrap", False):
            params = {**params, "max_samples": None}
        kind = ExtraTreesClassifier if rows.classes else ExtraTreesRegressor
        model = kind(**params, random_state=seed, n_jobs=threads)
        return grow_forest(self.name, model, rows, params=params, deadline=deadline)

    def save(self, fitted: Fitted) -> bytes | None:
        """Nothing: it does not continue."""
        return None
