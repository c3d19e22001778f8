"""Checks the feature plan against the training rows and writes down what each feature is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.rows import Rows
from ratchet.project import ProjectSettings

FILE = "features.json"
# Enough rows to try every expression and function; the fit on all of them belongs to training.
_TRIED = 5_000


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves ``features.json``: name, source, kind and description of every feature.

    Raises:
        ConfigError: an expression or function does not fit the table, with its place.
    """
    from ratchet.features.recipe import Encoding, fit_recipe

    rows = Rows.of(context)
    frame = rows.train.head(_TRIED)
    recipe, _ = fit_recipe(
        frame,
        rows.task.encode(frame[rows.roles.target]),
        roles=rows.roles,
        schema=rows.schema,
        settings=context.settings.features,
        encoding=Encoding(),
        task=rows.task,
        seed=context.settings.training.seed,
        root=context.project.root,
    )
    notes = [note.to_json() for note in recipe.describe()]
    context.write_json(FILE, {"inputs": [c.name for c in recipe.inputs], "features": notes})
    derived = len(recipe.derivation.features)
    return {"inputs": len(recipe.inputs), "derived": derived}


def _settings(settings: ProjectSettings) -> Any:
    return {
        "features": settings.features.model_dump(mode="json", by_alias=True, exclude={"store"}),
        "seed": settings.training.seed,
    }


def _says(facts: Mapping[str, Any]) -> str:
    made = f", {facts['derived']} computed" if facts["derived"] else ""
    return f"{facts['inputs']} columns{made}"


STEP = Step(
    name="features",
    inputs=("ingest", "split"),
    settings=_settings,
    execute=execute,
    says=_says,
)
