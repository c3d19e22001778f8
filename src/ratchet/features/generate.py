"""Features made by rule: which squares, logarithms, products and bands there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ratchet.errors import ConfigError
from ratchet.features.encoders.bands import BandEncoder, band_of
from ratchet.features.encoders.numeric import NumericEncoder
from ratchet.features.encoders.slots import NAN, Floats, Slot
from ratchet.features.scaling import Scale, learn_scale
from ratchet.features.settings import InteractionSettings

_SAMPLE, _WIDEST = 20_000, 100


def square_encoders(
    wanted: bool | tuple[str, ...], numbers: Mapping[str, Slot], values: Any
) -> list[NumericEncoder]:
    """x*x of the ``wanted`` columns; True means all with more than two values."""
    columns = wanted if isinstance(wanted, tuple) else tuple(numbers) if wanted else ()
    return [
        NumericEncoder((f"square({column})",), (numbers[column],), "square")
        for column in columns
        if isinstance(wanted, tuple) or _varies(values(numbers[column]))
    ]


def log_encoders(
    wanted: bool | tuple[str, ...], numbers: Mapping[str, Slot], values: Any
) -> list[NumericEncoder]:
    """log(1 + x) of the ``wanted`` columns; True means all without negative values.

    Raises:
        ConfigError: a column named has training values of -1 or less.
    """
    chosen = []
    columns = wanted if isinstance(wanted, tuple) else tuple(numbers) if wanted else ()
    for column in columns:
        x = values(numbers[column])
        lowest = float(np.nanmin(x)) if not np.isnan(x).all() else 0.0
        if not isinstance(wanted, tuple):
            if lowest < 0.0 or not _varies(x):
                continue
        elif lowest <= -1.0:
            raise ConfigError(
                f'The logarithm of "{column}" is not defined',
                why=f"log(1 + x) needs values above -1, and training has {lowest:g}",
                fix="Shift it in an expression first",
                where="features.generate.logs",
            )
        chosen.append(NumericEncoder((f"log({column})",), (numbers[column],), "log1p"))
    return chosen


def product_encoders(
    wanted: InteractionSettings | None,
    numbers: Mapping[str, Slot],
    values: Any,
    labels: Floats,
    seed: int,
) -> list[NumericEncoder]:
    """The products of two columns that go most with the target.

    A pair's strength is the largest absolute correlation of its centred product
    with a column of ``labels``: what the pair tells beyond each of its columns. At most
    20,000 training rows and the 100 strongest single columns are looked at.
    """
    if wanted is None:
        return []
    columns = list(wanted.columns or numbers)
    rows = np.arange(len(labels))
    if len(rows) > _SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _SAMPLE, replace=False))
    y = _standard(labels[rows].astype(np.float64))
    x = _standard(np.column_stack([values(numbers[c])[rows] for c in columns]))
    if len(columns) > _WIDEST:
        single = np.abs(x.T @ y).max(axis=1)
        kept = np.sort(np.argsort(-single, kind="stable")[:_WIDEST])
        columns, x = [columns[place] for place in kept], x[:, kept]
    strengths = []
    for left in range(len(columns) - 1):
        products = _standard(x[:, left : left + 1] * x[:, left + 1 :])
        strength = np.abs(products.T @ y).max(axis=1) / len(rows)
        strengths += [(-float(s), left, left + 1 + j) for j, s in enumerate(strength) if s > 0]
    return [
        NumericEncoder(
            (f"{columns[left]}*{columns[right]}",),
            (numbers[columns[left]], numbers[columns[right]]),
            "product",
        )
        for _, left, right in sorted(strengths)[: wanted.max]
    ]


def band_encoders(
    wanted: Mapping[str, int | tuple[float, ...]],
    numbers: Mapping[str, Slot],
    values: Any,
    *,
    onehot: bool,
    impute: bool,
    scale: bool,
) -> list[BandEncoder]:
    """Bands of columns, between given edges or training quantiles."""
    encoders = []
    for column, rule in wanted.items():
        x = values(numbers[column])
        edges = rule if isinstance(rule, tuple) else quantile_edges(x, rule)
        bands = band_of(x[~np.isnan(x)], edges)
        counts = np.bincount(bands, minlength=len(edges) + 1)
        common = int(np.argmax(counts))
        if onehot:
            unit = np.eye(len(edges) + 1).tolist()
            names: Iterable[str] = (f"bin({column})={band}" for band in _band_names(edges))
            rows = tuple(tuple(row) for row in unit)
            missing = rows[common] if impute else (0.0,) * len(rows)
        else:
            numbered = np.arange(len(edges) + 1, dtype=np.float64)
            change = learn_scale(numbered, counts.astype(np.float64)) if scale else Scale()
            rows = tuple((float(value),) for value in change.apply(numbered))
            names = (f"bin({column})",)
            missing = rows[common] if impute else (NAN,)
        encoders.append(BandEncoder(tuple(names), numbers[column], edges, rows, missing))
    return encoders


def quantile_edges(values: Floats, bands: int) -> tuple[float, ...]:
    """The inner edges of ``bands`` bands with about equally many values; ties merge some."""
    present = values[~np.isnan(values)]
    if not len(present):
        return ()
    edges = np.unique(np.quantile(present, np.linspace(0.0, 1.0, bands + 1)[1:-1]))
    return tuple(edges[edges > present.min()].tolist())


def _band_names(edges: Sequence[float]) -> list[str]:
    ends = ["-inf", *(f"{edge:g}" for edge in edges), "inf"]
    return [f"[{low}, {high})" for low, high in pairwise(ends)]


def _varies(values: Floats) -> bool:
    """Whether a column has more than two distinct values."""
    present = values[~np.isnan(values)]
    if not len(present):
        return False
    low, high = present.min(), present.max()
    return bool(((present > low) & (present < high)).any())


def _standard(values: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; missing is 0, a constant column too."""
    present = ~np.isnan(values)
    counts = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, values - np.nansum(values, axis=0) / counts, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / counts)
    constant = deviation <= 1e-12 * np.maximum(
        np.abs(values).max(axis=0, initial=0.0, where=present), 1e-300
    )
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, deviation))
