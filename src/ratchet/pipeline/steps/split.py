"""Cuts the table into training, validation and test rows, once, for every later step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.holdout import remember_seen, row_key
from ratchet.pipeline.steps.rows import PARTS
from ratchet.project import ProjectSettings


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves one part number a row; facts: the classes, counts, method and boundaries."""
    import numpy as np

    from ratchet.checks.duplicates import check_overlap
    from ratchet.data.roles import Roles
    from ratchet.data.split import assign_rows
    from ratchet.data.split_report import report_split
    from ratchet.data.task import infer_task
    from ratchet.pipeline.steps.ingest import pinned_snapshot

    data, workspace = context.settings.data, context.workspace
    roles = Roles.of(data)
    snapshot = pinned_snapshot(context)
    kept = workspace.table(snapshot)
    known = kept.select([name for name in (data.target, data.time) if name in kept.columns])
    target = known.get_column(data.target)
    task = infer_task(target, data)
    parts = assign_rows(kept, target, roles, data.split, task)
    report = report_split(known, parts, roles, data.split, task)
    del known, target
    codes = parts.to_numpy()
    np.save(context.folder / PARTS, kept.spread(codes), allow_pickle=False)
    key = row_key(roles, report.method, kept.columns)
    remember_seen(context.folder, kept.chunks(key), parts, key)
    frame, aligned = kept.aligned(codes)
    overlap = check_overlap(frame, aligned, roles=roles, settings=context.settings.checks)
    failed = overlap is not None and not overlap.passed and overlap.severity == "error"
    return {
        "task": task.to_json(),
        "overlap": overlap.to_json() if overlap is not None else None,
        "verdict": {
            "passed": not failed,
            "reason": f"the check overlap failed: {overlap.message}" if overlap and failed else "",
        },
        "duplicates": kept.duplicates,
        "left_out": kept.left_out,
        # What training and evaluation see at once of each part; null for all rows.
        "held": workspace.most_held(snapshot),
        "row_key": list(key),
        **report.to_json(),
    }


def _settings(settings: ProjectSettings) -> Any:
    values = settings.data.model_dump(mode="json", by_alias=True)
    values.pop("source")
    return {
        "data": values,
        "overlap": settings.checks.overlap.model_dump(mode="json"),
        "memory": settings.training.memory,
    }


def _says(facts: Mapping[str, Any]) -> str:
    counts = facts["rows"]
    parts = [f"{counts[name]:,} {name}" for name in ("train", "validation", "test") if counts[name]]
    dropped = facts["duplicates"]
    return (
        ", ".join(parts)
        + f" rows by {facts['method']}"
        + (f", {dropped:,} duplicates dropped" if dropped else "")
        + (", more than memory holds" if facts["held"] else "")
        # With those of the table it is the number of checks that a run tells.
        + (", 1 check of the split" if facts["overlap"] is not None else "")
    )


STEP = Step(
    name="split",
    inputs=("ingest",),
    settings=_settings,
    execute=execute,
    says=_says,
    stops=True,
)
