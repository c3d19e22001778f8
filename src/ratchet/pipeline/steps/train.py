"""Trains the candidates, chooses the best by cross-validation, and puts it in its shipping form.

Test rows are scored here, while the models are in memory, but nothing looks at the scores: the
choice is made on the training rows alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError, RatchetError
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.rows import Rows
from ratchet.pipeline.steps.shipping import MODEL, Shipped, ship
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    from ratchet.training.blend import Blend
    from ratchet.training.previous import Previous
    from ratchet.training.results import CandidateResult, Trained
    from ratchet.training.select import Choice

__all__ = ["MODEL", "STEP"]

CANDIDATES = "candidates.json"
TRIALS = "_trials.json"
TIMING = "_timing.json"
SCORES = "scores"
SHIPPED = "shipped"


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves candidates, trials, test scores, the chosen model, and what a later run goes on from.

    A model that cannot be made in the way that was asked for is a verdict, not a fault.

    Raises:
        RatchetError: every candidate failed, or none has a form that can be shipped.
    """
    from ratchet.pipeline.steps.going_on import keep_for_later, recall_previous
    from ratchet.pipeline.steps.teaching import teach
    from ratchet.pipeline.steps.windowing import narrow

    previous: Previous | None = None
    if context.update != "retune":
        found = recall_previous(context)
        if isinstance(found, str):
            return {"verdict": {"passed": False, "reason": found}}
        previous = found
    rows, window = narrow(context, Rows.of(context, whole=True))
    try:
        trained = teach(context, rows, previous)
    except RatchetError as error:
        if not _another_way(context, error):
            raise
        why = f": {error.why}" if error.why else ""
        return {"verdict": {"passed": False, "reason": f"{error.what}{why}"}}
    shipped = ship(context, trained.blends, rows)
    _write_scores(context, rows, trained, shipped.blend)
    keep_for_later(context, shipped.blend)
    context.write_json(CANDIDATES, [_record(result) for result in trained.candidates])
    context.write_json(TRIALS, [trial.to_json() for trial in trained.trials])
    context.write_json(TIMING, {result.name: result.seconds for result in trained.candidates})
    return _facts(context, rows, trained, shipped) | {"window": window.to_json()}


def _another_way(context: StepContext, error: RatchetError) -> bool:
    """Whether what failed is this way of making the model, such as too few new rows."""
    if context.update == "incremental" and isinstance(error, DataError):
        return True
    return context.update != "retune" and error.name in ("not_incremental", "no_candidate")


def _facts(context: StepContext, rows: Rows, trained: Trained, shipped: Shipped) -> dict[str, Any]:
    blend, export, choice = shipped.blend, shipped.export, trained.choice
    statuses = [result.status for result in trained.candidates]
    return {
        "best": blend.name,
        "algorithm": blend.algorithm,
        "metric": choice.metric,
        "reason": _reason(choice, shipped),
        "ranking": list(choice.ranking),
        "alone": choice.alone,
        "trained": statuses.count("ok"),
        "failed": statuses.count("failed"),
        "dropped": statuses.count("dropped"),
        "trials": len(trained.trials),
        "finished": sum(trial.status == "finished" for trial in trained.trials),
        "update": context.update,
        "members": [
            {"name": part.name, "algorithm": part.algorithm, "weight": part.weight}
            for part in export.composition.members
        ],
        "calibration": blend.calibration.to_json() if blend.calibration is not None else None,
        "uncalibrated": _uncalibrated(context, shipped, choice),
        "threshold": blend.threshold.to_json() if blend.threshold is not None else None,
        "interval": _interval(blend),
        "form": {
            "kinds": list(export.composition.kinds),
            "max_difference": export.max_difference,
            "refused": {name: list(why) for name, why in export.refused.items()},
        },
        "passed_over": list(shipped.passed_over),
        "notes": [*trained.notes, *rows.remarks()],
    }


def _uncalibrated(context: StepContext, shipped: Shipped, choice: Choice) -> str:
    """Why scores stay as the models give them; empty where they do not, and for estimates."""
    if shipped.blend.calibration is not None or shipped.blend.task.kind == "regression":
        return ""
    if context.settings.training.calibration == "none":
        return "none, as set"
    if not choice.best.folds:
        return "not examined"  # it is learned on scores out of fold, and there are none
    return "none needed" if context.update == "retune" else "none, as in the model before"


def _reason(choice: Choice, shipped: Shipped) -> str:
    """Why this model is shipped; where it is not the best one, why the better ones are not."""
    if shipped.blend.name == choice.best.name:
        return choice.reason
    late = f"{choice.best.name}: there was no time for its final fit"
    return f"the best that can be shipped; passed over: {'; '.join(shipped.passed_over) or late}"


def _interval(blend: Blend) -> dict[str, float] | None:
    """For an estimate: how far off it may be, by what cross-validation was off."""
    from dataclasses import asdict

    from ratchet.packaging.decision import interval_of

    found = None if blend.residuals is None else interval_of(blend.residuals)
    return None if found is None else asdict(found)


def _write_scores(context: StepContext, rows: Rows, trained: Trained, blend: Blend) -> None:
    """The scores of the shipped model and of every candidate on the held-out rows."""
    import numpy as np

    folder = context.folder / SCORES
    folder.mkdir()
    held_out = {"test": rows.test}
    if len(validation := rows.validation):
        held_out["validation"] = validation
    for part, frame in held_out.items():
        np.save(folder / f"{SHIPPED}.{part}.npy", blend.score(frame), allow_pickle=False)
        matrices: dict[int, np.ndarray] = {}  # candidates of one encoding share their recipe
        for position, result in enumerate(trained.candidates):
            if result.recipe is None or result.fitted is None:
                continue
            matrix = matrices.get(id(result.recipe))
            if matrix is None:
                matrix = matrices[id(result.recipe)] = result.recipe.matrix(frame)
            path = folder / f"{position}.{part}.npy"  # a name may hold anything, a path may not
            np.save(path, result.fitted.predict(matrix), allow_pickle=False)


def _record(result: CandidateResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "algorithm": result.algorithm,
        "params": dict(result.params),
        "tuned": dict(result.tuned),
        "trials": result.trials,
        "status": result.status,
        "error": result.error or None,
        "cv": {metric: list(value) for metric, value in dict(result.cv).items()},
        "folds": [dict(fold) for fold in result.folds],
        "rounds": result.rounds,
        "notes": list(result.notes),
    }


def _settings(settings: ProjectSettings) -> Any:
    training = settings.training.model_dump(mode="json", by_alias=True)
    for name in ("cores", "memory", "update"):  # how fast; the update has a place of its own
        training.pop(name)
    return {
        "training": training,
        "features": settings.features.model_dump(mode="json", by_alias=True, exclude={"store"}),
        "budget": settings.gates.budget.model_dump(mode="json"),
    }


def _says(facts: Mapping[str, Any]) -> str:
    if "best" not in facts:
        return str(facts["verdict"]["reason"])
    failed = f", {facts['failed']} failed" if facts["failed"] else ""
    dropped = f", {facts['dropped']} dropped" if facts.get("dropped") else ""
    trials = f" in {facts['trials']} trials" if facts["trials"] > facts["trained"] else ""
    if facts["trials"] and not facts.get("finished", facts["trials"]):
        trials = f", none of {facts['trials']} trials finished"
    made = f"{facts['trained']} trained{trials}{failed}{dropped}"
    learned = window_said(facts)
    return f"{facts['best']}: {facts['reason']} ({made})" + (learned and f"; from {learned}")


def window_said(facts: Mapping[str, Any]) -> str:
    """Which training rows were learned from, where some are left out or that was looked into."""
    window = facts.get("window") or {"rows": 0, "of": 0, "tried": ()}
    examined = window["rows"] < window["of"] or len(window["tried"]) > 1
    return str(window["says"]) if examined else ""


STEP = Step(
    name="train",
    inputs=("ingest", "split"),
    settings=_settings,
    execute=execute,
    says=_says,
    uses_update=True,
)
