"""Writes rows as the Parquet files of a Delta table, in an order their names keep."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from ratchet.clock import now
from ratchet.data.storage import is_remote, local_path, storage_fault
from ratchet.errors import ConfigError, MissingExtraError
from ratchet.ids import token

if TYPE_CHECKING:
    from deltalake.transaction import AddAction

PART_ROWS = 1 << 19
PART_BYTES = 1 << 27
GROUP_ROWS, GROUP_BYTES = 1 << 16, 1 << 24
"""The most of a row group: a scan holds several at once, and larger ones read no faster."""


@dataclass(frozen=True, slots=True)
class Part:
    """One written file: its name in the table's folder, its size and its statistics."""

    name: str
    size: int
    stats: str

    def action(self) -> AddAction:
        """The line of the Delta log that adds the file."""
        from deltalake.transaction import AddAction

        return AddAction(
            path=self.name,
            size=self.size,
            partition_values={},
            modification_time=int(now().timestamp() * 1000),
            data_change=True,
            stats=self.stats,
        )


class PartWriter:
    """Collects batches and writes them as files of bounded size; datetimes as UTC.

    Names are ``part-<version>-<number>-<random>``: sorted by name they are in the order of
    ingestion, across versions too. Files that no commit names are never read; ``discard``
    removes them, and what a killed process leaves behind does no harm.
    """

    def __init__(self, uri: str, version: int) -> None:
        self._uri = uri
        self._version = version
        self._waiting: list[pl.DataFrame] = []
        self._parts: list[Part] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Take the next rows."""
        if not frame.height:
            return
        self._waiting.append(frame)
        rows = sum(f.height for f in self._waiting)
        if rows >= PART_ROWS or sum(f.estimated_size() for f in self._waiting) >= PART_BYTES:
            self._flush()

    def finish(self) -> tuple[Part, ...]:
        """Write what is waiting, and give all files in order."""
        if self._waiting:
            self._flush()
        return tuple(self._parts)

    def discard(self) -> None:
        """Forget everything taken so far, and remove the files written."""
        self._waiting.clear()
        for part in self._parts:
            _remove(self._uri, part.name)
        self._parts.clear()

    def _flush(self) -> None:
        frame = pl.concat(self._waiting, rechunk=False)
        frame = frame.with_columns(pl.selectors.datetime().dt.replace_time_zone("UTC"))
        name = f"part-{self._version:010d}-{len(self._parts):05d}-{token()}.parquet"
        size = _write(self._uri, name, frame)
        self._parts.append(Part(name, size, _statistics(frame)))
        self._waiting.clear()


def _write(uri: str, name: str, frame: pl.DataFrame) -> int:
    if is_remote(uri):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            size = _write_file(path, frame, uri)
            _upload(path, uri, name)
            return size
    return _write_file(local_path(uri) / name, frame, uri)


def _write_file(path: Path, frame: pl.DataFrame, uri: str) -> int:
    """Write, and wait for the disk: the commit that follows must never name a lost file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # On the way to a bucket the network is what costs; on a disk the processor is.
        compression: Literal["lz4", "uncompressed"] = "lz4" if is_remote(uri) else "uncompressed"
        bytes_per_row = max(1, int(frame.estimated_size()) // max(1, frame.height))
        rows = min(GROUP_ROWS, max(1_024, GROUP_BYTES // bytes_per_row))
        frame.write_parquet(path, compression=compression, statistics=True, row_group_size=rows)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return path.stat().st_size
    except (OSError, pl.exceptions.PolarsError) as error:
        with suppress(OSError):  # where nothing could be written, nothing is to be removed
            path.unlink()
        raise storage_fault(uri, error) from None


def _upload(path: Path, uri: str, name: str) -> None:
    bucket, key = _bucket(uri, name)
    client, faults = _s3()
    try:
        client.upload_file(str(path), bucket, key)
    except faults as error:
        raise storage_fault(uri, error) from None


def _remove(uri: str, name: str) -> None:
    if not is_remote(uri):
        (local_path(uri) / name).unlink(missing_ok=True)
        return
    bucket, key = _bucket(uri, name)
    client, faults = _s3()
    try:
        client.delete_object(Bucket=bucket, Key=key)
    except faults as error:
        raise storage_fault(uri, error) from None


def _bucket(uri: str, name: str) -> tuple[str, str]:
    if not uri.startswith("s3://"):
        raise ConfigError(
            f"The lake cannot lie at {uri}",
            why="It can be a folder or s3://bucket/prefix",
            fix="Set storage.lake to one of them",
            where="storage.lake",
            code="lake_uri",
        )
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, f"{prefix.strip('/')}/{name}".lstrip("/")


def _s3() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        boto3 = import_module("boto3")
    except ImportError:
        raise MissingExtraError.of("boto3", "s3", "A lake on S3") from None
    boto = import_module("boto3.exceptions")
    core = import_module("botocore.exceptions")
    return boto3.client("s3"), (boto.Boto3Error, core.BotoCoreError, core.ClientError)


def _statistics(frame: pl.DataFrame) -> str:
    """Rows, nulls, least and greatest values: what readers of the log ask without a scan.

    Text is left out: its extremes may be long and are rarely asked for.
    """
    columns = [
        series
        for series in frame.get_columns()
        if series.dtype.is_numeric() or series.dtype.is_temporal()
    ]
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    for series in columns:
        low, high = _json(series.min()), _json(series.max())
        if low is not None and high is not None:
            least[series.name], greatest[series.name] = low, high
    nulls = {series.name: series.null_count() for series in frame.get_columns()}
    return json.dumps(
        {
            "numRecords": frame.height,
            "minValues": least,
            "maxValues": greatest,
            "nullCount": nulls,
        }
    )


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return None
    return value
