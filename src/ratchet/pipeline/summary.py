"""What the steps left, put together as the facts of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratchet.pipeline.step import StepOutput
from ratchet.pipeline.steps import evaluate, gate, train, validate


def summarise(outputs: Mapping[str, StepOutput]) -> dict[str, Any]:
    """The fields of a ``Run`` that come from its steps' outputs, as far as it got."""
    fields: dict[str, Any] = {}
    if "ingest" in outputs:
        facts = outputs["ingest"].facts
        fields["snapshot"] = {
            name: facts[name] for name in ("table", "version", "rows", "digest", "change", "reason")
        }
    if "validate" in outputs:
        fields["checks"] = _checks(outputs)
    if "train" in outputs and "best" in outputs["train"].facts:
        fields["best"] = outputs["train"].facts["best"]
        fields["metric"] = outputs["train"].facts["metric"]
        fields["candidates"] = tuple(_candidates(outputs))
        fields["notes"] = tuple(outputs["train"].facts["notes"])
        fields["window"] = outputs["train"].facts["window"]
    if "evaluate" in outputs:
        fields["metrics"] = outputs["evaluate"].facts["metrics"]
        fields["comparison"] = outputs["evaluate"].json(evaluate.COMPARISON)["comparison"]
    if "gate" in outputs:
        fields["gates"] = tuple(outputs["gate"].json(gate.REPORT)["results"])
    if "register" in outputs:
        fields["model"] = outputs["register"].facts["model"]
    return fields


def _checks(outputs: Mapping[str, StepOutput]) -> dict[str, Any]:
    """The report of the checks, with the one that can only be made after the split."""
    report: dict[str, Any] = outputs["validate"].json(validate.REPORT)
    overlap = outputs["split"].facts["overlap"] if "split" in outputs else None
    if overlap is not None:
        report["results"].append(overlap)
        if not overlap["passed"]:
            report["errors" if overlap["severity"] == "error" else "warnings"] += 1
        report["passed"] = report["errors"] == 0
    return report


def _candidates(outputs: Mapping[str, StepOutput]) -> list[dict[str, Any]]:
    seconds = outputs["train"].json(train.TIMING)
    held_out = outputs["evaluate"].json(evaluate.HELD_OUT) if "evaluate" in outputs else {}
    return [
        {
            **record,
            "test": held_out.get(record["name"], {}).get("test", {}),
            "seconds": round(seconds[record["name"]], 3),
        }
        for record in outputs["train"].json(train.CANDIDATES)
    ]
