"""The run's table in memory: read once from the pinned version, shared by the steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.data.lake import Lake
    from ratchet.data.settings import DataSettings
    from ratchet.data.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class KeptTable:
    """The rows a run works on, in stored order.

    Attributes:
        frame: every column of the rows that are kept.
        duplicates: how many rows were dropped because they repeat an earlier one.
        left_out: how many rows the sample left out.
        places: where the kept rows are stored, counted from 0; None: each at its own place.
    """

    frame: pl.DataFrame
    duplicates: int
    left_out: int
    places: np.ndarray | None = None


class Workspace:
    """One snapshot's rows, kept until the run ends."""

    def __init__(self, lake: Lake, data: DataSettings) -> None:
        self.lake = lake
        self._data = data
        self._read: dict[int, pl.DataFrame] = {}
        self._kept: dict[int, KeptTable] = {}
        self._parts: dict[tuple[int, str], pl.DataFrame] = {}

    def rows(self, snapshot: Snapshot) -> pl.LazyFrame:
        """All rows of the snapshot: in memory, unless only a sample is to be trained on."""
        if self._data.sample is not None:
            return self.lake.scan(snapshot)
        if snapshot.version not in self._read:
            self._read[snapshot.version] = self.lake.scan(snapshot).collect()
        return self._read[snapshot.version].lazy()

    def table(self, snapshot: Snapshot) -> KeptTable:
        """The rows to train and test on: a sample if one is asked for, without duplicates."""
        found = self._kept.get(snapshot.version)
        if found is None:
            found = self._kept[snapshot.version] = self._keep(snapshot)
            self._read.pop(snapshot.version, None)
        return found

    def part(self, snapshot: Snapshot, parts: np.ndarray, name: str) -> pl.DataFrame:
        """The kept rows of one part of the run's split, cut once."""
        import polars as pl

        from ratchet.data.split import PARTS

        key = (snapshot.version, name)
        if key not in self._parts:
            chosen = pl.Series(parts == PARTS.index(name))
            self._parts[key] = self.table(snapshot).frame.filter(chosen)
        return self._parts[key]

    def _keep(self, snapshot: Snapshot) -> KeptTable:
        from ratchet.data.duplicates import repeated_rows
        from ratchet.data.roles import Roles
        from ratchet.data.sampling import sample_scan

        data = self._data
        frame = sample_scan(
            self.rows(snapshot), data.sample or 1.0, Roles.of(data), data.split.seed
        )
        left_out = snapshot.rows - frame.height
        if data.duplicates == "keep":
            return KeptTable(frame, 0, left_out)
        repeated = repeated_rows(frame)
        dropped = int(repeated.sum())
        if not dropped:
            return KeptTable(frame, 0, left_out)
        return KeptTable(
            frame.filter(~repeated), dropped, left_out, (~repeated).arg_true().to_numpy()
        )
