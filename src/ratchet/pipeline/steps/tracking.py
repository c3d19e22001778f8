"""A run as MLflow is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet import clock
from ratchet.pipeline.steps import evaluate, train

if TYPE_CHECKING:
    from ratchet.pipeline.step import StepContext
    from ratchet.registry.runs import CandidateLog, RunLog


def run_log(context: StepContext, outcome: str, reason: str) -> RunLog:
    """The pipeline's run with its parameters, metrics and nested candidates."""
    from ratchet.registry.runs import RunLog

    outputs = context.outputs
    ingest, trained, split = (outputs[name].facts for name in ("ingest", "train", "split"))
    started = context.ledger.get_run(context.run_id).started
    return RunLog(
        run_id=context.run_id,
        started=started,
        ended=clock.now(),
        params={
            "best": trained["best"],
            "metric": trained["metric"],
            "snapshot_version": ingest["version"],
            "snapshot_digest": ingest["digest"],
            "rows": ingest["rows"],
            "split": split["method"],
            **{f"rows_{name}": count for name, count in split["rows"].items()},
        },
        metrics=_metrics("test", outputs["evaluate"].facts["metrics"]),
        tags={
            "ratchet.outcome": outcome,
            "ratchet.reason": reason,
            "ratchet.project": context.project.name,
        },
        candidates=tuple(_candidates(context)),
    )


def _candidates(context: StepContext) -> list[CandidateLog]:
    from ratchet.registry.runs import CandidateLog

    trained = context.outputs["train"]
    held_out = context.outputs["evaluate"].json(evaluate.HELD_OUT)
    best = trained.facts["best"]
    logs = []
    for record in trained.json(train.CANDIDATES):
        metrics = {f"cv_{name}": mean for name, (mean, _) in record["cv"].items()}
        metrics |= {f"cv_{name}_std": std for name, (_, std) in record["cv"].items()}
        for part, values in held_out.get(record["name"], {}).items():
            metrics |= _metrics(part, values)
        logs.append(
            CandidateLog(
                name=record["name"],
                params={"algorithm": record["algorithm"], **record["params"]},
                metrics=metrics,
                tags={
                    "ratchet.best": str(record["name"] == best).lower(),
                    **({"ratchet.error": record["error"]} if record["error"] else {}),
                },
                failed=record["status"] == "failed",
            )
        )
    return logs


def _metrics(part: str, values: Mapping[str, Any]) -> dict[str, float | None]:
    return {f"{part}_{name}": value for name, value in values.items()}
