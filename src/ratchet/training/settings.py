"""The ``training`` section of the project file."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from ratchet.config.durations import parse_duration, parse_size
from ratchet.config.section import Section

MetricName = Literal[
    "auto",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "pr_auc",
    "log_loss",
    "rmse",
    "mae",
    "r2",
]
Update = Literal["refit", "incremental", "retune", "auto"]
DEFAULT_FOLDS = 5
DEFAULT_TIME = "60s"
_ROWS: Final = re.compile(r"\s*([1-9][0-9_]*)\s*(rows?)?\s*\Z")


def window_rows(window: str | int) -> int | None:
    """The number of rows that a training window names; None for another kind of window."""
    rows = _ROWS.match(str(window))
    return None if rows is None else int(rows[1])


class TuningSettings(Section):
    """How the best parameters are searched for, and how candidates are compared."""

    time: str | None = Field(
        default=None,
        description=(
            "Wall-clock budget of the whole run, search and final fits included: 60s, 10m, 2h. "
            "60s if neither time nor trials is given; with trials alone there is no limit."
        ),
    )
    trials: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="Most configurations to try, defaults included; 0 trains the defaults only.",
    )
    folds: int = Field(
        default=DEFAULT_FOLDS,
        ge=0,
        le=50,
        description=(
            "Parts of the cross-validation that compares the candidates. "
            "0 trains without one, which only a single algorithm allows."
        ),
    )
    metric: MetricName | None = Field(
        default=None,
        description="What the search improves, if that is not training.metric.",
    )

    @field_validator("folds")
    @classmethod
    def _one_part_is_no_comparison(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("one fold leaves no rows to train on: use 0, or 2 and more")
        return folds

    @field_validator("time", mode="before")
    @classmethod
    def _has_a_unit(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f"a time needs a unit: write {value:g}s or {value:g}m")
        return value

    @field_validator("time")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @property
    def seconds(self) -> float | None:
        """The budget in seconds; None without a limit."""
        if self.time is None and self.trials is not None:
            return None
        return parse_duration(self.time or DEFAULT_TIME).total_seconds()

    @property
    def searches(self) -> bool:
        """Whether anything but the defaults is tried."""
        return self.folds > 0 and self.trials != 0


class CostSettings(Section):
    """What wrong decisions cost, in any unit."""

    false_positive: float = Field(
        gt=0, allow_inf_nan=False, description="Of a negative row decided positive."
    )
    false_negative: float = Field(
        gt=0, allow_inf_nan=False, description="Of a positive row decided negative."
    )


class ThresholdSettings(Section):
    """From which score on the positive class is decided: give exactly one of these."""

    value: float | None = Field(default=None, ge=0, le=1, description="This score.")
    maximize: Literal["f1", "accuracy", "balanced_accuracy"] | None = Field(
        default=None, description="Where this is best, for the positive class."
    )
    cost: CostSettings | None = Field(
        default=None, description="Where wrong decisions cost least altogether."
    )
    precision: float | None = Field(
        default=None, gt=0, le=1, description="Most recall with at least this precision."
    )
    recall: float | None = Field(
        default=None, gt=0, le=1, description="Most precision with at least this recall."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> ThresholdSettings:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of value, maximize, cost, precision and recall"
                + (f", not {' and '.join(given)}" if given else "")
            )
        return self


def _default_algorithms() -> dict[str, dict[str, Any]]:
    return {
        "lightgbm": {},
        "random_forest": {},
        "extra_trees": {},
        "logistic_regression": {},
    }


def _default_threshold() -> ThresholdSettings:
    return ThresholdSettings(value=0.5)


class TrainingSettings(Section):
    """What is trained, how the best is found, and with how many cores."""

    metric: MetricName = Field(
        default="auto",
        description=(
            "The metric that chooses among candidates: accuracy, precision, recall, f1, roc_auc, "
            "pr_auc or log_loss; rmse, mae or r2 for regression. auto is roc_auc with two "
            "classes, log_loss with more, rmse for regression."
        ),
    )
    algorithms: dict[str, dict[str, Any]] = Field(
        default_factory=_default_algorithms,
        json_schema_extra={"merge": "replace"},
        description=(
            "The candidates and the parameters that are fixed for them: lightgbm, xgboost, "
            "random_forest, extra_trees, logistic_regression, ridge (regression only), svm, torch, "
            "an installed plug-in, or any scikit-learn classifier or regressor by its dotted "
            "path, as the key or under `class`. What is not fixed is searched."
        ),
    )
    tuning: TuningSettings | Literal["off"] = Field(
        default_factory=TuningSettings,
        description=(
            "The search for the best parameters. off trains the defaults only: a single "
            "algorithm once, without cross-validation; several are still compared."
        ),
    )
    ensemble: bool = Field(
        default=True,
        description=(
            "Whether a weighted mean of candidates is shipped where it is better than the best "
            "one by more than chance, and within gates.budget."
        ),
    )
    calibration: Literal["auto", "none", "sigmoid", "isotonic"] = Field(
        default="auto",
        description=(
            "How scores are made into probabilities, learned on out-of-fold scores. auto "
            "calibrates where that lowers the log loss by more than chance."
        ),
    )
    threshold: ThresholdSettings = Field(
        default_factory=_default_threshold,
        json_schema_extra={"merge": "replace"},
        description=(
            "From which score on the positive class is decided, chosen on out-of-fold scores: "
            "{value: 0.5}, {maximize: f1}, {cost: {false_positive: 1, false_negative: 5}}, "
            "{precision: 0.8} or {recall: 0.9}."
        ),
    )
    update: Update = Field(
        default="retune",
        description=(
            "What a retraining does. retune: search again, from the last winners. refit: train "
            "the serving model's recipe and parameters on the new rows, without a search. "
            "incremental: go on training the serving model, where its algorithm can. auto: the "
            "cheapest of these that passes the gate."
        ),
    )
    class_weight: Literal["balanced"] | dict[bool | int | float | str, float] | None = Field(
        default=None,
        description=(
            "Weight of each class in training: balanced (rare classes count more), "
            "a weight by class (a class not named counts 1), or none."
        ),
    )
    window: str | int = Field(
        default="all",
        description=(
            "Which of the training rows are learned from, by data.time: all; the newest of a "
            "time (90d) or of a number (50000rows); auto: all, or the newest half, quarter, eighth "
            "or sixteenth where that is better on the newest of them by more than chance. Test "
            "rows stay as they are."
        ),
    )
    memory: str | None = Field(
        default=None,
        description=(
            "Memory that training may use: 6GB. Rows that do not fit are searched on a sample "
            "and the final model is trained in chunks from the lake."
        ),
    )
    seed: int = Field(
        default=42, ge=0, lt=2**31, description="Seed of everything random in training."
    )
    cores: int | None = Field(
        default=None,
        ge=1,
        description="Cores that training may use at once; all that the process may use if not set.",
    )

    @field_validator("algorithms", mode="before")
    @classmethod
    def _empty_means_default(cls, given: Any) -> Any:
        if not given and isinstance(given, dict | None):
            return _default_algorithms()
        if isinstance(given, dict):
            return {name: {} if values is None else values for name, values in given.items()}
        return given

    @field_validator("class_weight")
    @classmethod
    def _weights_are_positive(cls, given: Any) -> Any:
        if isinstance(given, dict) and not all(0 < weight < 1e9 for weight in given.values()):
            raise ValueError("a class weight is a number above 0")
        return given

    @field_validator("window")
    @classmethod
    def _is_window(cls, value: str | int) -> str | int:
        if value in ("all", "auto") or window_rows(value) is not None:
            return value
        try:
            parse_duration(str(value))
        except ValueError:
            raise ValueError(
                f"{value!r} is no window: write all, auto, a duration such as 90d, or a number "
                "of rows such as 50000rows"
            ) from None
        return value

    @field_validator("memory")
    @classmethod
    def _is_size(cls, value: str | None) -> str | None:
        if value is not None:
            parse_size(value)
        return value

    @property
    def budget(self) -> float | None:
        """The seconds that a run promises to take; None without a limit."""
        tuning = self.tuning
        return None if tuning == "off" or not tuning.searches else tuning.seconds

    @property
    def memory_bytes(self) -> int | None:
        """``memory`` in bytes."""
        return None if self.memory is None else parse_size(self.memory)

    def folds_for(self, candidates: int) -> int:
        """Cross-validation folds for this many candidates (0: none)."""
        if self.tuning == "off":
            return 0 if candidates == 1 else DEFAULT_FOLDS
        return self.tuning.folds
