"""Numbers to numbers: a value, its square, logarithm, a product, a time since.

An encoder first computes a term from its slots, then fills a missing result,
scales it, and holds it within float32. All arithmetic is float64; a block of
rows and a single row take the same steps in the same order, so the float32
results have the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ratchet.features.encoders.slots import LIMIT, NAN, Floats, Matrix, Slot

Term: TypeAlias = Literal["value", "square", "log1p", "product", "since"]


@dataclass(frozen=True, slots=True)
class NumericEncoder:
    """One column of numbers, and where asked for a column that says "it was missing".

    Args:
        columns: the feature's name, then the indicator's where there is one.
        sources: what the term reads; two slots for a product, else one.
        term: what is computed.
        fill: replaces a missing result; None leaves NaN.
        mean, deviation: standardise to (x - mean) / deviation; None leaves x.
            A deviation of 0 (constant in training) gives 0 everywhere.
        origin: ``since``: what is subtracted; then comes a division by ``unit``.
    """

    columns: tuple[str, ...]
    sources: tuple[Slot, ...]
    term: Term = "value"
    fill: float | None = None
    mean: float | None = None
    deviation: float | None = None
    origin: float = 0.0
    unit: float = 1.0

    @property
    def categorical(self) -> bool:
        """Whether the column holds codes without order: never."""
        return False

    def compute(self, blocks: Sequence[Floats]) -> Floats:
        """The term of a block of rows, before filling and scaling; missing is NaN."""
        first = blocks[0]
        match self.term:
            case "square":
                return first * first
            case "product":
                return first * blocks[1]
            case "log1p":
                return np.log1p(np.where(first > -1.0, first, np.nan))
            case "since":
                return (first - self.origin) / self.unit
            case "value":
                return first

    def write(self, blocks: Sequence[Floats], out: Matrix) -> None:
        """Fills ``out`` (rows, len(columns)) from one float64 array per slot."""
        values = self.compute(blocks)
        if self.fill is not None or len(self.columns) > 1:
            missing = np.isnan(values)
            if len(self.columns) > 1:
                out[:, 1] = missing
            if self.fill is not None and bool(missing.any()):
                values = np.where(missing, self.fill, values)
        if self.mean is not None and self.deviation is not None:
            if self.deviation == 0.0:
                values = np.where(np.isnan(values), np.nan, 0.0)
            else:
                values = (values - self.mean) / self.deviation
        if self.term != "value" or self.deviation:
            values = np.clip(values, -LIMIT, LIMIT)
        out[:, 0] = values

    def row(self, positions: Sequence[int], at: int) -> Callable[[list[Any], list[float]], None]:
        """A function that does :meth:`write` for one row.

        Args:
            positions: where this encoder's slots are in the list of slot values.
            at: where the encoder's first column is in the list of outputs.
        """
        compute = self._row_term(positions)
        fill, mean, deviation = self.fill, self.mean, self.deviation
        indicator = at + 1 if len(self.columns) > 1 else -1

        def encode(slots: list[Any], out: list[float]) -> None:
            value = compute(slots)
            if value != value:
                if indicator >= 0:
                    out[indicator] = 1.0
                if fill is None:
                    out[at] = NAN
                    return
                value = fill
            if mean is not None and deviation is not None:
                value = (value - mean) / deviation if deviation else 0.0
            out[at] = LIMIT if value > LIMIT else -LIMIT if value < -LIMIT else value

        return encode

    def _row_term(self, positions: Sequence[int]) -> Callable[[list[Any]], float]:
        """The term of one row's slot values; each form does what :meth:`compute` does."""
        first, last = positions[0], positions[-1]
        origin, unit = self.origin, self.unit

        def value(slots: list[Any]) -> float:
            return slots[first]  # type: ignore[no-any-return]

        def product(slots: list[Any]) -> float:
            return slots[first] * slots[last]  # type: ignore[no-any-return]

        def since(slots: list[Any]) -> float:
            return (slots[first] - origin) / unit  # type: ignore[no-any-return]

        def log1p(slots: list[Any]) -> float:
            # NumPy's own log1p: the standard library's may differ in the last bit.
            x = slots[first]
            return float(np.log1p(x)) if x > -1.0 else NAN

        forms = {"square": product, "product": product, "since": since, "log1p": log1p}
        return forms.get(self.term, value)

    def to_json(self) -> dict[str, Any]:
        """The encoder as JSON."""
        return {
            "encoder": "numeric",
            "columns": list(self.columns),
            "sources": [list(slot) for slot in self.sources],
            "term": self.term,
            "fill": self.fill,
            "mean": self.mean,
            "deviation": self.deviation,
            "origin": self.origin,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NumericEncoder:
        """The encoder that :meth:`to_json` wrote."""
        return cls(
            columns=tuple(data["columns"]),
            sources=tuple(Slot(*slot) for slot in data["sources"]),
            term=data["term"],
            fill=data["fill"],
            mean=data["mean"],
            deviation=data["deviation"],
            origin=data["origin"],
            unit=data["unit"],
        )
