"""Rows with the scores they have where a model is packaged, to be compared where it serves.

Another processor, another version of a runtime: whether the model scores there as it did here
shows only on rows. Real rows have no business in a bundle, which travels to a registry and to
servers; so each column's values are common ones, put together anew: no person's row.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from math import isfinite
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError
from ratchet.ids import digest_of
from ratchet.packaging.signature import EXAMPLE_ROWS

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.schema import Column, Kind
    from ratchet.packaging.composite import Composite

ROWS = 20
COMMON = 5
"""A text that fewer rows hold could say whose it is."""


def make_rehearsal(composite: Composite, frame: pl.DataFrame) -> dict[str, Any]:
    """Rows made of the columns of ``frame``, and their scores: JSON values.

    The same frame and model give the same rows. A row that the model refuses is left out.
    """
    rows, scores = [], []
    for row in make_rows(composite.inputs, frame):
        try:
            given = composite.score_one(row)[0].tolist()
        except DataError:
            continue
        if all(map(isfinite, given)):
            rows.append(row)
            scores.append(given)
    return {"rows": rows, "scores": scores}


def make_rows(inputs: Iterable[Column], frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Twenty rows of JSON values, each column's drawn from its own common values."""
    columns = {
        column.name: _shuffled(_common(frame[column.name].head(EXAMPLE_ROWS), column.kind), place)
        for place, column in enumerate(inputs)
    }
    return [{name: values[row] for name, values in columns.items()} for row in range(ROWS)]


def _common(values: pl.Series, kind: Kind) -> list[Any]:
    """Values of a column, missing ones among them where it has some."""
    present = values.drop_nulls()
    if kind == "number":
        present = present.filter(present.is_finite())
    if not present.len():
        return [None]
    if kind in ("string", "boolean"):
        counted = present.value_counts(name="rows").sort(
            ["rows", present.name], descending=[True, False]
        )
        found = counted.filter(counted["rows"] >= COMMON)[present.name].head(ROWS).to_list()
    else:
        # Quantiles away from both ends: the largest value may be somebody's alone.
        ordered = present.sort()
        found = [ordered[(2 * i + 1) * len(ordered) // (2 * ROWS)] for i in range(ROWS)]
    if present.len() < values.len() or not found:
        found = [*found[: ROWS - 1], None]
    return [value.isoformat() if isinstance(value, date) else value for value in found]


def _shuffled(values: list[Any], place: int) -> list[Any]:
    """As many as there are rows, in an order of the column's own."""
    order = sorted(range(ROWS), key=lambda row: digest_of([place, row]))
    return [values[number % len(values)] for number in order]
