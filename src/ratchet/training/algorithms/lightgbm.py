"""LightGBM: gradient boosted trees, through its native API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.port import EARLY_STOPPING, kept_rounds
from ratchet.training.cores import calm_openmp
from ratchet.training.fitted import Fitted, Matrix, TrainingRows
from ratchet.training.thresholds import round_lightgbm_text

PARAMETERS = (
    Parameter(
        "num_iterations",
        "integer",
        low=1,
        aliases=("n_estimators", "num_boost_round", "num_rounds", "num_trees"),
    ),
    Parameter(EARLY_STOPPING, "integer", low=0, aliases=("early_stopping_round",)),
    Parameter("learning_rate", "number", low=0, above=True, aliases=("eta", "shrinkage_rate")),
    Parameter("num_leaves", "integer", low=2, high=131072, aliases=("max_leaves",)),
    Parameter("max_depth", "integer", low=-1),
    Parameter("min_data_in_leaf", "integer", low=0, aliases=("min_child_samples", "min_data")),
    Parameter("min_sum_hessian_in_leaf", "number", low=0, aliases=("min_child_weight",)),
    Parameter("bagging_fraction", "number", low=0, high=1, above=True, aliases=("subsample",)),
    Parameter("bagging_freq", "integer", low=0, aliases=("subsample_freq",)),
    Parameter(
        "feature_fraction", "number", low=0, high=1, above=True, aliases=("colsample_bytree",)
    ),
    Parameter(
        "feature_fraction_bynode",
        "number",
        low=0,
        high=1,
        above=True,
        aliases=("colsample_bynode",),
    ),
    Parameter("lambda_l1", "number", low=0, aliases=("reg_alpha",)),
    Parameter("lambda_l2", "number", low=0, aliases=("reg_lambda", "lambda")),
    Parameter("min_gain_to_split", "number", low=0, aliases=("min_split_gain",)),
    Parameter("path_smooth", "number", low=0),
    Parameter("extra_trees", "boolean"),
    Parameter("max_bin", "integer", low=2, high=65535),
    Parameter("min_data_in_bin", "integer", low=1),
    Parameter("min_data_per_group", "integer", low=1),
    Parameter("max_cat_threshold", "integer", low=1),
    Parameter("max_cat_to_onehot", "integer", low=1),
    Parameter("cat_l2", "number", low=0),
    Parameter("cat_smooth", "number", low=0),
)
CELLS_PER_PREDICTING_THREAD = 5_000_000


class LightGBM:
    """Boosted trees on category codes, missing values left missing."""

    name: ClassVar[str] = "lightgbm"
    library: ClassVar[str] = "lightgbm"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = "num_iterations"

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under LightGBM's main names."""
        return check_parameters(self.name, PARAMETERS, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """Category codes, split natively; missing values stay missing."""
        return Encoding(categories="codes", missing="native", scale=False)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """Small trees that see part of the columns for few rows; larger ones for many."""
        if rows < 1_000:
            size = {"num_leaves": 6, "min_data_in_leaf": 15, "learning_rate": 0.05}
        elif rows < 10_000:
            size = {"num_leaves": 8, "min_data_in_leaf": 30, "learning_rate": 0.05}
        elif rows < 100_000:
            size = {"num_leaves": 24, "min_data_in_leaf": 30, "learning_rate": 0.06}
        else:
            size = {"num_leaves": 63, "min_data_in_leaf": 100, "learning_rate": 0.1}
        return {
            "num_iterations": 2_000,
            EARLY_STOPPING: 50,
            **size,
            "feature_fraction": 0.5 if rows < 10_000 else 0.6 if rows < 100_000 else 0.8,
            "bagging_fraction": 0.8 if rows < 100_000 else 1.0,
            "bagging_freq": 1 if rows < 100_000 else 0,
            "lambda_l2": 1.0,
        }

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """Rounds that suit the learning rate without early stopping."""
        return 100 if rows < 10_000 else 200

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
    ) -> Fitted:
        """Train; same rows, parameters and seed give the same trees on any number of threads."""
        calm_openmp()
        import lightgbm

        settings = dict(params)
        most = int(settings.pop("num_iterations"))
        patience = int(settings.pop(EARLY_STOPPING, 0))
        settings |= _fixed(rows.classes, seed, threads)
        data = _dataset(rows, settings)
        watch = (
            [data.create_valid(validation.X, validation.y, weight=validation.weight)]
            if (validation is not None and patience)
            else []
        )
        stop = [lightgbm.early_stopping(patience, verbose=False)] if watch else []
        booster = lightgbm.train(
            settings,
            data,
            most,
            valid_sets=watch,
            callbacks=stop,
            keep_training_booster=True,  # else it throws away the rounds after the best one
        )
        trained = booster.current_iteration()
        kept = kept_rounds(booster.best_iteration, trained, params) if watch else trained
        text = booster.model_to_string(num_iteration=kept)
        exact = lightgbm.Booster(model_str=round_lightgbm_text(text))
        return Fitted(
            algorithm=self.name,
            form="lightgbm",
            model=exact,
            params=dict(params),
            classes=rows.classes,
            scorer=_scorer(exact, threads),
            rounds=int(kept),
        )


def _fixed(classes: int, seed: int, threads: int) -> dict[str, Any]:
    """What is not the user's to choose."""
    objective = (
        {"objective": "binary", "metric": "binary_logloss"}
        if classes == 2
        else {"objective": "multiclass", "metric": "multi_logloss", "num_class": classes}
    )
    return {
        **objective,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        "feature_pre_filter": False,
    }


def _dataset(rows: TrainingRows, settings: Mapping[str, Any]) -> Any:
    import lightgbm

    return lightgbm.Dataset(
        rows.X,
        rows.y,
        weight=rows.weight,
        categorical_feature=list(rows.categorical),
        params=dict(settings),
    )


def _scorer(booster: Any, threads: int) -> Any:
    def score(X: Matrix) -> npt.NDArray[np.float64]:
        worth = max(1, min(threads, X.size // CELLS_PER_PREDICTING_THREAD))
        return np.asarray(booster.predict(X, num_threads=worth))

    return score
