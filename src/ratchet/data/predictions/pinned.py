"""One version of the lake's ``predictions``, ``feedback`` or ``failures``, to be read.

Compaction may go on meanwhile: what is pinned stays as it is. The Delta log says which
files hold a span of time; the others are not opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote

import polars as pl

from ratchet.data.delta_log import open_table
from ratchet.data.lake import Lake
from ratchet.data.predictions.tables import FAILURES, FEEDBACK, PREDICTIONS
from ratchet.data.storage import is_remote, local_path, storage_options
from ratchet.errors import StorageError

Name = Literal["predictions", "feedback", "failures"]

_COLUMNS: Final[Mapping[Name, Mapping[str, Any]]] = {
    "predictions": PREDICTIONS,
    "feedback": FEEDBACK,
    "failures": FAILURES,
}
_TRUNCATED: Final = timedelta(milliseconds=1)  # no finer are the statistics of a Delta log


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a table, and the span of time of its rows where the log knows it."""

    path: str
    first: datetime | None
    last: datetime | None

    def may_hold(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether a row from ``since`` up to and with ``until`` may lie in it."""
        too_old = since is not None and self.last is not None and self.last < since - _TRUNCATED
        too_new = until is not None and self.first is not None and self.first > until + _TRUNCATED
        return not (too_old or too_new)


@dataclass(frozen=True, slots=True)
class Pinned:
    """A version of a table; without files when there is none yet.

    Attributes:
        identity: the table's id and version: equal ones hold equal rows; None for no table.
    """

    name: Name
    place: str
    identity: tuple[str, int] | None
    files: tuple[StoredFile, ...]

    def scan(
        self,
        columns: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pl.LazyFrame:
        """The rows whose ``at`` is from ``since`` up to and with ``until`` (UTC), in no order.

        Raises StorageError (``lake_damaged``) when files of them are gone.
        """
        paths = [file.path for file in self.files if file.may_hold(since, until)]
        frame = self._scan(paths) if paths else pl.LazyFrame(schema=_COLUMNS[self.name])
        if since is not None:
            frame = frame.filter(pl.col("at") >= since)
        if until is not None:
            frame = frame.filter(pl.col("at") <= until)
        return frame if columns is None else frame.select(columns)

    def _scan(self, paths: list[str]) -> pl.LazyFrame:
        gone = [] if is_remote(self.place) else [path for path in paths if not Path(path).exists()]
        if gone:
            raise StorageError(
                f'The table "{self.name}" is damaged',
                why=f"{Path(gone[0]).name} is missing in {self.place}",
                fix="Restore the folder from a backup; remove rows with a Delta delete, not files",
                where=self.place,
                code="lake_damaged",
            )
        # By the log's relative paths: those of Polars' own Delta scan do not open where the
        # name of a folder holds a blank.
        return pl.scan_parquet(
            paths,
            glob=False,
            schema=dict(_COLUMNS[self.name]),
            hive_partitioning=False,
            missing_columns="insert",
            extra_columns="ignore",
            cast_options=pl.ScanCastOptions(
                integer_cast="upcast",
                float_cast="upcast",
                datetime_cast=["nanosecond-downcast", "convert-timezone"],
            ),
            storage_options=storage_options(self.place),
        )


def pin_table(lake: Lake, name: Name, version: int | None = None) -> Pinned:
    """A version of a table, the newest if none is named.

    Raises StorageError when the lake cannot be read, or no longer knows that version.
    """
    place = lake.place(name)
    opened = open_table(place, version)
    if opened is None:
        return Pinned(name, place, None, ())
    identity = (str(opened.metadata().id), opened.version())
    actions = pl.DataFrame(opened.get_add_actions(flatten=True))
    if not actions.height:
        return Pinned(name, place, identity, ())
    spans = [_moments(actions, "min.at"), _moments(actions, "max.at")]
    base = place if is_remote(place) else str(local_path(place))
    paths = [f"{base}/{unquote(path)}" for path in actions.get_column("path")]
    files = [StoredFile(*facts) for facts in zip(paths, *spans, strict=True)]
    return Pinned(name, place, identity, tuple(sorted(files, key=lambda file: file.path)))


def utc(moment: datetime) -> datetime:
    """``moment`` in UTC; without a zone it is taken to be in UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _moments(actions: pl.DataFrame, column: str) -> list[datetime | None]:
    if column not in actions.columns:
        return [None] * actions.height
    found = actions.get_column(column)
    if not isinstance(found.dtype, pl.Datetime):
        return [None] * actions.height
    zoned = found if found.dtype.time_zone else found.dt.replace_time_zone("UTC")
    return zoned.cast(pl.Datetime("us", "UTC")).to_list()
