"""Trains the candidates, chooses the best by cross-validation, and puts it in its shipping form.

Test rows are scored here, while the models are in memory, but nothing looks at the scores: the
choice is made on the training rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.errors import RatchetError
from ratchet.pipeline.step import Reporter, Step, StepContext
from ratchet.pipeline.steps.rows import Rows
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.packaging.onnx import ModelForm
    from ratchet.training.results import CandidateResult, TrainingEvent
    from ratchet.training.select import Choice

CANDIDATES = "candidates.json"
TIMING = "_timing.json"
RECIPE = "recipe.json"
MODEL = "model"
SCORES = "scores"
# Rows that decide on the shipping form; the gate then compares every test row.
_VERIFIED = 20_000


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves the candidates' records, test scores, and the best one's model and recipe.

    Raises:
        RatchetError: every candidate failed, or none has a form that can be shipped.
    """
    from ratchet.training.candidates import fit_candidates
    from ratchet.training.select import choose_best, selection_metric

    rows = Rows.of(context)
    train = rows.train
    method = context.outputs["split"].facts["method"]
    results = fit_candidates(
        train,
        rows.task.encode(train[rows.roles.target]),
        settings=context.settings.training,
        features=context.settings.features,
        task=rows.task,
        roles=rows.roles,
        schema=rows.schema,
        root=context.project.root,
        time=train[rows.roles.time] if method == "time" and rows.roles.time else None,
        groups=train[rows.roles.group] if method == "group" and rows.roles.group else None,
        on_event=lambda event: _tell(context.reporter, event),
    )
    choice = choose_best(results, selection_metric(context.settings.training, rows.task))
    best, form = _ship(context, choice, results, rows.test)
    _write_scores(context, rows, results)
    context.write_json(CANDIDATES, [_record(result) for result in results])
    context.write_json(TIMING, {result.name: result.seconds for result in results})
    context.write_json(RECIPE, _recipe_of(best))
    return {
        "best": best.name,
        "algorithm": best.algorithm,
        "metric": choice.metric,
        "reason": choice.reason,
        "ranking": list(choice.ranking),
        "trained": sum(result.status == "ok" for result in results),
        "failed": sum(result.status == "failed" for result in results),
        "form": {
            "kind": form.kind,
            "file": form.file.name,
            "max_difference": form.max_difference,
            "refused": list(form.refused),
        },
    }


def _ship(
    context: StepContext,
    choice: Choice,
    results: tuple[CandidateResult, ...],
    test: pl.DataFrame,
) -> tuple[CandidateResult, ModelForm]:
    """The best candidate that can be shipped exactly, exported."""
    from ratchet.packaging.onnx import export_model

    by_name = {result.name: result for result in results}
    folder = context.folder / MODEL
    refused: list[str] = []
    for name in choice.ranking:
        result = by_name[name]
        assert result.recipe is not None
        assert result.fitted is not None
        folder.mkdir(exist_ok=True)
        try:
            matrix = result.recipe.matrix(test.head(_VERIFIED))
            return result, export_model(result.fitted, matrix, folder)
        except RatchetError as error:
            if error.name != "no_exact_form":
                raise
            _empty(folder)
            refused.append(f"{name}: {error.what}")
            context.reporter.note(f"{name} cannot be shipped: {error.what}")
    raise RatchetError(
        "No candidate can be shipped without pickle and with equal scores",
        why="; ".join(refused),
        fix="add lightgbm or logistic_regression to training.algorithms",
        where=context.project.origins.nearest(("training", "algorithms")),
        code="no_shippable_candidate",
    )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _write_scores(context: StepContext, rows: Rows, results: tuple[CandidateResult, ...]) -> None:
    """The scores of every candidate on the held-out rows, for evaluation and parity."""
    import numpy as np

    folder = context.folder / SCORES
    folder.mkdir()
    held_out = {"test": rows.test}
    if len(validation := rows.validation):
        held_out["validation"] = validation
    for part, frame in held_out.items():
        matrices: dict[int, np.ndarray] = {}  # candidates of one encoding share their recipe
        for position, result in enumerate(results):
            if result.recipe is None or result.fitted is None:
                continue
            matrix = matrices.get(id(result.recipe))
            if matrix is None:
                matrix = matrices[id(result.recipe)] = result.recipe.matrix(frame)
            path = folder / f"{part}.{position}.npy"  # a name may hold anything, a path may not
            np.save(path, result.fitted.predict(matrix), allow_pickle=False)


def _record(result: CandidateResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "algorithm": result.algorithm,
        "params": dict(result.params),
        "status": result.status,
        "error": result.error or None,
        "cv": {metric: list(value) for metric, value in dict(result.cv).items()},
        "folds": [dict(fold) for fold in result.folds],
        "rounds": result.rounds,
        "notes": list(result.notes),
    }


def _recipe_of(result: CandidateResult) -> Any:
    assert result.recipe is not None
    return result.recipe.to_json()


def _tell(reporter: Reporter, event: TrainingEvent) -> None:
    if event.kind == "failed":
        reporter.note(f"{event.candidate} failed: {event.error}")
    else:
        reporter.progress(f"{event.candidate} {event.done}/{event.total}")


def _settings(settings: ProjectSettings) -> Any:
    training = settings.training.model_dump(mode="json", by_alias=True)
    training.pop("cores")  # how fast, not what
    return {
        "training": training,
        "features": settings.features.model_dump(mode="json", by_alias=True),
    }


def _says(facts: Mapping[str, Any]) -> str:
    failed = f", {facts['failed']} failed" if facts["failed"] else ""
    return f"{facts['best']}: {facts['reason']} ({facts['trained']} trained{failed})"


STEP = Step(
    name="train",
    inputs=("ingest", "split"),
    settings=_settings,
    execute=execute,
    says=_says,
)
