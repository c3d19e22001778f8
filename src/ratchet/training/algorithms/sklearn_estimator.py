"""Any scikit-learn-compatible classifier or regressor, named by its dotted path."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ratchet.data.task import Task, TaskKind
from ratchet.errors import ConfigError
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.estimator import fit_with_sigmoid, fitted_estimator, learnable
from ratchet.training.algorithms.parameters import SET_ELSEWHERE, unknown_parameter
from ratchet.training.algorithms.port import CLASSES, NUMBERS
from ratchet.training.algorithms.space import Space
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows
from ratchet.training.thresholds import round_sklearn_trees


class SklearnEstimator:
    """The class at ``path`` on scaled numbers and one-hot categories, nothing missing.

    It is handed float64 rows, in training and in scoring, and a target to be estimated in its own
    units, since some regressors ask for counts or for positive numbers.
    """

    extra = ""
    rounds_parameter = None
    interruptible = False
    continues = False

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.library = path.partition(".")[0]

    @property
    def tasks(self) -> frozenset[TaskKind]:
        """What the class, which is loaded for it, can learn."""
        return CLASSES if _classifies(self._load()) else NUMBERS

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters, by the signature of the class, which is loaded for it.

        Raises:
            ConfigError: no such class, neither classifier nor regressor, or a parameter it does
                not take.
        """
        known = _accepted(self._load())
        for name in params:
            if name in SET_ELSEWHERE or (known is not None and name not in known):
                raise unknown_parameter(self.name, name, known or ())
        return dict(params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """What every kind of estimator can live with."""
        return Encoding(categories="onehot", missing="impute", scale=True)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """The class's own."""
        return {}

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """It trains as it is told."""
        return None

    def space(self, task: Task, rows: int, features: int) -> Space:
        """Nothing: what its parameters mean is not known here."""
        return ()

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Nothing beside what the user gives."""
        return ()

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
        """Train with what the class takes of seed and threads.

        A classifier without probabilities gets them from its decision values.
        """
        estimator = self._load()
        from threadpoolctl import threadpool_limits

        deadline.check()
        accepted = _accepted(estimator) or frozenset()
        ours = {"random_state": seed, "n_jobs": threads}
        model = estimator(**params, **{name: ours[name] for name in ours if name in accepted})
        with threadpool_limits(limits=threads, user_api="openmp"):
            if rows.classes == 0 or hasattr(model, "predict_proba"):
                # One that takes no weights fails: it must not silently train without them.
                weighted = {} if rows.weight is None else {"sample_weight": rows.weight}
                model.fit(learnable(rows), rows.y, **weighted)
            else:
                model = fit_with_sigmoid(model, rows, seed)
        round_sklearn_trees(model)
        if "n_jobs" in accepted and hasattr(model, "n_jobs"):
            model.n_jobs = 1
        return fitted_estimator(self.name, model, params, rows.classes, wide=True)

    def save(self, fitted: Fitted) -> bytes | None:
        """Nothing: it does not continue."""
        return None

    def _load(self) -> type[Any]:
        calm_openmp()
        module, _, name = self.path.rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise self._refusal("cannot be loaded", str(error)) from error
        if not inspect.isclass(found):
            raise self._refusal("is not a class", f"it is a {type(found).__name__}")
        if not hasattr(found, "fit"):
            raise self._refusal("cannot be trained", "it has no `fit`")
        if not (_classifies(found) or _estimates(found)):
            raise self._refusal(
                "is neither classifier nor regressor",
                "it has neither `predict_proba` nor `decision_function`, and is no RegressorMixin",
            )
        return found

    def _refusal(self, what: str, why: str) -> ConfigError:
        return ConfigError(
            f"`{self.path}` {what}",
            why=why,
            fix="give the dotted path of a scikit-learn-compatible classifier or regressor, "
            "for example `sklearn.ensemble.GradientBoostingClassifier`",
            where=f"training.algorithms.{self.name}",
        )


def _estimates(estimator: type[Any]) -> bool:
    from sklearn.base import RegressorMixin

    return issubclass(estimator, RegressorMixin) and hasattr(estimator, "predict")


def _classifies(estimator: type[Any]) -> bool:
    decides = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    return decides and not _estimates(estimator)


def _accepted(estimator: type[Any]) -> frozenset[str] | None:
    """Names the constructor takes; None if it takes any."""
    parameters = inspect.signature(estimator).parameters.values()
    if any(item.kind is item.VAR_KEYWORD for item in parameters):
        return None
    return frozenset(item.name for item in parameters)
