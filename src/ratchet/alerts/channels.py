"""The ways an alert travels, chosen by the address."""

from __future__ import annotations

from ratchet.alerts.delivery import Channel, DeliveryFailed
from ratchet.alerts.schemes import is_known
from ratchet.alerts.settings import scheme_of


def open_channel(url: str, timeout: float) -> Channel:
    """The channel behind an address.

    Args:
        url: the address, its secrets filled in.
        timeout: seconds one exchange with the other side may take.

    Raises:
        DeliveryFailed: an address that leads nowhere.
    """
    scheme = scheme_of(url)
    if scheme in ("http", "https"):
        from ratchet.alerts.webhook import Webhook

        return Webhook(url, timeout)
    if scheme in ("smtp", "smtps"):
        from ratchet.alerts.mail import open_mail

        return open_mail(url, timeout)
    if not scheme or not is_known(scheme):
        raise DeliveryFailed(
            "the address starts with neither https:// nor smtp://, nor a scheme of Apprise"
        )
    from ratchet.alerts.apprise import Service

    return Service(url, timeout)
