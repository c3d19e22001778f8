"""Waiting until something happens: a signal, a child's end, an answer, or the next tick."""

from __future__ import annotations

import selectors
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Bell:
    """Wakes whoever waits.

    Attributes:
        stops: how often SIGTERM or SIGINT came: once is a request, twice is a hurry.
    """

    def __init__(self) -> None:
        self.stops = 0
        self._selector = selectors.DefaultSelector()
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._extra: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear signals while the body runs; only in the main thread."""
        before = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
        handlers = {number: signal.signal(number, self._hear) for number in numbers}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)

    def wait(self, seconds: float, ear: int | None) -> None:
        """Wait at most so long, or until something happens.

        Args:
            ear: one more descriptor that is listened to.
        """
        self._also(ear)
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.fileobj is self._ear:
                with suppress(BlockingIOError):
                    self._ear.recv(4096)

    def close(self) -> None:
        """Let go of the sockets."""
        self._selector.close()
        self._ear.close()
        self._mouth.close()

    def _also(self, ear: int | None) -> None:
        # Registered anew each time: a number may stand for another pipe by now.
        if self._extra is not None:
            with suppress(KeyError, ValueError, OSError):
                self._selector.unregister(self._extra)
        self._extra = ear
        if ear is not None:
            self._selector.register(ear, selectors.EVENT_READ)

    def _hear(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self.stops += 1
