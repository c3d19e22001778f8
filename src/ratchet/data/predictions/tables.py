"""The lake's tables of what was served: predictions, feedback and failures, by day.

They grow by appends that each name what they took from which stream of the log, in the same
commit (Delta's application transactions), so that nothing is ever taken twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from ratchet.clock import now
from ratchet.data.delta_log import open_table
from ratchet.data.predictions.segments import sync_folder
from ratchet.data.storage import is_remote, local_path, storage_fault, storage_options
from ratchet.errors import ConflictError
from ratchet.ids import token

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction

DAY: Final = "day"
_MOMENT: Final = pl.Datetime("us", "UTC")

PREDICTIONS: Final[Mapping[str, Any]] = {
    "prediction_id": pl.String(),
    "at": _MOMENT,
    "version": pl.Int64(),
    "arm": pl.String(),
    "entity": pl.String(),
    "label": pl.String(),
    "scores": pl.List(pl.Float64()),
    "features": pl.String(),
    "micros": pl.Int64(),
    "of": pl.String(),
    "request": pl.String(),
}
"""``label`` and ``features`` are JSON; ``label`` is null for a regression."""

FEEDBACK: Final[Mapping[str, Any]] = {
    "key": pl.String(),
    "at": _MOMENT,
    "label": pl.String(),
    "prediction_id": pl.String(),
    "entity": pl.String(),
    "time": _MOMENT,
    "observed": _MOMENT,
    "source": pl.String(),
}
"""``label`` is JSON; ``observed`` is never null."""

FAILURES: Final[Mapping[str, Any]] = {
    "id": pl.String(),
    "at": _MOMENT,
    "version": pl.Int64(),
    "arm": pl.String(),
    "error": pl.String(),
    "micros": pl.Int64(),
    "entity": pl.String(),
}

_TYPES: Final[Mapping[Any, Any]] = {
    pl.String(): "string",
    pl.Int64(): "long",
    _MOMENT: "timestamp",
    pl.Binary(): "binary",
    pl.List(pl.Float64()): {"type": "array", "elementType": "double", "containsNull": True},
}


@dataclass(frozen=True, slots=True)
class ServedTable:
    """One of the tables.

    Attributes:
        place: its folder or address.
        columns: all but ``day``, which is the UTC date of ``at`` and names the partition.
    """

    place: str
    columns: Mapping[str, Any]

    def taken(self, streams: Sequence[str]) -> dict[str, int]:
        """The number of the last segment that was taken of each stream; -1 for none.

        Raises StorageError.
        """
        opened = open_table(self.place)
        if opened is None:
            return dict.fromkeys(streams, -1)
        return {stream: _taken(opened, stream) for stream in streams}

    def append(
        self, rows: pl.DataFrame, last: Mapping[str, int], before: Mapping[str, int], stamp: str
    ) -> None:
        """Add rows and remember what they were taken from, in one commit that is on disk.

        Args:
            rows: with the table's columns.
            last: of each stream the number of the last segment that they were taken from.
            before: what ``taken`` said when it was decided which segments to take.
            stamp: kept in the commit.

        Raises ConflictError when somebody else took of the same streams meanwhile, and
        StorageError; then nothing was added.
        """
        from deltalake import CommitProperties, Transaction
        from deltalake.exceptions import CommitFailedError, DeltaError

        properties = CommitProperties(
            custom_metadata={"ratchet_log": stamp},
            app_transactions=[Transaction(name, number) for name, number in last.items()],
        )
        dated = rows.with_columns(pl.col("at").dt.date().alias(DAY))
        write = _append_remote if is_remote(self.place) else _append_local
        try:
            # Delta refuses what another commits to these streams from here on; what was
            # committed between the decision and now is found by looking again.
            opened = self._open(stamp)
            if any(_taken(opened, stream) != before[stream] for stream in last):
                raise self._conflict("Segments of the same streams were taken")
            write(opened, self.place, dated, properties)
        except CommitFailedError as error:
            raise self._conflict(str(error).splitlines()[0]) from None
        except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
            raise storage_fault(self.place, error) from None

    def _conflict(self, why: str) -> ConflictError:
        return ConflictError(
            f"Somebody else writes to {self.place}",
            why=why,
            fix="Run it again; nothing is lost and nothing is stored twice",
            where=self.place,
            code="lake_conflict",
        )

    def _open(self, stamp: str) -> DeltaTable:
        """The table, made where there is none, with the columns that an older Ratchet's lacks."""
        from deltalake import CommitProperties, DeltaTable

        opened = open_table(self.place)
        if opened is not None:
            known = {each.name for each in opened.schema().fields}
            missing = {name: kind for name, kind in self.columns.items() if name not in known}
            if missing:
                opened.alter.add_columns(
                    [each for each in _delta_schema(missing).fields if each.name in missing],
                    commit_properties=CommitProperties(custom_metadata={"ratchet_log": stamp}),
                )
            return opened
        return DeltaTable.create(
            self.place,
            _delta_schema(self.columns),
            mode="ignore",
            partition_by=[DAY],
            storage_options=storage_options(self.place),
        )


def _taken(table: DeltaTable, stream: str) -> int:
    number = table.transaction_version(stream)
    return -1 if number is None else int(number)


def _delta_schema(columns: Mapping[str, Any]) -> Any:
    from deltalake import Schema

    fields = [
        {"name": name, "type": _TYPES[dtype], "nullable": True, "metadata": {}}
        for name, dtype in columns.items()
    ]
    fields.append({"name": DAY, "type": "date", "nullable": True, "metadata": {}})
    return Schema.from_json(json.dumps({"type": "struct", "fields": fields}))


def _append_remote(table: DeltaTable, place: str, rows: pl.DataFrame, properties: Any) -> None:
    from deltalake import write_deltalake

    write_deltalake(table, rows, mode="append", commit_properties=properties)


def _append_local(table: DeltaTable, place: str, rows: pl.DataFrame, properties: Any) -> None:
    """The files are on the disk before the commit names them, and then the commit is."""
    folder = local_path(place)
    names: list[str] = []
    before = table.version()
    try:
        actions = [_write_day(folder, day, frame, names) for day, frame in _days(rows)]
        table.create_write_transaction(
            actions, "append", table.schema(), DAY, commit_properties=properties
        )
    except BaseException:
        for name in names:
            (folder / name).unlink(missing_ok=True)
        raise
    sync_commits(folder, before)


def _days(rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    parts = rows.partition_by(DAY, as_dict=True, include_key=False, maintain_order=True)
    return sorted((str(key[0]), frame) for key, frame in parts.items())


def _write_day(folder: Path, day: str, rows: pl.DataFrame, names: list[str]) -> AddAction:
    from deltalake.transaction import AddAction

    name = f"{DAY}={day}/{token()}.parquet"
    names.append(name)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(path, compression="zstd")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    sync_folder(path.parent)
    sync_folder(folder)
    return AddAction(
        path=name,
        size=path.stat().st_size,
        partition_values={DAY: day},
        modification_time=int(now().timestamp() * 1000),
        data_change=True,
        stats=_statistics(rows),
    )


def _statistics(rows: pl.DataFrame) -> str:
    """What a reader of the log can tell without a scan: rows, and the first and last moment."""
    at = pl.Series([rows["at"].min(), rows["at"].max()], dtype=_MOMENT)
    first, last = at.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
    return json.dumps(
        {
            "numRecords": rows.height,
            "minValues": {"at": first},
            "maxValues": {"at": last},
            "nullCount": {name: rows[name].null_count() for name in rows.columns},
        }
    )


def sync_commits(folder: Path, before: int) -> None:
    """Bring the commits after version ``before`` of a table to the disk."""
    log = folder / "_delta_log"
    for path in log.glob("*.json"):
        if path.stem.isdigit() and int(path.stem) > before:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(log)
