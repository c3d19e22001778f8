"""The rules of ``triggers:`` about drift and quality: from which value on they hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ratchet.config.section import Section
from ratchet.evaluation.catalog import find_metric

Action = Literal["investigate", "retrain"]


class DriftRule(Section):
    """What drift of the inputs leads to."""

    share: float | None = Field(
        default=None, gt=0, le=1, description="Drifted share of the columns from which it counts."
    )
    importance: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description=(
            "Without `share` and `columns`: it counts when the drifted columns hold more than "
            "this share of the importance to the model."
        ),
    )
    columns: tuple[str, ...] = Field(
        default=(), description="Columns of which any one counts; without `share`, these alone."
    )
    windows: int = Field(
        default=2,
        ge=1,
        le=100,
        description="Windows in a row that must drift; one at twice its threshold is enough.",
    )
    action: Action = Field(
        default="investigate",
        description=(
            "investigate: ask for labels, and try a challenger that nobody sees; retrain: train. "
            "Inputs that moved say nothing of errors: a policy that retrained on them was no "
            "better than never retraining."
        ),
    )


class InvestigateSettings(Section):
    """What is done where a rule only investigates, beside telling."""

    challenger: bool = Field(
        default=True,
        description=(
            "Train a challenger on rows that are newer than the champion's, once for a case. It "
            "answers in the shadow only, whatever rollout.strategy is, and `ratchet approve` "
            "lets it on once its labels do not speak against it."
        ),
    )
    labels: int = Field(
        default=200,
        ge=30,
        description="The fewest labelled predictions of the challenger before approval is asked.",
    )


class MetricRule(Section):
    """A limit for a metric on rows whose labels are known."""

    drop: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How much worse than the baseline, in the metric's unit.",
    )
    below: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="The value itself; for log_loss, rmse and other errors: above it.",
    )

    @model_validator(mode="after")
    def _one(self) -> MetricRule:
        if self.drop is None and self.below is None:
            raise ValueError("give `drop`, `below` or both")
        return self


class PerformanceRules(Section):
    """What falling quality leads to. Only cohorts whose labels have come in count."""

    statistical: bool = Field(
        default=True,
        description=(
            "Train when training.metric is worse than the baseline by more than `margin`, and "
            "that by more than `z` standard errors. The baseline is the best of the last three "
            "promoted models, each when it was new."
        ),
    )
    z: float = Field(default=2.33, gt=0, le=10, description="Standard errors; 2.33 is 1 in 100.")
    margin: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description=(
            "What a drop must exceed to matter, in the metric's unit; 0.02 if not set, and 5 % of "
            "the baseline for log_loss, rmse and other errors without a largest value."
        ),
    )
    cohorts: int = Field(
        default=1, ge=1, le=100, description="How many of the newest mature cohorts are judged."
    )
    regret: bool = Field(
        default=True,
        description=(
            "With `cost`: train when what the drop has cost since the model was promoted reaches "
            "the cost of training."
        ),
    )
    accuracy: MetricRule | None = Field(default=None, description="A limit for accuracy.")
    precision: MetricRule | None = Field(default=None, description="A limit for precision.")
    recall: MetricRule | None = Field(default=None, description="A limit for recall.")
    f1: MetricRule | None = Field(default=None, description="A limit for F1.")
    roc_auc: MetricRule | None = Field(default=None, description="A limit for ROC-AUC.")
    pr_auc: MetricRule | None = Field(default=None, description="A limit for PR-AUC.")
    log_loss: MetricRule | None = Field(default=None, description="A limit for the log loss.")
    brier: MetricRule | None = Field(default=None, description="A limit for the Brier score.")
    precision_positive: MetricRule | None = Field(
        default=None, description="A limit for the positive class' precision."
    )
    recall_positive: MetricRule | None = Field(
        default=None, description="A limit for the positive class' recall."
    )
    f1_positive: MetricRule | None = Field(
        default=None, description="A limit for the positive class' F1."
    )
    rmse: MetricRule | None = Field(default=None, description="A limit for RMSE.")
    mae: MetricRule | None = Field(default=None, description="A limit for the mean error.")
    median_ae: MetricRule | None = Field(default=None, description="A limit for the median error.")
    r2: MetricRule | None = Field(default=None, description="A limit for R².")

    @property
    def limits(self) -> dict[str, MetricRule]:
        """The metrics that have a limit."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: rule for name, rule in found.items() if isinstance(rule, MetricRule)}

    def margin_for(self, metric: str, baseline: float) -> float:
        """The margin, in the metric's unit."""
        if self.margin is not None:
            return self.margin
        return 0.02 if find_metric(metric).upper is not None else 0.05 * abs(baseline)


class EstimatedRule(Section):
    """What a fall of the estimated quality, without labels, leads to."""

    drop: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="How much worse than the baseline; twice the margin if not set.",
    )
    windows: int = Field(default=2, ge=1, le=100, description="Windows in a row.")
    action: Action = Field(default="investigate", description="investigate, or retrain.")
