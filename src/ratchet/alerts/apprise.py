"""Alerts through Apprise: Slack, Teams, Discord, Telegram, PagerDuty and a hundred others.

The library is imported when the first such alert is sent, and never for webhooks and plain mail.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ratchet.alerts.delivery import DeliveryFailed
from ratchet.alerts.rendering import render_body
from ratchet.alerts.settings import scheme_of
from ratchet.errors import MissingExtraError

if TYPE_CHECKING:
    import apprise

_GOOD = ("promoted", "recovered")
_BAD = ("failed", "rolled_back", "unhealthy")
_CODE = re.compile(r"error[=: ]+(\d{3})\b")


@dataclass(frozen=True, slots=True)
class Service:
    """An address that Apprise speaks; it may hold tokens anywhere, so none of it is shown."""

    url: str = field(repr=False)
    timeout: float = 5.0

    def send(self, body: Mapping[str, Any], key: str) -> None:
        """Send one message.

        Raises:
            DeliveryFailed: Apprise cannot read the address, or the service did not take it.
            MissingExtraError: Apprise is not installed.
        """
        scheme = scheme_of(self.url)
        library = _library(scheme)
        # Nothing is kept on the disk between two messages.
        asset = library.AppriseAsset(storage_mode="memory", app_id="Ratchet", app_desc="Ratchet")
        with warnings.catch_warnings(action="ignore"):  # its plugins are loaded, old ones too
            opened = library.Apprise.instantiate(self.url, asset=asset)
        if opened is None:
            raise DeliveryFailed(
                f"{scheme}: Apprise cannot read the address; its form is at "
                f"https://appriseit.com/services/{scheme.rstrip('s') or scheme}/"
            )
        opened.socket_connect_timeout = opened.socket_read_timeout = self.timeout
        headers = getattr(opened, "headers", None)
        if isinstance(headers, dict):
            headers["Idempotency-Key"] = key
        sender = library.Apprise(asset=asset)
        sender.add(opened)
        result = sender.notify(
            title=str(body.get("title", "")),
            body=render_body(body),
            body_format=library.NotifyFormat.TEXT,
            notify_type=_kind(library, str(body.get("occasion", ""))),
        )
        if not result:
            raise DeliveryFailed(f"{scheme}: {_cause(_logged(result))}")


def _library(scheme: str) -> Any:
    try:
        import apprise
    except ImportError:
        raise MissingExtraError.of("apprise", "alerts", f"Alerting through {scheme}://") from None
    return apprise


def _kind(library: Any, occasion: str) -> apprise.NotifyType:
    types: Any = library.NotifyType
    if occasion in _GOOD:
        return types.SUCCESS  # type: ignore[no-any-return]
    return types.FAILURE if occasion in _BAD else types.WARNING  # type: ignore[no-any-return]


def _logged(result: Any) -> Iterable[str]:
    # Its lines quote addresses: they are looked at and never shown.
    return (str(getattr(entry, "message", entry)) for entry in result.logs())


def _cause(lines: Iterable[str]) -> str:
    said = tuple(lines)
    for line in said:
        code = _CODE.search(line)
        if code is not None:
            return f"the service answered {code[1]}"
    if any("onnection" in line or "ocket" in line for line in said):
        return "the service does not answer"
    return "the service did not take the message"
