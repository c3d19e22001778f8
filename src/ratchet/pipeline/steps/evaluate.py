"""Measures the chosen model on the test rows, and compares it with the champion on the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.rows import Rows
from ratchet.pipeline.steps.train import CANDIDATES, MODEL, RECIPE, SCORES
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.evaluation.compare import Comparison
    from ratchet.evaluation.importance import Importance
    from ratchet.evaluation.metrics import Metrics

METRICS = "metrics.json"
COMPARISON = "comparison.json"
SLICES = "slices.json"
PREDICTIONS = "predictions.parquet"
PLOTS = "plots"
IMPORTANCE = "importance.json"
HELD_OUT = "candidates.json"
_IMPORTANCE_ROWS = 2_000


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves metrics with intervals, slices, plots, predictions and the comparison."""
    from ratchet.evaluation.metrics import evaluate

    rows = Rows.of(context)
    test = rows.test
    y = rows.task.encode(test[rows.roles.target])
    best = context.outputs["train"].facts["best"]
    proba = candidate_scores(context, best)
    metrics = evaluate(
        y, proba, task=rows.task, confidence=context.settings.gates.champion.confidence
    )
    context.write_json(METRICS, metrics.to_json())
    context.write_json(HELD_OUT, _candidate_metrics(context, y))
    _write_predictions(context, rows, test, proba)
    _write_slices(context, rows, test, y, proba)
    _write_plots(context, rows, test, y, proba, metrics)
    comparison, problem = _against_champion(context, rows, test, y, proba)
    context.write_json(
        COMPARISON,
        {"comparison": comparison.to_json() if comparison else None, "problem": problem},
    )
    metric = context.outputs["train"].facts["metric"]
    return {
        "metric": metric,
        "metrics": metrics.values(),
        "said": metrics[metric].text() if metric in metrics else "",
        "against": context.champion["version"] if context.champion else None,
        "difference": comparison.difference if comparison else None,
        "verdict_on_champion": comparison.verdict if comparison else None,
    }


def candidate_scores(context: StepContext, name: str, part: str = "test") -> np.ndarray:
    """The scores (n, k) a candidate gave the held-out rows in training."""
    import numpy as np

    trained = context.outputs["train"]
    names = [record["name"] for record in trained.json(CANDIDATES)]
    file = trained.file(SCORES) / f"{part}.{names.index(name)}.npy"
    scores: np.ndarray = np.load(file, allow_pickle=False)
    return scores


def _candidate_metrics(context: StepContext, y: np.ndarray) -> dict[str, Any]:
    """Every candidate's metrics on the held-out rows; reported, never used to choose."""
    from ratchet.training.scoring import score_all

    rows = Rows.of(context)
    labels = {"test": y}
    if len(validation := rows.validation):
        labels["validation"] = rows.task.encode(validation[rows.roles.target])
    names = [
        record["name"]
        for record in context.outputs["train"].json(CANDIDATES)
        if record["status"] == "ok"
    ]
    return {
        name: {
            part: score_all(codes, candidate_scores(context, name, part))
            for part, codes in labels.items()
        }
        for name in names
    }


def _write_predictions(
    context: StepContext, rows: Rows, test: pl.DataFrame, proba: np.ndarray
) -> None:
    """The test rows' ids, labels and scores, for whoever wants to look."""
    import polars as pl

    known = [rows.roles.id] if rows.roles.id else []
    table = test.select(*known, pl.col(rows.roles.target).alias("label"))
    scores = [
        pl.Series(f"probability_{label}", proba[:, i]) for i, label in enumerate(rows.task.classes)
    ]
    table.with_columns(scores).write_parquet(context.folder / PREDICTIONS)


def _write_slices(
    context: StepContext, rows: Rows, test: pl.DataFrame, y: np.ndarray, proba: np.ndarray
) -> None:
    from ratchet.evaluation.slices import slice_metrics

    features = test.select(rows.roles.features(rows.schema))
    metric = context.outputs["train"].facts["metric"]
    found = slice_metrics(features, y, proba, task=rows.task, metric=metric)
    context.write_json(SLICES, [item.to_json() for item in found])


def _write_plots(
    context: StepContext,
    rows: Rows,
    test: pl.DataFrame,
    y: np.ndarray,
    proba: np.ndarray,
    metrics: Metrics,
) -> None:
    from ratchet.evaluation.plots import render_plots

    importance = _importance(context, rows, test, y)
    context.write_json(IMPORTANCE, [item.to_json() for item in importance])
    folder = context.folder / PLOTS
    folder.mkdir()
    pages = render_plots(y, proba, task=rows.task, metrics=metrics, importance=importance)
    for name, page in pages.items():
        (folder / f"{name}.png").write_bytes(page)


def _importance(
    context: StepContext, rows: Rows, test: pl.DataFrame, y: np.ndarray
) -> tuple[Importance, ...]:
    """How much each feature matters to the model as it will be shipped."""
    from ratchet.evaluation.importance import permutation_importance
    from ratchet.features.recipe import Recipe
    from ratchet.packaging.scorers import open_scorer

    trained = context.outputs["train"]
    form = trained.facts["form"]
    recipe = Recipe.from_json(trained.json(RECIPE))
    scorer = open_scorer(form["kind"], (trained.file(MODEL) / form["file"]).read_bytes())
    columns: dict[str, list[int]] = {}
    position = 0
    for encoder in recipe.encoders:
        width = len(encoder.columns)
        name = " × ".join(dict.fromkeys(slot.column for slot in encoder.sources))
        columns.setdefault(name, []).extend(range(position, position + width))
        position += width
    sample = test.with_row_index("__row").sample(
        min(_IMPORTANCE_ROWS, test.height), seed=context.settings.training.seed
    )
    chosen = sample["__row"].to_numpy()
    return permutation_importance(
        scorer.score, recipe.matrix(sample), y[chosen], task=rows.task, columns=columns
    )


def _against_champion(
    context: StepContext, rows: Rows, test: pl.DataFrame, y: np.ndarray, proba: np.ndarray
) -> tuple[Comparison | None, str]:
    """The paired comparison, or why there is none."""
    from ratchet.evaluation.compare import compare
    from ratchet.packaging.model import Model

    if context.champion is None:
        return None, "no champion yet"
    champion = context.settings.gates.champion
    try:
        model = Model.load(context.champion["bundle"])
        if tuple(model.classes) != rows.task.classes:
            classes = ", ".join(map(str, model.classes))
            return None, f"the champion knows other classes: {classes}"
        old = model.score(test)
    except RatchetError as error:
        return None, f"the champion cannot score these rows: {error.what}"
    metric = champion.metric or context.outputs["train"].facts["metric"]
    return (
        compare(
            y,
            proba,
            old,
            task=rows.task,
            metric=metric,
            old_threshold=model.threshold,
            margin=champion.margin,
            confidence=champion.confidence,
        ),
        "",
    )


def _settings(settings: ProjectSettings) -> Any:
    return settings.gates.champion.model_dump(mode="json", by_alias=True)


def _says(facts: Mapping[str, Any]) -> str:
    text = f"test {facts['metric']} {facts['said']}"
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
