"""From matrix columns back to what people know: the raw columns, and a row's values in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.evaluation.explanation import Value

if TYPE_CHECKING:
    from ratchet.features.recipe import Recipe

Matrix = npt.NDArray[np.float32]
Groups = tuple[tuple[str, tuple[int, ...]], ...]
_JOINT = " × "


def column_groups(recipes: Sequence[Recipe]) -> Groups:
    """Each feature's name and its columns in the recipes' matrices set side by side.

    All that is made of one raw column alone, encoded or computed, belongs to that column; what is
    made of several is a feature of its own: a computed one by its name, a cross by its parts.
    """
    groups: dict[str, list[int]] = {}
    place = 0
    for recipe in recipes:
        made = {feature.name: feature.sources for feature in recipe.derivation.features}
        for encoder in recipe.encoders:
            read = tuple(dict.fromkeys(slot.column for slot in encoder.sources))
            raw = tuple(dict.fromkeys(name for column in read for name in _raw(column, made)))
            name = raw[0] if len(raw) == 1 else _JOINT.join(read)
            width = len(encoder.columns)
            groups.setdefault(name, []).extend(range(place, place + width))
            place += width
    return tuple((name, tuple(columns)) for name, columns in groups.items())


def _raw(column: str, made: Mapping[str, Sequence[str]]) -> list[str]:
    """The raw columns behind one that may be computed of computed ones."""
    if column not in made:
        return [column]
    return [name for source in made[column] for name in _raw(source, made)]


def raw_rows(frame: pl.DataFrame, X: Matrix, groups: Groups) -> tuple[tuple[Value, ...], ...]:
    """What each row holds in each feature: (n) rows of (d).

    A feature that is no raw column shows its number in the matrix, or its parts side by side.
    """
    columns = [_values(frame, X, name, places) for name, places in groups]
    return tuple(zip(*columns, strict=True))


def _values(frame: pl.DataFrame, X: Matrix, name: str, places: tuple[int, ...]) -> list[Value]:
    if name in frame.columns:
        return _plain(frame[name])
    parts = name.split(_JOINT)
    if all(part in frame.columns for part in parts):
        columns = [frame[part].cast(pl.String).fill_null("missing") for part in parts]
        return [", ".join(row) for row in zip(*columns, strict=True)]
    if len(places) == 1:
        numbers = X[:, places[0]].astype(np.float64).tolist()
        return [None if number != number else float(f"{number:.6g}") for number in numbers]
    return ["several"] * len(X)


def _plain(series: pl.Series) -> list[Value]:
    """Values as JSON has them; NaN is missing, dates are text."""
    if series.dtype.is_float():
        series = series.fill_nan(None)
        values: list[Value] = series.set(series.is_infinite().fill_null(False), None).to_list()
        return values
    if series.dtype.is_integer() or series.dtype == pl.Boolean:
        return series.to_list()
    return series.cast(pl.String).to_list()
