"""Collecting from production for a project: what its settings mean to the table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ratchet.data.predictions.collect import Collected
    from ratchet.data.predictions.due import Rules
    from ratchet.data.schema import TableSchema
    from ratchet.data.sources.port import Source
    from ratchet.project import Project


def collect_project(
    project: Project, *, as_of: datetime | None = None, external: Sequence[Path] = ()
) -> Collected:
    """Bring the project's table ``collected`` up to what is known as of a moment.

    Args:
        as_of: no label observed later is used; now when left out.
        external: files with labelled rows from elsewhere.

    Raises:
        UsageError: a moment that cannot be, or a file that cannot be read.
        ConfigError: nobody knows the project's columns.
        DataError, ConflictError, StorageError: what collecting raises.
    """
    from ratchet.data.predictions.collect import collect

    rules = collecting_rules(project)
    sources = [_open(project, path, rules) for path in external]
    return collect(project.open_lake(), rules, as_of=as_of, external=sources)


def collecting_rules(project: Project) -> Rules:
    """What of the project's settings decides about collected rows."""
    from ratchet.config.durations import parse_duration
    from ratchet.data.predictions.due import Rules

    data, log = project.settings.data, project.settings.serving.log
    wait = data.source.wait
    return Rules(
        schema=_raw_schema(project),
        target=data.target,
        id=data.id,
        time=data.time,
        wait=timedelta(0) if wait is None else parse_duration(wait),
        unlabelled=data.source.unlabelled,
        hashed=log.hash,
        unneeded=data.exclude,
    )


def _raw_schema(project: Project) -> TableSchema:
    """The raw columns: of the table the last run read, else of the history, else as pinned."""
    from ratchet.data.roles import Roles
    from ratchet.data.schema import TableSchema
    from ratchet.data.sources.open_source import open_source

    data = project.settings.data
    latest = project.open_lake().latest("data")
    source = project.source_settings()
    if latest is not None:
        schema = latest.schema
    elif source.type == "production" and source.base is None:
        schema = TableSchema.of(data.columns)
    else:
        table = source if source.base is None else source.base.source()
        schema = open_source(
            table, project.root, columns=data.columns or None, order_by=data.id
        ).schema()
    if not len(schema):
        raise ConfigError(
            "Nobody knows the columns of this project's table",
            why="No run has read a table yet, and data.columns names none",
            fix="Train once with `ratchet run`, or write the columns and their kinds into "
            "data.columns",
            where="data.columns",
            code="schema_unknown",
        )
    pinned = TableSchema.of((c.name, data.columns.get(c.name, c.kind)) for c in schema.columns)
    Roles.of(data).require(pinned.names)
    return pinned


def _open(project: Project, path: Path, rules: Rules) -> Source:
    """The source that a file is, read as the project's own files are."""
    from ratchet.data.sources.open_source import open_source

    kinds = {column.name: column.kind for column in rules.schema.columns}
    try:
        return open_source(project.source_settings(path), project.root, columns=kinds)
    except ConfigError as error:
        raise UsageError(error.what, why=error.why, fix=error.fix, code=error.name) from None
