"""Coroutines that wait for one sync of the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ratchet.errors import StorageError


class Waiters:
    """Coroutines, of any event loop, that are all told by one call from another thread."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def join(self) -> asyncio.Future[None]:
        """What the calling coroutine is to await."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def __len__(self) -> int:
        return len(self._waiting)

    def tell(self, fault: StorageError | None) -> None:
        """Let all go on, or raise the fault in each of them; one wake-up for each loop."""
        for loop in {waiter.get_loop() for waiter in self._waiting}:
            theirs = [waiter for waiter in self._waiting if waiter.get_loop() is loop]
            with suppress(RuntimeError):  # the loop has ended, and with it who waited
                loop.call_soon_threadsafe(_tell, theirs, fault)


def _tell(waiters: Sequence[asyncio.Future[None]], fault: StorageError | None) -> None:
    for waiter in waiters:
        if waiter.done():  # who waited was cancelled
            continue
        if fault is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(fault)
