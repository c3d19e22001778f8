"""The run's rows, read once from the pinned version and shared by the steps.

They lie in memory where that has room for them. Where it has not, the run works in streamed mode:
checks and split go through the lake piece by piece, each part of the split that is asked for is a
sample of it as large as memory allows, and only what must see every row reads the pieces again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.data.kept import KeptRows, Parts
    from ratchet.data.lake import Lake
    from ratchet.data.settings import DataSettings
    from ratchet.data.snapshot import Snapshot

WORKING = 3.5
"""Rows in memory are cut, copied and encoded: in all they take so many times their own bytes."""

OF_THE_MACHINE = 0.75
"""The share of the machine's memory that is worked with when no limit is set."""

PART_SHARE = 0.1
"""The share of memory that the rows of one part may take in streamed mode."""

LEAST_ROWS = 5_000
"""A part keeps so many rows whatever memory allows."""

_LONGEST_TEXT = 160
"""Bytes; where rows of such texts alone would fit, nobody needs to look at them first."""


class Workspace:
    """One snapshot's rows, kept until the run ends.

    Args:
        lake: where they are.
        data: the ``data`` section.
        memory: bytes that the run may take; None: most of what the machine has.
    """

    def __init__(self, lake: Lake, data: DataSettings, memory: int | None = None) -> None:
        self.lake = lake
        self._data = data
        self._memory = memory
        self._read: dict[int, pl.DataFrame] = {}
        self._kept: dict[int, KeptRows] = {}
        self._parts: dict[tuple[int, str], pl.DataFrame] = {}
        self._row_bytes: dict[int, float] = {}

    @property
    def memory(self) -> int:
        """Bytes that the run may take."""
        from ratchet.data.memory import machine_memory

        if self._memory is None:
            self._memory = int(OF_THE_MACHINE * machine_memory())
        return self._memory

    def streams(self, snapshot: Snapshot) -> bool:
        """Whether its rows are too many to work on in memory."""
        rows = snapshot.rows * (self._data.sample or 1.0)
        if rows * len(snapshot.schema) * _LONGEST_TEXT * WORKING <= self.memory:
            return False
        return rows * self.row_bytes(snapshot) * WORKING > self.memory

    def most_held(self, snapshot: Snapshot) -> int | None:
        """How many rows of a part are in memory at most; None for all."""
        if not self.streams(snapshot):
            return None
        return max(LEAST_ROWS, int(PART_SHARE * self.memory / self.row_bytes(snapshot)))

    def row_bytes(self, snapshot: Snapshot) -> float:
        """About how many bytes one of its rows takes in memory."""
        from ratchet.data.memory import row_bytes

        if snapshot.version not in self._row_bytes:
            self._row_bytes[snapshot.version] = row_bytes(self.lake.scan(snapshot))
        return self._row_bytes[snapshot.version]

    def rows(self, snapshot: Snapshot) -> pl.LazyFrame:
        """All rows of the snapshot: in memory, unless they are too many or most are left out."""
        if self._data.sample is not None or self.streams(snapshot):
            return self.lake.scan(snapshot)
        if snapshot.version not in self._read:
            self._read[snapshot.version] = self.lake.scan(snapshot).collect()
        return self._read[snapshot.version].lazy()

    def table(self, snapshot: Snapshot) -> KeptRows:
        """The rows to train and test on: a sample if one is asked for, without duplicates."""
        from ratchet.data.kept import keep_in_lake, keep_in_memory

        found = self._kept.get(snapshot.version)
        if found is None:
            keep = keep_in_lake if self.streams(snapshot) else keep_in_memory
            found = self._kept[snapshot.version] = keep(self.rows(snapshot), self._data)
            self._read.pop(snapshot.version, None)
        return found

    def part(self, snapshot: Snapshot, parts: Parts, name: str) -> pl.DataFrame:
        """The rows of one part of the run's split; in streamed mode a sample if they are many.

        Args:
            snapshot: the pinned version.
            parts: the part of each stored row (``kept.UNUSED`` for none), as the split said.
            name: of the part.
        """
        if (snapshot.version, name) not in self._parts:
            if self.streams(snapshot):
                places = self.places(snapshot, parts, name)
                self._parts[snapshot.version, name] = self.gather(snapshot, places)
            else:
                self._cut(snapshot, parts)
        return self._parts[snapshot.version, name]

    def newer(self, snapshot: Snapshot, parts: Parts, learned: Parts) -> pl.DataFrame:
        """The training rows that the training window leaves; in streamed mode a sample of them.

        Args:
            snapshot: the pinned version.
            parts: as the split said (rows,).
            learned: the same, without the training rows that are left out.
        """
        import numpy as np
        import polars as pl

        # Windows end at the newest row: one is told from another by how many rows it has.
        key = snapshot.version, f"train: the newest {np.count_nonzero(learned == 0)}"
        if key not in self._parts:
            if self.streams(snapshot):
                self._parts[key] = self.gather(snapshot, self.places(snapshot, learned, "train"))
            else:
                kept = pl.Series(learned[parts == 0] == 0)
                self._parts[key] = self.part(snapshot, parts, "train").filter(kept)
        return self._parts[key]

    def places(self, snapshot: Snapshot, parts: Parts, name: str, start: int = 0) -> np.ndarray:
        """Where the rows that :meth:`part` gives are stored (n,), ascending; from ``start`` on."""
        import numpy as np

        from ratchet.data.sampling import thin, thin_groups
        from ratchet.data.split import PARTS

        places = start + np.flatnonzero(parts[start:] == PARTS.index(name))
        wanted = self.most_held(snapshot)
        if wanted is None or len(places) <= wanted:
            return places
        seed = self._data.split.seed
        column = self._data.group or self._data.target
        values = self.gather(snapshot, places, column).get_column(column)
        draw = thin if self._data.group is None else thin_groups
        return draw(places, wanted, values, seed)

    def gather(self, snapshot: Snapshot, places: np.ndarray, *columns: str) -> pl.DataFrame:
        """The rows stored at ``places`` (n,), ascending; only ``columns`` if any are named."""
        from ratchet.data.kept import gather

        return gather(self.lake.scan(snapshot), _mask(snapshot, places), columns or None)

    def pieces(
        self, snapshot: Snapshot, places: np.ndarray, *columns: str
    ) -> Iterator[pl.DataFrame]:
        """The rows stored at ``places`` (n,), ascending, some at a time."""
        from ratchet.data.kept import read_rows

        return read_rows(self.lake.scan(snapshot), _mask(snapshot, places), columns or None)

    def _cut(self, snapshot: Snapshot, parts: Parts) -> None:
        """All parts at once, after which nobody needs the whole."""
        import polars as pl

        from ratchet.data.kept import UNUSED, KeptTable
        from ratchet.data.split import PARTS

        table = self.table(snapshot)
        assert isinstance(table, KeptTable)
        kept = pl.Series(parts[parts != UNUSED])
        for number, name in enumerate(PARTS):
            self._parts[snapshot.version, name] = table.frame.filter(kept == number)
        self._kept.pop(snapshot.version)


def _mask(snapshot: Snapshot, places: np.ndarray) -> np.ndarray:
    import numpy as np

    mask = np.zeros(snapshot.rows, dtype=np.bool_)
    mask[places] = True
    return mask
