"""Support vector machine: RBF kernel for few rows, linear for many (scikit-learn)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.estimator import fit_with_sigmoid, fitted_estimator, learnable
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.port import ALL_TASKS
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows
from ratchet.training.targets import Standard, standard_of

PARAMETERS = (
    Parameter("kernel", "choice", choices=("rbf", "linear")),
    Parameter("C", "number", low=0, above=True),
    Parameter("gamma", "number", low=0, above=True, choices=("scale", "auto")),
    Parameter("max_iter", "integer", low=1),
    Parameter("tol", "number", low=0, above=True),
    Parameter("epsilon", "number", low=0),
)
KERNEL_ROWS = 8_000
"""Above this many rows the kernel's quadratic cost outweighs what it brings."""


class SVM:
    """Widest-margin classifier, its decision values turned into probabilities.

    For a target to be estimated, a support vector regression in standard units; ``epsilon``, the
    error that costs nothing, is in these units too. Its library cannot be interrupted.
    """

    name: ClassVar[str] = "svm"
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = None
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    interruptible: ClassVar[bool] = False
    continues: ClassVar[bool] = False

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under scikit-learn's names."""
        return check_parameters(self.name, PARAMETERS, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """One column per category, numbers filled and scaled: distances must mean something."""
        return Encoding(categories="onehot", missing="impute", scale=True)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """A wide RBF kernel up to 8,000 rows.

        scikit-learn's own width, for columns that are all alike, overfits one-hot columns: ROC-AUC
        .80 on Telco, against .837 with this one and .842 with a linear kernel.
        """
        kernel = "rbf" if rows <= KERNEL_ROWS else "linear"
        width = round(0.1 / max(1, features), 6)
        limit = 100_000 if kernel == "rbf" else 2_000
        return {"kernel": kernel, "C": 1.0, "gamma": width, "max_iter": limit, "tol": 1e-3}

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """It has no rounds."""
        return None

    def space(self, task: Task, rows: int, features: int) -> Space:
        """Penalty and width, on both sides of the defaults.

        The penalty's range is auto-sklearn's (Feurer et al., 2015) without the ends that cost
        most; the width is relative to the number of columns.
        """
        penalty = Dimension("C", 0.03, 100.0, log=True)
        if rows > KERNEL_ROWS:
            return (penalty,)
        width = 1.0 / max(1, features)
        return (penalty, Dimension("gamma", 0.01 * width, 3.0 * width, log=True))

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """A heavier and a lighter penalty; for few rows a narrower kernel as well."""
        if rows > KERNEL_ROWS:
            return ({"C": 0.05}, {"C": 10.0})
        narrow = round(0.5 / max(1, features), 6)
        return ({"C": 10.0}, {"C": 0.3}, {"C": 3.0, "gamma": narrow})

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
        """Train, then learn the probabilities on decision values for unseen rows."""
        calm_openmp()
        deadline.check()
        if rows.classes == 0:
            return _fit_regression(self.name, rows, params, seed)
        from sklearn.svm import SVC, LinearSVC

        shared = {name: params[name] for name in ("C", "max_iter", "tol")}
        if params["kernel"] == "rbf":
            machine = SVC(**shared, kernel="rbf", gamma=params["gamma"], random_state=seed)
        else:
            machine = LinearSVC(**shared, dual=False, random_state=seed)
        model = fit_with_sigmoid(machine, rows, seed)
        return fitted_estimator(self.name, model, params, rows.classes, wide=True)

    def save(self, fitted: Fitted) -> bytes | None:
        """Nothing: it does not continue."""
        return None


def _fit_regression(name: str, rows: TrainingRows, params: Mapping[str, Any], seed: int) -> Fitted:
    from sklearn.svm import SVR, LinearSVR

    shared = {each: params[each] for each in ("C", "max_iter", "tol")}
    shared["epsilon"] = params.get("epsilon", 0.1)
    standard = standard_of(rows)
    if params["kernel"] == "rbf":
        machine = SVR(**shared, kernel="rbf", gamma=params["gamma"])
    else:
        machine = LinearSVR(
            **shared, loss="squared_epsilon_insensitive", dual=False, random_state=seed
        )
    machine.fit(learnable(rows), standard.standardise(rows.y), sample_weight=rows.weight)
    _restore(machine, standard)
    return fitted_estimator(name, machine, params, 0, wide=True)


def _restore(machine: Any, standard: Standard) -> None:
    """Turn a machine that learned in standard units back into the target's."""
    if hasattr(machine, "support_vectors_"):
        # scikit-learn scores with the private copies and shows the public ones.
        machine.dual_coef_ = machine._dual_coef_ = machine._dual_coef_ * standard.scale
        machine.intercept_ = machine._intercept_ = standard.restore(machine._intercept_)
    else:
        machine.coef_ = machine.coef_ * standard.scale
        machine.intercept_ = standard.restore(machine.intercept_)
