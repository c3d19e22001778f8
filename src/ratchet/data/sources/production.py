"""What production collected as a source, after the history it began with.

The rows of another source come first, then those of the newest version of the table
``collected``: served rows whose labels came back. A collected row that is added later is
at the end, so a grown table is seen as appended to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import polars as pl

from ratchet.data.alignment import align, merge_schemas
from ratchet.data.collected import TABLE, without_origin
from ratchet.data.delta_log import open_table, read_snapshot
from ratchet.data.kept import read_rows
from ratchet.data.schema import Kind, TableSchema
from ratchet.data.snapshot import Snapshot
from ratchet.data.sources.port import Source
from ratchet.data.storage import is_remote
from ratchet.data.stored import scan_version
from ratchet.errors import DataError
from ratchet.ids import digest_of

_READER = 1  # counted up when the same rows are read into other values


class ProductionSource:
    """The version of the collected rows that was newest when the source was opened.

    Args:
        lake: a folder or an address.
        base: the source whose rows come first; it says which columns there are.
        columns: pinned kinds by column.
    """

    def __init__(self, lake: str, base: Source | None, columns: Mapping[str, Kind] | None) -> None:
        self._place = f"{lake.rstrip('/') if is_remote(lake) else lake}/{TABLE}"
        self._base = base
        self._pinned = dict(columns or {})
        opened = open_table(self._place)
        self._collected: Snapshot | None = (
            None if opened is None else read_snapshot(TABLE, self._place, opened.version())
        )

    def describe(self) -> str:
        """The table before, if there is one, and how many rows were collected."""
        rows = 0 if self._collected is None else self._collected.rows
        said = f"production ({rows:,} collected)"
        return said if self._base is None else f"{self._base.describe()} + {said}"

    def modified(self) -> datetime | None:
        """When the newest of them was written, UTC; None where nobody can tell."""
        known = [None if self._base is None else self._base.modified()]
        known.append(None if self._collected is None else self._collected.created)
        return max((moment for moment in known if moment is not None), default=None)

    def fingerprint(self) -> str | None:
        """The digests of both; None where that of the table before is not known unread."""
        base = None if self._base is None else self._base.fingerprint()
        if self._base is not None and base is None:
            return None
        collected = None if self._collected is None else self._collected.digest
        return digest_of(
            {
                "production": _READER,
                "base": base,
                "collected": collected,
                "columns": list(self._pinned.items()),
            }
        )

    def schema(self) -> TableSchema:
        """The columns of the table before, in kinds that hold the collected values too."""
        if self._base is None:
            return self._with_pinned(without_origin(self._rows_there().schema))
        schema = self._base.schema()
        if self._collected is not None:
            own = without_origin(self._collected.schema)
            schema = merge_schemas(schema, own, extend=False)
        return self._with_pinned(schema)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of the table before, then the collected ones from the first on."""
        schema = self.schema()
        for batch in self._frames(schema):
            yield batch if columns is None else batch.select(columns)

    def _frames(self, schema: TableSchema) -> Iterator[pl.DataFrame]:
        start = 0
        if self._base is not None:
            for batch in self._base.batches():
                yield align(batch, schema, start=start, where=self._base.describe())
                start += batch.height
        if self._collected is None or not self._collected.rows:
            return
        start = 0
        for batch in read_rows(scan_version(self._place, self._collected)):
            yield align(batch, schema, start=start, where=f"the table {TABLE}")
            start += batch.height

    def _rows_there(self) -> Snapshot:
        if self._collected is None or not self._collected.rows:
            raise DataError(
                "Nothing was collected from production yet",
                why=f'The lake has no rows in the table "{TABLE}", and there is no table before it',
                fix="Collect labelled predictions with `ratchet data collect`, or name the "
                "history to begin with in data.source.base",
                where="data.source",
                code="no_rows",
            )
        return self._collected

    def _with_pinned(self, schema: TableSchema) -> TableSchema:
        return TableSchema.of((c.name, self._pinned.get(c.name, c.kind)) for c in schema.columns)
