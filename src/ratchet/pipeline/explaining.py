"""A shipped model as explanation and permutation importance see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.task import Task
    from ratchet.evaluation.exact import Exact
    from ratchet.evaluation.explain import Subject
    from ratchet.features.recipe import Recipe
    from ratchet.packaging.composite import Composite
    from ratchet.training.previous import PreviousMember

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]


def encode_all(recipes: Sequence[Recipe], frame: pl.DataFrame) -> Matrix:
    """Raw rows encoded by every recipe, their matrices side by side: float32 (n, D)."""
    matrices = [recipe.matrix(frame) for recipe in recipes]
    return matrices[0] if len(matrices) == 1 else np.hstack(matrices)


def score_all(model: Composite, X: Matrix) -> Floats:
    """The model's final scores (n, k) of what ``encode_all`` gave."""
    bounds = np.cumsum([len(recipe.feature_names) for recipe in model.recipes])[:-1]
    parts = np.split(X, bounds, axis=1) if len(bounds) else [X]
    return model.score_encoded([np.ascontiguousarray(part) for part in parts])


def subject_of(
    model: Composite, task: Task, typical: pl.DataFrame, members: Sequence[PreviousMember]
) -> Subject:
    """The model with the columns its recipes make, and typical raw rows to compare with.

    ``members`` are what training left of it; empty where that is not there any more.
    """
    from ratchet.evaluation.explain import Subject
    from ratchet.evaluation.raw import column_groups

    background = encode_all(model.recipes, typical)
    return Subject(
        task=task,
        score=lambda X: score_all(model, X),
        groups=column_groups(model.recipes),
        background=background,
        exact=closed_form(model, task, members, background),
    )


def closed_form(
    model: Composite, task: Task, members: Sequence[PreviousMember], background: Matrix
) -> Exact | None:
    """The exact explanation of a model of one member that has a closed form, else None.

    A sigmoid after it is a straight line on the log odds; any other calibration is none.

    Args:
        members: what training left of the model's members; boosted trees are read from there.
        background: encoded typical rows (b, D), which a linear model is compared with.
    """
    from ratchet.evaluation.exact import exact_lightgbm, exact_linear, exact_xgboost
    from ratchet.packaging.linear import LinearScorer

    calibration = model.composition.calibration
    straight = calibration is None or calibration.method == "sigmoid"
    if len(model.members) != 1 or not straight:
        return None
    slope, shift = (1.0, 0.0) if calibration is None else calibration.points[:2]
    scorer = model.members[0].scorer
    if isinstance(scorer, LinearScorer):
        return exact_linear(scorer.weights, scorer.intercept, background, slope=slope, shift=shift)
    if len(members) != 1 or members[0].saved is None:
        return None
    algorithm, saved = members[0].algorithm, members[0].saved
    if algorithm == "lightgbm":
        import lightgbm

        return exact_lightgbm(lightgbm.Booster(model_str=saved.decode()), slope=slope, shift=shift)
    if algorithm == "xgboost":
        import xgboost

        from ratchet.training.algorithms.xgboost import read_standard

        booster = xgboost.Booster()
        booster.load_model(bytearray(saved))
        if task.kind == "regression":
            # The booster estimates in standard units of the target.
            standard = read_standard(booster)
            slope, shift = standard.scale, standard.center
        return exact_xgboost(booster, slope=slope, shift=shift)
    return None
