"""The ways an alert travels, chosen by the address."""

from __future__ import annotations

from ratchet.alerts.delivery import Channel, DeliveryFailed


def open_channel(url: str, timeout: float) -> Channel:
    """The channel behind an address.

    Args:
        url: the address, its secrets filled in.
        timeout: seconds one exchange with the other side may take.

    Raises:
        DeliveryFailed: an address that leads nowhere.
    """
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https"):
        from ratchet.alerts.webhook import Webhook

        return Webhook(url, timeout)
    if scheme in ("smtp", "smtps"):
        from ratchet.alerts.mail import open_mail

        return open_mail(url, timeout)
    raise DeliveryFailed("the address starts with neither https:// nor smtp://")
