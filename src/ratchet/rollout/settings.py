"""The ``rollout:`` section of ``ratchet.yaml``: how a new model comes to serve."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section


class RolloutSettings(Section):
    """How a new version comes to serve, and what takes it back."""

    strategy: Literal["direct", "canary", "shadow", "manual"] = Field(
        default="direct",
        description=(
            "direct: a model that passed its gates answers everything at once. canary: it gets a "
            "part of the traffic, in steps. shadow: first it answers unseen, then as a canary. "
            "manual: it waits for `ratchet approve`."
        ),
    )
    steps: tuple[float, ...] = Field(
        default=(10, 50, 100),
        description="Its share of the traffic in percent, step by step; the last one is 100.",
    )
    hold: str = Field(default="30m", description="The shortest time of a step.")
    minimum: int | None = Field(
        default=None,
        ge=1,
        description=(
            "The fewest requests of a step, of both versions together. By default 1,000, or 140 "
            "divided by the champion's share of errors where that is more (at most 100,000): "
            "enough to see twice its errors at a share of 10 %."
        ),
    )
    labels: int = Field(
        default=0,
        ge=0,
        description=(
            "The fewest predictions of the new version whose labels are in before a step ends. "
            "0: labels take it back when they speak against it, and it does not wait for them."
        ),
    )
    alpha: float = Field(
        default=0.01,
        gt=0,
        le=0.2,
        description=(
            "The chance that a version that is no worse is taken back by a test, over the whole "
            "rollout and however often it is looked at. It is split between the tests."
        ),
    )
    slower: float = Field(
        default=1.5,
        ge=1,
        description=(
            "How many times the champion's odds of a slow request (over its 95th or 99th "
            "percentile) are still no fault."
        ),
    )
    fast: str = Field(
        default="5ms",
        description=(
            "A request that took no longer is not slow, whatever the champion's take: ms, s. A "
            "model of several members may take some times as long as a single one and still "
            "answer at once."
        ),
    )
    score_shift: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description=(
            "How far the distributions of the scores of the two may lie apart (the "
            "Kolmogorov-Smirnov distance) before the new one goes back; 1: any distance. A model "
            "that learned a changed world scores otherwise for good reason: where such changes "
            "are expected, raise it and let `labels` decide."
        ),
    )
    loss: Literal["auto", "brier", "error", "absolute_error", "squared_error"] = Field(
        default="auto",
        description=(
            "What quality is compared by once labels are in: brier (squared error of the class "
            "probabilities), error (share of wrong classes), absolute_error or squared_error. "
            "auto: brier for classes, absolute_error for numbers."
        ),
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="How much more of `loss` than the champion's is still no fault.",
    )
    labels_after: str | None = Field(
        default=None,
        description=(
            "The age at which a prediction's label is taken to be in. By default the age at "
            "which 90 % of each class are in, measured on the champion's predictions."
        ),
    )
    approval: bool = Field(
        default=False,
        description="Whether `ratchet approve` is needed before a version answers anybody.",
    )
    watch: bool = Field(
        default=True,
        description=(
            "Go on comparing after the promotion, until the labels of its first predictions are "
            "in, and go back if it is worse. The champion before it answers along as a shadow "
            "meanwhile. Not with strategy direct."
        ),
    )
    watch_for: str = Field(
        default="30d", description="The longest that a promoted version is watched."
    )

    @field_validator("hold", "watch_for", "labels_after", "fast")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @field_validator("steps")
    @classmethod
    def _rise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or value[-1] != 100:
            raise ValueError("the last step is 100, for example [10, 50, 100]")
        if any(not 0 < share <= 100 for share in value) or list(value) != sorted(set(value)):
            raise ValueError("each step is more than the one before, for example [10, 50, 100]")
        if any(abs(share * 1e4 - round(share * 1e4)) > 1e-6 for share in value):
            raise ValueError("a step is no finer than 0.0001 %")
        return value

    @model_validator(mode="after")
    def _has_steps(self) -> RolloutSettings:
        if self.strategy in ("canary", "shadow") and len(self.steps) < 2:
            raise ValueError(
                f"strategy {self.strategy} needs a step below 100, for example [10, 100]; "
                "without one, use strategy direct"
            )
        return self

    @property
    def rules(self) -> dict[str, Any]:
        """What a rollout goes by from its beginning to its end, as JSON values."""
        return {
            "steps": [float(share) for share in self.steps],
            "hold": parse_duration(self.hold).total_seconds(),
            "minimum": self.minimum,
            "labels": self.labels,
            "alpha": self.alpha,
            "slower": self.slower,
            "fast": parse_duration(self.fast).total_seconds(),
            "score_shift": self.score_shift,
            "loss": self.loss,
            "margin": self.margin,
            "labels_after": (
                None
                if self.labels_after is None
                else parse_duration(self.labels_after).total_seconds()
            ),
            "approval": self.approval,
            "watch": self.watch,
            "watch_for": parse_duration(self.watch_for).total_seconds(),
        }
