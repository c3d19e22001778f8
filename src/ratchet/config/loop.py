"""The ``loop:`` section of ``ratchet.yaml``: how often the loop looks, and what a run may use."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, field_validator

from ratchet.config.durations import parse_duration, parse_size
from ratchet.config.section import Section


class LoopSettings(Section):
    """How ``ratchet loop`` looks after the project."""

    every: str = Field(
        default="30s",
        description=(
            "How often the loop sees whether anything of the project moved. Of a loop over several "
            "projects, the shortest counts."
        ),
    )
    poll: str = Field(
        default="15m",
        description=(
            "How often a database or bucket is asked, which cannot be seen to change as a file can."
        ),
    )
    collect: str = Field(
        default="15m",
        description="How often labelled predictions are collected, for a source of production.",
    )
    parallel: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Runs at once. Of a loop over several projects, the largest counts.",
    )
    memory: str | None = Field(
        default=None,
        description=(
            "The most memory a run may take, such as 8GB; above it, it is ended, and failed. "
            "By default three quarters of the machine's."
        ),
    )
    time: str = Field(default="6h", description="The longest a run may take.")
    patience: str = Field(
        default="15m",
        description="The longest one look at the project may take: folding, measuring, deciding.",
    )
    nice: int = Field(
        default=10, ge=0, le=19, description="How much a run gives way to whatever else runs."
    )
    grace: str = Field(
        default="10s", description="How long a run has to end when the loop is told to."
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="A loopback port for Prometheus; the numbers are always in .ratchet/loop too.",
    )

    @field_validator("every", "poll", "collect", "time", "patience", "grace")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        parse_duration(value)
        return value

    @field_validator("memory")
    @classmethod
    def _is_size(cls, value: str | None) -> str | None:
        if value is not None:
            parse_size(value)
        return value

    def span(self, name: str) -> timedelta:
        """A duration of the section, by its key."""
        return parse_duration(getattr(self, name))

    @property
    def memory_bytes(self) -> int | None:
        """``memory`` in bytes."""
        return None if self.memory is None else parse_size(self.memory)
