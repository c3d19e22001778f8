"""Categories to numbers, by a table learned in training.

Codes, one-hot, target means and frequencies are one thing: each category has a
row of numbers, unseen categories have one, and missing values have one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratchet.features.encoders.slots import NAN, Codes, Matrix, Slot


@dataclass(frozen=True, slots=True)
class LookupEncoder:
    """A category's row of numbers, one number per column.

    Args:
        columns: the features' names.
        source: the text slot it reads.
        categories: the training categories, each once.
        rows: the numbers per category, in the same order.
        unseen: the numbers of a category that training did not have.
        missing: the numbers of a missing value.
        categorical: whether the numbers are codes without order.
        label: what the numbers are, for people.
    """

    columns: tuple[str, ...]
    source: Slot
    categories: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    unseen: tuple[float, ...]
    missing: tuple[float, ...]
    categorical: bool = False
    label: str = "codes"

    @property
    def sources(self) -> tuple[Slot, ...]:
        """The slots it reads: one."""
        return (self.source,)

    def table(self) -> Matrix:
        """The numbers as one array: categories, then unseen, then missing."""
        return np.array([*self.rows, self.unseen, self.missing], dtype=np.float32)

    def write(self, codes: Codes, table: Matrix, out: Matrix) -> None:
        """Fills ``out`` (rows, len(columns)) from positions in :meth:`table`."""
        if len(self.columns) == 1:
            out[:, 0] = table[:, 0].take(codes)
        else:
            out[:] = table.take(codes, axis=0)

    def row(self, positions: Sequence[int], at: int) -> Callable[[list[Any], list[float]], None]:
        """A function that looks one row up; arguments as in ``NumericEncoder.row``."""
        position, end = positions[0], at + len(self.columns)
        table: dict[str | None, tuple[float, ...]]
        table = dict(zip(self.categories, self.rows, strict=True))
        table[None] = self.missing
        find, unseen = table.get, self.unseen

        def encode(slots: list[Any], out: list[float]) -> None:
            out[at:end] = find(slots[position], unseen)

        return encode

    def to_json(self) -> dict[str, Any]:
        """The encoder as JSON; NaN is written as null."""
        return {
            "encoder": "lookup",
            "columns": list(self.columns),
            "source": list(self.source),
            "categories": list(self.categories),
            "rows": [_to_json(row) for row in self.rows],
            "unseen": _to_json(self.unseen),
            "missing": _to_json(self.missing),
            "categorical": self.categorical,
            "label": self.label,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> LookupEncoder:
        """The encoder that :meth:`to_json` wrote."""
        return cls(
            columns=tuple(data["columns"]),
            source=Slot(*data["source"]),
            categories=tuple(data["categories"]),
            rows=tuple(_from_json(row) for row in data["rows"]),
            unseen=_from_json(data["unseen"]),
            missing=_from_json(data["missing"]),
            categorical=data["categorical"],
            label=data["label"],
        )


def _to_json(row: tuple[float, ...]) -> list[float | None]:
    return [None if number != number else number for number in row]


def _from_json(row: list[float | None]) -> tuple[float, ...]:
    return tuple(NAN if number is None else number for number in row)
