"""LightGBM: gradient boosted trees, through its native API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.lightgbm_data import bin_rows
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.patience import AUTO, RoundWatch, patience_of
from ratchet.training.algorithms.port import ALL_TASKS, EARLY_STOPPING, kept_rounds
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, Matrix, TrainingRows
from ratchet.training.targets import Standard, standard_of
from ratchet.training.thresholds import round_lightgbm_text, scale_lightgbm_text

PARAMETERS = (
    Parameter(
        "num_iterations",
        "integer",
        low=1,
        aliases=("n_estimators", "num_boost_round", "num_rounds", "num_trees"),
    ),
    Parameter(EARLY_STOPPING, "integer", low=0, choices=(AUTO,), aliases=("early_stopping_round",)),
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
FEW_ROWS = 20_000
"""Histograms made column by column take 30 % less time at 7,000 rows, and the same at 45,000."""


class LightGBM:
    """Boosted trees on category codes, missing values left missing.

    A target to be estimated is learned in standard units and by squared error.
    """

    name: ClassVar[str] = "lightgbm"
    library: ClassVar[str] = "lightgbm"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = "num_iterations"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    interruptible: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    streams: ClassVar[bool] = True

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
            EARLY_STOPPING: AUTO,
            **size,
            "feature_fraction": 0.5 if rows < 10_000 else 0.6 if rows < 100_000 else 0.8,
            "bagging_fraction": 0.8 if rows < 100_000 else 1.0,
            "bagging_freq": 1 if rows < 100_000 else 0,
            "lambda_l2": 1.0,
        }

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """Rounds that suit the learning rate without early stopping."""
        return 100 if rows < 10_000 else 200

    def space(self, task: Task, rows: int, features: int) -> Space:
        """The dimensions of TabArena's space, with ranges for a search of minutes.

        Source: Erickson et al., "TabArena: A Living Benchmark for Machine Learning on Tabular
        Data", 2025 (learning rate .005 to .1, 2 to 200 leaves, 1 to 64 rows per leaf, and how
        categories are split). Their low learning rates, which cost most and bring little, are
        left out; more leaves and more regularisation are allowed for more rows.
        """
        slow, fast = (0.015, 0.15) if rows < 10_000 else (0.03, 0.25)
        leaves = 31 if rows < 1_000 else 96 if rows < 10_000 else 255
        per_leaf = int(min(200, max(20, rows // 20)))
        return (
            Dimension("learning_rate", slow, fast, log=True),
            Dimension("num_leaves", 2, leaves, log=True, integer=True),
            Dimension("min_data_in_leaf", 2, per_leaf, log=True, integer=True),
            Dimension("feature_fraction", 0.3, 1.0),
            Dimension("bagging_fraction", 0.5, 1.0),
            Dimension("lambda_l1", 1e-3, 10.0, log=True),
            Dimension("lambda_l2", 1e-3, 30.0, log=True),
            Dimension("extra_trees", choices=(False, True)),
            Dimension("min_data_per_group", 2, 200, log=True, integer=True),
            Dimension("cat_l2", 5e-3, 30.0, log=True),
            Dimension("cat_smooth", 1e-2, 100.0, log=True),
            Dimension("max_cat_to_onehot", 2, 100, log=True, integer=True),
        )

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Other shapes of trees: all columns, tiny with one-hot categories, random splits, large.

        The first has the tuned defaults of Holzmüller et al., "Better by Default", 2024, with
        fewer leaves for few rows. The others follow shapes that AutoGluon's portfolios learned on
        TabRepo and TabArena (Salinas and Erickson, "TabRepo", 2024; GBM r18, r177, r39, r63), with
        learning rates raised to cost less. In the order of their mean rank in 5-fold
        cross-validation on five sets of 1,000 to 15,000 rows.
        """
        few = rows < 10_000
        rate = 0.05 if few else 0.1
        large = 16 if rows < 1_000 else 39 if few else 127
        return (
            {"num_leaves": 6 if few else 50, "min_data_in_leaf": 40, "feature_fraction": 1.0,
             "bagging_fraction": 0.75, "lambda_l2": 0.01, "learning_rate": 0.04},
            {"num_leaves": 4, "learning_rate": 2 * rate, "feature_fraction": 0.5,
             "min_data_in_leaf": 5, "max_cat_to_onehot": 30},
            {"extra_trees": True, "num_leaves": large, "feature_fraction": 0.5,
             "min_data_in_leaf": 3, "lambda_l1": 0.25, "max_cat_to_onehot": 16,
             "cat_smooth": 15.0, "cat_l2": 0.3, "learning_rate": rate},
            {"extra_trees": True, "num_leaves": 8 if few else 48, "feature_fraction": 0.8,
             "min_data_in_leaf": 12, "learning_rate": 2 * rate, "cat_smooth": 50.0},
            {"num_leaves": large, "min_data_in_leaf": 40, "learning_rate": rate,
             "feature_fraction": 0.5, "bagging_fraction": 0.75, "lambda_l1": 0.5,
             "lambda_l2": 10.0},
        )  # fmt: skip

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
        """Train; same rows, parameters and seed give the same trees on any number of threads.

        With ``start``, ``num_iterations`` rounds are added to those of the earlier model.
        """
        calm_openmp()
        import lightgbm

        settings = dict(params)
        most, patience = int(settings.pop("num_iterations")), patience_of(settings)
        settings.pop(EARLY_STOPPING, None)
        settings |= _fixed(rows, seed, threads)
        standard = standard_of(rows)
        before = None if start is None else _earlier(start.decode(), rows, standard)
        data, watched = bin_rows(
            rows, validation if patience else None, settings, standard, reusable=before is None
        )
        deadline.check()
        watch = RoundWatch(deadline, patience, float(params["learning_rate"]))
        booster = lightgbm.train(
            settings,
            data,
            most,
            valid_sets=[watched] if watched is not None else [],
            init_model=before,
            callbacks=[_callback(watch)],
            keep_training_booster=True,  # else it throws away the rounds after the best one
        )
        trained = booster.current_iteration()
        known = 0 if before is None else before.current_iteration()
        kept = trained
        if watched is not None:
            kept = known + kept_rounds(watch.best, trained - known, params)
        text = booster.model_to_string(num_iteration=kept)
        if rows.classes == 0:
            text = scale_lightgbm_text(text, center=standard.center, scale=standard.scale)
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

    def save(self, fitted: Fitted) -> bytes | None:
        """The model's own text."""
        text: str = fitted.model.model_to_string()
        return text.encode()


def _fixed(rows: TrainingRows, seed: int, threads: int) -> dict[str, Any]:
    """What is not the user's to choose."""
    classes = rows.classes
    objective: dict[str, Any]
    if classes == 0:
        objective = {"objective": "regression", "metric": "l2"}
    elif classes == 2:
        objective = {"objective": "binary", "metric": "binary_logloss"}
    else:
        objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": classes}
    return {
        **objective,
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_col_wise" if len(rows.y) < FEW_ROWS else "force_row_wise": True,
        "verbosity": -1,
        "feature_pre_filter": False,
    }


def _earlier(text: str, rows: TrainingRows, standard: Standard) -> Any:
    """The earlier model, in the standard units of ``rows``.

    Raises:
        ValueError: it was trained on other columns or classes.
    """
    import lightgbm

    booster = lightgbm.Booster(model_str=text)
    per_round = rows.classes if rows.classes > 2 else 1
    known = (booster.num_feature(), booster.num_model_per_iteration())
    if known != (rows.X.shape[1], per_round):
        raise ValueError(
            f"the earlier model has {known[0]} columns and {known[1]} trees a round, "
            f"these rows ask for {rows.X.shape[1]} and {per_round}"
        )
    if rows.classes == 0:
        center, scale = -standard.center / standard.scale, 1.0 / standard.scale
        booster = lightgbm.Booster(model_str=scale_lightgbm_text(text, center=center, scale=scale))
    return booster


def _callback(watch: RoundWatch) -> Callable[[Any], None]:
    from lightgbm.callback import EarlyStopException

    def after_round(env: Any) -> None:
        results = env.evaluation_result_list
        # Where no leaf can be split any more LightGBM adds nothing, and would go on doing so.
        stuck = env.model.current_iteration() <= env.iteration
        if watch.stops(results[0][2] if results else None) or stuck:
            raise EarlyStopException(env.iteration, results)

    return after_round


def _scorer(booster: Any, threads: int) -> Callable[[Matrix], npt.NDArray[np.float64]]:
    def score(X: Matrix) -> npt.NDArray[np.float64]:
        worth = max(1, min(threads, X.size // CELLS_PER_PREDICTING_THREAD))
        return np.asarray(booster.predict(X, num_threads=worth))

    return score
