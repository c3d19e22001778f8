"""The lake's table ``windows``: predictions counted by model version, arm and hour.

Each row holds a window of one hour, or a part of it, in the bins of the version's profile. A
window of any span is the sum of its hours, so that scoring it does not read a single prediction.
``counting.py`` fills the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import polars as pl

from ratchet.data.delta_log import open_table
from ratchet.data.lake import Lake
from ratchet.data.predictions.pinned import utc
from ratchet.data.predictions.tables import DAY
from ratchet.data.storage import is_remote, local_path, storage_fault, storage_options
from ratchet.monitoring.profile import Profile, Window

if TYPE_CHECKING:
    from deltalake import DeltaTable

TABLE: Final = "windows"
_MOMENT: Final = pl.Datetime("us", "UTC")
COLUMNS: Final[Mapping[str, Any]] = {
    "at": _MOMENT,
    "version": pl.Int64(),
    "arm": pl.String(),
    "rows": pl.Int64(),
    "last": _MOMENT,
    "bins": pl.String(),
    "payload": pl.Binary(),
}
"""``at`` is the hour, ``last`` the newest prediction that was counted, ``bins`` the digest of the
profile, ``payload`` the window; both are null where the version has no profile."""


def window_of(
    lake: Lake,
    profile: Profile,
    version: int,
    *,
    since: datetime,
    until: datetime,
    arms: Collection[str] | None = None,
) -> Window:
    """The predictions of a version from the hour of ``since`` up to ``until``, added up.

    Args:
        lake: with the table ``windows``; without it the window is empty.
        profile: the version's.
        version: the model version.
        since: hours that begin at or after it.
        until: an hour that was counted up to a later moment is left out.
        arms: only these; all when not given.

    Raises:
        StorageError: the lake cannot be read.
    """
    return window_sums(lake, profile, version, [(since, until)], arms=arms)[0]


def window_sums(
    lake: Lake,
    profile: Profile,
    version: int,
    spans: Sequence[tuple[datetime, datetime]],
    *,
    arms: Collection[str] | None = None,
) -> list[Window]:
    """Several windows of one version, read at once; see ``window_of``."""
    made = [profile.window() for _ in spans]
    limits = [(utc(since), utc(until)) for since, until in spans]
    if not limits:
        return made
    rows = stored_between(
        lake, min(since for since, _ in limits), max(until for _, until in limits)
    ).filter(
        pl.col("version") == version,
        pl.col("bins") == profile.digest,
        pl.col("payload").is_not_null(),
    )
    if arms is not None:
        rows = rows.filter(pl.col("arm").is_in(list(arms)))
    for at, last, payload in rows.select("at", "last", "payload").iter_rows():
        places = [n for n, (since, until) in enumerate(limits) if since <= at and last <= until]
        if places:
            part = Window.from_bytes(payload, profile)
            for place in places:
                made[place].add(part)
    return made


def counted_rows(lake: Lake, *, since: datetime, until: datetime) -> pl.DataFrame:
    """``version arm rows first last`` of the predictions in a span, from the windows alone.

    Raises:
        StorageError: the lake cannot be read.
    """
    return (
        stored_between(lake, utc(since), utc(until))
        .group_by("version", "arm")
        .agg(pl.col("rows").sum(), pl.col("at").min().alias("first"), pl.col("last").max())
        .sort("version", "arm")
    )


def stored_between(lake: Lake, since: datetime, until: datetime) -> pl.DataFrame:
    """The table's rows of hours that begin at or after ``since`` and were counted to ``until``.

    Raises:
        StorageError: the lake cannot be read.
    """
    opened = open_table(lake.place(TABLE))
    if opened is None:
        return pl.DataFrame(schema=dict(COLUMNS))
    first, last = since.date().isoformat(), until.date().isoformat()
    files = files_by_day(opened)
    wanted = [path for day, paths in files.items() if first <= day <= last for path in paths]
    rows = read_files(lake.place(TABLE), wanted)
    return rows.filter(pl.col("at") >= since, pl.col("last") <= until)


def files_by_day(opened: DeltaTable) -> dict[str, list[str]]:
    """The table's files, relative to it, by UTC day in ISO form."""
    files = pl.DataFrame(opened.get_add_actions(flatten=True))
    found: dict[str, list[str]] = {}
    if files.height:
        days = files[f"partition.{DAY}"].cast(pl.String)
        for path, day in sorted(zip(files["path"], days, strict=True)):
            found.setdefault(day, []).append(unquote(path))
    return found


def read_files(place: str, files: Sequence[str]) -> pl.DataFrame:
    """The rows in some of a table's files."""
    if not files:
        return pl.DataFrame(schema=dict(COLUMNS))
    base = place if is_remote(place) else str(local_path(place))
    try:
        found = pl.read_parquet(
            [f"{base}/{file}" for file in files],
            columns=list(COLUMNS),
            glob=False,
            hive_partitioning=False,
            storage_options=storage_options(place),
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise storage_fault(place, error) from None
    return found.cast(dict(COLUMNS))  # type: ignore[arg-type]
