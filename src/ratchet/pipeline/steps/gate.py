"""Judges the packaged model by every gate; all are reported, passed or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError
from ratchet.pipeline.bundles import BUNDLE
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.evaluate import METRICS, shipped_scores
from ratchet.pipeline.steps.opponent import DECISION, Contest, record_decision
from ratchet.pipeline.steps.rows import Rows
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.gates.budget import Cost
    from ratchet.gates.champion import Opponent
    from ratchet.gates.report import GateResult
    from ratchet.packaging.model import Model

REPORT = "gates.json"
_LATENCY_ROWS = 50


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves the gate report; its verdict decides whether a version is registered."""
    from ratchet.evaluation.metrics import Metrics
    from ratchet.gates.judge import judge_model

    evaluated = context.outputs["evaluate"]
    rows = Rows.of(context)
    test = rows.test
    model, artifacts = _judge_bundle(context, test)
    report = judge_model(
        Metrics.from_json(evaluated.json(METRICS)),
        _opponent(context),
        artifacts,
        _cost(context, model, test),
        context.settings.gates,
        where=context.project.origins.of,
    )
    context.write_json(REPORT, report.to_json())
    reason = report.summary()
    return {
        "gates": len(report.results),
        "failed": len(report.failed),
        "verdict": {"passed": report.passed, "reason": reason},
    }


def _judge_bundle(
    context: StepContext, test: pl.DataFrame
) -> tuple[Model | None, list[GateResult]]:
    """Whole, loads, predicts what a prediction must be, and scores as training did."""
    from ratchet.gates.artifacts import judge_files, judge_load, judge_predictions
    from ratchet.gates.parity import judge_parity
    from ratchet.packaging.bundle import read_manifest
    from ratchet.packaging.model import Model

    folder = context.outputs["package"].file(BUNDLE)
    files = {name: entry.sha256 for name, entry in read_manifest(folder).files.items()}
    loads, model = judge_load(lambda: Model.load(folder))
    scores: np.ndarray | None = None
    labels: list[Any] = []
    problem = "" if model is not None else "the bundle does not load"
    if model is not None:
        try:
            predictions = model.predict(test)
        except RatchetError as error:
            problem = str(error)
        else:
            scores, labels = predictions.scores, predictions.labels
    expected = shipped_scores(context)
    tolerance = context.settings.gates.parity_tolerance
    classes = Rows.of(context).task.classes
    return model, [
        judge_files(folder, files),
        loads,
        judge_predictions(scores, labels, rows=test.height, classes=classes, problem=problem),
        judge_parity(
            expected, scores, tolerance, problem=problem, where=context.project.origins.of
        ),
    ]


def _opponent(context: StepContext) -> Opponent:
    """The champion and the comparison with it; what that proves goes into the ledger."""
    from ratchet.gates.champion import Opponent

    if context.champion is None:
        return Opponent(None)
    contest = Contest.from_json(context.outputs["evaluate"].json(DECISION))
    record_decision(context, contest)
    version = str(context.champion["version"])
    return Opponent(version, contest.comparison, contest.problem, contest.use, contest.note)


def _cost(context: StepContext, model: Model | None, test: pl.DataFrame) -> Cost:
    from ratchet.gates.budget import Cost, measure_latency, measure_size
    from ratchet.packaging.measure import measure_memory

    folder = context.outputs["package"].file(BUNDLE)
    size = measure_size(folder)
    if model is None:
        return Cost(size=size, problem="the bundle does not load")
    records = test.head(_LATENCY_ROWS).to_dicts()
    turn = iter(range(1 << 62))
    latency = measure_latency(lambda: model.score_one(records[next(turn) % len(records)]))
    if context.settings.gates.budget.memory is None:
        return Cost(latency, size)
    try:
        return Cost(latency, size, measure_memory(folder).peak)
    except RatchetError as error:
        return Cost(latency, size, problem=str(error))


def _settings(settings: ProjectSettings) -> Any:
    return settings.gates.model_dump(mode="json", by_alias=True)


def _says(facts: Mapping[str, Any]) -> str:
    return str(facts["verdict"]["reason"])


STEP = Step(
    name="gate",
    inputs=("ingest", "split", "train", "evaluate", "package"),
    settings=_settings,
    execute=execute,
    says=_says,
    uses_champion=True,
)
