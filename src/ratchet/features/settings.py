"""The ``features`` section of ``ratchet.yaml``."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section

HighCardinality = Literal["target", "frequency", "codes"]


class InteractionSettings(Section):
    """Products of two numeric columns; only the strongest are kept."""

    columns: tuple[str, ...] | None = Field(
        default=None,
        description="Numeric columns to pair; every numeric feature when left out.",
    )
    max: int = Field(
        default=10,
        ge=1,
        le=1000,
        description=(
            "How many products to keep: those whose centred product correlates most with the "
            "target on the training rows."
        ),
    )


class GenerateSettings(Section):
    """Features made by rule. Date parts are on where there are dates; the rest is off."""

    squares: bool | tuple[str, ...] = Field(
        default=False,
        description="Add x*x of these numeric columns; true for every one that is not just 0/1.",
    )
    logs: bool | tuple[str, ...] = Field(
        default=False,
        description=(
            "Add log(1 + x) of these numeric columns (training minimum above -1); true for every "
            "one without negative training values. A later value of -1 or less counts as missing."
        ),
    )
    interactions: InteractionSettings | None = Field(
        default=None, description="Add products of pairs of numeric columns; off when left out."
    )
    bins: dict[str, int | tuple[float, ...]] = Field(
        default_factory=dict,
        description=(
            "Column to number of bins (edges are training quantiles) or to a rising list of edges; "
            "a bin holds its lower edge."
        ),
    )
    dates: bool | Literal["auto"] = Field(
        default="auto",
        description=(
            "Year, month, weekday, hour and days since the first training date of date columns; "
            "auto leaves out parts that never change in training, false ignores date columns."
        ),
    )
    frequency: tuple[str, ...] = Field(
        default=(),
        description="Add each value's share of the training rows for these columns.",
    )
    target: tuple[str, ...] = Field(
        default=(),
        description=(
            "Add the target's shrunken training mean per value of these columns, cross-fitted "
            "so that a training row never sees its own label."
        ),
    )

    @field_validator("bins")
    @classmethod
    def _check_bins(
        cls, bins: dict[str, int | tuple[float, ...]]
    ) -> dict[str, int | tuple[float, ...]]:
        for column, rule in bins.items():
            if isinstance(rule, int):
                if not 2 <= rule <= 256:
                    raise ValueError(f"{column}: give 2 to 256 bins, not {rule}")
            elif not rule or not all(math.isfinite(edge) for edge in rule):
                raise ValueError(f"{column}: give at least one edge, each a finite number")
            elif any(low >= high for low, high in pairwise(rule)):
                raise ValueError(f"{column}: edges must rise from left to right")
        return bins


class EncodingSettings(Section):
    """Where the encoders change their mind; the algorithm chooses codes or one-hot itself."""

    onehot_max: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Most categories a column may have to be given one column each.",
    )
    codes_max: int = Field(
        default=1000,
        ge=2,
        le=65000,
        description="Most categories a column may have to be given a code each.",
    )
    high_cardinality: HighCardinality = Field(
        default="target",
        description="What a column with more categories becomes: target, frequency or codes.",
    )
    rare: int = Field(
        default=10,
        ge=1,
        description=(
            "Categories with fewer training rows than this (at most 1 % of the rows) are "
            "grouped as (other), as long as they hold at most a tenth of the rows."
        ),
    )
    missing_indicator: float = Field(
        default=0.01,
        ge=0.0,
        le=1.0,
        description=(
            "With imputation: share of missing training values from which a column also gets an "
            "is-missing column."
        ),
    )
    folds: int = Field(
        default=5, ge=2, le=50, description="Folds for cross-fitting target encodings."
    )


class StoreSettings(Section):
    """The feature store; where it is kept is `storage.features`."""

    ttl: str | None = Field(
        default=None,
        description=(
            "A stored row is forgotten this long after it was pushed, such as 30d; never when "
            "left out."
        ),
    )

    @field_validator("ttl")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value


class FeaturesSettings(Section):
    """What the model sees: the raw columns, and what is computed from them."""

    expressions: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "New features as row-wise SQL expressions over columns and other features. Aggregates "
            "such as median(x) are learned on the training rows and kept as constants."
        ),
    )
    functions: str | None = Field(
        default=None,
        description=(
            "Python file in the project whose functions are features: parameters are column names, "
            "the docstring is the description, the result is a Polars expression."
        ),
    )
    generate: GenerateSettings = Field(
        default_factory=GenerateSettings, description="Features made by rule."
    )
    encoding: EncodingSettings = Field(
        default_factory=EncodingSettings, description="Limits of the encoders."
    )
    store: StoreSettings = Field(
        default_factory=StoreSettings,
        description="The newest feature row of every entity, to be looked up while serving.",
    )

    @field_validator("expressions")
    @classmethod
    def _check_expressions(cls, expressions: dict[str, str]) -> dict[str, str]:
        for name, text in expressions.items():
            if not name.strip():
                raise ValueError("a feature needs a name")
            if not text.strip():
                raise ValueError(f"{name}: the expression is empty")
        return expressions
