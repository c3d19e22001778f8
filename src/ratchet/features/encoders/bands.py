"""Numbers to bands between edges: ordered codes, or a column per band."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratchet.features.encoders.slots import NAN, Floats, Matrix, Slot


@dataclass(frozen=True, slots=True)
class BandEncoder:
    """The numbers of the band a value falls in; a band holds its lower edge.

    Args:
        columns: the features' names.
        source: the number slot it reads.
        edges: k rising edges; they make k + 1 bands.
        rows: the numbers per band.
        missing: the numbers of a missing value.
    """

    columns: tuple[str, ...]
    source: Slot
    edges: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    missing: tuple[float, ...]

    @property
    def sources(self) -> tuple[Slot, ...]:
        """The slots it reads: one."""
        return (self.source,)

    @property
    def categorical(self) -> bool:
        """Whether the column holds codes without order: bands have one."""
        return False

    def write(self, blocks: Sequence[Floats], out: Matrix) -> None:
        """Fills ``out`` (rows, len(columns)) from the slot's float64 array."""
        table = np.array([*self.rows, self.missing], dtype=np.float32)
        out[:] = table.take(band_of(blocks[0], self.edges), axis=0)

    def row(self, positions: Sequence[int], at: int) -> Callable[[list[Any], list[float]], None]:
        """A function that does :meth:`write` for one row; see ``NumericEncoder.row``."""
        position, end = positions[0], at + len(self.columns)
        edges, rows, missing = self.edges, self.rows, self.missing

        def encode(slots: list[Any], out: list[float]) -> None:
            value = slots[position]
            out[at:end] = rows[bisect_right(edges, value)] if value == value else missing

        return encode

    def to_json(self) -> dict[str, Any]:
        """The encoder as JSON; NaN is written as null."""
        return {
            "encoder": "bands",
            "columns": list(self.columns),
            "source": list(self.source),
            "edges": list(self.edges),
            "rows": [list(row) for row in self.rows],
            "missing": [None if number != number else number for number in self.missing],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> BandEncoder:
        """The encoder that :meth:`to_json` wrote."""
        return cls(
            columns=tuple(data["columns"]),
            source=Slot(*data["source"]),
            edges=tuple(data["edges"]),
            rows=tuple(tuple(row) for row in data["rows"]),
            missing=tuple(NAN if x is None else x for x in data["missing"]),
        )


def band_of(values: Floats, edges: tuple[float, ...]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The band of each value, 0 to len(edges); missing is len(edges) + 1."""
    bands = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="right")
    bands[np.isnan(values)] = len(edges) + 1
    return bands
