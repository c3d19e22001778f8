"""All gates of one model, judged and reported whether they pass or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ratchet.gates.budget import Cost, judge_budget
from ratchet.gates.champion import Opponent, judge_champion
from ratchet.gates.report import GateReport, GateResult, Where, default_places
from ratchet.gates.thresholds import judge_above_chance, judge_minimum

if TYPE_CHECKING:
    from ratchet.evaluation.metrics import Metrics
    from ratchet.gates.settings import GatesSettings


def judge_model(
    metrics: Metrics,
    opponent: Opponent,
    artifacts: Iterable[GateResult],
    cost: Cost,
    settings: GatesSettings,
    *,
    where: Where = default_places,
) -> GateReport:
    """Judge a model by every gate.

    Args:
        metrics: of the model on the test rows.
        opponent: the model that serves, and the comparison with it.
        artifacts: the results about the bundle: files, loads, predictions, parity.
        cost: what the bundle costs where it serves.
        settings: the limits.
        where: where each setting was made (`ratchet.config.load.Origins.of`).
    """
    thresholds = judge_minimum(metrics, settings.minimum, where=where)
    chance = (judge_above_chance(metrics, where=where),) if settings.above_chance else ()
    return GateReport(
        (
            *thresholds,
            *chance,
            judge_champion(opponent, settings.champion, where=where),
            *artifacts,
            *judge_budget(cost, settings.budget, where=where),
        )
    )
