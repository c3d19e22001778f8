"""The ``checks:`` section of ``ratchet.yaml``: the suite, and the limits of the built-in checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section

Switch = Literal["error", "warn", "off"]


class CheckSettings(Section):
    """One built-in check: ``error`` stops the run, ``warn`` only tells, ``off`` leaves it out.

    ``leakage: off`` is short for ``leakage: {severity: off}``.
    """

    severity: Switch = Field(default="error", description="error, warn or off.")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        # YAML readers older than 1.2 make false of the word off.
        return {"severity": value or "off"} if isinstance(value, str | bool) else value


class WarningSettings(CheckSettings):
    """A built-in check that only tells unless it is made an error."""

    severity: Switch = Field(default="warn", description="error, warn or off.")


class SchemaCheck(CheckSettings):
    """The columns and kinds are those of the last run."""

    order: Switch = Field(default="warn", description="The same for the order of the columns.")


class MissingCheck(WarningSettings):
    """Columns that are mostly missing."""

    share: float = Field(
        default=0.5, ge=0, le=1, description="A column with a larger share missing is told."
    )
    columns: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="An error when a larger share of the features is mostly missing.",
    )


class DuplicatesCheck(WarningSettings):
    """Rows that repeat another row."""

    share: float = Field(
        default=0.1, ge=0, le=1, description="A larger share of repeated rows is told."
    )


class FutureCheck(WarningSettings):
    """Times that are still to come."""

    tolerance: str = Field(
        default="1d", description="How far ahead of now the time column may be, such as 1d."
    )

    @field_validator("tolerance")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        parse_duration(value)
        return value


class RowsCheck(CheckSettings):
    """The number of rows."""

    min: int = Field(default=50, ge=1, description="The fewest rows that can be trained on.")


class TargetCheck(CheckSettings):
    """The target: there, complete, and with enough rows of each class."""

    class_rows: int = Field(default=10, ge=1, description="The fewest rows a class may have.")


class LongTextCheck(CheckSettings):
    """Texts too long to be a value of a table."""

    longest: int = Field(
        default=100_000, ge=1, description="The most bytes a text may have (in UTF-8)."
    )


class LeakageCheck(CheckSettings):
    """Features that alone predict the target too well to be true."""

    error: float = Field(
        default=0.999, gt=0.5, le=1, description="A feature with at least this ROC-AUC is a leak."
    )
    warn: float = Field(
        default=0.98, gt=0.5, le=1, description="A feature with at least this ROC-AUC is told."
    )
    rows: int = Field(default=50_000, ge=100, description="How many rows are looked at, at most.")


class IdLikeCheck(WarningSettings):
    """Features that name the row instead of describing it."""

    share: float = Field(
        default=0.95, gt=0, le=1, description="Told when so large a share of values is distinct."
    )


class OverlapCheck(WarningSettings):
    """Rows for testing whose features also stand in a row for training."""

    share: float = Field(
        default=0.1, ge=0, le=1, description="A larger share of the test rows is told."
    )


class MixedCheck(WarningSettings):
    """Text columns of which nearly all values are numbers."""

    share: float = Field(
        default=0.9, gt=0, lt=1, description="Told when a larger share, but not all, are numbers."
    )


class ChecksSettings(Section):
    """What must hold of the data before anything is trained."""

    expectations: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="The suite, in Great Expectations' names and arguments, each with a severity.",
    )
    max_age: str | None = Field(
        default=None,
        description="The oldest the newest row (or the file) may be, such as 2d; older stops.",
    )
    columns: SchemaCheck = Field(
        default_factory=SchemaCheck, description="Columns and kinds are those of the last run."
    )
    keys: CheckSettings = Field(
        default_factory=CheckSettings, description="The id and time columns are never missing."
    )
    ids: WarningSettings = Field(
        default_factory=WarningSettings, description="No id is there twice."
    )
    missing: MissingCheck = Field(
        default_factory=MissingCheck, description="Columns that are mostly missing."
    )
    duplicates: DuplicatesCheck = Field(
        default_factory=DuplicatesCheck, description="Rows that repeat another row."
    )
    future: FutureCheck = Field(
        default_factory=FutureCheck, description="Times that are still to come."
    )
    rows: RowsCheck = Field(default_factory=RowsCheck, description="The number of rows.")
    target: TargetCheck = Field(
        default_factory=TargetCheck, description="The target is there, complete and sufficient."
    )
    features: CheckSettings = Field(
        default_factory=CheckSettings, description="At least one feature can be used."
    )
    constant: WarningSettings = Field(
        default_factory=WarningSettings, description="Features with a single value."
    )
    infinite: CheckSettings = Field(
        default_factory=CheckSettings, description="Numbers that are infinite."
    )
    long_text: LongTextCheck = Field(
        default_factory=LongTextCheck,
        description="Texts too long to be a value, such as a file in a cell.",
    )
    leakage: LeakageCheck = Field(
        default_factory=LeakageCheck, description="Features that predict the target too well."
    )
    id_like: IdLikeCheck = Field(
        default_factory=IdLikeCheck, description="Features that name the row."
    )
    overlap: OverlapCheck = Field(
        default_factory=OverlapCheck, description="The same features in training and test rows."
    )
    mixed: MixedCheck = Field(
        default_factory=MixedCheck, description="Text columns that are nearly all numbers."
    )

    @field_validator("max_age")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value
