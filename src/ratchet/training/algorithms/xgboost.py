"""XGBoost: gradient boosted trees, through its native API."""

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

PARAMETERS = (
    Parameter(
        "n_estimators",
        "integer",
        low=1,
        aliases=("num_boost_round", "num_iterations", "num_rounds"),
    ),
    Parameter(EARLY_STOPPING, "integer", low=0),
    Parameter("learning_rate", "number", low=0, above=True, aliases=("eta",)),
    Parameter("max_depth", "integer", low=0),
    Parameter("max_leaves", "integer", low=0),
    Parameter("grow_policy", "choice", choices=("depthwise", "lossguide")),
    Parameter("min_child_weight", "number", low=0),
    Parameter("subsample", "number", low=0, high=1, above=True, aliases=("bagging_fraction",)),
    Parameter(
        "colsample_bytree", "number", low=0, high=1, above=True, aliases=("feature_fraction",)
    ),
    Parameter("colsample_bylevel", "number", low=0, high=1, above=True),
    Parameter("colsample_bynode", "number", low=0, high=1, above=True),
    Parameter("reg_lambda", "number", low=0, aliases=("lambda", "lambda_l2")),
    Parameter("reg_alpha", "number", low=0, aliases=("alpha", "lambda_l1")),
    Parameter("gamma", "number", low=0, aliases=("min_split_loss",)),
    Parameter("max_delta_step", "number", low=0),
    Parameter("max_bin", "integer", low=2),
)


class XGBoost:
    """Boosted trees on one-hot columns, missing values left missing."""

    name: ClassVar[str] = "xgboost"
    library: ClassVar[str] = "xgboost"
    extra: ClassVar[str] = "xgboost"
    rounds_parameter: ClassVar[str | None] = "n_estimators"

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under XGBoost's main names."""
        return check_parameters(self.name, PARAMETERS, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """One column per category; its own category splits do not survive conversion."""
        return Encoding(categories="onehot", missing="native", scale=False)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """Shallow trees that see part of the columns for few rows; deeper ones for many."""
        if rows < 1_000:
            size = {"max_depth": 3, "min_child_weight": 3, "learning_rate": 0.05}
        elif rows < 10_000:
            size = {"max_depth": 3, "min_child_weight": 5, "learning_rate": 0.08}
        elif rows < 100_000:
            size = {"max_depth": 6, "min_child_weight": 5, "learning_rate": 0.1}
        else:
            size = {"max_depth": 8, "min_child_weight": 20, "learning_rate": 0.1}
        return {
            "n_estimators": 2_000,
            EARLY_STOPPING: 50,
            **size,
            "subsample": 0.8 if rows < 100_000 else 1.0,
            "colsample_bytree": 0.5 if rows < 10_000 else 0.8,
            "reg_lambda": 1.0,
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
        """Train with histograms; the model keeps the rounds up to the best one only."""
        calm_openmp()
        import xgboost

        settings = dict(params)
        most = int(settings.pop("n_estimators"))
        patience = int(settings.pop(EARLY_STOPPING, 0))
        bins = int(settings.get("max_bin", 256))
        settings |= _fixed(rows.classes, seed, threads)
        data = _matrix(rows, bins, threads, None)
        watch = validation is not None and patience > 0
        booster = xgboost.train(
            settings,
            data,
            most,
            evals=[(_matrix(validation, bins, threads, data), "validation")] if watch else [],
            early_stopping_rounds=patience if watch else None,
            verbose_eval=False,
        )
        trained = booster.num_boosted_rounds()
        kept = kept_rounds(booster.best_iteration + 1, trained, params) if watch else trained
        if kept < trained:
            booster = booster[:kept]
            booster.set_param({"nthread": threads})  # lost by the cut
        return Fitted(
            algorithm=self.name,
            form="xgboost",
            model=booster,
            params=dict(params),
            classes=rows.classes,
            scorer=_scorer(booster),
            rounds=int(kept),
        )


def _fixed(classes: int, seed: int, threads: int) -> dict[str, Any]:
    """What is not the user's to choose."""
    objective = (
        {"objective": "binary:logistic", "eval_metric": "logloss"}
        if classes == 2
        else {"objective": "multi:softprob", "eval_metric": "mlogloss", "num_class": classes}
    )
    return {**objective, "seed": seed, "nthread": threads, "tree_method": "hist", "verbosity": 0}


def _matrix(rows: TrainingRows | None, bins: int, threads: int, reference: Any) -> Any:
    import xgboost

    assert rows is not None
    return xgboost.QuantileDMatrix(
        rows.X, rows.y, weight=rows.weight, max_bin=bins, nthread=threads, ref=reference
    )


def _scorer(booster: Any) -> Any:
    def score(X: Matrix) -> npt.NDArray[np.float32]:
        return np.asarray(booster.inplace_predict(X))

    return score
