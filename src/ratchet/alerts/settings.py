"""Settings: who is told, and of what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ratchet.alerts.schemes import APPRISE, OWN, is_known
from ratchet.config.durations import parse_duration
from ratchet.config.section import Section
from ratchet.config.suggest import nearest

Occasion = Literal[
    "promoted",
    "candidate",
    "rejected",
    "skipped",
    "failed",
    "approval_wanted",
    "widened",
    "inconclusive",
    "rolled_back",
    "drift",
    "performance",
    "experiment",
    "unhealthy",
    "recovered",
]
"""What can be told.

- ``promoted``, ``candidate``, ``rejected``, ``skipped``, ``failed``: how a run ended.
- ``approval_wanted``, ``widened``, ``inconclusive``, ``rolled_back``: what becomes of a version
  that is being rolled out, and of one that serves.
- ``drift``, ``performance``: what monitoring found. ``experiment``: what a comparison came to.
- ``unhealthy``, ``recovered``: a pipeline or a server that does not do its work, and does again.
"""

_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class AlertSettings(Section):
    """One channel: a webhook, e-mail, or any service that Apprise knows."""

    url: str = Field(
        repr=False,
        description="Where to: a webhook (https://...), a mail server "
        "(smtp://user:password@host:587?to=team@example.org), or an address of Apprise "
        "(slack://..., discord://..., tgram://...; pip install 'ratchet-ml[alerts]'). "
        "A secret: write it as ${NAME}.",
    )
    on: tuple[Occasion, ...] = Field(
        default=(
            "failed",
            "rejected",
            "approval_wanted",
            "inconclusive",
            "rolled_back",
            "drift",
            "performance",
            "unhealthy",
            "recovered",
        ),
        description="What to tell: outcomes of runs, what happens to the model that serves, and "
        "what monitoring found. Who hears `unhealthy` also hears `recovered`.",
    )
    name: str | None = Field(
        default=None,
        description="The channel's name in reports; by default the secret's, the host's or the "
        "service's.",
    )
    timeout: str = Field(default="5s", description="How long one delivery may take.")
    quiet: str = Field(
        default="1h",
        description="The same news within this time is not told again at once, but together at "
        "its end, with a count.",
    )
    hourly: int = Field(
        default=30,
        ge=2,
        description="The most messages an hour; when more wait, they come as one.",
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        # The value itself is a secret: it stays out of the message.
        scheme = scheme_of(value)
        if _SECRET.search(value.partition("://")[0]) or is_known(scheme):
            return value
        near = nearest(scheme, (*OWN, *APPRISE)) if scheme else None
        raise ValueError(
            "an alert's address starts with https://, http://, smtp://, smtps:// or a scheme of "
            "Apprise such as slack://" + (f" (did you mean {near}://?)" if near else "")
        )

    @field_validator("timeout", "quiet")
    @classmethod
    def _is_duration(cls, value: str) -> str:
        parse_duration(value)
        return value

    @property
    def label(self) -> str:
        """A name that tells no secret: as given, the secret's own, the host, or the service."""
        if self.name is not None:
            return self.name
        secrets = _SECRET.findall(self.url)
        return "+".join(secrets) if secrets else host_of(self.url) or scheme_of(self.url)

    @property
    def quiet_time(self) -> timedelta:
        """``quiet`` as a duration."""
        return parse_duration(self.quiet)

    def hears(self, occasion: Occasion) -> bool:
        """Whether the channel is told of this."""
        return occasion in self.on or (occasion == "recovered" and "unhealthy" in self.on)


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case; empty when nothing fit for it does."""
    scheme, found, _ = url.partition("://")
    return scheme.lower() if found and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9+.-]*", scheme) else ""


def host_of(url: str) -> str:
    """The host of an address, with its port when it names one; the rest may be secret.

    Empty for an address of Apprise: there a token may stand in the host's place.
    """
    if scheme_of(url) not in OWN:
        return ""
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
