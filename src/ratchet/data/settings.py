"""The ``data:`` section of ``ratchet.yaml``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section
from ratchet.data.schema import Kind

TableType = Literal["csv", "parquet", "delta", "postgres"]
SourceType = Literal["csv", "parquet", "delta", "postgres", "production"]
Encoding = Literal["utf8", "latin1", "cp1252", "utf16"]

_CSV_ONLY = ("separator", "encoding", "quote", "header", "missing", "decimal", "formats")
_POSTGRES_ONLY = ("url", "table", "query")
_PRODUCTION_ONLY = ("base", "wait", "unlabelled")


class ReadingSettings(Section):
    """Where a table comes from, and how a CSV is to be read."""

    type: SourceType = Field(description="What kind of source: csv, parquet, delta or postgres.")
    path: str | None = Field(
        default=None,
        description=(
            "csv, parquet, delta: a file, a folder or a glob; relative paths start at the "
            "project folder. CSV files end in .csv, .tsv or .txt, plain or .gz."
        ),
    )
    separator: str = Field(default=",", description="csv: the one character between two fields.")
    encoding: Encoding = Field(
        default="utf8", description="csv: how text is encoded. A byte order mark is ignored."
    )
    quote: str | None = Field(
        default='"', description="csv: the one character around quoted fields; null for none."
    )
    header: bool = Field(
        default=True,
        description="csv: whether the first line holds the names; without it column_1, column_2 …",
    )
    missing: tuple[str, ...] = Field(
        default=("", "?", "NA", "N/A", "NaN", "null", "NULL"),
        description="csv: the texts that mean a missing value. Blank is always missing.",
    )
    decimal: Literal[".", ","] = Field(default=".", description="csv: the decimal mark.")
    formats: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "csv: the form of date and datetime columns that are not ISO 8601, by column, "
            "such as {joined: '%d.%m.%Y'}."
        ),
    )
    url: str | None = Field(
        default=None,
        description="postgres: postgresql://user:${PASSWORD}@host:5432/database.",
    )
    table: str | None = Field(default=None, description="postgres: the table, or schema.table.")
    query: str | None = Field(
        default=None, description="postgres: a SELECT to read instead of a table."
    )

    @field_validator("separator", "quote")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or ord(value) > 127 or value in "\r\n"):
            raise ValueError("must be one ASCII character, such as ',' ';' or '\\t'")
        return value

    @model_validator(mode="after")
    def _fields_fit_the_type(self) -> Self:
        given = self.model_fields_set - {"type"}
        wrong = given & _foreign(self.type)
        if self.type == "postgres":
            if not self.url:
                raise ValueError("a postgres source needs url")
            if (self.table is None) == (self.query is None):
                raise ValueError("a postgres source needs exactly one of table and query")
        elif self.type != "production" and not self.path:
            raise ValueError(f"a {self.type} source needs path")
        if wrong:
            raise ValueError(f"a {self.type} source has no {', '.join(sorted(wrong))}")
        if self.type == "csv" and self.separator in (self.quote, self.decimal):
            raise ValueError("separator, quote and decimal must be different characters")
        return self


class HistorySettings(ReadingSettings):
    """The table that is read before what production collected."""

    type: TableType = Field(description="What kind of source: csv, parquet, delta or postgres.")

    def source(self) -> SourceSettings:
        """The same as a source of its own."""
        return SourceSettings.model_validate(self.model_dump(exclude_unset=True))


class SourceSettings(ReadingSettings):
    """Where the table comes from, and how a CSV is to be read."""

    type: SourceType = Field(
        description="What kind of source: csv, parquet, delta, postgres, or production: what "
        "`ratchet data collect` made of served predictions and their labels."
    )
    path: str | None = Field(
        default=None,
        description=(
            "csv, parquet, delta: a file, a folder or a glob; relative paths start at the "
            "project folder. CSV files end in .csv, .tsv or .txt, plain or .gz. production: the "
            "lake to read, when it is not storage.lake."
        ),
    )
    base: HistorySettings | None = Field(
        default=None,
        description="production: the table whose rows come first, such as the history file the "
        "first model was trained on.",
    )
    wait: str | None = Field(
        default=None,
        description="production: how old a prediction must be to be collected, such as 30d: slow "
        "labels are then as well represented as fast ones. Without it each is collected as soon "
        "as it has a label.",
    )
    unlabelled: str | int | float | bool | None = Field(
        default=None,
        description="production: the label of a prediction that got none within `wait`, such as "
        "'no' for churn; without it such predictions are not collected.",
    )

    @field_validator("wait")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @model_validator(mode="after")
    def _silence_needs_time(self) -> Self:
        if self.unlabelled is not None and self.wait is None:
            raise ValueError("unlabelled needs wait: how long a label may take to come")
        return self


def _foreign(kind: SourceType) -> set[str]:
    """The fields that a source of this kind does not have."""
    own: dict[SourceType, set[str]] = {
        "csv": {"path", *_CSV_ONLY},
        "parquet": {"path"},
        "delta": {"path"},
        "postgres": {*_POSTGRES_ONLY},
        "production": {"path", *_PRODUCTION_ONLY},
    }
    return {"path", *_CSV_ONLY, *_POSTGRES_ONLY, *_PRODUCTION_ONLY} - own[kind]


class SplitSettings(Section):
    """How rows are divided into training, validation and test."""

    by: Literal["auto", "time", "stratified", "hash", "group", "column"] = Field(
        default="auto",
        description=(
            "auto = column when split.column is set, else time when data.time is set, else group "
            "when data.group is set, else hash when data.id is set (added rows never move a row), "
            "else stratified."
        ),
    )
    column: str | None = Field(
        default=None,
        description=(
            "A column that says each row's part itself: train, validation or test. "
            "It is no feature."
        ),
    )
    test: float = Field(default=0.2, gt=0, lt=1, description="The share of the rows for testing.")
    validation: float = Field(
        default=0.0, ge=0, lt=1, description="The share of the rows for validation."
    )
    seed: int = Field(default=42, description="Another seed gives another split.")

    @model_validator(mode="after")
    def _something_left_to_train(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError("test + validation must stay below 1: nothing is left to train on")
        if self.by == "column" and self.column is None:
            raise ValueError("name the column that says each row's part: split.column")
        if self.column is not None and self.by not in ("auto", "column"):
            raise ValueError(f"split.column has no meaning with `by: {self.by}`: leave one out")
        return self


class DataSettings(Section):
    """The table, what its columns mean, and how it is cleaned and split."""

    source: SourceSettings = Field(description="Where the table comes from.")
    target: str = Field(min_length=1, description="The column to predict.")
    positive: str | int | float | bool | None = Field(
        default=None,
        description="Two classes: the one to find. Without it Yes, true or 1, else the rarer one.",
    )
    task: Literal["auto", "binary", "multiclass", "regression"] = Field(
        default="auto", description="What kind of prediction; auto looks at the target's values."
    )
    id: str | None = Field(
        default=None,
        description="The column that names a row's entity: joins labels, keeps the split stable.",
    )
    time: str | None = Field(
        default=None, description="The column that says when: time-ordered split, freshness."
    )
    group: str | None = Field(
        default=None, description="Rows with equal values here stay together in the split."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Columns that are no features.")
    columns: dict[str, Kind] = Field(
        default_factory=dict,
        description=(
            "The kind of each column (integer, number, string, boolean, date, datetime); "
            "written by init. A value that does not fit is an error, never a silent null."
        ),
    )
    sample: float | None = Field(
        default=None, gt=0, le=1, description="Use only this share of the rows, always the same."
    )
    duplicates: Literal["drop", "keep"] = Field(
        default="drop", description="What happens to rows that repeat an earlier one exactly."
    )
    split: SplitSettings = Field(
        default_factory=SplitSettings, description="Training, validation and test."
    )

    @model_validator(mode="after")
    def _roles_do_not_clash(self) -> Self:
        for role in ("id", "time", "group"):
            if getattr(self, role) == self.target:
                raise ValueError(f"{role} and target name the same column")
        if self.target in self.exclude:
            raise ValueError("the target cannot be excluded")
        if self.split.by == "auto":
            return self
        needs = {"time": self.time, "group": self.group, "hash": self.id}
        if self.split.by in needs and needs[self.split.by] is None:
            missing = "id" if self.split.by == "hash" else self.split.by
            raise ValueError(f"split.by: {self.split.by} needs data.{missing}")
        return self
