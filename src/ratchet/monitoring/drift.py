"""Drift: which columns of new rows no longer look like the reference, and how much it matters."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from ratchet.data.schema import Kind
from ratchet.errors import DataError
from ratchet.monitoring.columns import NUMBERS, NumberColumn
from ratchet.monitoring.exact import kind_between, measure_exactly
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
    kinds: dict[str, Kind] = {}
    changed: dict[str, tuple[Kind, float]] = {}
    measured: dict[str, Measured] = {}
    for name in [name for name in names if name in current.columns]:
        before, after = reference[name], current[name]
        kind, other = kind_between(before, after)
        kinds[name], measured[name] = kind, measure_exactly(before, after, kind)
        if other is not None:
            changed[name] = (other, _unfit(measured[name], kind, after))
    new = [name for name in current.columns if name not in reference.columns]
    seen = Seen(
        kinds,
        measured,
        (reference.height, current.height),
        importance or {},
        names,
        changed=changed,
        lost=tuple(name for name in names if name not in current.columns),
        added=tuple(new) if columns is None else (),
    )
    return judge(seen, rules or DriftRules())


def _unfit(found: Measured, kind: Kind, after: pl.Series) -> float:
    """The share of values that are none of the reference's kind."""
    if kind not in NUMBERS:
        # Anything can be told as text.
        return 0.0 if kind == "string" else found.new_share or 0.0
    return (found.gone[1] - after.null_count()) / max(1, len(after) - after.null_count())


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
