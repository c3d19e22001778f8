"""Drift: which columns of new rows no longer look like the reference, and how much it matters."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from ratchet.data.schema import Kind, kind_of, widest
from ratchet.errors import DataError
from ratchet.monitoring.columns import NumberColumn
from ratchet.monitoring.exact import measure_exactly
from ratchet.monitoring.findings import ColumnDrift, DriftReport
from ratchet.monitoring.judging import ExactKs, Seen, judge
from ratchet.monitoring.profile import Profile, Window
from ratchet.monitoring.rules import DriftRules
from ratchet.monitoring.statistics import Measured, measure_levels, measure_numbers
from ratchet.monitoring.tallies import LevelTally, NumberTally
from ratchet.monitoring.thresholds import Thresholds, calibrate

__all__ = [
    "ColumnDrift",
    "DriftReport",
    "DriftRules",
    "Thresholds",
    "calibrate",
    "compare_frames",
    "score_window",
]


def score_window(
    reference: Profile,
    window: Window,
    rules: DriftRules | None = None,
    *,
    exact: ExactKs | None = None,
) -> DriftReport:
    """The drift of a window, at any number of rows in a few milliseconds.

    Args:
        reference: the profile; the window was counted in its bins.
        window: the rows.
        rules: what counts as drift; the default rules when not given.
        exact: asked where a column's certified interval leaves open whether it drifted.
    """
    measured: dict[str, Measured] = {}
    kinds: dict[str, Kind] = {}
    for name, column in reference.columns.items():
        tally = window.tallies[name]
        if not tally.rows:
            continue
        kinds[name] = column.kind
        if isinstance(column, NumberColumn):
            assert isinstance(tally, NumberTally)
            measured[name] = measure_numbers(column, tally)
        else:
            assert isinstance(tally, LevelTally)
            measured[name] = measure_levels(column, tally)
    rows = (reference.rows, window.rows)
    seen = Seen(kinds, measured, rows, reference.importance, tuple(reference.columns))
    return judge(seen, rules or DriftRules(), exact=exact)


def compare_frames(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    rules: DriftRules | None = None,
    *,
    columns: Collection[str] | None = None,
    importance: Mapping[str, float] | None = None,
) -> DriftReport:
    """The drift of one table against another, from all their values.

    Args:
        reference: what is usual.
        current: the new rows.
        rules: what counts as drift; the default rules when not given.
        columns: the columns to compare; those of the reference when not given.
        importance: of columns to a model.

    Raises:
        DataError: no rows, no column in both, or a column that is not there.
    """
    names = _columns(reference, current, columns)
    kinds = {
        name: widest([kind_of(reference[name].dtype), kind_of(current[name].dtype)])
        for name in names
        if name in current.columns
    }
    measured = {
        name: measure_exactly(reference[name], current[name], kind) for name, kind in kinds.items()
    }
    rows = (reference.height, current.height)
    return judge(Seen(kinds, measured, rows, importance or {}, names), rules or DriftRules())


def _columns(
    reference: pl.DataFrame, current: pl.DataFrame, wanted: Collection[str] | None
) -> tuple[str, ...]:
    for what, frame in (("reference", reference), ("current", current)):
        if not frame.height:
            raise DataError(f"The {what} data have no rows", code="no_rows")
    names = tuple(wanted) if wanted is not None else tuple(reference.columns)
    unknown = [name for name in names if name not in reference.columns]
    if unknown:
        raise DataError(
            f'The reference has no column "{unknown[0]}"',
            why=f"its columns are {', '.join(reference.columns[:12])}",
            code="columns_missing",
        )
    if not any(name in current.columns for name in names):
        raise DataError(
            "The two tables have no column in common",
            why=f"the current one has {', '.join(current.columns[:12])}",
            fix="give two tables of the same kind",
            code="columns_missing",
        )
    return names
