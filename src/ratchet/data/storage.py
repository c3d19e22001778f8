"""Where Delta tables lie: a folder, or a bucket whose keys the environment holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ratchet.errors import StorageError

if TYPE_CHECKING:
    from deltalake import DeltaTable


def is_remote(uri: str) -> bool:
    """Whether ``uri`` is an address such as s3://bucket/prefix, not a path."""
    return "://" in uri and not uri.startswith("file://")


def local_path(uri: str) -> Path:
    """The folder of a ``uri`` that is not remote."""
    return Path(uri.removeprefix("file://"))


def storage_options(uri: str) -> dict[str, str] | None:
    """What an object store needs, from the environment (AWS_*); None for a folder."""
    if not is_remote(uri):
        return None
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def table_files(table: DeltaTable, uri: str) -> list[tuple[str, int]]:
    """Path and modification time (ms) of every data file of a table, in the log's order.

    Made from the log's relative paths: ``DeltaTable.file_uris`` gives percent-encoded
    paths, which do not open where a folder's name holds a blank.
    """
    import polars as pl

    actions = pl.DataFrame(table.get_add_actions(flatten=True))
    base = uri.rstrip("/") if is_remote(uri) else str(local_path(uri))
    return [
        (f"{base}/{unquote(path)}", changed)
        for path, changed in actions.select("path", "modification_time").iter_rows()
    ]


def storage_fault(uri: str, error: Exception) -> StorageError:
    """The StorageError for a lake that cannot be read or written."""
    said = str(getattr(error, "strerror", None) or error).splitlines()
    return StorageError(
        f"The data lake at {uri} cannot be read or written",
        why=said[0] if said else type(error).__name__,
        fix="Check that the folder may be written and the disk has room, or set storage.lake",
        where="storage.lake",
    )
