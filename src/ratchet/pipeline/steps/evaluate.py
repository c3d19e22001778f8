"""Measures the chosen model on the test rows, and compares it with the champion on the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.explaining import encode_all, subject_of
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.going_on import previous_of
from ratchet.pipeline.steps.opponent import DECISION, against_champion, decide_contest
from ratchet.pipeline.steps.rows import Rows
from ratchet.pipeline.steps.train import CANDIDATES, MODEL, SCORES, SHIPPED
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.evaluation.explanation import Explanation
    from ratchet.evaluation.importance import Importance
    from ratchet.evaluation.metrics import Metrics

METRICS = "metrics.json"
COMPARISON = "comparison.json"
SLICES = "slices.json"
PREDICTIONS = "predictions.parquet"
PLOTS = "plots"
POINTS = "points.json"
IMPORTANCE = "importance.json"
EXPLANATION = "explanation.json"
HELD_OUT = "candidates.json"
_IMPORTANCE_ROWS = 2_000
_EXPLAINED_ROWS = 500
_BACKGROUND_ROWS = 200


@dataclass(frozen=True, slots=True)
class _Judged:
    """The shipped model on the test rows."""

    rows: Rows
    test: pl.DataFrame
    y: np.ndarray
    scores: np.ndarray
    threshold: float | None
    metric: str


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves metrics with intervals, slices, explanation, plots, predictions, comparison."""
    from ratchet.evaluation.metrics import evaluate

    rows, trained = Rows.of(context), context.outputs["train"].facts
    test = rows.test
    judged = _Judged(
        rows=rows,
        test=test,
        y=rows.task.encode(test[rows.roles.target]),
        scores=shipped_scores(context),
        threshold=trained["threshold"]["value"] if trained["threshold"] else None,
        metric=trained["metric"],
    )
    metrics = evaluate(
        judged.y,
        judged.scores,
        task=rows.task,
        threshold=judged.threshold,
        confidence=context.settings.gates.champion.confidence,
    )
    context.write_json(METRICS, metrics.to_json())
    context.write_json(HELD_OUT, _candidate_metrics(context, judged))
    _write_predictions(context, judged)
    _write_slices(context, judged)
    _write_plots(context, judged, metrics)
    contest = against_champion(context, judged.y, judged.scores, threshold=judged.threshold)
    context.write_json(DECISION, contest.to_json())
    context.write_json(COMPARISON, told := contest.told())
    decision = decide_contest(context, contest)
    metric = judged.metric
    return {
        "metric": metric,
        "metrics": metrics.values(),
        "rows": {"test": test.height, "of": rows.count("test")},
        "said": metrics[metric].text() if metric in metrics else "",
        "against": context.champion["version"] if context.champion else None,
        "difference": told["comparison"]["difference"] if told["comparison"] else None,
        "verdict_on_champion": decision.verdict if decision else None,
    }


def shipped_scores(context: StepContext, part: str = "test") -> np.ndarray:
    """The scores (n, k) that the shipped model gave the held-out rows in training."""
    import numpy as np

    file = context.outputs["train"].file(SCORES) / f"{SHIPPED}.{part}.npy"
    scores: np.ndarray = np.load(file, allow_pickle=False)
    return scores


def _candidate_metrics(context: StepContext, judged: _Judged) -> dict[str, Any]:
    """Every candidate's metrics on the held-out rows; reported, never used to choose."""
    import numpy as np

    from ratchet.training.scoring import score_all

    rows, trained = judged.rows, context.outputs["train"]
    labels = {"test": judged.y}
    if len(validation := rows.validation):
        labels["validation"] = rows.task.encode(validation[rows.roles.target])
    found: dict[str, Any] = {}
    for position, record in enumerate(trained.json(CANDIDATES)):
        for part, codes in labels.items():
            if record["name"] == trained.facts["best"]:
                scores = shipped_scores(context, part)
            else:
                file = trained.file(SCORES) / f"{position}.{part}.npy"
                if not file.is_file():
                    continue  # there was no time for its final fit, or it is the ensemble's
                scores = np.load(file, allow_pickle=False)
            found.setdefault(record["name"], {})[part] = score_all(codes, scores)
    return found


def _write_predictions(context: StepContext, judged: _Judged) -> None:
    """The test rows' ids, labels and scores, for whoever wants to look."""
    import polars as pl

    roles, task = judged.rows.roles, judged.rows.task
    known = [roles.id] if roles.id else []
    table = judged.test.select(*known, pl.col(roles.target).alias("label"))
    names = [f"probability_{label}" for label in task.classes] or ["prediction"]
    scores = [pl.Series(name, judged.scores[:, place]) for place, name in enumerate(names)]
    table.with_columns(scores).write_parquet(context.folder / PREDICTIONS)


def _write_slices(context: StepContext, judged: _Judged) -> None:
    from ratchet.evaluation.slices import slice_metrics

    rows = judged.rows
    found = slice_metrics(
        judged.test.select(rows.roles.features(rows.schema)),
        judged.y,
        judged.scores,
        task=rows.task,
        metric=judged.metric,
        threshold=judged.threshold,
    )
    context.write_json(SLICES, [item.to_json() for item in found])


def _write_plots(context: StepContext, judged: _Judged, metrics: Metrics) -> None:
    from ratchet.evaluation.plots import plot_points, render_plots

    importance, explanation = _explain(context, judged)
    context.write_json(IMPORTANCE, [item.to_json() for item in importance])
    explained = explanation if not isinstance(explanation, str) else None
    context.write_json(
        EXPLANATION,
        {
            "explanation": explained.to_json() if explained else None,
            "problem": explanation if isinstance(explanation, str) else "",
        },
    )
    task = judged.rows.task
    points = plot_points(judged.y, judged.scores, task=task, metrics=metrics, explanation=explained)
    context.write_json(POINTS, points)
    folder = context.folder / PLOTS
    folder.mkdir()
    pages = render_plots(
        judged.y,
        judged.scores,
        task=task,
        metrics=metrics,
        importance=importance,
        explanation=explained,
    )
    for name, page in pages.items():
        (folder / f"{name}.png").write_bytes(page)


def _explain(
    context: StepContext, judged: _Judged
) -> tuple[tuple[Importance, ...], Explanation | str]:
    """How much each feature matters to the model as it will be shipped, and why rows score so."""
    from ratchet.evaluation.explain import explain_global
    from ratchet.evaluation.importance import permutation_importance
    from ratchet.evaluation.measures import Undefined
    from ratchet.packaging.composite import open_exported

    trained, rows = context.outputs["train"], judged.rows
    seed = context.settings.training.seed
    model = open_exported(trained.file(MODEL))
    typical = rows.train
    subject = subject_of(
        model,
        rows.task,
        typical.sample(min(_BACKGROUND_ROWS, typical.height), seed=seed),
        previous_of(trained).members,
    )
    sample = judged.test.with_row_index("__row").sample(
        min(_IMPORTANCE_ROWS, judged.test.height), seed=seed
    )
    X, y = encode_all(model.recipes, sample), judged.y[sample["__row"].to_numpy()]
    importance = permutation_importance(
        subject.score,
        X,
        y,
        task=rows.task,
        columns={name: list(places) for name, places in subject.groups},
    )
    found = explain_global(subject, X, sample, rows=_EXPLAINED_ROWS, seed=seed)
    return importance, found.reason if isinstance(found, Undefined) else found


def _settings(settings: ProjectSettings) -> Any:
    return settings.gates.champion.model_dump(mode="json", by_alias=True)


def _says(facts: Mapping[str, Any]) -> str:
    text = f"test {facts['metric']} {facts['said']}"
    seen = facts["rows"]
    if seen["test"] < seen["of"]:
        text += f" on {seen['test']:,} of {seen['of']:,} test rows"
    if facts["difference"] is not None:
        text += f", {facts['difference']:+.4f} against champion {facts['against']}"
    return text


STEP = Step(
    name="evaluate",
    inputs=("ingest", "split", "train"),
    settings=_settings,
    execute=execute,
    says=_says,
    uses_champion=True,
)
