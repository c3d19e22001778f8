"""Judges the packaged model by every gate; all are reported, passed or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.evaluate import COMPARISON, METRICS, candidate_scores
from ratchet.pipeline.steps.package import BUNDLE
from ratchet.pipeline.steps.rows import Rows
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.gates.budget import Cost
    from ratchet.gates.report import GateResult
    from ratchet.packaging.model import Model

REPORT = "gates.json"
HOLDOUT_USED = "holdout_used"
_LATENCY_ROWS = 50
_SKETCH = 256
_SAME_ROWS = 0.5


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
        _opponent(context, test),
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
            scores, labels = predictions.probabilities, predictions.labels
    expected = candidate_scores(context, context.outputs["train"].facts["best"])
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


def _opponent(context: StepContext, test: pl.DataFrame) -> Any:
    """The champion and the comparison with it, and how often these rows decided before."""
    from ratchet.evaluation.compare import Comparison
    from ratchet.gates.champion import Opponent

    if context.champion is None:
        return Opponent(None)
    found = context.outputs["evaluate"].json(COMPARISON)
    comparison = Comparison.from_json(found["comparison"]) if found["comparison"] else None
    use = 1
    if comparison is not None:
        use = _count_use(context, test)
    return Opponent(str(context.champion["version"]), comparison, found["problem"], use)


def _count_use(context: StepContext, test: pl.DataFrame) -> int:
    """Which decision on these test rows this is; noted in the ledger before it is made.

    A few more rows do not make a new test set: an earlier decision counts when at least half of
    the rows are the same, as told by the smallest hashes of both.
    """
    rows = sketch(test, Rows.of(context).roles.id)
    events = context.ledger.events(kind=HOLDOUT_USED)
    if all(event.run_id != context.run_id for event in events):
        context.ledger.record(HOLDOUT_USED, {"sketch": rows}, run_id=context.run_id)
    earlier = 0
    for event in events:
        if event.run_id == context.run_id:
            break
        earlier += resemblance(rows, event.facts.get("sketch", [])) >= _SAME_ROWS
    return earlier + 1


def sketch(test: pl.DataFrame, id_column: str | None) -> list[str]:
    """The smallest hashes of the rows: a sample that two tables with the same rows share.

    Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
    """
    import numpy as np

    from ratchet.data.hashing import row_hash

    known = test.select(id_column) if id_column is not None else test
    hashes = np.unique(row_hash(known, 0))[:_SKETCH]
    return [f"{value:016x}" for value in hashes.tolist()]


def resemblance(one: list[str], other: list[str]) -> float:
    """The share of common rows among the rows of both tables, from their sketches."""
    size = min(len(one), len(other), _SKETCH)
    union = sorted({*one, *other})[:size]
    both = set(one) & set(other)
    return sum(value in both for value in union) / size if size else 0.0


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
