"""XGBoost: gradient boosted trees, through its native API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.patience import AUTO, RoundWatch, patience_of
from ratchet.training.algorithms.port import ALL_TASKS, EARLY_STOPPING, kept_rounds
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.algorithms.xgboost_data import bin_rows, stays_on_disk
from ratchet.training.algorithms.xgboost_device import refuse_without_gpu, require_cuda
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, Matrix, TrainingRows
from ratchet.training.targets import CENTER, SCALE, Standard, standard_of

PARAMETERS = (
    Parameter(
        "n_estimators",
        "integer",
        low=1,
        aliases=("num_boost_round", "num_iterations", "num_rounds"),
    ),
    Parameter(EARLY_STOPPING, "integer", low=0, choices=(AUTO,)),
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
    Parameter("num_parallel_tree", "integer", low=1),
    Parameter("device", "choice", choices=("cpu", "cuda")),
)


class XGBoost:
    """Boosted trees on one-hot columns, missing values left missing.

    A target to be estimated is learned in standard units and by squared error. XGBoost sums in
    float32, which would lose a target's last digits, so the booster stays in standard units; its
    attributes ``ratchet_center`` and ``ratchet_scale`` say how to turn its output back.
    """

    name: ClassVar[str] = "xgboost"
    library: ClassVar[str] = "xgboost"
    extra: ClassVar[str] = "xgboost"
    rounds_parameter: ClassVar[str | None] = "n_estimators"
    tasks: ClassVar[frozenset[TaskKind]] = ALL_TASKS
    interruptible: ClassVar[bool] = True
    continues: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under XGBoost's main names; loads it if CUDA is asked for."""
        checked = check_parameters(self.name, PARAMETERS, params)
        if checked.get("device") == "cuda":
            require_cuda()
        return checked

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """One column per category; its own category splits do not survive conversion."""
        return Encoding(categories="onehot", missing="native", scale=False)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """Shallow trees that see part of the columns for few rows; deeper ones for many.

        A leaf's weight is its rows' variance: with one positive in a thousand, 5 asks for 5,000
        rows, and ROC-AUC fell from .98 to .87 at 20,000 rows. 1 is as good elsewhere, or better.
        """
        if rows < 1_000:
            size = {"max_depth": 3, "learning_rate": 0.05}
        elif rows < 10_000:
            size = {"max_depth": 3, "learning_rate": 0.08}
        elif rows < 100_000:
            size = {"max_depth": 6, "learning_rate": 0.1}
        else:
            size = {"max_depth": 8, "learning_rate": 0.1}
        return {
            "n_estimators": 2_000,
            EARLY_STOPPING: AUTO,
            **size,
            "min_child_weight": 1.0,
            "subsample": 0.8 if rows < 100_000 else 1.0,
            "colsample_bytree": 0.5 if rows < 10_000 else 0.8,
            "reg_lambda": 1.0,
        }

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """Rounds that suit the learning rate without early stopping."""
        return 100 if rows < 10_000 else 200

    def space(self, task: Task, rows: int, features: int) -> Space:
        """TabArena's space, with learning rates for a search of minutes and shallower trees.

        Source: Erickson et al., "TabArena", 2025 (learning rate .005 to .1, depth 4 to 10,
        child weight .001 to 5, samples of rows and columns, both penalties, grow policy).
        """
        slow, fast = (0.02, 0.2) if rows < 10_000 else (0.04, 0.3)
        return (
            Dimension("learning_rate", slow, fast, log=True),
            Dimension("max_depth", 2, 6 if rows < 1_000 else 10, log=True, integer=True),
            Dimension("min_child_weight", 1e-3, 20.0, log=True),
            Dimension("subsample", 0.5, 1.0),
            Dimension("colsample_bytree", 0.3, 1.0),
            Dimension("colsample_bylevel", 0.5, 1.0),
            Dimension("reg_alpha", 1e-4, 5.0, log=True),
            Dimension("reg_lambda", 1e-3, 30.0, log=True),
            Dimension("grow_policy", choices=("depthwise", "lossguide")),
        )

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Trees of other depths, with other shares of columns.

        After AutoGluon's portfolio of 2023, learned on TabRepo (XGB r89, r49, r31), and the tuned
        defaults of Holzmüller et al., "Better by Default", 2024 (the fourth); learning rates
        are raised where they would cost most.
        """
        few = rows < 10_000
        return (
            {"max_depth": 2, "learning_rate": 0.1, "min_child_weight": 0.5,
             "colsample_bytree": 0.5},
            {"max_depth": 5, "learning_rate": 0.09, "min_child_weight": 0.6, "subsample": 1.0,
             "colsample_bytree": 0.65, "reg_lambda": 5.0 if few else 1.0},
            {"max_depth": 4, "learning_rate": 0.03 if few else 0.1, "min_child_weight": 0.9,
             "colsample_bytree": 0.75},
            {"max_depth": 6, "learning_rate": 0.08, "min_child_weight": 5e-6, "subsample": 0.65,
             "colsample_bytree": 1.0, "colsample_bylevel": 0.9, "reg_lambda": 0.0},
            {"max_depth": 7, "learning_rate": 0.04 if few else 0.08, "min_child_weight": 0.55,
             "colsample_bytree": 0.75},
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
        """Train with histograms; the model keeps the rounds up to the best one only.

        With ``start``, ``n_estimators`` rounds are added to those of the earlier model. Bins that
        stay on disk are learned on the CPU, and the model's parameters say so: XGBoost reads them
        on a GPU only if they were made there.

        Raises:
            StoppedError: the deadline passed.
            ConfigError: a GPU is asked for, and there is none.
            ValueError: ``start`` was trained on other columns.
        """
        calm_openmp()
        import xgboost

        if params.get("device") == "cuda" and stays_on_disk(rows.file):
            params = {**params, "device": "cpu"}
        settings = dict(params)
        most, patience = int(settings.pop("n_estimators")), patience_of(settings)
        settings.pop(EARLY_STOPPING, None)
        settings |= _fixed(rows.classes, seed, threads)
        before = None if start is None else _earlier(start, rows)
        standard = standard_of(rows) if before is None else read_standard(before)
        data, watched = bin_rows(rows, validation if patience else None, settings, standard)
        deadline.check()
        watch = RoundWatch(deadline, patience, float(params["learning_rate"]))
        booster = xgboost.train(
            settings,
            data,
            most,
            evals=[(watched, "validation")] if watched is not None else [],
            xgb_model=before,
            callbacks=[_callback(watch, str(settings.get("device")))],
            verbose_eval=False,
        )
        trained = booster.num_boosted_rounds()
        known = 0 if before is None else before.num_boosted_rounds()
        kept = trained
        if watched is not None:
            kept = known + kept_rounds(watch.best, trained - known, params)
        if kept < trained:
            booster = booster[:kept]
        # The cut loses the threads; scores are always made on the CPU, as they will be served.
        booster.set_param({"nthread": threads, "device": "cpu"})
        if rows.classes == 0:
            booster.set_attr(**{CENTER: repr(standard.center), SCALE: repr(standard.scale)})
        return Fitted(
            algorithm=self.name,
            form="xgboost",
            model=booster,
            params=dict(params),
            classes=rows.classes,
            scorer=_scorer(booster, standard),
            rounds=int(kept),
        )

    def save(self, fitted: Fitted) -> bytes | None:
        """The model's own JSON."""
        return bytes(fitted.model.save_raw("json"))


def read_standard(booster: Any) -> Standard:
    """How the output of an XGBoost model becomes an estimate; as it is for classes."""
    center, scale = booster.attr(CENTER), booster.attr(SCALE)
    return Standard() if center is None else Standard(float(center), float(scale))


def _fixed(classes: int, seed: int, threads: int) -> dict[str, Any]:
    """What is not the user's to choose."""
    objective: dict[str, Any]
    if classes == 0:
        objective = {"objective": "reg:squarederror", "eval_metric": "rmse"}
    elif classes == 2:
        objective = {"objective": "binary:logistic", "eval_metric": "logloss"}
    else:
        objective = {
            "objective": "multi:softprob",
            "eval_metric": "mlogloss",
            "num_class": classes,
        }
    return {**objective, "seed": seed, "nthread": threads, "tree_method": "hist", "verbosity": 0}


def _earlier(start: bytes, rows: TrainingRows) -> Any:
    """The earlier model.

    Raises:
        ValueError: it was trained on other columns.
    """
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(start))
    if booster.num_features() != rows.X.shape[1]:
        raise ValueError(
            f"the earlier model has {booster.num_features()} columns, "
            f"these rows have {rows.X.shape[1]}"
        )
    return booster


def _callback(watch: RoundWatch, device: str) -> Any:
    from xgboost.callback import TrainingCallback

    class AfterRound(TrainingCallback):  # type: ignore[misc]
        def before_training(self, model: Any) -> Any:
            if device == "cuda":
                refuse_without_gpu(model)
            return model

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            losses = [log[-1] for part in evals_log.values() for log in part.values()]
            return watch.stops(float(losses[0]) if losses else None)

    return AfterRound()


def _scorer(booster: Any, standard: Standard) -> Callable[[Matrix], npt.NDArray[np.floating]]:
    def score(X: Matrix) -> npt.NDArray[np.floating]:
        scores = np.asarray(booster.inplace_predict(X))
        return scores if standard == Standard() else standard.restore(scores)

    return score
