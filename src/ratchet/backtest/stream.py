"""History as it happened: rows in the order of time, cut into periods, labels that come late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.backtest.settings import Pace
from ratchet.data.roles import Roles
from ratchet.data.schema import TableSchema
from ratchet.data.task import Task, infer_task
from ratchet.errors import DataError

if TYPE_CHECKING:
    from ratchet.data.settings import DataSettings
    from ratchet.project import Project

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)
_DAY: Final = 86_400_000_000
_ORDER: Final = "__order"
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)
_SPANS: Final = (1, 2, 3, 7, 14, 28, 56, 112, 224, 448)
_ROWS_PER_PERIOD, _MOST_PERIODS, _USUAL_PERIODS = 200, 150, 60
FEWEST_PERIODS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Rows in the order of time.

    Attributes:
        frame: the rows (n,), those without a label left out.
        y: class codes, or numbers (n,).
        at: microseconds since 1970 (n,), never falling.
        bounds: where each period begins, and where the last one ends (periods + 1,).
        ends: when each period is over.
        delay: after which a row's label is known.
        first: the period after which the first model is made.
        notes: what was done to the rows, for people.
    """

    frame: pl.DataFrame
    y: npt.NDArray[np.float64] | npt.NDArray[np.int32]
    at: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    ends: tuple[datetime, ...]
    delay: timedelta
    first: int
    task: Task
    roles: Roles
    schema: TableSchema
    period: str
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.at)

    @property
    def periods(self) -> int:
        """How many periods there are."""
        return len(self.ends)

    @property
    def served(self) -> range:
        """The periods that a model answers: all after the first training."""
        return range(self.first + 1, self.periods)

    @property
    def points(self) -> range:
        """The periods at whose end a model can be made that answers any row."""
        return range(self.first, self.periods - 1)

    @property
    def timed(self) -> bool:
        """Whether the rows say when they were, or are only in order."""
        return self.roles.time != _ORDER

    def tell(self, moment: datetime) -> str:
        """A moment for people: the date, or the number of a day that so many rows stand for."""
        return f"{moment:%Y-%m-%d}" if self.timed else f"day {(moment - _START).days + 1}"

    @property
    def waits(self) -> str:
        """How long labels take, for people."""
        days = self.delay / timedelta(days=1)
        return "at once" if not days else f"after {days:g} {'day' if days == 1 else 'days'}"

    def rows_of(self, period: int) -> slice:
        """The rows of a period."""
        return slice(int(self.bounds[period]), int(self.bounds[period + 1]))

    def known(self, period: int) -> int:
        """How many rows have their label when a period is over: always the first so many."""
        moment = (self.ends[period] - self.delay - _EPOCH) // _MICRO
        there = int(np.searchsorted(self.at, moment, side="right"))
        return min(there, int(self.bounds[period + 1]))


def open_stream(project: Project, data: Path | None, pace: Pace) -> Stream:
    """The rows of a file, or of the project's source.

    Raises:
        DataError: no rows, no order, or too few periods.
        ConfigError: the source cannot be read as the settings say.
    """
    from ratchet.data.sources.open_source import open_source

    settings = project.settings.data
    source = open_source(
        project.source_settings(data), project.root, columns=settings.columns or None
    )
    frames = list(source.batches())
    frame = pl.concat(frames) if frames else source.schema().polars().to_frame()
    return make_stream(frame, settings, pace)


def make_stream(frame: pl.DataFrame, settings: DataSettings, pace: Pace) -> Stream:
    """Rows as a stream; without ``data.time`` they are in the order of the table.

    Raises:
        DataError: no rows, a column is missing, no order, or too few periods.
    """
    roles = Roles.of(settings)
    roles.require(frame.columns)
    notes = []
    unknown = frame.get_column(roles.target).null_count()
    if unknown:
        frame = frame.filter(pl.col(roles.target).is_not_null())
        notes.append(f"{unknown:,} rows without a label were left out")
    if not frame.height:
        raise DataError("There are no rows to replay", where="data.source", code="no_rows")
    period = pace.period
    if roles.time is None:
        period = _usual_rows(frame.height) if period is None else period
        if isinstance(period, timedelta):
            raise DataError(
                "A period of time needs a column that says when",
                why="data.time is not set, so there is only the order of the rows",
                fix="set data.time, or give --period as a number of rows, such as 500rows",
                where="data.time",
            )
        notes.append(f"data.time is not set: {period:,} rows in their order count as one day")
        frame, roles = _numbered(frame, roles, period)
    assert roles.time is not None
    frame = _in_order(frame, roles.time)
    at = _moments(frame.get_column(roles.time), roles.time)
    if period is None:
        period = _usual_span(at)
    bounds, ends = _by_rows(at, period) if isinstance(period, int) else _by_time(at, period)
    task = infer_task(frame.get_column(roles.target), settings)
    made = Stream(
        frame=frame,
        y=task.encode(frame.get_column(roles.target)),
        at=at,
        bounds=bounds,
        ends=ends,
        delay=pace.delay,
        first=0,
        task=task,
        roles=roles,
        schema=TableSchema.from_polars(frame.schema),
        period=_told(period),
        notes=tuple(notes),
    )
    return _begun(made, pace.first)


def _begun(stream: Stream, share: float) -> Stream:
    from dataclasses import replace

    wanted = share * stream.rows
    first = next((p for p in range(stream.periods) if stream.known(p) >= wanted), stream.periods)
    if stream.periods - 1 - first < FEWEST_PERIODS:
        left = max(stream.periods - 1 - first, 0)
        raise DataError(
            f"Only {left} periods are left to replay after the first training",
            why=f"{stream.rows:,} rows make {stream.periods} periods of {stream.period}, the "
            f"first model is made of {share:.0%} of the rows, and at least {FEWEST_PERIODS} "
            "periods after it say something of a policy",
            fix="give a shorter --period or --delay, or more rows",
        )
    return replace(stream, first=first)


def _numbered(frame: pl.DataFrame, roles: Roles, rows: int) -> tuple[pl.DataFrame, Roles]:
    """A moment for each row: so many rows are a day."""
    from dataclasses import replace

    step = max(_DAY // rows, 1)
    start = (_START - _EPOCH) // _MICRO
    made = pl.Series(_ORDER, start + np.arange(frame.height) * step).cast(pl.Datetime("us"))
    return frame.with_columns(made), replace(roles, time=_ORDER)


def _in_order(frame: pl.DataFrame, time: str) -> pl.DataFrame:
    column = frame.get_column(time)
    if column.null_count():
        raise DataError(
            f'The time column "{time}" is missing in {column.null_count():,} of '
            f"{frame.height:,} rows",
            fix="fill it in, or remove these rows",
            where="data.time",
            code="time_missing",
        )
    return frame if column.is_sorted() else frame.sort(time, maintain_order=True)


def _moments(column: pl.Series, name: str) -> npt.NDArray[np.int64]:
    if not column.dtype.is_temporal():
        raise DataError(
            f'The time column "{name}" is no date: {column.dtype}',
            fix=f"set data.columns.{name} to date or datetime",
            where="data.time",
            code="time_kind",
        )
    return column.cast(pl.Datetime("us")).to_physical().to_numpy()


def _usual_rows(rows: int) -> int:
    return max(_ROWS_PER_PERIOD // 4, rows // _USUAL_PERIODS)


def _usual_span(at: npt.NDArray[np.int64]) -> timedelta:
    """The shortest span that holds enough rows to measure on, and makes not too many periods."""
    whole = max(int(at[-1] - at[0]), 1)
    for days in _SPANS:
        count = whole / (days * _DAY)
        if count <= _MOST_PERIODS and len(at) / max(count, 1) >= _ROWS_PER_PERIOD:
            return timedelta(days=days)
    return timedelta(microseconds=max(whole // _USUAL_PERIODS, 1))


def _by_time(
    at: npt.NDArray[np.int64], period: timedelta
) -> tuple[npt.NDArray[np.int64], tuple[datetime, ...]]:
    """Periods from the midnight before the first row on; the last one may be short of rows."""
    length = period // _MICRO
    start = int(at[0]) - int(at[0]) % min(_DAY, length)
    count = (int(at[-1]) - start) // length + 1
    if count > 5_000:
        raise DataError(
            f"{count:,} periods are too many to replay", fix="give a longer --period: 7d"
        )
    edges = start + length * np.arange(1, count + 1)
    bounds = np.concatenate([[0], np.searchsorted(at, edges, side="left")]).astype(np.int64)
    return bounds, tuple(_EPOCH + int(edge) * _MICRO for edge in edges)


def _by_rows(
    at: npt.NDArray[np.int64], rows: int
) -> tuple[npt.NDArray[np.int64], tuple[datetime, ...]]:
    """Periods of so many rows; what is left over at the end is in the last one."""
    count = max(len(at) // rows, 1)
    if count > 5_000:
        raise DataError(
            f"{count:,} periods are too many to replay", fix="give more rows to --period"
        )
    bounds = np.concatenate([np.arange(count) * rows, [len(at)]]).astype(np.int64)
    # A period is over when the next one begins: rows of one moment may lie in both.
    after = np.append(at[bounds[1:-1]], at[-1] + 1)
    return bounds, tuple(_EPOCH + int(moment) * _MICRO for moment in after)


def _told(period: timedelta | int) -> str:
    if isinstance(period, int):
        return f"{period:,} rows"
    days = period / timedelta(days=1)
    return f"{days:g} days" if days != 1 else "1 day"
