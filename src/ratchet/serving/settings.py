"""The ``serving`` section of ``ratchet.yaml``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ratchet.config.durations import parse_duration, parse_size
from ratchet.config.section import Section

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class LogSettings(Section):
    """The prediction log: what was answered is on disk before the answer leaves."""

    fsync: Literal["group", "always"] = Field(
        default="group",
        description=(
            "group: an answer survives the death of the process at once, and a power cut after "
            "`exposure`; always: it survives a power cut at once, and waits for the disk."
        ),
    )
    exposure: str = Field(
        default="50ms", description="fsync group: the longest time that a power cut can undo."
    )
    max_disk: str = Field(
        default="1GB", description="How much may wait on this disk to be moved into the lake."
    )
    when_full: Literal["refuse", "serve"] = Field(
        default="refuse",
        description=(
            "When the log cannot take an answer (disk full, max_disk reached): refuse = answer "
            "503; serve = answer all the same, count what was not logged, and alert."
        ),
    )
    compact: str = Field(
        default="1m", description="How often what was logged is moved into the lake."
    )
    drop: tuple[str, ...] = Field(
        default=(), description="Columns that are never logged (personal data)."
    )
    hash: tuple[str, ...] = Field(
        default=(),
        description="Columns that are logged as a keyed digest: joinable, but not readable.",
    )
    hash_key: str | None = Field(
        default=None,
        repr=False,
        description="The digest's key, as ${NAME}; by default one that is made and kept beside "
        "the log.",
    )

    @field_validator("exposure", "compact")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        parse_duration(value)
        return value

    @field_validator("max_disk")
    @classmethod
    def _is_size(cls, value: str) -> str:
        parse_size(value)
        return value

    @model_validator(mode="after")
    def _dropped_or_hashed(self) -> Self:
        both = sorted(set(self.drop) & set(self.hash))
        if both:
            raise ValueError(f"{', '.join(both)}: drop it or hash it, not both")
        return self


class TlsSettings(Section):
    """HTTPS by certificate files."""

    certificate: str = Field(description="The certificate chain (PEM); relative to the project.")
    key: str = Field(description="Its private key (PEM); relative to the project.")


class ServingSettings(Section):
    """The HTTP server."""

    host: str = Field(
        default="127.0.0.1",
        description="The address to listen on; any other than loopback needs API keys.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=64, description="Processes that answer requests.")
    poll: str = Field(
        default="1s", description="How often the ledger is asked whether what serves has changed."
    )
    max_rows: int = Field(default=10_000, ge=1, description="Rows that one request may hold.")
    max_body: str = Field(default="10MB", description="Bytes that one request may hold.")
    timeout: str = Field(
        default="30s", description="How long a request may take to arrive, or a stop to finish."
    )
    rate: float | None = Field(
        default=None,
        gt=0,
        description="Requests per second for each key (or address), with bursts of twice as many; "
        "no limit when left out.",
    )
    keys: Literal["auto", "required"] = Field(
        default="auto",
        description="auto: on loopback keys are asked for once there are any, elsewhere always; "
        "required: always.",
    )
    max_age: str | None = Field(
        default=None,
        description="Stored features older than this are refused; they are always measured.",
    )
    tls: TlsSettings | None = Field(default=None, description="Serve HTTPS with these files.")
    log: LogSettings = Field(
        default_factory=LogSettings, description="How predictions and feedback are kept."
    )

    @field_validator("poll", "timeout", "max_age")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @field_validator("max_body")
    @classmethod
    def _is_size(cls, value: str) -> str:
        parse_size(value)
        return value
