"""Puts the chosen model into a bundle: the folder that will serve, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.ids import digest_of
from ratchet.pipeline.bundles import BUNDLE
from ratchet.pipeline.cache import code_digest, user_code_digest
from ratchet.pipeline.step import Step, StepContext
from ratchet.pipeline.steps.card import best_record, card_facts
from ratchet.pipeline.steps.evaluate import METRICS
from ratchet.pipeline.steps.profiling import make_profile
from ratchet.pipeline.steps.rows import Rows
from ratchet.pipeline.steps.train import MODEL
from ratchet.project import ProjectSettings

if TYPE_CHECKING:
    from ratchet.packaging.metadata import Metadata


def execute(context: StepContext) -> Mapping[str, Any]:
    """Leaves the bundle folder; facts: its digest, size and decision threshold."""
    from ratchet.packaging.bundle import BundleContent, write_bundle
    from ratchet.packaging.card_page import render_card
    from ratchet.packaging.composite import open_exported
    from ratchet.packaging.decision import Interval, make_decision
    from ratchet.packaging.metadata import runtime_requirements
    from ratchet.packaging.rehearsal import make_rehearsal
    from ratchet.packaging.signature import make_signature

    trained, rows = context.outputs["train"], Rows.of(context)
    model = trained.file(MODEL)
    opened = open_exported(model)
    recipes = opened.recipes
    chosen, interval = trained.facts["threshold"], trained.facts["interval"]
    decision = make_decision(
        rows.task,
        chosen["value"] if chosen else None,
        objective=chosen["objective"] if chosen else "",
        interval=Interval(**interval) if interval else None,
    )
    signature = make_signature(
        opened.inputs,
        rows.train,
        rows.task,
        coverage=interval["coverage"] if interval else None,
    )
    metadata = _metadata(context)
    bundle = write_bundle(
        context.folder / BUNDLE,
        BundleContent(
            model=model,
            signature=signature,
            decision=decision,
            metrics=context.outputs["evaluate"].json(METRICS),
            metadata=metadata,
            requirements=runtime_requirements(opened.composition.kinds, derives=opened.derives),
            card=render_card(
                card_facts(context, rows, recipes, metadata, best_record(context), decision)
            ),
            rehearsal=make_rehearsal(opened, rows.train),
            profile=make_profile(context, rows, signature, decision, recipes).to_bytes(),
        ),
    )
    return {
        "digest": bundle.digest,
        "size": bundle.size,
        "kind": " + ".join(opened.composition.kinds),
        "threshold": decision.threshold,
        "schema_digest": signature.inputs_digest,
    }


def _metadata(context: StepContext) -> Metadata:
    from ratchet import __version__
    from ratchet.packaging.metadata import Metadata, training_libraries

    best = best_record(context)
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


def _settings(settings: ProjectSettings) -> Any:
    """What the bundle's content depends on besides its inputs."""
    return {
        "project": settings.project,
        "description": settings.description,
        "data": settings.data.model_dump(mode="json", by_alias=True, exclude={"source"}),
        "features": settings.features.model_dump(mode="json", by_alias=True, exclude={"store"}),
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
