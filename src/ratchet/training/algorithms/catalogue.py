"""Algorithms by name: the built-in ones, plug-ins, and estimators by dotted path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any, Final, cast

from ratchet.config.suggest import hint
from ratchet.data.task import TaskKind
from ratchet.errors import ConfigError, MissingExtraError
from ratchet.training.algorithms.port import Algorithm
from ratchet.training.algorithms.sklearn_estimator import SklearnEstimator

BUILT_IN: Final[Mapping[str, str]] = {
    "lightgbm": "ratchet.training.algorithms.lightgbm:LightGBM",
    "xgboost": "ratchet.training.algorithms.xgboost:XGBoost",
    "random_forest": "ratchet.training.algorithms.random_forest:RandomForest",
    "extra_trees": "ratchet.training.algorithms.extra_trees:ExtraTrees",
    "logistic_regression": "ratchet.training.algorithms.logistic_regression:LogisticRegression",
    "ridge": "ratchet.training.algorithms.ridge:Ridge",
    "svm": "ratchet.training.algorithms.svm:SVM",
    "torch": "ratchet.training.algorithms.torch:Torch",
}
GROUP: Final = "ratchet.algorithms"
"""Entry points of other distributions: a name, and a class that fulfils ``Algorithm``."""

CLASS_KEY: Final = "class"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An algorithm under the name it has in the project file, with the user's parameters."""

    name: str
    algorithm: Algorithm
    params: Mapping[str, Any]


def resolve_candidates(
    algorithms: Mapping[str, Mapping[str, Any]], task: TaskKind | None = None
) -> tuple[Candidate, ...]:
    """The candidates of the project file, in its order; loads no algorithm's library
    (but that of an estimator named by its path).

    Raises:
        ConfigError: an algorithm or parameter does not exist, a value is out of range, or an
            algorithm cannot learn the ``task``, if one is given.
        MissingExtraError: an algorithm's library is not installed.
    """
    candidates = []
    for name, given in algorithms.items():
        params = dict(given)
        algorithm = _find(name, params.pop(CLASS_KEY, None))
        if find_spec(algorithm.library) is None and algorithm.extra:
            raise MissingExtraError.of(
                algorithm.library, algorithm.extra, f"the algorithm `{name}`"
            )
        candidate = Candidate(name, algorithm, algorithm.check(params))
        if task is not None and task not in algorithm.tasks:
            raise _unfit(name, algorithm, task)
        candidates.append(candidate)
    return tuple(candidates)


def algorithms_for(task: TaskKind) -> dict[str, dict[str, Any]]:
    """The candidates of a project that names none, as the setting would hold them."""
    linear = "ridge" if task == "regression" else "logistic_regression"
    return {"lightgbm": {}, "random_forest": {}, "extra_trees": {}, linear: {}}


def starting_algorithms(task: TaskKind = "binary") -> tuple[str, ...]:
    """The algorithms a new project file names: XGBoost too where it is installed."""
    first, *others = algorithms_for(task)
    extra = ("xgboost",) if find_spec("xgboost") is not None else ()
    return (first, *extra, *others)


def _unfit(name: str, algorithm: Algorithm, task: TaskKind) -> ConfigError:
    """The error for an algorithm that cannot learn the task."""
    fitting = [other for other in BUILT_IN if task in _find(other, None).tasks]
    able = " and ".join(sorted(algorithm.tasks))
    return ConfigError(
        f"`{name}` cannot learn this target: the task is {task}",
        why=f"It learns {able}",
        fix=f"name any of {', '.join(fitting)}; or set data.task",
        where=f"training.algorithms.{name}",
    )


def _find(name: str, path: Any) -> Algorithm:
    where = f"training.algorithms.{name}"
    if path is not None:
        if name in BUILT_IN:
            raise ConfigError(
                f"`{name}` is a built-in algorithm and takes no `class`",
                fix="give the estimator a name of its own",
                where=f"{where}.class",
            )
        if not isinstance(path, str) or "." not in path:
            raise ConfigError(
                f"`class` of {name} is not a dotted path",
                fix="for example `class: sklearn.ensemble.GradientBoostingClassifier`",
                where=f"{where}.class",
            )
        return SklearnEstimator(name, path)
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast(Algorithm, getattr(import_module(module), attribute)())
    plugins = {point.name: point for point in entry_points(group=GROUP)}
    if name in plugins:
        return cast(Algorithm, plugins[name].load()())
    if "." in name:
        return SklearnEstimator(name, name)
    near = hint(name, [*BUILT_IN, *plugins])
    raise ConfigError(
        f"There is no algorithm `{name}`",
        fix=near
        + ("" if near.endswith("?") else ".")
        + " Any scikit-learn classifier or regressor can be named by its dotted path",
        where=where,
    )
