"""When to try what mostly works and costs something where it does not."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 64


class Rarely:
    """Each failure in a row makes the next try wait twice as long."""

    __slots__ = ("_pause", "_skip")

    def __init__(self) -> None:
        self._pause = self._skip = 0

    def due(self) -> bool:
        """Whether to try now; whoever does tells how it ended."""
        if self._skip > 0:
            self._skip -= 1
            return False
        return True

    def worked(self) -> None:
        """It worked: try the next time too."""
        self._pause = 0

    def failed(self) -> None:
        """It failed: leave out some times."""
        self._pause = self._skip = min(2 * self._pause + 1, _LONGEST)
