"""What a channel promises, and sending through one within a time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from ratchet.errors import RatchetError


class DeliveryFailed(Exception):  # noqa: N818 - an event of every day, not an error of ours
    """An alert did not arrive; the text says why and holds nothing secret."""


class Channel(Protocol):
    """Somewhere an alert can go."""

    def send(self, body: Mapping[str, Any], key: str) -> None:
        """Deliver one message.

        Args:
            body: the message, see ``messages.Message``.
            key: lets the receiver tell a repetition.

        Raises:
            DeliveryFailed: it did not arrive.
        """


def send_within(channel: Channel, body: Mapping[str, Any], key: str, seconds: float) -> None:
    """Send, and give up after ``seconds`` whatever the other side or the name server does.

    Raises:
        DeliveryFailed: it did not arrive in time. It may still arrive: that is what the key is for.
    """
    failures: list[DeliveryFailed] = []

    def send() -> None:
        try:
            channel.send(body, key)
        except DeliveryFailed as error:
            failures.append(error)
        except RatchetError as error:
            failures.append(DeliveryFailed(str(error)))
        except Exception as error:  # noqa: BLE001 - a channel's mistake must not end a run
            failures.append(DeliveryFailed(f"unexpected {type(error).__name__}"))

    worker = threading.Thread(target=send, name="ratchet-alert", daemon=True)
    worker.start()
    worker.join(seconds)
    if worker.is_alive():
        raise DeliveryFailed(f"no answer within {seconds:g} s")
    if failures:
        raise failures[0]
