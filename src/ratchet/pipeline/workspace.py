"""The run's table in memory: read once from the pinned version, shared by the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.data.lake import Lake, Snapshot

TRAIN, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, 255


class Workspace:
    """Frames of one snapshot, kept until the run ends."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._frames: dict[tuple[int, tuple[str, ...]], pl.DataFrame] = {}

    def scan(self, snapshot: Snapshot) -> pl.LazyFrame:
        """The snapshot's rows, read when collected."""
        return self.lake.scan(snapshot)

    def frame(self, snapshot: Snapshot, columns: Sequence[str]) -> pl.DataFrame:
        """Columns of every row of the snapshot, in stored order."""
        key = (snapshot.version, tuple(columns))
        found = self._frames.get(key)
        if found is None:
            found = self._from_wider(key)
        if found is None:
            found = self.lake.scan(snapshot, list(columns)).collect()
        self._frames[key] = found
        return found

    def _from_wider(self, key: tuple[int, tuple[str, ...]]) -> pl.DataFrame | None:
        version, columns = key
        for (other, names), frame in self._frames.items():
            if other == version and set(columns) <= set(names):
                return frame.select(columns)
        return None

    def rows(
        self, snapshot: Snapshot, columns: Sequence[str], parts: np.ndarray, part: int
    ) -> pl.DataFrame:
        """Columns of the rows of one part, in stored order."""
        import polars as pl

        return self.frame(snapshot, columns).filter(pl.Series(parts == part))
