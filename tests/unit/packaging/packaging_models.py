"""Small trained models of every kind, and bundles of them, for the packaging tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
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
from ratchet.packaging.metadata import Metadata, runtime_requirements
from ratchet.packaging.onnx import ModelForm, export_model
from ratchet.packaging.signature import make_decision, make_signature
from ratchet.training.algorithms.catalogue import resolve_candidates
from ratchet.training.fitted import Fitted, TrainingRows

BINARY = Task("binary", ("no", "yes"))
THREE = Task("multiclass", ("gold", "iron", "wood"))
PLANS = ("basic", "plus", "pro", "team")
CITIES = tuple(f"city {i:02d}" for i in range(12))

DOTTED = "sklearn.ensemble.ExtraTreesClassifier"
BOOSTED = "sklearn.ensemble.GradientBoostingClassifier"
HISTOGRAM = "sklearn.ensemble.HistGradientBoostingClassifier"
NETWORK = "sklearn.neural_network.MLPClassifier"

SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_iterations": 40, "num_leaves": 8},
    "xgboost": {"n_estimators": 40, "max_depth": 4},
    "random_forest": {"n_estimators": 20},
    "logistic_regression": {},
    "svm": {},
    DOTTED: {"n_estimators": 15, "min_samples_leaf": 3},
    BOOSTED: {"n_estimators": 20},
    HISTOGRAM: {"max_iter": 20},
    NETWORK: {"hidden_layer_sizes": (8,), "max_iter": 60},
}
"""Every kind of model the default and dotted algorithms make, at a size for tests."""


def make_rows(rows: int = 500, seed: int = 7) -> pl.DataFrame:
    """Customers with missing values: an integer, two numbers, two texts, a boolean, two targets."""
    rng = np.random.default_rng(seed)
    tenure = rng.integers(0, 72, rows)
    charge = np.round(rng.gamma(4.0, 15.0, rows), 2)
    ratio = rng.normal(0.0, 1.0, rows)
    plan = rng.choice(PLANS, rows, p=[0.4, 0.3, 0.2, 0.1])
    city = rng.choice(CITIES, rows)
    loyal = rng.random(rows) < 0.4
    margin = -0.04 * tenure + 0.02 * charge + 0.8 * ratio + (plan == "basic") - 0.5 * loyal
    churn = rng.random(rows) < 1 / (1 + np.exp(-margin))
    level = np.digitize(margin + rng.normal(0, 0.7, rows), [-0.5, 0.8])

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
    """``algorithm`` of ``SMALL``, trained on ``make_rows()``; trained once per test process."""
    task, target = (BINARY, "churn") if classes == 2 else (THREE, "metal")
    frame = make_rows()
    schema = TableSchema.from_polars(frame.schema)
    other = "metal" if target == "churn" else "churn"
    roles = Roles(target=target, id="id", exclude=(other,))
    (candidate,) = resolve_candidates({algorithm: SMALL[algorithm]})
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


def content_of(trained: Trained, form: ModelForm, *, threshold: float = 0.5) -> BundleContent:
    """What a bundle of ``trained`` holds."""
    derives = bool(trained.recipe.derivation.features)
    return BundleContent(
        form=form,
        recipe=trained.recipe.to_json(),
        signature=make_signature(trained.recipe.inputs, trained.frame, trained.task),
        decision=make_decision(trained.task, threshold),
        metrics={"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}},
        metadata=metadata_of(trained),
        requirements=runtime_requirements(form.kind, derives=derives),
        card="# metals\n",
    )


def bundle_of(trained: Trained, folder: Path, *, threshold: float = 0.5) -> Bundle:
    """A bundle of ``trained`` in ``folder / "bundle"``."""
    exported = folder / "exported"
    exported.mkdir(parents=True)
    form = export_model(trained.fitted, trained.X, exported)
    return write_bundle(folder / "bundle", content_of(trained, form, threshold=threshold))


def expected_scores(trained: Trained, frame: pl.DataFrame) -> np.ndarray:
    """Training's own scores of raw rows."""
    return trained.fitted.predict(trained.recipe.matrix(frame))


def record_of(trained: Trained, row: int = 0) -> Mapping[str, Any]:
    """A raw training row as a record."""
    return trained.frame.row(row, named=True)
