"""How many rows have come since the last training: from logs and footers, not from rows.

A Delta table and what production collected say it in their logs, Parquet files in their footers;
of plain CSV files the line breaks are counted, and only when the files changed.
"""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError
from ratchet.triggers.facts import Arrivals

if TYPE_CHECKING:
    from ratchet.data.lake import Lake
    from ratchet.data.settings import SourceSettings
    from ratchet.ledger.reader import LedgerReader
    from ratchet.ledger.triggers import RunHead
    from ratchet.project import Project

_PIECE = 1 << 20


def look(project: Project, ledger: LedgerReader) -> Arrivals:
    """What has come to the project's source.

    Raises:
        ConfigError, DataError, UnreachableError: the source is not there or cannot be read.
    """
    from ratchet.data.intake import was_seen
    from ratchet.data.sources.open_source import open_source

    data, settings = project.settings.data, project.source_settings()
    source = open_source(settings, project.root, columns=data.columns or None, order_by=data.id)
    lake = project.open_lake()
    latest = lake.latest("data")
    told = source.fingerprint()
    changed = latest is None or not was_seen(lake.place("data"), latest, told)
    fingerprint, shown = told or "", source.describe()
    trained = _trained(ledger)
    if trained is None or latest is None:
        return Arrivals(None, None, changed, fingerprint, shown)
    then = _rows_then(ledger, trained)
    if settings.type == "production":
        came = _collected_since(lake, trained.started)
        return Arrivals(None if then is None else then + came, came, changed, fingerprint, shown)
    rows = count_rows(settings, project.root) if changed else latest.rows
    new = None if rows is None or then is None else max(0, rows - then)
    return Arrivals(rows, new, changed, fingerprint, shown)


def count_rows(source: SourceSettings, root: Path) -> int | None:
    """The rows of a source, where they can be had without reading them; else None.

    Of CSV files lines are counted, so a line break inside a quoted field counts as a row.
    """
    if source.type == "delta" and source.path is not None:
        return _delta_rows(source.path, root)
    if source.type not in ("csv", "parquet") or source.path is None:
        return None
    from ratchet.data.sources.files import find_files

    paths = find_files(source.path, root, source.type).paths
    if source.type == "parquet":
        return sum(_parquet_rows(path) for path in paths)
    return sum(_lines(path) - int(source.header) for path in paths)


def _trained(ledger: LedgerReader) -> RunHead | None:
    from ratchet.ledger.triggers import list_heads, newest_training

    with ledger.database.read() as connection:
        return newest_training(connection, ledger.project, list_heads(connection, ledger.project))


def _rows_then(ledger: LedgerReader, trained: RunHead) -> int | None:
    snapshot: dict[str, Any] = ledger.get_run(trained.run_id).summary.get("snapshot") or {}
    return snapshot.get("rows")


def _collected_since(lake: Lake, since: datetime) -> int:
    from ratchet.data.collected import TABLE

    history = lake.history(TABLE)
    if not history:
        return 0
    before = [snapshot.rows for snapshot in history if snapshot.created <= since]
    return max(0, history[-1].rows - (before[-1] if before else 0))


def _delta_rows(path: str, root: Path) -> int | None:
    from ratchet.data.delta_log import open_table
    from ratchet.data.storage import is_remote

    table = open_table(path if is_remote(path) else str(root / Path(path).expanduser()))
    if table is None:
        return None
    counts: list[int | None] = table.get_add_actions(flatten=True)["num_records"].to_pylist()
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _parquet_rows(path: Path) -> int:
    import polars as pl

    try:
        return int(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from None


def _lines(path: Path) -> int:
    opened = gzip.open if path.suffix == ".gz" else Path.open
    count, last = 0, b"\n"
    try:
        with opened(path, "rb") as file:
            while piece := file.read(_PIECE):
                count += piece.count(b"\n")
                last = piece[-1:]
    except OSError as error:
        raise _unreadable(path, error) from None
    return count + (last != b"\n")


def _unreadable(path: Path, error: Exception) -> DataError:
    said = str(error).splitlines()
    return DataError(
        f"{path.name} cannot be read",
        why=said[0] if said else type(error).__name__,
        fix="Check what writes it",
        where="data.source.path",
    )
