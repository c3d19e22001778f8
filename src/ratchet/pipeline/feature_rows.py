"""Rows for the feature store and for training: pushed from a table, joined as of a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.config.durations import parse_duration
from ratchet.errors import ConfigError, UsageError
from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.schema import Kind, TableSchema
    from ratchet.data.sources.port import Source
    from ratchet.features.store.materialise import Pushed
    from ratchet.project import Project


@dataclass(frozen=True, slots=True)
class FeaturePush:
    """What was pushed.

    Attributes:
        source: where the rows came from.
        columns: what is stored of each.
        schema: the digest of these columns and their kinds.
        absent: columns that a model reads and the rows do not have; requests must bring them.
        versions: the model versions whose columns were taken; none takes every raw column.
    """

    source: str
    columns: tuple[str, ...]
    schema: str
    absent: tuple[str, ...]
    versions: tuple[int, ...]
    pushed: Pushed


@dataclass(frozen=True, slots=True)
class FeatureJoin:
    """What was joined: rows, how many of them found something, and the columns they got.

    ``left_out`` are columns of the history that the rows have themselves.
    """

    rows: int
    found: int
    added: tuple[str, ...]
    left_out: tuple[str, ...]
    out: str


def push_features(
    project: Project,
    *,
    data: Path | None = None,
    snapshot: int | None = None,
    as_of: datetime | None = None,
    progress: Callable[[Pushed], None] | None = None,
) -> FeaturePush:
    """Store the newest row of every entity, piece by piece.

    What is stored are the columns that the versions in service read; while there is none, every
    raw column that is a feature.

    Args:
        data: a file to read; without it the lake.
        snapshot: the version of the lake's table; by default the newest.
        as_of: nothing that became known later is stored.

    Raises:
        UsageError: there are no rows, or nothing names an entity or a time.
        UnreachableError, StorageError, MissingExtraError: the store.
    """
    from ratchet.data.roles import Roles
    from ratchet.features.store.materialise import materialise, missing_columns, want

    settings = project.settings.data
    versions, kinds = columns_in_service(project)
    table, source, pieces = (
        _of_lake(project, snapshot) if data is None else _of_file(project, data, kinds)
    )
    columns = tuple(kinds) if versions else Roles.of(settings).features(table)
    wanted = want(table, columns, by=settings.id, time=settings.time, as_of=as_of)
    store = project.open_features()
    try:
        ttl = project.settings.features.store.ttl
        pushed = materialise(
            pieces(wanted.columns),
            wanted,
            store,
            ttl=None if ttl is None else parse_duration(ttl),
            progress=progress,
        )
    finally:
        store.close()
    return FeaturePush(
        source=source,
        columns=wanted.schema.names,
        schema=wanted.schema.digest,
        absent=missing_columns(columns, table),
        versions=versions,
        pushed=pushed,
    )


def columns_in_service(project: Project) -> tuple[tuple[int, ...], Mapping[str, Kind]]:
    """The versions that answer or may soon, and the columns they read together."""
    from ratchet.ledger.deployments import ALIASES
    from ratchet.packaging.bundle import SIGNATURE, read_manifest
    from ratchet.packaging.contents import Contents
    from ratchet.packaging.signature import Signature

    if project.settings.storage.ledger == "sqlite" and not (project.state / "ledger.db").exists():
        return (), {}
    with project.open_ledger(create=False) as ledger:
        named = [found.version for alias in ALIASES if (found := ledger.current(alias))]
        traffic = ledger.traffic()
        if traffic is not None:
            named += [*(arm.version for arm in traffic.arms), *traffic.shadow]
        versions = [ledger.version(number) for number in dict.fromkeys(named)]
    kinds: dict[str, Kind] = {}
    for version in versions:
        bundle = read_manifest(project.state / version.bundle_path)
        signature = Signature.from_json(Contents(bundle, verify=True).json(SIGNATURE))
        for column in signature.inputs:
            kinds.setdefault(column.name, column.kind)
    return tuple(sorted(version.version for version in versions)), kinds


def join_files(
    project: Project,
    rows: Path,
    history: Path,
    out: Path,
    *,
    by: str | None = None,
    time: str | None = None,
    max_age: timedelta | None = None,
) -> FeatureJoin:
    """Write the rows of a file with what a history says was known of each at its time.

    Args:
        rows, history: CSV or Parquet files.
        out: where they go, ``.csv`` or ``.parquet``; nothing is left there after an error.
        by, time: the columns of entity and time; by default ``data.id`` and ``data.time``.
        max_age: what was older than this at a row's time is missing.

    Raises:
        UsageError: nothing names an entity or a time, or an output of another format.
        DataError: a file cannot be read, or lacks a column.
    """
    from ratchet.features.store.as_of import point_in_time

    by, time = by or project.settings.data.id, time or project.settings.data.time
    if by is None or time is None:
        option, key = ("--by", "data.id") if by is None else ("--time", "data.time")
        raise UsageError(
            "A join as of a time needs an entity and a time",
            fix=f"name the column with {option}, or set {key}",
            where=key,
        )
    if out.suffix not in (".csv", ".parquet", ".pq"):
        raise UsageError(
            f"Rows cannot be written to {out.name}", fix="end the name in .csv or .parquet"
        )
    if out.resolve() in (rows.resolve(), history.resolve()):
        raise UsageError(f"{out.name} is read itself", fix="name another file with --out")
    asked = _whole(project, rows)
    joined = point_in_time(asked, _whole(project, history), by=by, time=time, max_age=max_age)
    _write(joined.frame, out)
    return FeatureJoin(
        rows=asked.height,
        found=joined.found,
        added=tuple(joined.frame.columns[asked.width :]),
        left_out=joined.left_out,
        out=str(out),
    )


Pieces = Callable[[tuple[str, ...]], "Iterator[pl.DataFrame]"]


def _of_lake(project: Project, number: int | None) -> tuple[TableSchema, str, Pieces]:
    from ratchet.data.kept import read_rows
    from ratchet.pipeline.steps.ingest import TABLE

    lake = project.open_lake()
    found = lake.latest(TABLE) if number is None else lake.snapshot(TABLE, number)
    if found is None:
        raise UsageError(
            "There are no rows to push",
            why="the project's lake is empty",
            fix="run `ratchet run` first, or name a file with --data",
            code="no_rows",
        )
    return (
        found.schema,
        f"snapshot {found.version}",
        lambda columns: read_rows(lake.scan(found, columns)),
    )


def _of_file(
    project: Project, data: Path, kinds: Mapping[str, Kind]
) -> tuple[TableSchema, str, Pieces]:
    source = _source(project, data, kinds)
    return source.schema(), str(data), source.batches


def _whole(project: Project, data: Path) -> pl.DataFrame:
    import polars as pl

    source = _source(project, data, {})
    found = list(source.batches())
    return pl.concat(found) if found else source.schema().polars().to_frame()


def _source(project: Project, data: Path, kinds: Mapping[str, Kind]) -> Source:
    """A file, read as the project reads its own; the models' kinds win over the project's."""
    from ratchet.data.sources.open_source import open_source
    from ratchet.project import source_for_file

    settings = source_for_file(project.settings.data.source, data.resolve())
    pinned = {**project.settings.data.columns, **kinds}
    try:
        return open_source(settings, project.root, columns=pinned or None)
    except ConfigError as error:
        raise UsageError(error.what, why=error.why, fix=error.fix, code=error.name) from None


def _write(frame: pl.DataFrame, out: Path) -> None:
    partial = out.with_name(f".{out.name}.partial")
    with storing():
        try:
            if out.suffix == ".csv":
                frame.write_csv(partial)
            else:
                frame.write_parquet(partial)
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)
