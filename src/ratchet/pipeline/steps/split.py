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
    from ratchet.data.split import assign
    from ratchet.data.split_report import report_split
    from ratchet.data.task import infer_task
    from ratchet.pipeline.steps.ingest import pinned_snapshot

    data = context.settings.data
    roles = Roles.of(data)
    kept = context.workspace.table(pinned_snapshot(context))
    task = infer_task(kept.frame[data.target], data)
    parts = assign(kept.frame, roles, data.split, task)
    report = report_split(kept.frame, parts, roles, data.split, task)
    np.save(context.folder / PARTS, parts.to_numpy(), allow_pickle=False)
    key = row_key(roles, report.method, kept.frame.columns)
    remember_seen(context.folder, kept.frame, parts, key)
    overlap = check_overlap(kept.frame.lazy(), parts, roles=roles, settings=context.settings.checks)
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
        "row_key": list(key),
        **report.to_json(),
    }


def _settings(settings: ProjectSettings) -> Any:
    values = settings.data.model_dump(mode="json", by_alias=True)
    values.pop("source")
    return {"data": values, "overlap": settings.checks.overlap.model_dump(mode="json")}


def _says(facts: Mapping[str, Any]) -> str:
    counts = facts["rows"]
    parts = [f"{counts[name]:,} {name}" for name in ("train", "validation", "test") if counts[name]]
    dropped = facts["duplicates"]
    return (
        ", ".join(parts)
        + f" rows by {facts['method']}"
        + (f", {dropped:,} duplicates dropped" if dropped else "")
    )


STEP = Step(
    name="split",
    inputs=("ingest",),
    settings=_settings,
    execute=execute,
    says=_says,
    stops=True,
)
