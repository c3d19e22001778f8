"""Logistic regression with an L2 penalty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.estimator import fitted_estimator, learnable
from ratchet.training.algorithms.logistic import Belief, curvature, most_likely, weak_belief
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.port import CLASSES
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows

PARAMETERS = (
    Parameter("C", "number", low=0, above=True),
    Parameter("max_iter", "integer", low=1),
    Parameter("tol", "number", low=0, above=True),
    Parameter("fit_intercept", "boolean"),
)


class LogisticRegression:
    """A linear model on scaled numbers and one-hot categories.

    It continues by Bayes' rule: what it learned before is the prior of what it learns now, so that
    many new rows count for more than few.
    """

    name: ClassVar[str] = "logistic_regression"
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = None
    tasks: ClassVar[frozenset[TaskKind]] = CLASSES
    interruptible: ClassVar[bool] = True
    continues: ClassVar[bool] = True

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

    def space(self, task: Task, rows: int, features: int) -> Space:
        """The penalty: TabRepo's range (.1 to 1,000; Salinas and Erickson, 2024), and stronger."""
        return (Dimension("C", 1e-4, 1e3, log=True),)

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Stronger penalties, then a weaker one."""
        return ({"C": 0.05}, {"C": 0.005}, {"C": 30.0})

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
        """Train to convergence; the same rows give the same coefficients whatever the seed."""
        calm_openmp()
        deadline.check()
        known = np.unique(rows.y).astype(np.int64)
        classes = tuple(int(code) for code in known)
        if len(classes) < 2:
            raise ValueError("a single class in the rows leaves nothing to learn")
        X, columns = learnable(rows), rows.X.shape[1]
        prior = weak_belief(
            classes, columns, float(params["C"]), bool(params.get("fit_intercept", True))
        )
        if start is not None:
            prior = _earlier(start, prior)
        found = most_likely(
            X,
            np.searchsorted(known, rows.y),
            rows.weight,
            prior,
            steps=int(params["max_iter"]),
            tolerance=float(params["tol"]),
            deadline=deadline,
        )
        learned = prior.precision + curvature(X, rows.weight, found)
        model = _estimator(params, found, known, Belief(classes, found, learned))
        return fitted_estimator(self.name, model, params, rows.classes)

    def save(self, fitted: Fitted) -> bytes | None:
        """Coefficients, and how sure it is of each, as JSON."""
        belief: Belief = fitted.model.belief_
        return belief.to_bytes()


def _earlier(start: bytes, prior: Belief) -> Belief:
    """What the earlier model learned.

    Raises:
        ValueError: it was trained on other columns or classes.
    """
    earlier = Belief.from_bytes(start)
    if (earlier.classes, earlier.mean.shape) != (prior.classes, prior.mean.shape):
        raise ValueError(
            f"the earlier model knows the classes {earlier.classes} by "
            f"{earlier.mean.shape[1] - 1} columns, these rows have {prior.classes} and "
            f"{prior.mean.shape[1] - 1}"
        )
    return earlier


def _estimator(
    params: Mapping[str, Any],
    found: npt.NDArray[np.float64],
    known: npt.NDArray[np.int64],
    belief: Belief,
) -> Any:
    """The coefficients as scikit-learn's estimator, which scoring and explaining know."""
    from sklearn.linear_model import LogisticRegression as Model

    model = Model(**params)
    model.coef_, model.intercept_ = found[:, :-1].copy(), found[:, -1].copy()
    model.classes_, model.n_features_in_ = known, found.shape[1] - 1
    model.belief_ = belief
    return model
