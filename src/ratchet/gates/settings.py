"""The ``gates:`` section of ``ratchet.yaml``: what a model must prove before it may serve."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from ratchet.config.durations import parse_duration, parse_size
from ratchet.config.section import Section
from ratchet.evaluation.catalog import find_metric


def _known_metric(name: str) -> str:
    find_metric(name)
    return name


MetricName = Annotated[str, AfterValidator(_known_metric)]
Limit = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]


class ChampionSettings(Section):
    """What a new model must prove against the one that serves, on the same test rows."""

    metric: MetricName | None = Field(
        default=None, description="What the two are compared by; training.metric if not set."
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description=(
            "How much worse, in the metric's unit, still counts as no worse. With 0 a new model "
            "must be proven better. With more, such as 0.005 for roc_auc, it is enough that its "
            "value is at least the champion's and that it is proven not to be worse by the margin."
        ),
    )
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1,
        description=(
            "Of every interval, and of the proof: with 0.95, of a hundred models that are no "
            "better at most five pass on rows that have not decided before. On rows that have, "
            "the proof must be stronger: see alpha."
        ),
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description=(
            "The chance that any of all decisions on the same test rows passes a model that is "
            "no better; 2 x (1 - confidence) if not set. The k-th of them has the level "
            "alpha x 6 / (pi² k²), at most 1 - confidence; after 12, or below 0.001, the rows are "
            "used up and new ones are needed."
        ),
    )
    require: Literal["non_inferior", "superior"] = Field(
        default="non_inferior",
        description=(
            "non_inferior: not worse by the margin, and no lower value. superior: proven better, "
            "whatever the margin; for a new kind of model that costs more to run."
        ),
    )

    @model_validator(mode="after")
    def _margin_fits(self) -> ChampionSettings:
        if self.require == "superior" and self.margin > 0:
            raise ValueError("a margin has no meaning with `require: superior`: leave one out")
        upper = None if self.metric is None else find_metric(self.metric).upper
        if upper is not None and self.margin >= upper:
            raise ValueError(
                f"a margin of {self.margin:g} is more than {self.metric} can differ: write 0.005 "
                "for half a point"
            )
        return self

    @property
    def spent(self) -> float:
        """``alpha``, or what stands for it."""
        return 2 * (1 - self.confidence) if self.alpha is None else self.alpha


class BudgetSettings(Section):
    """What a model may cost where it serves; ``null`` leaves a limit out."""

    latency_p95: str | None = Field(
        default="5ms",
        description="Time to score one row, that 95 of 100 calls stay within: ms, s.",
    )
    size: str | None = Field(
        default="50MB",
        description=(
            "Size of the bundle's files together: kB, MB, GB. profile.bin is not counted, as no "
            "server reads it."
        ),
    )
    memory: str | None = Field(
        default="500MB",
        description="Memory of a process that has loaded the bundle and scored rows: MB, GB.",
    )

    @field_validator("latency_p95")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @field_validator("size", "memory")
    @classmethod
    def _is_size(cls, value: str | None) -> str | None:
        if value is not None:
            parse_size(value)
        return value

    @property
    def latency_seconds(self) -> float | None:
        """``latency_p95`` in seconds."""
        return (
            None if self.latency_p95 is None else parse_duration(self.latency_p95).total_seconds()
        )

    @property
    def size_bytes(self) -> int | None:
        """``size`` in bytes."""
        return None if self.size is None else parse_size(self.size)

    @property
    def memory_bytes(self) -> int | None:
        """``memory`` in bytes."""
        return None if self.memory is None else parse_size(self.memory)


class GatesSettings(Section):
    """What a model must prove before it may serve. Every gate is judged and reported."""

    minimum: dict[MetricName, Limit] = Field(
        default_factory=dict,
        description=(
            "The least value of each metric on the test rows; for log_loss, brier, rmse, mae and "
            "median_ae, where less is better, the largest."
        ),
    )
    above_chance: bool = Field(
        default=True,
        description=(
            "Whether the model must be proven better than knowing nothing: the interval of its "
            "roc_auc lies above 0.5, for regression that of r2 above 0, which is always saying "
            "the mean. It keeps a useless first model out, when there is no champion."
        ),
    )
    champion: ChampionSettings = Field(
        default_factory=ChampionSettings, description="The proof against the model that serves."
    )
    budget: BudgetSettings = Field(
        default_factory=BudgetSettings, description="What the model may cost where it serves."
    )
    parity_tolerance: float = Field(
        default=1e-6,
        gt=0,
        le=0.01,
        description=(
            "Largest difference between a score in training and the bundle's for the same row; "
            "for regression relative to the largest estimate, where that is above 1."
        ),
    )

    @field_validator("minimum")
    @classmethod
    def _reachable(cls, value: dict[str, float]) -> dict[str, float]:
        for name, limit in value.items():
            upper = find_metric(name).upper
            if upper is not None and limit > upper:
                raise ValueError(f"{name} is from 0 to {upper:g}, so {limit:g} is out of reach")
        return value
