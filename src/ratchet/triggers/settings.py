"""The ``triggers:`` section of ``ratchet.yaml``: when the loop trains again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section
from ratchet.config.suggest import hint
from ratchet.triggers.expression import Expression, names_of, parse_expression
from ratchet.triggers.rule_settings import (
    DriftRule,
    EstimatedRule,
    InvestigateSettings,
    PerformanceRules,
)
from ratchet.triggers.schedule import check_cron, check_zone

Period = Literal["day", "week", "month"]
PERIODS: Mapping[Period, timedelta] = {
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
}

RULES = (
    "performance", "regret", "estimated", "drift", "external", "new_rows", "max_age", "schedule",
)  # fmt: skip
"""The names of the rules, in the order in which one of several gives a run its name."""

_SHARE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*\Z")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}\Z")
_Scalar = str | int | float | bool | None


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _rows(value: int | str) -> int | str:
    if isinstance(value, str):
        _share(value)
    elif value < 1:
        raise ValueError("must be at least one row, or a share such as 50%")
    return value


def _share(text: str) -> float:
    match = _SHARE.match(text)
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is no number of rows and no share such as 50%")
    return float(match[1]) / 100


Duration = Annotated[str, AfterValidator(_duration)]
Rows = Annotated[int | str, AfterValidator(_rows)]


def rows_of(wanted: int | str, trained_on: int | None) -> int | None:
    """``wanted`` in rows; None for a share of rows that nobody counted."""
    if isinstance(wanted, int):
        return wanted
    return None if trained_on is None else max(1, round(_share(wanted) * trained_on))


class ScheduleSettings(Section):
    """A time at which to train, and what is then different."""

    name: str = Field(default="schedule", description="Its name: lower-case letters, digits and _.")
    cron: str = Field(
        description=(
            "Minute, hour, day of month, month, day of week (`0 2 * * 0`, `30 6 * * mon-fri`), or "
            "@hourly, @daily, @weekly, @monthly, @yearly."
        )
    )
    timezone: str = Field(
        default="UTC",
        description=(
            "Such as Europe/Berlin. Where the clock is put forward over the time, it fires in the "
            "minute after; where an hour comes twice, in the first."
        ),
    )
    set: dict[str, _Scalar] = Field(
        default_factory=dict,
        description=(
            "Settings that its runs have, such as {training.update: retune}; as with --set."
        ),
    )

    @field_validator("name")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not _NAME.match(value):
            raise ValueError("a schedule's name is lower-case letters, digits and _")
        return value

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        return check_cron(value)

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        return check_zone(value)


class FollowUpSettings(Section):
    """One more run after one that falling quality set off."""

    rows: Rows = Field(
        default="100%",
        description="New rows since then: a number, or a share of the rows it trained on.",
    )
    after: Duration | None = Field(
        default="14d", description="Or this much time, if that is sooner; null: rows alone."
    )


class RetrySettings(Section):
    """What happens after a run that failed by a fault."""

    times: int = Field(default=3, ge=0, le=20, description="How often it is tried again.")
    after: Duration = Field(
        default="15m", description="How long after the first fault; then twice as long each time."
    )


class TriggerBudget(Section):
    """What retraining may use in a day, a week or a month (30 days), counted back from now."""

    runs: int | None = Field(default=None, ge=1, description="Runs; skipped ones do not count.")
    cpu: Duration | None = Field(
        default=None, description="Processor time of all runs: 90m, 10h; the next one's included."
    )
    per: Period = Field(default="month", description="day, week or month.")

    @property
    def cpu_minutes(self) -> float | None:
        """``cpu`` in minutes."""
        return None if self.cpu is None else parse_duration(self.cpu).total_seconds() / 60


class TriggerCost(Section):
    """What training and errors cost, both in the same unit, of any kind."""

    retrain: float = Field(
        gt=0, allow_inf_nan=False, description="Of one run, looking at its result included."
    )
    value: float = Field(
        gt=0,
        allow_inf_nan=False,
        description=(
            "Of 1.0 of the metric on one row: with accuracy, of one more right answer; with rmse, "
            "of one unit less of error."
        ),
    )


class TriggersSettings(Section):
    """When the loop trains again. `ratchet plan` says what each rule sees now."""

    schedule: tuple[ScheduleSettings, ...] = Field(
        default=(),
        description="A cron text, or a list of {name, cron, timezone, set}.",
    )
    new_rows: Rows | None = Field(
        default="50%",
        description=(
            "New rows since the last training: a number, or a share of the rows it used. null: "
            "no rule."
        ),
    )
    max_age: Duration | None = Field(
        default="30d",
        description=(
            "Time since the last training, if there is anything new; sooner where `cost` and the "
            "speed at which quality falls say that it pays: sqrt(2 cost / (speed x value))."
        ),
    )
    drift: DriftRule | None = Field(
        default_factory=DriftRule, description="Inputs, scores or answers that moved."
    )
    performance: PerformanceRules | None = Field(
        default_factory=PerformanceRules, description="Quality on labelled rows."
    )
    estimated: EstimatedRule | None = Field(
        default_factory=EstimatedRule, description="Quality as estimated before labels come."
    )
    investigate: InvestigateSettings = Field(
        default_factory=InvestigateSettings,
        description="What comes of a rule whose action is investigate.",
    )
    external: bool = Field(
        default=False, description="Train whenever the source's content changed."
    )
    combine: str = Field(
        default="any",
        description=(
            "any: one rule is enough. all: every rule that the project file names must hold. Or "
            "an expression: `weekly or (nightly and (drift or new_rows))`."
        ),
    )
    cooldown: Duration | Literal["auto"] | None = Field(
        default="auto",
        description=(
            "Least time from the start of one training to the next. auto: the longest of a day, "
            "three times the last training, and the time labels take; at most three quarters of "
            "the shortest pause of a schedule. null: none."
        ),
    )
    debounce: Duration | None = Field(
        default=None, description="How long a rule must hold before it fires; not for schedules."
    )
    follow_up: FollowUpSettings | None = Field(
        default_factory=FollowUpSettings,
        description=(
            "One more run after one that falling quality set off, once its window holds new rows: "
            "the first may have learned mostly from the past."
        ),
    )
    first: bool = Field(default=True, description="Train when nothing was ever trained.")
    retry: RetrySettings | None = Field(
        default_factory=RetrySettings, description="After a run that failed by a fault."
    )
    budget: TriggerBudget | None = Field(
        default=None,
        description="Most retraining in a period; no limit but the cooldown if not set.",
    )
    cost: TriggerCost | None = Field(
        default=None, description="What training and errors cost; for the rule `regret`."
    )

    @field_validator("schedule", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if isinstance(value, str):
            return ({"cron": value},)
        if value is None:
            return ()
        return (value,) if isinstance(value, Mapping) else value

    @field_validator("schedule")
    @classmethod
    def _names(cls, value: tuple[ScheduleSettings, ...]) -> tuple[ScheduleSettings, ...]:
        names = [each.name for each in value]
        taken = set(RULES) - {"schedule"} | {"and", "or", "not", "any", "all"}
        if len(value) > 1 and "schedule" in names:
            raise ValueError("several schedules need a name each, other than `schedule`")
        for name in names:
            if name in taken or names.count(name) > 1:
                raise ValueError(f"the name {name!r} is taken: give each schedule its own")
        return value

    @model_validator(mode="after")
    def _combines_what_there_is(self) -> TriggersSettings:
        if self.combine == "all" and not self.written:
            raise ValueError("`combine: all` needs at least one rule under triggers")
        if self.combine in ("any", "all"):
            return self
        for name in names_of(parse_expression(self.combine)):
            if name not in self.rules:
                raise ValueError(
                    f"`combine` names `{name}`, and there is no such rule: "
                    + hint(name, self.rules)
                )
        return self

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules there are: names of schedules, and ``schedule`` for any one of them."""
        there = {
            "performance": self.performance is not None,
            "regret": self.performance is not None and self.performance.regret,
            "schedule": bool(self.schedule),
            "external": self.external,
        }
        known = [name for name in RULES if there.get(name, getattr(self, name, None) is not None)]
        return (*known, *(each.name for each in self.schedule if each.name != "schedule"))

    @property
    def written(self) -> tuple[str, ...]:
        """The rules that the project file names: what ``combine: all`` is about."""
        return tuple(name for name in RULES if name in self.model_fields_set and name in self.rules)

    @property
    def expression(self) -> Expression | None:
        """``combine``, where it is an expression."""
        return None if self.combine in ("any", "all") else parse_expression(self.combine)
