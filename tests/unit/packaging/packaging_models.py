"""Small trained models of every kind, and bundles of them, for the packaging tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.packaging.bundle import Bundle, BundleContent, write_bundle
from ratchet.packaging.composite import join_inputs, open_exported
from ratchet.packaging.decision import Interval, make_decision
from ratchet.packaging.export import export_blend
from ratchet.packaging.metadata import Metadata, runtime_requirements
from ratchet.packaging.signature import make_signature
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.blend import Blend, Member
from ratchet.training.calibrate import Calibration
from ratchet.training.fitted import Fitted, TrainingRows

BINARY = Task("binary", ("no", "yes"))
THREE = Task("multiclass", ("gold", "iron", "wood"))
NUMBER = Task("regression", ())
TASKS = {2: (BINARY, "churn"), 3: (THREE, "metal"), 0: (NUMBER, "spend")}
"""Number of classes to task and target."""
PLANS = ("basic", "plus", "pro", "team")
CITIES = tuple(f"city {i:02d}" for i in range(12))

DOTTED = "sklearn.ensemble.ExtraTreesClassifier"
BOOSTED = "sklearn.ensemble.GradientBoostingClassifier"
HISTOGRAM = "sklearn.ensemble.HistGradientBoostingClassifier"
NETWORK = "sklearn.neural_network.MLPClassifier"
CLASSIFIERS = ("logistic_regression", DOTTED, BOOSTED, HISTOGRAM, NETWORK)
"""Those of ``SMALL`` that cannot estimate a number."""

SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_iterations": 40, "num_leaves": 8},
    "xgboost": {"n_estimators": 40, "max_depth": 4},
    "random_forest": {"n_estimators": 20},
    "extra_trees": {"n_estimators": 15},
    "logistic_regression": {},
    "svm": {},
    DOTTED: {"n_estimators": 15, "min_samples_leaf": 3},
    BOOSTED: {"n_estimators": 20},
    HISTOGRAM: {"max_iter": 20},
    NETWORK: {"hidden_layer_sizes": (8,), "max_iter": 60},
}
"""Every kind of model the default and dotted algorithms make, at a size for tests."""
if find_spec("torch") is not None:
    SMALL["torch"] = {"epochs": 3, "members": 4, "width": 16}

ESTIMATORS: dict[str, dict[str, Any]] = {
    **{name: SMALL[name] for name in SMALL if name not in CLASSIFIERS},
    "ridge": {},
    "sklearn.ensemble.GradientBoostingRegressor": {"n_estimators": 20},
    "sklearn.ensemble.HistGradientBoostingRegressor": {"max_iter": 20},
    "sklearn.neural_network.MLPRegressor": {"hidden_layer_sizes": (8,), "max_iter": 60},
}
"""The same for regression."""


def make_rows(rows: int = 500, seed: int = 7) -> pl.DataFrame:
    """Customers with missing values: a whole number, two numbers, two texts, a flag, 3 targets."""
    rng = np.random.default_rng(seed)
    tenure = rng.integers(0, 72, rows)
    charge = np.round(rng.gamma(4.0, 15.0, rows), 2)
    ratio = rng.normal(0.0, 1.0, rows)
    plan = rng.choice(PLANS, rows, p=[0.4, 0.3, 0.2, 0.1])
    city = rng.choice(CITIES, rows)
    loyal = rng.random(rows) < 0.4
    margin = -0.04 * tenure + 0.02 * charge + 0.8 * ratio + (plan == "basic") - 0.5 * loyal
    churn = rng.random(rows) < 1 / (1 + np.exp(-margin))
    noise = rng.normal(0, 0.7, rows)
    level = np.digitize(margin + noise, [-0.5, 0.8])

    def holed(values: Any, share: float) -> list[Any]:
        gone = rng.random(rows) < share
        return [None if g else v for g, v in zip(gone.tolist(), values.tolist(), strict=True)]

    return pl.DataFrame(
        {
            "id": [f"c{i}" for i in range(rows)],
            "tenure": tenure,
            "charge": holed(charge, 0.05),
            "ratio": holed(ratio, 0.1),
            "plan": plan,
            "city": holed(city, 0.05),
            "loyal": holed(loyal, 0.03),
            "churn": np.where(churn, "yes", "no"),
            "metal": np.array(["gold", "iron", "wood"])[level],
            "spend": 1000.0 + 250.0 * margin + 40.0 * noise,
        },
        schema_overrides={"charge": pl.Float64, "ratio": pl.Float64, "loyal": pl.Boolean},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained model, its recipe, and the frame and matrix it learned from."""

    task: Task
    frame: pl.DataFrame
    recipe: Recipe
    fitted: Fitted
    X: np.ndarray


@cache
def train(
    algorithm: str, classes: int = 2, *, expressions: tuple[tuple[str, str], ...] = ()
) -> Trained:
    """``algorithm`` of ``SMALL``, trained on ``make_rows()``; trained once per test process.

    ``classes`` 0 is regression.
    """
    task, target = TASKS[classes]
    frame = make_rows()
    schema = TableSchema.from_polars(frame.schema)
    others = tuple(other for _, other in TASKS.values() if other != target)
    roles = Roles(target=target, id="id", exclude=others)
    (candidate,) = resolve_candidates({algorithm: (SMALL | ESTIMATORS)[algorithm]})
    kind = candidate.algorithm
    y = task.encode(frame[target])
    recipe, X = fit_recipe(
        frame,
        y,
        roles=roles,
        schema=schema,
        settings=FeaturesSettings(expressions=dict(expressions)),
        encoding=kind.encoding(task, frame.height, 6),
        task=task,
        seed=3,
        root=Path(),
    )
    rows = TrainingRows(X, y, None, recipe.categorical, recipe.feature_names, len(task.classes))
    params = {**kind.defaults(task, frame.height, X.shape[1]), **candidate.params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a network this small need not converge here
        fitted = kind.fit(rows, params=params, seed=3, threads=1, validation=None)
    return Trained(task, frame, recipe, fitted, X)


def metadata_of(trained: Trained) -> Metadata:
    """Metadata with made-up digests."""
    return Metadata(
        project="metals",
        algorithm=trained.fitted.algorithm,
        params=dict(trained.fitted.params),
        seed=3,
        snapshot={"table": "data", "version": 0, "rows": trained.frame.height, "digest": "d" * 64},
        config_digest="c" * 64,
        code_version="0.1.0",
        libraries={"python": "3.11"},
    )


def blend_of(
    *trained: Trained,
    weights: tuple[float, ...] = (1.0,),
    calibration: Calibration | None = None,
    threshold: float | None = None,
) -> Blend:
    """A blend of trained models."""
    members = tuple(
        Member(each.fitted.algorithm, each.fitted.algorithm, each.recipe, each.fitted, weight)
        for each, weight in zip(trained, weights, strict=True)
    )
    return Blend(trained[0].task, members, calibration, threshold)


def content_of(
    trained: Trained,
    model: Path,
    *,
    threshold: float = 0.5,
    objective: str = "",
    interval: Interval | None = None,
) -> BundleContent:
    """What a bundle holds of the model exported into the folder ``model``."""
    opened = open_exported(model)
    return BundleContent(
        model=model,
        signature=make_signature(
            join_inputs(opened.recipes),
            trained.frame,
            trained.task,
            coverage=interval.coverage if interval else None,
        ),
        decision=make_decision(trained.task, threshold, objective=objective, interval=interval),
        metrics={"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}},
        metadata=metadata_of(trained),
        requirements=runtime_requirements(opened.composition.kinds, derives=opened.derives),
        card="# metals\n",
    )


def export(blend: Blend, folder: Path, frame: pl.DataFrame | None = None) -> Path:
    """The folder of ``blend``, exported into ``folder / "exported"``."""
    exported = folder / "exported"
    exported.mkdir(parents=True)
    return export_blend(blend, make_rows() if frame is None else frame, exported).folder


def bundle_of(trained: Trained, folder: Path, **decided: Any) -> Bundle:
    """A bundle of ``trained`` alone in ``folder / "bundle"``."""
    return bundle_of_blend(blend_of(trained), trained, folder, **decided)


def bundle_of_blend(blend: Blend, trained: Trained, folder: Path, **decided: Any) -> Bundle:
    """A bundle of ``blend`` in ``folder / "bundle"``; ``trained`` is one of its members."""
    exported = export(blend, folder, trained.frame)
    return write_bundle(folder / "bundle", content_of(trained, exported, **decided))


def expected_scores(trained: Trained, frame: pl.DataFrame) -> np.ndarray:
    """Training's own scores of raw rows."""
    return trained.fitted.predict(trained.recipe.matrix(frame))


def record_of(trained: Trained, row: int = 0) -> Mapping[str, Any]:
    """A raw training row as a record."""
    return trained.frame.row(row, named=True)
