"""Puts the chosen model into a bundle: the folder that will serve, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.ids import digest_of
from ratchet.pipeline.cache import code_digest, user_code_digest
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.card import card_facts
from ratchet.pipeline.steps.evaluate import METRICS
from ratchet.pipeline.steps.rows import Rows
from ratchet.pipeline.steps.train import CANDIDATES, MODEL, RECIPE
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    from ratchet.packaging.metadata import Metadata

BUNDLE = "bundle"


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves the bundle folder; facts: its digest, size and decision threshold."""
    from ratchet.features.recipe import Recipe
    from ratchet.packaging.bundle import BundleContent, write_bundle
    from ratchet.packaging.card import render_card
    from ratchet.packaging.metadata import runtime_requirements
    from ratchet.packaging.onnx import ModelForm
    from ratchet.packaging.signature import make_decision, make_signature

    trained = context.outputs["train"]
    rows = Rows.of(context)
    form = trained.facts["form"]
    recipe = Recipe.from_json(trained.json(RECIPE))
    signature = make_signature(recipe.inputs, rows.train, rows.task)
    decision = make_decision(rows.task)
    metadata = _metadata(context)
    bundle = write_bundle(
        context.folder / BUNDLE,
        BundleContent(
            form=ModelForm(
                form["kind"], trained.file(MODEL) / form["file"], form["max_difference"]
            ),
            recipe=recipe.to_json(),
            signature=signature,
            decision=decision,
            metrics=context.outputs["evaluate"].json(METRICS),
            metadata=metadata,
            requirements=runtime_requirements(
                form["kind"], derives=bool(recipe.derivation.features)
            ),
            card=render_card(
                card_facts(context, rows, recipe, metadata, _best(context), decision.threshold)
            ),
        ),
    )
    return {
        "digest": bundle.digest,
        "size": bundle.size,
        "kind": form["kind"],
        "threshold": decision.threshold,
        "schema_digest": digest_of([[c.name, c.kind] for c in signature.inputs]),
    }


def _metadata(context: StepContext) -> Metadata:
    from ratchet import __version__
    from ratchet.packaging.metadata import Metadata, training_libraries

    best = _best(context)
    ingest = context.outputs["ingest"].facts
    own = user_code_digest(context.project)
    code = f"ratchet {__version__} ({code_digest()[:12]})"
    return Metadata(
        project=context.project.name,
        algorithm=best["algorithm"],
        params=best["params"],
        seed=context.settings.training.seed,
        # The version is where these rows were found, not what they are: the digest tells that.
        snapshot={name: ingest[name] for name in ("table", "rows", "digest")},
        config_digest=digest_of(_settings(context.settings)),
        code_version=code if own is None else f"{code}, functions {own[:12]}",
        libraries=training_libraries(),
    )


def _best(context: StepContext) -> dict[str, Any]:
    trained = context.outputs["train"]
    name = trained.facts["best"]
    found: dict[str, Any] = next(
        record for record in trained.json(CANDIDATES) if record["name"] == name
    )
    return found


def _settings(settings: ProjectSettings) -> Any:
    """What the bundle's content depends on besides its inputs."""
    return {
        "project": settings.project,
        "description": settings.description,
        "data": settings.data.model_dump(mode="json", by_alias=True, exclude={"source"}),
        "features": settings.features.model_dump(mode="json", by_alias=True),
        "training": settings.training.model_dump(mode="json", by_alias=True, exclude={"cores"}),
    }


def _says(facts: Mapping[str, Any]) -> str:
    return f"{facts['kind']}, {facts['size'] / 1000:,.0f} kB, digest {facts['digest'][:12]}"


STEP = Step(
    name="package",
    inputs=("ingest", "split", "features", "train", "evaluate"),
    settings=_settings,
    execute=execute,
    says=_says,
)
