"""Ids of predictions: unique across processes and sorted by time."""

from __future__ import annotations

import secrets

_COUNT = 1 << 24


class PredictionIds:
    """Makes ids of 30 hex digits: microseconds since 1970, the process, a counter.

    One per process: made after it forked, so that two never share the random part.
    """

    __slots__ = ("_next", "_process")

    def __init__(self) -> None:
        self._process = secrets.token_hex(5)
        self._next = secrets.randbelow(_COUNT)

    def take(self, at: int, count: int) -> list[str]:
        """``count`` ids for the time ``at``, microseconds since 1970."""
        head, first = f"{at:014x}{self._process}", self._next
        self._next = (first + count) % _COUNT
        if count == 1:
            return [f"{head}{first:06x}"]
        return [f"{head}{number % _COUNT:06x}" for number in range(first, first + count)]
