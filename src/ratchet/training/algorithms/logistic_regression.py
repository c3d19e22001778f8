"""Logistic regression with an L2 penalty (scikit-learn)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ratchet.data.task import Task
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.estimator import fitted_estimator
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.cores import calm_openmp
from ratchet.training.fitted import Fitted, TrainingRows

PARAMETERS = (
    Parameter("C", "number", low=0, above=True),
    Parameter("max_iter", "integer", low=1),
    Parameter("tol", "number", low=0, above=True),
    Parameter("fit_intercept", "boolean"),
)
NEWTON_WEIGHTS = 300
"""Up to this many coefficients Newton's method beats L-BFGS, and converges to the optimum."""

DOUBLE_CELLS = 20_000_000


class LogisticRegression:
    """A linear model on scaled numbers and one-hot categories."""

    name: ClassVar[str] = "logistic_regression"
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = None

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under scikit-learn's names."""
        return check_parameters(self.name, PARAMETERS, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """One column per category, numbers filled and scaled."""
        return Encoding(categories="onehot", missing="impute", scale=True)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """The usual penalty and enough iterations."""
        return {"C": 1.0, "max_iter": 1_000, "tol": 1e-4}

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """It has no rounds."""
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
        """Train to convergence: Newton's method for few coefficients, L-BFGS for many."""
        calm_openmp()
        from sklearn.linear_model import LogisticRegression as Model

        weights = rows.X.shape[1] * (1 if rows.classes == 2 else rows.classes)
        solver = "newton-cholesky" if weights <= NEWTON_WEIGHTS else "lbfgs"
        X = rows.X.astype(np.float64) if rows.X.size <= DOUBLE_CELLS else rows.X
        model = Model(**params, solver=solver, random_state=seed)
        model.fit(X, rows.y, sample_weight=rows.weight)
        return fitted_estimator(self.name, model, params, rows.classes)
