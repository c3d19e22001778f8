"""How much of the disk the prediction log may take, and how much it takes."""

from __future__ import annotations

from pathlib import Path

from ratchet.clock import monotonic
from ratchet.data.predictions.streams import disk_use


class Room:
    """Counts the bytes in a log's folder; not safe for several threads at once.

    Its own writer's bytes are counted as they come. Other processes write there too and
    compaction empties it, so the disk is looked at again now and then: with several writers
    the limit can be passed by what the others write in between.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._measured = float("-inf")
        self.used = 0

    def measure(self, every: float) -> None:
        """Look at the disk unless that was done in the last seconds. Raises OSError."""
        if monotonic() - self._measured >= every:
            self._measured = monotonic()
            self.used = disk_use(self._folder)

    def take(self, size: int) -> None:
        """Count bytes that were written."""
        self.used += size

    def lacks(self, size: int, every: float) -> str:
        """Why ``size`` more bytes do not fit; empty when they do. Raises OSError."""
        if self.used + size <= self._limit:
            return ""
        self.measure(every)
        if self.used + size <= self._limit:
            return ""
        return f"{self.used} of {self._limit} bytes are taken"
