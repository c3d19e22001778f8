"""Which of the training rows are learned from: all of them, or only the newest.

After a change of what is to be predicted, rows from before it teach the wrong thing, and a model
of all rows may never recover. What ``auto`` takes is found out in ``window_search.py``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.config.durations import parse_duration
from ratchet.errors import DataError
from ratchet.training.settings import window_rows

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LEAST_KEPT: Final = 50
"""Rows that a window set by hand must leave."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tried:
    """A window that was tried.

    Attributes:
        share: ``all``, ``half``, ``quarter`` and so on of the training rows, the newest ones.
        value: the metric of its quick model on the newest rows.
        difference: how much better that is than with all rows; ``se`` its standard error.
    """

    share: str
    value: float
    difference: float = 0.0
    se: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """The training rows that are learned from.

    Attributes:
        setting: ``training.window`` as it was set.
        rows: how many are learned from, ``of`` so many training rows.
        since: moment of the first of them, as a number; None for all.
        begins: the same for people; empty for all.
        reason: why these.
        metric: what windows were compared by; empty where none were.
        block: the newest rows that they were compared on.
        tried: what was compared, the longest first.
    """

    setting: str
    rows: int
    of: int
    since: float | None = None
    begins: str = ""
    reason: str = ""
    metric: str = ""
    block: int = 0
    tried: tuple[Tried, ...] = field(default=())

    @property
    def shorter(self) -> bool:
        """Whether some training rows are left out."""
        return self.rows < self.of

    def says(self) -> str:
        """In a sentence."""
        if not self.shorter:
            return f"all {self.of:,} training rows" + (f": {self.reason}" if self.reason else "")
        return (
            f"the newest {self.rows:,} of {self.of:,} training rows, since {self.begins}: "
            f"{self.reason}"
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**asdict(self), "says": self.says()}

    def keeps(self, column: pl.Series) -> Mask:
        """Which rows of these times (n,) are learned from; one without a time only if all are."""
        if self.since is None:
            return np.ones(len(column), dtype=np.bool_)
        at = moments(column)
        assert at is not None
        return np.asarray(at >= self.since)

    def applied(self, kept: Mask) -> Window:
        """The same, with the numbers of the rows that it was put on."""
        return replace(self, rows=int(kept.sum()), of=len(kept))


def moments(column: pl.Series) -> Floats | None:
    """Times as numbers (n,): microseconds since 1970, or numbers as they are; NaN for none.

    None where the column has no order in time.
    """
    if column.dtype.is_temporal() and column.dtype not in (pl.Time, pl.Duration):
        column = column.cast(pl.Datetime("us")).to_physical()
    elif not column.dtype.is_numeric():
        return None
    return column.cast(pl.Float64).to_numpy()


def whole(setting: str | int, rows: int, reason: str = "") -> Window:
    """All rows."""
    return Window(str(setting), rows, rows, reason=reason)


def fixed_window(setting: str | int, column: pl.Series) -> Window:
    """The window that a setting names: ``all``, a duration, or a number of rows.

    Args:
        setting: ``training.window``, but not ``auto``.
        column: the times of all training rows (n,).

    Raises:
        DataError: the times are no dates, or the window leaves too few rows to learn from.
    """
    if setting == "all":
        return whole(setting, len(column))
    at = moments(column)
    count = window_rows(setting)
    if at is None or (count is None and not column.dtype.is_temporal()):
        raise DataError(
            f'The time column "{column.name}" is no date: {column.dtype}',
            why=f"training.window is {setting}",
            fix=f"set data.columns.{column.name} to date or datetime, or training.window to all",
            where="training.window",
            code="time_kind",
        )
    ordered = np.sort(at[~np.isnan(at)])
    if not len(ordered):
        raise _too_few(setting, 0, len(column))
    if count is not None:
        since = float(ordered[max(0, len(ordered) - count)])
    else:
        length = parse_duration(str(setting)) / timedelta(microseconds=1)
        since = float(ordered[-1]) - length
    kept = np.asarray(at >= since)
    found = Window(
        str(setting),
        int(kept.sum()),
        len(column),
        since,
        told_moment(since, column),
        f"{setting}, as set",
    )
    if found.shorter and found.rows < LEAST_KEPT:
        raise _too_few(setting, found.rows, found.of)
    return found if found.shorter else whole(setting, found.of)


def _too_few(setting: str | int, rows: int, of: int) -> DataError:
    return DataError(
        f"The training window leaves too little to learn from: {rows:,} of {of:,} rows",
        why=f"training.window is {setting}; {LEAST_KEPT} rows are the least",
        fix="set a longer training.window, or auto",
        where="training.window",
        code="window_short",
    )


def told_moment(since: float, column: pl.Series) -> str:
    """A moment as :func:`moments` counts it, for people."""
    if not column.dtype.is_temporal():
        return f"{since:g}"
    return f"{_EPOCH + timedelta(microseconds=int(since)):%Y-%m-%d %H:%M}"
