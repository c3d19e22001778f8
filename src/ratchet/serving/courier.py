"""Alerts on their way: a server may be all that runs, so it also sends what waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

_EVERY = 5.0
_PATIENCE = 2.0


class Courier:
    """Delivers the alerts that are due, in a thread beside the requests.

    Args:
        deliver: sends what is due; what does not arrive is tried again by whoever comes next.
        tell: writes a line for people.
    """

    def __init__(
        self, deliver: Callable[[], object], tell: Callable[[str], None], every: float = _EVERY
    ) -> None:
        self._deliver, self._tell, self._every = deliver, tell, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go, name="ratchet-alerts", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; an alert that is just being sent may be sent again."""
        self._stop.set()
        self._thread.join(_PATIENCE)

    def _go(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._deliver()
            except Exception as error:  # noqa: BLE001 - the thread's edge: the next one is tried
                self._tell(f"Alerts could not be sent: {type(error).__name__}")
