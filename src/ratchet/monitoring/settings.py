"""The ``monitoring:`` section of ``ratchet.yaml``: what is watched, how often, and against what."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section
from ratchet.evaluation.catalog import find_metric

Statistic = Literal["ks", "psi", "wasserstein", "js", "cramers_v", "missing", "new", "combined"]
Limit = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]

AT_MOST_ONE: frozenset[str] = frozenset({"ks", "js", "cramers_v", "missing", "new", "combined"})
"""Statistics that are never above 1: a limit of 1 switches them off."""


def _known_metric(name: str) -> str:
    find_metric(name)
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]


class DriftSettings(Section):
    """When the rows that are asked about no longer look like those the model learned from."""

    window: str = Field(
        default="1d", description="The span of predictions that is compared with the reference."
    )
    min_rows: int = Field(default=500, ge=30, description="A window with fewer rows is not judged.")
    alpha: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Share of quiet windows in which any column may raise a false alarm.",
    )
    thresholds: dict[Statistic, Limit] = Field(
        default_factory=dict,
        description=(
            "Your own limits, such as {ks: 0.1, psi: 0.2}: each takes the place of the limit of "
            "its kind alone; ks (text: js) and missing keep theirs where you set none, the others "
            "have none. 1 switches ks, js and missing off."
        ),
    )
    share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The data drift when this share of the input columns does; any one when unset.",
    )

    @field_validator("thresholds")
    @classmethod
    def _can_be_exceeded(cls, value: dict[Statistic, float]) -> dict[Statistic, float]:
        for kind, limit in value.items():
            if kind in AT_MOST_ONE and limit > 1:
                raise ValueError(f"{kind} is never above 1; a limit of 1 switches it off")
        return value

    @field_validator("window")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        if parse_duration(value) < timedelta(hours=1):
            raise ValueError("a window is at least 1h: rows are counted by the hour")
        return value

    @property
    def span(self) -> timedelta:
        """``window`` as a duration."""
        return parse_duration(self.window)


class LabelSettings(Section):
    """When the labels of a group of predictions are complete enough to judge the model by."""

    share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description=(
            "A group of predictions is mature at the age by which this share of the labels of the "
            "slowest outcome is there, by the delays of all labels so far."
        ),
    )
    age: str | None = Field(
        default=None,
        description=(
            "Groups are mature at this age, whatever their labels; for labels that are known to "
            "come after a fixed time, or that are too few to tell how long they take."
        ),
    )

    @field_validator("age")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @property
    def fixed(self) -> timedelta | None:
        """``age`` as a duration."""
        return None if self.age is None else parse_duration(self.age)


class MonitoringSettings(Section):
    """Watching what serves: its data, its labels, its performance."""

    every: str = Field(
        default="1h", description="How often the loop looks; `ratchet monitor` looks at once."
    )
    period: str = Field(
        default="1d", description="Predictions of one period are judged together (a cohort)."
    )
    recent: str = Field(
        default="7d",
        description="The newest mature cohorts of this span are what a model does at present.",
    )
    history: str = Field(default="90d", description="How far back predictions are looked at.")
    metric: MetricName | None = Field(
        default=None, description="What performance is judged by; training.metric if not set."
    )
    margin: float = Field(
        default=0.02,
        gt=0,
        allow_inf_nan=False,
        description=(
            "A loss of the metric that counts as none, and the error at which the estimator is "
            "muted: in the metric's unit, or for a metric without upper end a share of its value."
        ),
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Of every interval that is shown."
    )
    slices: tuple[str, ...] = Field(
        default=(),
        description="Columns whose values are watched apart; all inputs when empty.",
    )
    labels: LabelSettings = Field(
        default_factory=LabelSettings, description="When labels are complete enough."
    )
    drift: DriftSettings = Field(
        default_factory=DriftSettings, description="When the data have drifted."
    )

    @field_validator("every", "period", "recent", "history")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        parse_duration(value)
        return value

    @model_validator(mode="after")
    def _spans_fit(self) -> Self:
        if self.period_span > self.recent_span:
            raise ValueError("recent is at least one period long")
        if self.recent_span > self.history_span:
            raise ValueError("history is at least as long as recent")
        if self.history_span / self.period_span > 1_000:
            raise ValueError("history holds at most 1,000 periods: take longer periods")
        return self

    @property
    def period_span(self) -> timedelta:
        """``period`` as a duration."""
        return parse_duration(self.period)

    @property
    def recent_span(self) -> timedelta:
        """``recent`` as a duration."""
        return parse_duration(self.recent)

    @property
    def history_span(self) -> timedelta:
        """``history`` as a duration."""
        return parse_duration(self.history)
