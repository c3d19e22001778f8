"""Decides what a source's rows mean for a table: nothing new, rows added, or all new."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

import polars as pl

from ratchet.data.digest import ContentDigest
from ratchet.data.parts import PartWriter
from ratchet.data.schema import TableSchema
from ratchet.data.snapshot import Change, Snapshot
from ratchet.data.sources.port import Source
from ratchet.data.storage import is_remote, local_path, storage_fault
from ratchet.errors import DataError
from ratchet.ids import token

_SEEN = "_ratchet_seen.json"


@dataclass(frozen=True, slots=True)
class Intake:
    """A source read to its end: its content, and whether it begins with the rows there were."""

    rows: int
    digest: str
    schema: TableSchema
    grown: bool


def take_in(source: Source, latest: Snapshot | None, writer: PartWriter) -> Intake:
    """Digest and write all rows of a source, one batch at a time.

    When the first rows turn out to be all the rows of ``latest``, what was written of them
    is dropped, and only the rows after them are kept.

    Raises DataError ``no_rows`` or ``duplicate_header``, and what the source raises.
    """
    digest: ContentDigest | None = None
    mark, grown = -1, False
    for batch in source.batches():
        if digest is None:
            schema = TableSchema.from_polars(batch.schema)
            _require_storable(schema, source)
            digest = ContentDigest(schema)
            mark = latest.rows if latest is not None and latest.schema == schema else -1
        cut = mark - digest.rows
        if 0 < cut <= batch.height:
            _take(batch.head(cut), digest, writer)
            grown = latest is not None and digest.hexdigest() == latest.digest
            if grown:
                writer.discard()
            batch = batch.slice(cut)
        _take(batch, digest, writer)
    if digest is None or not digest.rows:
        raise DataError(
            f"The source holds no rows: {source.describe()}",
            fix="Check what fills it",
            where="data.source",
            code="no_rows",
        )
    return Intake(digest.rows, digest.hexdigest(), digest.schema, grown)


def judge(latest: Snapshot | None, intake: Intake) -> tuple[Change, str]:
    """What the next version does to the table, and why."""
    if latest is None:
        return "created", f"first ingest: {intake.rows} rows"
    if intake.digest == latest.digest:
        return "unchanged", "the source was written anew with equal content"
    if intake.grown:
        return "appended", f"{intake.rows - latest.rows} rows were added at the end"
    changes = intake.schema.changes_from(latest.schema)
    if changes:
        return "replaced", "; ".join(changes)
    if intake.rows < latest.rows:
        return "replaced", f"{latest.rows - intake.rows} rows fewer than before"
    return "replaced", "rows that were there before have changed"


def remember_seen(place: str, latest: Snapshot, fingerprint: str | None) -> None:
    """Keep the fingerprint of a source that was written anew with equal content.

    It lies beside the log, because it is no new version. It only saves reading the rows
    the next time, so a remote lake goes without.
    """
    if fingerprint is None or is_remote(place):
        return
    path = local_path(place) / _SEEN
    draft = path.with_name(f"{_SEEN}.{token()}.tmp")
    try:
        draft.write_text(json.dumps({"version": latest.version, "fingerprint": fingerprint}))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise storage_fault(place, error) from None


def was_seen(place: str, latest: Snapshot, fingerprint: str | None) -> bool:
    """Whether a source with this fingerprint is known to hold the rows of ``latest``."""
    if fingerprint is None:
        return False
    if fingerprint == latest.fingerprint:
        return True
    if is_remote(place):
        return False
    try:
        seen = json.loads((local_path(place) / _SEEN).read_text())
    except (FileNotFoundError, ValueError):
        return False
    except OSError as error:
        raise storage_fault(place, error) from None
    return bool(seen == {"version": latest.version, "fingerprint": fingerprint})


def _take(frame: pl.DataFrame, digest: ContentDigest, writer: PartWriter) -> None:
    digest.update(frame)
    writer.add(frame)


def _require_storable(schema: TableSchema, source: Source) -> None:
    """Delta tells names apart without looking at case."""
    counts = Counter(name.lower() for name in schema.names)
    same = [name for name in schema.names if counts[name.lower()] > 1]
    if same:
        raise DataError(
            f"The columns {', '.join(same[:4])} differ only in upper and lower case",
            why="The lake cannot tell them apart",
            fix="Rename one of them in the source",
            where=source.describe(),
            code="duplicate_header",
        )
