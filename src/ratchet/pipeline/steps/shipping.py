"""The first of the trained models that can be shipped: exactly, and within the gate's budget."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet.errors import RatchetError
from ratchet.pipeline.store import storing

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from ratchet.gates.budget import Cost
    from ratchet.packaging.export import Export
    from ratchet.pipeline.step import StepContext
    from ratchet.pipeline.steps.rows import Rows
    from ratchet.training.blend import Blend

MODEL = "model"
# Rows that decide on the shipping form; the gate then compares every test row.
_VERIFIED = 20_000
_TIMED_ROWS = 20
# Less than this on disk never needs more memory than any budget leaves: it is not measured here.
_SMALL = 10_000_000


@dataclass(frozen=True, slots=True)
class Shipped:
    """The chosen model as it was written, and what was passed over for it, with the reasons."""

    blend: Blend
    export: Export
    passed_over: tuple[str, ...]


def ship(context: StepContext, blends: Sequence[Blend], rows: Rows) -> Shipped:
    """Write the first model that has an exact form and keeps within ``gates.budget``.

    When none is within the budget, the most wanted one goes on: the gate says what is too much.

    Raises:
        RatchetError: ``no_shippable_candidate``: none has a form that scores as training did.
    """
    folder = context.folder / MODEL
    sample = rows.test.head(_VERIFIED)
    passed_over: list[str] = []
    costly: Blend | None = None
    for blend in blends:
        found = _export(context, blend, sample, folder, passed_over)
        if found is None:
            continue
        excess = _excess(context, rows, found)
        if not excess:
            return Shipped(blend, found, tuple(passed_over))
        passed_over.append(f"{_named(blend)}: {excess}")
        costly = costly or blend
    if costly is None:
        raise RatchetError(
            "No candidate can be shipped without pickle and with equal scores",
            why="; ".join(passed_over),
            fix="add lightgbm or logistic_regression to training.algorithms",
            where=context.project.origins.nearest(("training", "algorithms")),
            code="no_shippable_candidate",
        )
    found = _export(context, costly, sample, folder, passed_over)
    assert found is not None
    return Shipped(costly, found, tuple(passed_over))


def _named(blend: Blend) -> str:
    return " + ".join(member.name for member in blend.members)


def _export(
    context: StepContext, blend: Blend, sample: pl.DataFrame, folder: Path, refused: list[str]
) -> Export | None:
    from ratchet.packaging.export import export_blend

    with storing():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    try:
        return export_blend(blend, sample, folder)
    except RatchetError as error:
        if error.name != "no_exact_form":
            raise
        refused.append(f"{_named(blend)}: {error.what}")
        context.reporter.note(f"{_named(blend)} cannot be shipped: {error.what}")
        return None


def _excess(context: StepContext, rows: Rows, export: Export) -> str:
    """What of the budget the written model exceeds, in words; empty if nothing."""
    from ratchet.gates.budget import judge_budget

    limits = context.settings.gates.budget
    cost = _cost(context, rows, export)
    measured = {"latency_p95": cost.latency_p95, "size": cost.size, "memory": cost.memory}
    known = limits.model_copy(
        update={name: None for name, value in measured.items() if value is None}
    )
    return "; ".join(result.reason for result in judge_budget(cost, known) if not result.passed)


def _cost(context: StepContext, rows: Rows, export: Export) -> Cost:
    from ratchet.gates.budget import Cost, measure_latency, measure_size
    from ratchet.packaging.composite import open_exported
    from ratchet.packaging.measure import measure_memory

    size = measure_size(export.folder)
    model = open_exported(export.folder)
    records = rows.test.head(_TIMED_ROWS).to_dicts()
    turn = iter(range(1 << 62))
    latency = measure_latency(
        lambda: model.score_one(records[next(turn) % len(records)]), rounds=3, calls=20
    )
    memory = None
    if size > _SMALL and context.settings.gates.budget.memory is not None:
        memory = measure_memory(export.folder).peak
    return Cost(latency, size, memory)
