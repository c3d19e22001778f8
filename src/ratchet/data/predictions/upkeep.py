"""Keeps the tables of what was served quick to read: many small files become few."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from ratchet.data.delta_log import open_table
from ratchet.data.predictions.segments import sync_folder
from ratchet.data.predictions.tables import DAY, sync_commits
from ratchet.data.storage import is_remote, local_path, storage_fault, table_files

if TYPE_CHECKING:
    from deltalake import DeltaTable

MANY: Final = 32
LARGE: Final = 32 << 20
"""A day that has this many files smaller than that (bytes) has them merged."""


def merge_small_files(place: str) -> int:
    """Merge the files of every day that has many small ones; the number of such days.

    The rows stay as they are, and the files they lay in can be read for another week (so
    nobody who is reading is disturbed); older ones are removed. Raises StorageError.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError

    opened = open_table(place)
    if opened is None:
        return 0
    try:
        days = _crowded(opened)
        if days:
            before = opened.version()
            for day in days:
                opened.optimize.compact(partition_filters=[(DAY, "=", day)], target_size=LARGE)
            opened.vacuum(dry_run=False)
            if not is_remote(place):
                _sync(opened, place, days, before)
    except CommitFailedError:
        return 0  # somebody else merges the same files
    except (DeltaError, OSError) as error:
        raise storage_fault(place, error) from None
    return len(days)


def _crowded(table: DeltaTable) -> list[str]:
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    small = files.filter(pl.col("size_bytes") < LARGE).group_by(f"partition.{DAY}").len()
    return sorted(str(day) for day, number in small.iter_rows() if number >= MANY)


def _sync(table: DeltaTable, place: str, days: Sequence[str], before: int) -> None:
    folders = {str(local_path(place) / f"{DAY}={day}") for day in days}
    for path, _ in table_files(table, place):
        if str(Path(path).parent) in folders:
            with Path(path).open("rb") as file:
                os.fsync(file.fileno())
    for folder in folders:
        sync_folder(Path(folder))
    sync_commits(local_path(place), before)
