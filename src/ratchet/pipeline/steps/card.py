"""The facts of a run as the model card tells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.steps.evaluate import METRICS, SLICES
from ratchet.pipeline.steps.going_on import previous_of
from ratchet.pipeline.steps.train import CANDIDATES, MODEL, window_said

if TYPE_CHECKING:
    from ratchet.features.recipe import Recipe
    from ratchet.packaging.card import CardData, CardFacts, CardMember, CardMetric, CardSlice
    from ratchet.packaging.decision import Decision
    from ratchet.packaging.metadata import Metadata
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.steps.rows import Rows

_MOST_SLICES = 12


def best_record(context: StepContext) -> dict[str, Any]:
    """What the train step wrote of the chosen candidate."""
    trained = context.outputs["train"]
    name = trained.facts["best"]
    found: dict[str, Any] = next(
        record for record in trained.json(CANDIDATES) if record["name"] == name
    )
    return found


def card_facts(
    context: StepContext,
    rows: Rows,
    recipes: Sequence[Recipe],
    metadata: Metadata,
    best: dict[str, Any],
    decision: Decision,
) -> CardFacts:
    """Everything the card tells, from the outputs of the steps before it."""
    from ratchet.packaging.card import CardClass, CardFacts, CardFeature, CardThreshold

    metrics = context.outputs["evaluate"].json(METRICS)
    trained = context.outputs["train"].facts
    notes = {note.name: note for recipe in recipes for note in recipe.describe()}
    chosen = trained["threshold"]
    return CardFacts(
        name=context.project.name,
        task=rows.task.kind,
        classes=rows.task.classes,
        algorithm=best["algorithm"],
        params=best["params"],
        data=_data(context, rows, len({c.name for recipe in recipes for c in recipe.inputs})),
        threshold=decision.threshold,
        description=context.settings.description,
        form=" + ".join(trained["form"]["kinds"]),
        features=tuple(
            CardFeature(note.name, note.kind, note.description) for note in notes.values()
        ),
        confidence=metrics["confidence"],
        metrics=tuple(_metric(name, found) for name, found in metrics["estimates"].items()),
        cross_validation={name: (mean, std) for name, (mean, std) in best["cv"].items()} or None,
        folds=len(best["folds"]) or None,
        per_class=tuple(
            CardClass(
                row["label"],
                row["precision"],
                row["recall"],
                row["f1"],
                row["support"],
            )
            for row in metrics["report"]
        ),
        slices=_slices(context),
        environment={"code": metadata.code_version, **metadata.libraries},
        members=_members(context),
        calibration=trained["calibration"]["method"] if trained["calibration"] else "",
        deciding=CardThreshold(chosen["objective"], chosen["expected"], chosen["note"])
        if chosen
        else None,
        interval=decision.interval,
    )


def _members(context: StepContext) -> tuple[CardMember, ...]:
    """The models of an ensemble; none where there is only one."""
    from ratchet.packaging.card import CardMember
    from ratchet.packaging.composition import read_composition

    trained = context.outputs["train"]
    parts = read_composition(trained.file(MODEL)).members
    if len(parts) == 1:
        return ()
    params = {member.name: member.params for member in previous_of(trained).members}
    return tuple(
        CardMember(part.name, part.algorithm, part.weight, part.kind, params.get(part.name))
        for part in parts
    )


def _metric(name: str, found: dict[str, Any]) -> CardMetric:
    from ratchet.packaging.card import CardMetric

    return CardMetric(name, found["value"], found["low"], found["high"])


def _slices(context: StepContext) -> tuple[CardSlice, ...]:
    """The parts of the rows on which the model is worse than on all of them."""
    from ratchet.packaging.card import CardSlice

    metric = context.outputs["train"].facts["metric"]
    return tuple(
        CardSlice(
            f"{part['column']} = {part['label']}",
            part["rows"],
            _metric(metric, part["estimates"][metric]),
        )
        for part in context.outputs["evaluate"].json(SLICES)
        if part["worse"]
    )[:_MOST_SLICES]


def _data(context: StepContext, rows: Rows, columns: int) -> CardData:
    import numpy as np

    from ratchet.data.split import PARTS
    from ratchet.packaging.card import CardData

    ingest, split = context.outputs["ingest"].facts, context.outputs["split"].facts
    train = rows.train
    target = rows.task.encode(train[rows.roles.target])
    shares = {
        str(label): float((target == code).mean()) for code, label in enumerate(rows.task.classes)
    }
    middle = None
    if rows.task.kind == "regression":
        middle = (float(target.min()), float(np.median(target)), float(target.max()))
    span = None
    if rows.roles.time is not None:
        column = train[rows.roles.time]
        span = (str(column.min()), str(column.max()))
    return CardData(
        # Neither version nor path: the same rows have the same card, wherever they lie.
        snapshot=ingest["table"],
        digest=ingest["digest"],
        rows=ingest["rows"],
        target=rows.roles.target,
        parts={name: split["rows"][name] for name in PARTS if split["rows"][name]},
        split=split["method"],
        shares=shares or None,
        target_range=middle,
        span=span,
        columns=columns,
        window=window_said(context.outputs["train"].facts),
    )
