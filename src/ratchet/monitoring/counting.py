"""Fills the table ``windows`` from the table ``predictions``, each prediction once.

What was counted is remembered in the commit that brings the counts (Delta's application
transactions): nothing is counted twice or forgotten, whoever is killed or counts at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import polars as pl

from ratchet.clock import now
from ratchet.data.delta_log import open_table
from ratchet.data.lake import Lake
from ratchet.data.predictions.joined import served_columns
from ratchet.data.predictions.pinned import Pinned, pin_table
from ratchet.data.predictions.tables import DAY, ServedTable
from ratchet.data.schema import TableSchema
from ratchet.data.storage import storage_fault
from ratchet.errors import ConflictError, StorageError
from ratchet.monitoring.findings import is_answer
from ratchet.monitoring.profile import LABEL, SCORE, Profile, Window
from ratchet.monitoring.windows import COLUMNS, TABLE, files_by_day, read_files

Profiles = Callable[[int], Profile | None]
"""The profile of a model version; None where its bundle holds none."""

CROWDED: Final = 24
"""A day with so many files has the parts of its hours added up."""

_READ: Final = ("prediction_id", "at", "version", "arm", "label", "scores", "features")
_STAMP: Final = "ratchet_windows"


@dataclass(frozen=True, slots=True)
class Folded:
    """What was counted.

    Attributes:
        rows: predictions that were counted now.
        windows: rows that were added to the table.
        rebuilt: all predictions were counted anew, as what had been counted could not be told.
    """

    rows: int = 0
    windows: int = 0
    rebuilt: bool = False


def fold_new(lake: Lake, profiles: Profiles, *, unlogged: Collection[str] = ()) -> Folded:
    """Count the predictions that were not counted yet.

    Args:
        lake: with the table ``predictions``; without it there is nothing to count.
        profiles: of the model versions; asked once for each version.
        unlogged: columns that the log drops or keeps as digests; they are left out.

    Raises:
        StorageError: the lake cannot be read or written.
        ConflictError: somebody else counted at the same time; nothing was counted twice.
    """
    new = pin_table(lake, "predictions")
    if new.identity is None or not new.files:
        return Folded()
    table, (identity, version) = ServedTable(lake.place(TABLE), COLUMNS), new.identity
    before = table.taken([identity])
    if before[identity] >= version:
        return Folded()
    counting = _Counting(profiles, frozenset(unlogged))
    uncounted = _uncounted(lake, new, before[identity])
    if uncounted is None:
        found = counting.count(_rows_of(new))
        _replace_all(table, found, identity, version)
        return Folded(int(found["rows"].sum()), found.height, rebuilt=True)
    found = counting.count(uncounted)
    if found.height:
        table.append(found, {identity: version}, before, now().isoformat())
        _merge_crowded(table.place, set(found["at"].dt.date()), counting)
    return Folded(int(found["rows"].sum()), found.height)


class _Counting:
    """Counts predictions in the bins of their versions' profiles."""

    def __init__(self, profiles: Profiles, unlogged: frozenset[str]) -> None:
        self._asked, self._unlogged = profiles, unlogged
        self._profiles: dict[int, Profile | None] = {}

    def profile(self, version: int) -> Profile | None:
        """The profile of a version."""
        if version not in self._profiles:
            self._profiles[version] = self._asked(version)
        return self._profiles[version]

    def count(self, frames: Iterator[pl.DataFrame]) -> pl.DataFrame:
        """Rows of the table."""
        made: list[dict[str, Any]] = []
        for frame in frames:
            for (version,), rows in frame.partition_by("version", as_dict=True).items():
                made += self._of_version(int(version), rows)
        return pl.DataFrame(made, schema=dict(COLUMNS))

    def summed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with the parts of every hour added up."""
        made: list[dict[str, Any]] = []
        for parts in rows.partition_by("at", "version", "arm", "bins", maintain_order=True):
            row = parts.row(0, named=True)
            row |= {"rows": int(parts["rows"].sum()), "last": parts["last"].max()}
            profile = self.profile(row["version"])
            if parts.height > 1 and row["payload"] is not None:
                if profile is None or profile.digest != row["bins"]:
                    made += parts.rows(named=True)  # of a profile that is no longer there
                    continue
                total = profile.window()
                for payload in parts["payload"]:
                    total.add(Window.from_bytes(payload, profile))
                row["payload"] = total.to_bytes()
            made.append(row)
        return pl.DataFrame(made, schema=dict(COLUMNS))

    def _of_version(self, version: int, rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
        profile = self.profile(version)
        # Names that no column of a profile has.
        table = rows.select(
            pl.col("at").dt.truncate("1h").alias("\0hour"),
            pl.col("arm").alias("\0arm"),
            pl.col("at").alias("\0at"),
        )
        if profile is not None:
            table = table.hstack(self._columns(profile, rows))
        for (hour, arm), part in table.partition_by("\0hour", "\0arm", as_dict=True).items():
            window = None if profile is None else profile.window()
            if window is not None:
                window.fold(part)
            yield {
                "at": hour,
                "version": version,
                "arm": arm,
                "rows": part.height,
                "last": part["\0at"].max(),
                "bins": None if profile is None else profile.digest,
                "payload": None if window is None else window.to_bytes(),
            }

    def _columns(self, profile: Profile, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows in the profile's columns; what does not fit its column is missing."""
        inputs = {
            name: column.kind
            for name, column in profile.columns.items()
            if not is_answer(name) and name not in self._unlogged
        }
        made, _, _ = served_columns(rows["features"], TableSchema.of(inputs))
        answers = _answers(profile, rows)
        return made.hstack(answers) if made.width else pl.DataFrame(answers)


def _answers(profile: Profile, rows: pl.DataFrame) -> list[pl.Series]:
    """What the model answered, in the columns that ``answer_columns`` makes."""
    many = [name for name in profile.columns if name.startswith(f"{SCORE}:")]
    places = {name: place for place, name in enumerate(many)}
    if SCORE in profile.columns:
        places[SCORE] = -1
    made = [
        rows["scores"].list.get(place, null_on_oob=True).alias(name)
        for name, place in places.items()
    ]
    if LABEL in profile.columns:
        levels = {text: _level(text) for text in rows["label"].drop_nulls().unique()}
        label = rows["label"].replace_strict(levels, default=None, return_dtype=pl.String)
        made.append(label.alias(LABEL))
    return made


def _level(text: str) -> str:
    """A label's JSON as the level of a profile: text as it is, anything else as JSON writes it."""
    return str(json.loads(text)) if text.startswith('"') else text


def _uncounted(lake: Lake, new: Pinned, last: int) -> Iterator[pl.DataFrame] | None:
    """The rows of ``new`` that version ``last`` of the table did not have, file by file.

    None when that cannot be told: the windows are of another table, or the log of that version
    or a file that was merged since then is gone.
    """
    if last < 0:
        return _rows_of(new) if not _has_windows(lake) else None
    try:
        old = pin_table(lake, "predictions", last)
        if new.identity is None or old.identity != (new.identity[0], last):
            return None
        known, there = {file.path for file in old.files}, {file.path for file in new.files}
        added = replace(new, files=tuple(file for file in new.files if file.path not in known))
        merged = replace(old, files=tuple(file for file in old.files if file.path not in there))
        # The rows of files that were merged lie, with newer rows, in the added ones.
        counted = merged.scan(["prediction_id"]).collect() if merged.files else None
    except (StorageError, OSError, pl.exceptions.PolarsError):
        return None
    return _without(_rows_of(added), counted)


def _has_windows(lake: Lake) -> bool:
    opened = open_table(lake.place(TABLE))
    return opened is not None and bool(files_by_day(opened))


def _without(
    frames: Iterator[pl.DataFrame], counted: pl.DataFrame | None
) -> Iterator[pl.DataFrame]:
    for frame in frames:
        yield frame if counted is None else frame.join(counted, on="prediction_id", how="anti")


def _rows_of(pinned: Pinned) -> Iterator[pl.DataFrame]:
    for file in pinned.files:
        yield replace(pinned, files=(file,)).scan(_READ).collect()


def _replace_all(table: ServedTable, rows: pl.DataFrame, identity: str, version: int) -> None:
    """Put ``rows`` in the place of all that is there."""
    from deltalake import CommitProperties, Transaction, write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError

    properties = CommitProperties(
        custom_metadata={_STAMP: now().isoformat()},
        app_transactions=[Transaction(identity, version)],
    )
    dated = rows.with_columns(pl.col("at").dt.date().alias(DAY))
    try:
        opened = open_table(table.place)
        assert opened is not None
        write_deltalake(opened, dated, mode="overwrite", commit_properties=properties)
    except CommitFailedError as error:
        raise ConflictError(
            f"Somebody else writes to {table.place}",
            why=str(error).splitlines()[0],
            fix="Run it again; nothing is lost and nothing is counted twice",
            where=table.place,
            code="lake_conflict",
        ) from None
    except (DeltaError, OSError) as error:
        raise storage_fault(table.place, error) from None


def _merge_crowded(place: str, days: set[date], counting: _Counting) -> None:
    """Add up the parts of the hours of days that have many files; the counts stay the same."""
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import CommitFailedError, DeltaError

    opened = open_table(place)
    if opened is None:
        return
    for day, files in files_by_day(opened).items():
        if len(files) < CROWDED or date.fromisoformat(day) not in days:
            continue
        # Only the files of this version of the table are replaced: what somebody adds meanwhile
        # stays, and who merged the same files first wins.
        summed = counting.summed(read_files(place, files))
        try:
            write_deltalake(
                opened,
                summed.with_columns(pl.lit(date.fromisoformat(day)).alias(DAY)),
                mode="overwrite",
                predicate=f"{DAY} = '{day}'",
                commit_properties=CommitProperties(custom_metadata={_STAMP: "merged"}),
            )
        except CommitFailedError:
            return
        except (DeltaError, OSError) as error:
            raise storage_fault(place, error) from None
