"""The reference profile that goes into the bundle: what the model's rows looked like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.steps.evaluate import IMPORTANCE, shipped_scores

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from ratchet.features.recipe import Recipe
    from ratchet.monitoring.profile import Profile
    from ratchet.packaging.decision import Decision
    from ratchet.packaging.signature import Signature
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.steps.rows import Rows

_JOINT = " × "


def make_profile(
    context: StepContext,
    rows: Rows,
    signature: Signature,
    decision: Decision,
    recipes: Sequence[Recipe],
) -> Profile:
    """The profile of the training rows, and of the answers to the test rows.

    The model learned from the training rows, and is too sure of them: its scores on rows that it
    never saw are the ones to expect.
    """
    from dataclasses import replace

    from ratchet.monitoring.past import past_distances
    from ratchet.monitoring.profile import answer_columns, build_profile
    from ratchet.packaging.predictions import decide

    found = decide(shipped_scores(context), decision)
    labels = found.labels if decision.classes else None
    answers = answer_columns(decision.classes, found.scores, labels)
    importance = raw_importance(
        {item["name"]: item["value"] for item in context.outputs["evaluate"].json(IMPORTANCE)},
        [column.name for column in signature.inputs],
        recipes,
    )
    train, time = rows.train, rows.roles.time
    kinds = {column.name: column.kind for column in signature.inputs}
    known = _estimator(rows, found.scores, decision)
    made = build_profile(train, kinds, answers=answers, importance=importance, past=known)
    if time is None:
        return made
    # In the order of time, parts of the rows tell how far apart they usually are.
    held = rows.test.select(time).with_columns(**answers)
    past = past_distances(made, _in_time(train, time), _in_time(held, time))
    return replace(made, past=known | past)


def _estimator(rows: Rows, scores: np.ndarray, decision: Decision) -> dict[str, Any]:
    """What estimates performance before labels come, by name; nothing where nothing can."""
    from ratchet.evaluation.catalog import metric_names
    from ratchet.evaluation.scored import decide as codes_of
    from ratchet.monitoring.estimate import fit_estimator
    from ratchet.monitoring.subjects import ESTIMATE

    if not decision.classes:
        return {}
    made = fit_estimator(
        rows.task.encode(rows.test[rows.roles.target]),
        scores,
        codes_of(scores, 0.5 if decision.threshold is None else decision.threshold),
        rows.task,
        metric_names(rows.task.kind),
    )
    return {} if made is None else {ESTIMATE: made.to_json()}


def _in_time(frame: pl.DataFrame, time: str) -> pl.DataFrame:
    return frame.sort(time, maintain_order=True)


def raw_importance(
    found: dict[str, float], inputs: Sequence[str], recipes: Sequence[Recipe]
) -> dict[str, float]:
    """The importance of raw columns; that of a feature made of several is theirs in equal parts."""
    made = {
        feature.name: feature.sources
        for recipe in recipes
        for feature in recipe.derivation.features
    }
    total = dict.fromkeys(inputs, 0.0)

    def behind(name: str) -> list[str]:
        if name in made and name not in total:
            return [raw for source in made[name] for raw in behind(source)]
        return [name]

    for name, value in found.items():
        parts = [name] if name in total or name in made else name.split(_JOINT)
        raw = dict.fromkeys(column for part in parts for column in behind(part) if column in total)
        for column in raw:
            total[column] += max(0.0, value) / len(raw)
    # Six digits: the last ones of a sum are nothing to tell two bundles apart by.
    return {name: float(f"{value:.6g}") for name, value in total.items()}
