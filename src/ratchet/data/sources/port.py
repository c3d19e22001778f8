"""The port every source stands behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import polars as pl

from ratchet.data.schema import TableSchema


class Source(Protocol):
    """A table that can be read, once or again, always in the same order.

    What every adapter promises:

    - Frames have canonical types only, NaN is null, and names are unique.
    - The same content gives the same rows in the same order, so equal content has an
      equal digest.
    - A value that does not fit a pinned kind is a DataError (``type_mismatch``), never a
      silent null. No error of a library and no password leaves the adapter.
    - When the content changes while it is read, reading ends with a ConflictError.
    """

    def describe(self) -> str:
        """The source in a few words, without secrets: a path, or a host and a table."""
        ...

    def modified(self) -> datetime | None:
        """When the newest file was written, UTC; None where nobody can tell."""
        ...

    def fingerprint(self) -> str | None:
        """A digest of the raw bytes and of how they are read, cheaper than reading.

        Equal fingerprints mean equal rows. None where only the content tells.
        """
        ...

    def schema(self) -> TableSchema:
        """The columns and their kinds."""
        ...

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows, in order, in frames of bounded size; only ``columns`` when given."""
        ...
