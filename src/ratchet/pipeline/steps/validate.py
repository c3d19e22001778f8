"""Runs every check on the pinned table. A failed check of severity ``error`` ends the run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ratchet import clock
from ratchet.pipeline.checking import check_table, last_good_schema
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.ingest import pinned_snapshot

REPORT = "checks.json"


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves the check report; its verdict decides whether training may start."""
    snapshot = pinned_snapshot(context)
    modified = context.outputs["ingest"].facts["modified"]
    report = check_table(
        context.project,
        context.workspace.rows(snapshot),
        expected=last_good_schema(context.project, context.ledger),
        modified=datetime.fromisoformat(modified) if modified else None,
        now=clock.now(),
    )
    context.write_json(REPORT, report.to_json())
    errors, warnings = len(report.errors), len(report.warnings)
    reason = "all checks passed"
    if errors:
        first = report.errors[0]
        more = f" ({errors - 1} more failed)" if errors > 1 else ""
        reason = f"the check {first.name} failed: {first.message}{more}"
    return {
        "checks": len(report.results),
        "errors": errors,
        "warnings": warnings,
        "verdict": {"passed": report.passed, "reason": reason},
    }


def _says(facts: Mapping[str, Any]) -> str:
    if facts["errors"]:
        return str(facts["verdict"]["reason"])
    count = facts["warnings"]
    warned = f", {count} warning{'s' if count > 1 else ''}" if count else ""
    return f"{facts['checks']} checks of the table{warned}"


STEP = Step(
    name="validate",
    inputs=("ingest",),
    settings=lambda settings: settings.checks.model_dump(mode="json", by_alias=True),
    execute=execute,
    says=_says,
    # Ages change while data does not, so it is never answered from an earlier run.
    reusable=False,
    stops=True,
)
