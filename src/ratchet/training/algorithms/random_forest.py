"""Random forest: averaged deep trees on bootstrap samples (scikit-learn)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ratchet.data.task import Task
from ratchet.errors import ConfigError
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.estimator import fitted_estimator
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.cores import calm_openmp
from ratchet.training.fitted import Fitted, TrainingRows
from ratchet.training.thresholds import round_sklearn_trees

PARAMETERS = (
    Parameter("n_estimators", "integer", low=1, aliases=("num_trees",)),
    Parameter("criterion", "choice", choices=("gini", "entropy", "log_loss")),
    Parameter("max_depth", "integer", low=1, optional=True),
    Parameter("min_samples_leaf", "integer", low=1),
    Parameter("min_samples_split", "integer", low=2),
    Parameter("max_features", "number", low=0, above=True, choices=("sqrt", "log2"), optional=True),
    Parameter("max_leaf_nodes", "integer", low=2, optional=True),
    Parameter("min_impurity_decrease", "number", low=0),
    Parameter("max_samples", "number", low=0, above=True, optional=True),
    Parameter("bootstrap", "boolean"),
    Parameter("ccp_alpha", "number", low=0),
)
ROWS_PER_TREE = 100_000


class RandomForest:
    """Averaged trees on category codes."""

    name: ClassVar[str] = "random_forest"
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = None

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under scikit-learn's names."""
        checked = check_parameters(self.name, PARAMETERS, params)
        if checked.get("bootstrap") is False and checked.get("max_samples") is not None:
            raise ConfigError(
                "`max_samples` of random_forest means nothing without `bootstrap`",
                fix="drop one of them",
                where=f"training.algorithms.{self.name}.max_samples",
            )
        return checked

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """Category codes as numbers; missing values are filled."""
        return Encoding(categories="codes", missing="impute", scale=False)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """More trees for few rows; half the rows per tree where that scores as well."""
        size: dict[str, Any]
        if rows < 1_000:
            size = {"n_estimators": 300, "min_samples_leaf": 3, "max_samples": None}
        elif rows < 10_000:
            size = {"n_estimators": 200, "min_samples_leaf": 8, "max_samples": 0.5}
        elif rows < 100_000:
            size = {"n_estimators": 150, "min_samples_leaf": 3, "max_samples": None}
        else:
            share = min(1.0, ROWS_PER_TREE / rows)
            # A thousand leaves a tree: more of them cost hundreds of megabytes where it serves.
            leaf = max(10, int(rows * share) // 1_000)
            size = {"n_estimators": 100, "min_samples_leaf": leaf, "max_samples": share}
        return {**size, "max_features": "sqrt"}

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """A forest has no rounds."""
        return None

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
    ) -> Fitted:
        """Train; trees are seeded one by one, so threads change nothing."""
        calm_openmp()
        from sklearn.ensemble import RandomForestClassifier

        if not params.get("bootstrap", True):
            params = {**params, "max_samples": None}
        model = RandomForestClassifier(**params, random_state=seed, n_jobs=threads)
        model.fit(rows.X, rows.y, sample_weight=rows.weight)
        round_sklearn_trees(model)
        # Several threads would add up the trees' scores in whatever order they finish.
        model.n_jobs = 1
        return fitted_estimator(self.name, model, params, rows.classes)
