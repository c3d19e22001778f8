"""Brings the source's table into the lake, and pins the version the run works on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.ids import digest_of
from ratchet.pipeline.step import Step, StepContext, StepOutput

if TYPE_CHECKING:
    from ratchet.data.lake import Lake
    from ratchet.data.snapshot import Snapshot
    from ratchet.data.sources.port import Source
    from ratchet.project import Project

TABLE = "data"


def execute(context: StepContext) -> Mapping[str, Any]:
    """Facts: version, rows, digest, columns, what changed, how old the newest row is."""
    lake, pinned = context.workspace.lake, context.request.data_version
    if pinned is not None:
        snapshot = lake.snapshot(TABLE, pinned)
        change, reason, modified = "pinned", f"version {pinned}, as asked", None
    else:
        source = open_project_source(context)
        taken = lake.ingest(TABLE, source)
        snapshot, change, reason = taken.snapshot, taken.change, taken.reason
        modified = source.modified()
    return {
        "table": TABLE,
        "version": snapshot.version,
        "rows": snapshot.rows,
        "digest": snapshot.digest,
        "columns": snapshot.schema.to_json(),
        "change": change,
        "reason": reason,
        "modified": modified.isoformat() if modified is not None else None,
        "newest": _newest(context.project, lake, snapshot),
    }


def open_project_source(context: StepContext) -> Source:
    """The configured source, or the file the request names."""
    from ratchet.data.sources.open_source import open_source

    project = context.project
    data = project.settings.data
    return open_source(
        project.source_settings(context.request.data),
        project.root,
        columns=data.columns or None,
        order_by=data.id,
    )


def pinned_snapshot(context: StepContext) -> Snapshot:
    """The table version this run works on."""
    facts = context.outputs[STEP.name].facts
    return context.workspace.lake.snapshot(facts["table"], facts["version"])


def _newest(project: Project, lake: Lake, snapshot: Snapshot) -> str | None:
    """The newest time in the table, as ISO text, where a column says when."""
    column = project.settings.data.time
    if column is None or column not in snapshot.schema:
        return None
    value = lake.scan(snapshot, [column]).max().collect().item()
    return value.isoformat() if hasattr(value, "isoformat") else None


def content_digest(output: StepOutput) -> str:
    """What later steps depend on: the rows, wherever they came from and whatever their version."""
    return digest_of({"digest": output.facts["digest"], "columns": output.facts["columns"]})


def _says(facts: Mapping[str, Any]) -> str:
    return f"version {facts['version']}, {facts['rows']:,} rows ({facts['change']})"


STEP = Step(
    name="ingest",
    inputs=(),
    settings=lambda settings: None,
    execute=execute,
    says=_says,
    reusable=False,
    stands_for=content_digest,
)
