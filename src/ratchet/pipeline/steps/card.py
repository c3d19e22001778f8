"""The facts of a run as the model card tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratchet.pipeline.steps.evaluate import METRICS, SLICES

if TYPE_CHECKING:
    from ratchet.features.recipe import Recipe
    from ratchet.packaging.card import CardData, CardFacts, CardMetric, CardSlice
    from ratchet.packaging.metadata import Metadata
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.steps.rows import Rows

_MOST_SLICES = 12


def card_facts(
    context: StepContext,
    rows: Rows,
    recipe: Recipe,
    metadata: Metadata,
    best: dict[str, Any],
    threshold: float | None,
) -> CardFacts:
    """Everything the card tells, from the outputs of the steps before it."""
    from ratchet.packaging.card import CardClass, CardFacts, CardFeature

    metrics = context.outputs["evaluate"].json(METRICS)
    form = context.outputs["train"].facts["form"]
    return CardFacts(
        name=context.project.name,
        task=rows.task.kind,
        classes=rows.task.classes,
        algorithm=best["algorithm"],
        params=best["params"],
        data=_data(context, rows, len(recipe.inputs)),
        threshold=threshold,
        description=context.settings.description,
        form=form["kind"],
        features=tuple(
            CardFeature(note.name, note.kind, note.description) for note in recipe.describe()
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
    from ratchet.data.split import PARTS
    from ratchet.packaging.card import CardData

    ingest, split = context.outputs["ingest"].facts, context.outputs["split"].facts
    train = rows.train
    target = rows.task.encode(train[rows.roles.target])
    shares = {
        str(label): float((target == code).mean()) for code, label in enumerate(rows.task.classes)
    }
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
        shares=shares,
        span=span,
        columns=columns,
    )
