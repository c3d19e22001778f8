"""The ``training`` section of the project file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from ratchet.config.section import Section

MetricName = Literal[
    "auto", "accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss"
]
DEFAULT_FOLDS = 5


class TuningSettings(Section):
    """How candidates are tried out on the training rows."""

    folds: int = Field(
        default=DEFAULT_FOLDS,
        ge=0,
        le=50,
        description=(
            "Parts of the cross-validation that compares the candidates. "
            "0 trains without one, which only a single algorithm allows."
        ),
    )

    @field_validator("folds")
    @classmethod
    def _one_part_is_no_comparison(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("one fold leaves no rows to train on: use 0, or 2 and more")
        return folds


def _default_algorithms() -> dict[str, dict[str, Any]]:
    return {"lightgbm": {}, "random_forest": {}, "logistic_regression": {}}


class TrainingSettings(Section):
    """What is trained, how candidates are compared, and with how many cores."""

    metric: MetricName = Field(
        default="auto",
        description=(
            "The metric that chooses among candidates: accuracy, precision, recall, f1, roc_auc, "
            "pr_auc or log_loss. auto is roc_auc with two classes and log_loss with more."
        ),
    )
    algorithms: dict[str, dict[str, Any]] = Field(
        default_factory=_default_algorithms,
        json_schema_extra={"merge": "replace"},
        description=(
            "The candidates and the parameters in which they differ from their defaults: "
            "lightgbm, xgboost, random_forest, logistic_regression, svm, an installed plug-in, or "
            "any scikit-learn classifier by its dotted path, as the key or under `class`."
        ),
    )
    tuning: TuningSettings | Literal["off"] = Field(
        default_factory=TuningSettings,
        description=(
            "How candidates are tried out. off trains a single algorithm once, "
            "without cross-validation; several are still compared."
        ),
    )
    class_weight: Literal["balanced"] | dict[bool | int | float | str, float] | None = Field(
        default=None,
        description=(
            "Weight of each class in training: balanced (rare classes count more), "
            "a weight by class (a class not named counts 1), or none."
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

    def folds_for(self, candidates: int) -> int:
        """Cross-validation folds for this many candidates (0: none)."""
        if self.tuning == "off":
            return 0 if candidates == 1 else DEFAULT_FOLDS
        return self.tuning.folds
