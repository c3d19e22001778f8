"""Settings: who is told, and of what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ratchet.config.durations import parse_duration
from ratchet.config.section import Section

Occasion = Literal[
    "promoted", "candidate", "rejected", "skipped", "failed", "rolled_back", "unhealthy"
]

SCHEMES = ("http", "https", "smtp", "smtps")
_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class AlertSettings(Section):
    """One channel: a webhook (Slack and anything that takes JSON) or e-mail."""

    url: str = Field(
        repr=False,
        description="Where to: a webhook (https://...) or a mail server "
        "(smtp://user:password@host:587?to=team@example.org). A secret: write it as ${NAME}.",
    )
    on: tuple[Occasion, ...] = Field(
        default=("failed", "rejected", "rolled_back", "unhealthy"),
        description="What to tell: outcomes of runs, and what happens to the model that serves.",
    )
    name: str | None = Field(
        default=None,
        description="The channel's name in reports; by default the secret's or the host's.",
    )
    timeout: str = Field(default="5s", description="How long one delivery may take.")

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        # The value itself is a secret: it stays out of the message.
        if not _SECRET.search(value) and urlsplit(value).scheme not in SCHEMES:
            raise ValueError(
                "an alert's address starts with https://, http://, smtp:// or smtps://"
            )
        return value

    @field_validator("timeout")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        parse_duration(value)
        return value

    @property
    def label(self) -> str:
        """A name that tells no secret: as given, the secret's own name, or the host."""
        if self.name is not None:
            return self.name
        secrets = _SECRET.findall(self.url)
        return "+".join(secrets) if secrets else host_of(self.url)


def host_of(url: str) -> str:
    """The host of an address, with its port when it names one; the rest may be secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    return f"{host}:{port}" if port else host


def name_channels(alerts: Sequence[AlertSettings]) -> dict[str, AlertSettings]:
    """The channels by name; equal names are told apart by a number, in the order of the file."""
    named: dict[str, AlertSettings] = {}
    for alert in alerts:
        name, number = alert.label, 1
        while name in named:
            number += 1
            name = f"{alert.label}#{number}"
        named[name] = alert
    return named
