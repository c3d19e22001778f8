"""Real bundles: a recipe fitted and a LightGBM model trained on a few generated rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task
from ratchet.features.recipe import Encoding, Recipe, fit_recipe
from ratchet.features.settings import FeaturesSettings
from ratchet.packaging.bundle import Bundle, BundleContent, write_bundle
from ratchet.packaging.composition import COMPOSITION, Composition, Part
from ratchet.packaging.decision import Interval, make_decision
from ratchet.packaging.metadata import Metadata
from ratchet.packaging.signature import make_signature

ROWS = 300


def make_frame(seed: int = 0, rows: int = ROWS) -> pl.DataFrame:
    """Customers with every kind of column, some values missing."""
    rng = np.random.default_rng(seed)
    tenure = rng.integers(0, 72, rows)
    charges = np.round(rng.uniform(20, 120, rows), 2)
    churn = rng.random(rows) < 1 / (1 + np.exp(0.08 * tenure - 0.02 * charges))
    days = np.datetime64("2026-01-01T00:00:00", "us") + rng.integers(0, 300, rows) * 86_400_000_000
    frame = pl.DataFrame(
        {
            "tenure": tenure,
            "charges": charges,
            "contract": rng.choice(["month", "year", "two years"], rows),
            "paperless": rng.random(rows) < 0.5,
            "joined": days,
            "Churn": np.where(churn, "Yes", "No"),
        },
        schema_overrides={"tenure": pl.Int64, "joined": pl.Datetime("us")},
    )
    gaps = pl.Series(rng.random(rows) < 0.1)
    return frame.with_columns(
        pl.when(gaps).then(None).otherwise(pl.col(name)).alias(name)
        for name in ("charges", "contract", "paperless")
    )


def fit(frame: pl.DataFrame, task: Task) -> tuple[Recipe, np.ndarray]:
    recipe, X = fit_recipe(
        frame,
        task.encode(frame["Churn"]),
        roles=Roles(target="Churn"),
        schema=TableSchema.from_polars(frame.schema),
        settings=FeaturesSettings(),
        encoding=Encoding(),
        task=task,
        seed=42,
        root=Path(),
    )
    return recipe, X


def make_bundle(
    folder: Path, *, frame: pl.DataFrame | None = None, task: Task | None = None
) -> Bundle:
    """A bundle in ``folder / "bundle"``, of a model trained on ``frame``."""
    import lightgbm as lgb

    frame = make_frame() if frame is None else frame
    task = task or Task("binary", ("No", "Yes"))
    estimates = task.kind == "regression"
    interval = Interval(0.9, -1.5, 2.5) if estimates else None
    recipe, X = fit(frame, task)
    objective = "regression" if estimates else "binary"
    params = {"objective": objective, "num_threads": 1, "verbosity": -1, "seed": 1}
    booster = lgb.train(params, lgb.Dataset(X, task.encode(frame["Churn"])), num_boost_round=5)
    model = folder / "model"
    model.mkdir()
    booster.save_model(str(model / "model.txt"))
    # The library's own text rather than ONNX, so that a client needs another runtime than most.
    part = Part("lightgbm", "lightgbm", "lightgbm", "model.txt", "recipe.json", 1.0)
    for name, value in (
        ("recipe.json", recipe.to_json()),
        (COMPOSITION, Composition((part,)).to_json()),
    ):
        (model / name).write_text(json.dumps(value), encoding="utf-8")
    content = BundleContent(
        model=model,
        signature=make_signature(recipe.inputs, frame, task, coverage=0.9 if estimates else None),
        decision=make_decision(task, 0.4, interval=interval),
        metrics={"roc_auc": 0.8},
        metadata=Metadata("churn", "lightgbm", params, 42, {"version": 0}, "c", "0.1.0", {}),
        requirements=("lightgbm==4.7.0", "ratchet-ml==0.1.0"),
        card="# A model\n",
    )
    return write_bundle(folder / "bundle", content)
