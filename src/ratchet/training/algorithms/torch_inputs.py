"""What the columns of the matrix become before the network's first layer.

The network scales inside itself, so that what is shipped needs raw columns only:

- a number becomes its place among quantiles, one input per piece between two of them (piecewise
  linear encoding: Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in
  Tabular Deep Learning", 2022), and besides its value, robustly scaled and smoothly clipped
  (Holzmüller, Grinsztajn and Steinwart, "Better by Default", 2024);
- a missing number becomes the median, and an input of its own where training had missing ones;
- a category becomes one input each where there are few, else a learned vector; missing and unseen
  ones have a vector of their own.

Both encodings are bounded: no value, however extreme, drives the network where it never was.
Nothing here needs PyTorch; ``packaging.network`` writes the same steps as ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ratchet.training.fitted import Matrix, TrainingRows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BOUND: Final = 1e15
"""Numbers are held within this, so that float32 arithmetic on them stays finite."""
SMOOTH_BOUND: Final = 1e3
SMOOTH_REACH: Final = 3.0
"""What a value far away tends to: x / sqrt(1 + (x / 3)^2)."""
NARROWEST: Final = 1e-12
"""A piece narrower than this, in parts of the column's magnitude, is none."""
FEW_CATEGORIES: Final = 12
"""Up to this many categories have an input each, as in "Better by Default" (there 9)."""
SAMPLE: Final = 100_000
"""Rows that quantiles and means are learned from."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The encoding of ``features`` columns, float64 and int64 arrays.

    ``fill`` (features,) replaces missing numbers. Pieces are (p,) arrays, smoothly clipped values
    (s,), columns with an input for missing (a,), categories with an input (c,; the value -1 is
    missing), columns with vectors (t,). ``mean`` (p + s + a + c,) is subtracted from the inputs.
    """

    features: int
    fill: Floats
    piece_column: Ints
    piece_low: Floats
    piece_rate: Floats
    smooth_column: Ints
    smooth_rate: Floats
    absent_column: Ints
    one_column: Ints
    one_value: Floats
    table_column: Ints
    table_size: Ints
    mean: Floats

    @property
    def dense(self) -> int:
        """How many inputs there are besides the vectors."""
        return len(self.mean)

    @property
    def vectors(self) -> int:
        """Rows of the table of vectors: all categories, and one more per column."""
        return int(self.table_size.sum()) + len(self.table_size)

    @property
    def offsets(self) -> Ints:
        """Where each column's vectors begin in the table (t,)."""
        ends = np.cumsum(self.table_size + 1)
        return np.asarray(ends - self.table_size - 1, dtype=np.int64)

    def encode(self, X: Matrix) -> Floats:
        """The dense inputs float64 (n, dense) of rows float32 (n, features)."""
        absent = np.isnan(X)
        values = np.where(absent, self.fill, X)
        np.clip(values, -BOUND, BOUND, out=values)
        pieces = (values[:, self.piece_column] - self.piece_low) * self.piece_rate
        scaled = values[:, self.smooth_column] - self.fill[self.smooth_column]
        scaled = np.clip(scaled * self.smooth_rate, -SMOOTH_BOUND, SMOOTH_BOUND)
        codes = np.where(absent[:, self.one_column], -1.0, X[:, self.one_column])
        parts = [
            np.clip(pieces, 0.0, 1.0),
            scaled / np.sqrt(1.0 + (scaled / SMOOTH_REACH) ** 2),
            absent[:, self.absent_column].astype(np.float64),
            (codes == self.one_value).astype(np.float64),
        ]
        return np.asarray(np.concatenate(parts, axis=1) - self.mean)

    def places(self, X: Matrix) -> Ints:
        """Where in the table each row's vectors are (n, t)."""
        codes = X[:, self.table_column].astype(np.float64)
        # A NaN is neither at least 0 nor below the size.
        known = (codes >= 0) & (codes < self.table_size)
        held = np.where(known, codes, self.table_size)
        return held.astype(np.int64) + self.offsets

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Its arrays by name; :meth:`of` makes an equal one of them."""
        return {name: np.asarray(getattr(self, name)) for name in self.__dataclass_fields__}

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Inputs:
        """What :meth:`arrays` gave."""
        given: dict[str, Any] = {name: arrays[name] for name in cls.__dataclass_fields__}
        given["features"] = int(given["features"])
        return cls(**given)


def learn_inputs(rows: TrainingRows, *, bins: int, seed: int) -> Inputs:
    """The encoding of the columns of ``rows``, with at most about ``bins`` pieces a number."""
    made = _Made(np.zeros(rows.X.shape[1]))
    sample = rows.X
    if len(sample) > SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(sample), SAMPLE, replace=False)
        sample = sample[np.sort(chosen)]
    for column in range(rows.X.shape[1]):
        if column in rows.categorical:
            made.add_category(column, rows.X[:, column])
        else:
            missing = bool(np.isnan(rows.X[:, column]).any())
            made.add_number(column, sample[:, column].astype(np.float64), missing, bins)
    plain = made.finish(np.zeros(0))
    width = sum(
        map(len, (plain.piece_column, plain.smooth_column, plain.absent_column, plain.one_column))
    )
    centred = made.finish(np.zeros(width))
    total = np.zeros(width)
    for start in range(0, len(sample), 4096):
        total += centred.encode(sample[start : start + 4096]).sum(axis=0)
    return made.finish(total / max(1, len(sample)))


class _Made:
    """The encoding as far as it is made, column by column."""

    def __init__(self, fill: Floats) -> None:
        self.fill = fill
        self.pieces: list[tuple[int, float, float]] = []
        self.smooth: list[tuple[int, float]] = []
        self.absent: list[int] = []
        self.ones: list[tuple[int, float]] = []
        self.tables: list[tuple[int, int]] = []

    def add_number(self, column: int, values: Floats, missing: bool, bins: int) -> None:
        values = np.clip(values[~np.isnan(values)], -BOUND, BOUND)
        if missing:
            self.absent.append(column)
        if not len(values):
            return
        self.fill[column] = np.median(values)
        distinct, counts = np.unique(values, return_counts=True)
        edges = _edges(distinct, counts, bins)
        least = max(1e-30, NARROWEST * float(np.abs(distinct[[0, -1]]).max()))
        edges = edges[np.concatenate([[True], np.diff(edges) > least])]
        for low, high in pairwise(edges):
            self.pieces.append((column, float(low), 1.0 / float(high - low)))
        if len(edges) > 2:
            self.smooth.append((column, _smooth_rate(values, float(edges[-1] - edges[0]))))

    def add_category(self, column: int, codes: Matrix) -> None:
        present = codes[~np.isnan(codes)]
        known = int(present.max()) + 1 if len(present) else 0
        if known > FEW_CATEGORIES:
            self.tables.append((column, known))
            return
        self.ones += [(column, float(code)) for code in range(known)]
        if len(present) < len(codes):
            self.ones.append((column, -1.0))

    def finish(self, mean: Floats) -> Inputs:
        def ints(values: list[int]) -> Ints:
            return np.array(values, dtype=np.int64)

        def floats(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)

        return Inputs(
            features=len(self.fill),
            fill=self.fill,
            piece_column=ints([column for column, _, _ in self.pieces]),
            piece_low=floats([low for _, low, _ in self.pieces]),
            piece_rate=floats([rate for _, _, rate in self.pieces]),
            smooth_column=ints([column for column, _ in self.smooth]),
            smooth_rate=floats([rate for _, rate in self.smooth]),
            absent_column=ints(self.absent),
            one_column=ints([column for column, _ in self.ones]),
            one_value=floats([value for _, value in self.ones]),
            table_column=ints([column for column, _ in self.tables]),
            table_size=ints([size for _, size in self.tables]),
            mean=mean,
        )


def _edges(distinct: Floats, counts: Ints, bins: int) -> Floats:
    """Where pieces begin and end: every value if few, else quantiles, rising.

    A value that fills a whole piece of its own stands apart, and the other rows share what is
    left: nine tenths zeros would else leave all the rest of a column in one piece.
    """
    if len(distinct) <= bins + 1:
        return distinct
    heavy = np.zeros(len(distinct), dtype=np.bool_)
    while True:
        left = bins + 1 - int(heavy.sum())
        more = ~heavy & (counts > counts[~heavy].sum() / max(1, left))
        if left <= 2 or not more.any():
            break
        heavy |= more
    rest, share = distinct[~heavy], np.cumsum(counts[~heavy])
    wanted = np.linspace(0.0, 1.0, max(3, left)) * share[-1]
    quantiles = rest[np.minimum(np.searchsorted(share, wanted), len(rest) - 1)]
    return np.unique(np.concatenate([distinct[heavy], quantiles, distinct[[0, -1]]]))


def _smooth_rate(values: Floats, span: float) -> float:
    """One over the quartiles' distance in standard units; over half the range where that is 0."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(1.349 / (high - low)) if high - low > 1e-9 * span else 2.0 / span
