"""The rows behind a profile and a window, for where the bins leave open whether a column drifted.

The rows that a model learned from are a version of the lake's table and the run's split of it;
those of a window are in the prediction log. Either may be gone: then nothing is claimed. Both are
counted in the profile's bins again: rows that are not the ones that were counted settle nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from ratchet.data.kept import gather
from ratchet.data.lake import Lake
from ratchet.data.predictions.joined import served_columns
from ratchet.data.predictions.pinned import pin_table
from ratchet.data.schema import TableSchema
from ratchet.errors import RatchetError
from ratchet.ledger.reader import LedgerReader
from ratchet.ledger.versions import Version
from ratchet.monitoring.columns import NumberColumn
from ratchet.monitoring.exact import Sorted, ks_distance, sort_numbers
from ratchet.monitoring.findings import is_answer
from ratchet.monitoring.profile import Profile, Window
from ratchet.monitoring.tallies import tally_column

_TABLE: Final = "data"
_SPLIT, _PARTS, _TRAIN = "split", "parts.npy", 0
_MOST_LEARNED, _MOST_SERVED = 5_000_000, 200_000
"""More rows are not read: the interval of the bins is at most 0.002 wide at any number of rows."""


@dataclass(frozen=True, slots=True)
class Span:
    """A window and where it lies."""

    window: Window
    since: datetime
    until: datetime


class VersionRows:
    """The rows of one version, each column of them read once.

    Args:
        ledger: tells how the version was made.
        lake: holds the rows.
        state: the folder that step outputs are relative to.
        version: the version.
        profile: its profile.
    """

    def __init__(
        self, ledger: LedgerReader, lake: Lake, state: Path, version: Version, profile: Profile
    ) -> None:
        self._ledger, self._lake, self._state = ledger, lake, state
        self._version, self._profile = version, profile
        self._learned: dict[str, Sorted | None] = {}
        self._served: dict[tuple[datetime, datetime], pl.Series] = {}

    def exact(self, span: Span) -> Callable[[str], float | None]:
        """What gives a column's exact KS distance in a window, None where its rows are gone."""

        def ask(name: str) -> float | None:
            column = self._profile.columns[name]
            if is_answer(name) or not isinstance(column, NumberColumn):
                return None
            if max(self._profile.rows / _MOST_LEARNED, span.window.rows / _MOST_SERVED) > 1:
                return None
            learned = self._learned_from(column)
            if learned is None:
                return None
            served = self._asked_with(column, span)
            return None if served is None else ks_distance(learned.values, served.values)

        return ask

    def _learned_from(self, column: NumberColumn) -> Sorted | None:
        if column.name not in self._learned:
            found: Sorted | None = None
            # Cleaned away, or not to be read: the interval stays as it is.
            with suppress(RatchetError, OSError, ValueError, pl.exceptions.PolarsError):
                values = self._training_rows(column.name)
                if values is not None and _same(column, values, column.counts):
                    found = sort_numbers(values, column.kind)
            self._learned[column.name] = found
        return self._learned[column.name]

    def _training_rows(self, name: str) -> pl.Series | None:
        run = self._ledger.get_run(self._version.run_id)
        split = next((s for s in self._ledger.steps(run.run_id) if s.name == _SPLIT), None)
        if run.snapshot_version is None or split is None or split.folder is None:
            return None
        parts = np.load(self._state / split.folder / _PARTS, allow_pickle=False)
        snapshot = self._lake.snapshot(_TABLE, run.snapshot_version)
        if len(parts) != snapshot.rows:
            return None
        return gather(self._lake.scan(snapshot), parts == _TRAIN, [name])[name]

    def _asked_with(self, column: NumberColumn, span: Span) -> Sorted | None:
        place = (span.since, span.until)
        if place not in self._served:
            self._served[place] = (
                pin_table(self._lake, "predictions")
                .scan(("at", "version", "features"), since=span.since, until=span.until)
                .filter(pl.col("version") == self._version.version)
                .select("features")
                .collect(engine="streaming")["features"]
            )
        kind = TableSchema.of({column.name: column.kind})
        values = served_columns(self._served[place], kind)[0][column.name]
        if not _same(column, values, span.window.tallies[column.name].counts):
            return None
        return sort_numbers(values, column.kind)


def _same(column: NumberColumn, values: pl.Series, counts: np.ndarray) -> bool:
    """Whether the values are those that were counted."""
    return bool(np.array_equal(tally_column(column, values).counts, counts))
