"""One backtest from the rows to the recommendation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from ratchet import clock
from ratchet.backtest.baselines import Oracle, best_schedules, loss_table, no_change
from ratchet.backtest.cells import Cells
from ratchet.backtest.drifting import Drifting
from ratchet.backtest.learning import choose_learning
from ratchet.backtest.matrix import OnPoint, fill_matrix
from ratchet.backtest.outcome import Backtest, Line
from ratchet.backtest.quality import Quality, better_by_loss, better_by_metric, quality_of
from ratchet.backtest.recommend import KEEP, recommend
from ratchet.backtest.replay import Played, play, play_every, play_never
from ratchet.backtest.settings import Pace, Policy, require_names
from ratchet.backtest.standard import standard_policies
from ratchet.backtest.stream import open_stream
from ratchet.errors import UsageError
from ratchet.evaluation.catalog import find_metric
from ratchet.training.select import selection_metric

if TYPE_CHECKING:
    from ratchet.monitoring.settings import MonitoringSettings
    from ratchet.project import Project
    from ratchet.triggers.settings import TriggerCost

EVERY: Final = "every period"
GATED: Final = "every period, gated"
NEVER: Final = "never"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        data: the file to replay; the project's source if None.
        policies: to compare; the project's own and the usual ones if empty.
        pace: how history passes by.
        keep: share of the quality of every period that a recommended policy keeps.
        fresh: forget the models that are kept from an earlier replay.
    """

    data: Path | None = None
    policies: Sequence[Policy] = ()
    pace: Pace = field(default_factory=Pace)
    keep: float = KEEP
    fresh: bool = False


def backtest(project: Project, question: Question, on_point: OnPoint | None = None) -> Backtest:
    """Replay history under every policy.

    Args:
        project: whose recipe, gates and monitoring are used.
        question: what is replayed.
        on_point: told how many of how many models of the past are there.

    Raises:
        DataError: the rows have no order, or are too few.
        UsageError: two policies have one name.
        RatchetError: a training failed.
    """
    began = clock.monotonic()
    settings = project.settings
    policies = tuple(question.policies) or standard_policies(settings.triggers, settings.gates)
    require_names(policies)
    for policy in policies:
        if policy.name in (EVERY, GATED, NEVER):
            raise UsageError(
                f'"{policy.name}" is the name of a baseline', fix="give the policy another `name:`"
            )
    stream = open_stream(project, question.data, question.pace)
    learning = choose_learning(stream, settings, project.root)
    matrix = fill_matrix(project, stream, learning, fresh=question.fresh, on_point=on_point)
    metric, monitoring = selection_metric(settings.training, stream.task), settings.monitoring
    cells = Cells(
        stream, matrix, metric, watched=monitoring.metric, confidence=monitoring.confidence
    )
    played = _play_all(cells, policies, monitoring)
    usual = Policy(GATED, settings.triggers, settings.gates)
    baselines = [
        play_never(cells, NEVER),
        play_every(cells, None, EVERY),
        play_every(cells, usual, GATED),
    ]
    oracle = best_schedules(loss_table(cells), stream.first)
    lines = compare_policies(cells, played, baselines, oracle, _cost(policies))
    return Backtest(
        project=project.name,
        data=str(question.data or settings.data.source.path or settings.data.source.type),
        stream=stream,
        metric=metric,
        loss=cells.loss,
        algorithm=learning.algorithm,
        lines=lines,
        oracle=oracle,
        unchanged=no_change(stream),
        recommendation=recommend(lines, metric, keep=question.keep),
        trained=matrix.made,
        seconds=clock.monotonic() - began,
    )


def _play_all(
    cells: Cells, policies: Sequence[Policy], monitoring: MonitoringSettings
) -> list[Played]:
    drift = Drifting(cells, monitoring.drift)
    return [play(cells, policy, monitoring, drift) for policy in policies]


def _cost(policies: Sequence[Policy]) -> TriggerCost | None:
    """What training and errors cost, where a policy says so."""
    return next((each.triggers.cost for each in policies if each.triggers.cost is not None), None)


def compare_policies(
    cells: Cells,
    played: Sequence[Played],
    baselines: Sequence[Played],
    oracle: Oracle,
    cost: TriggerCost | None,
) -> tuple[Line, ...]:
    """What each policy and baseline did, held against each other.

    Args:
        cells: the models of the past.
        played: the policies.
        baselines: never, every period, and every period through the gate.
        oracle: the best schedules in hindsight.
        cost: of a training and of errors; None where nobody says.
    """
    qualities = {one.name: quality_of(cells, one.path) for one in (*played, *baselines)}
    never, every, gated = (qualities[name] for name in (NEVER, EVERY, GATED))
    sign = find_metric(cells.metric).sign
    # The better of the two ways to train in every period, by each measure: the harder mark.
    value = max(every.value, gated.value, key=lambda number: sign * number)
    loss = min(every.loss, gated.loss)
    made = []
    for one in (*played, *baselines):
        mine = qualities[one.name]
        best = oracle.losses[oracle.within(len(one.runs))] / mine.rows.sum()
        made.append(
            Line(
                played=one,
                quality=mine,
                baseline=one in baselines,
                kept_metric=mine.value / value if sign > 0 else value / mine.value,
                kept_loss=loss / mine.loss if mine.loss > 0 else 1.0,
                regret=mine.loss - float(best),
                against_every=better_by_metric(cells.metric, mine, every),
                against_never=better_by_metric(cells.metric, mine, never),
                loss_against_every=better_by_loss(mine, every),
                loss_against_never=better_by_loss(mine, never),
                gain=_gain(mine, never, len(one.runs), sign, cost),
            )
        )
    return tuple(made)


def _gain(
    mine: Quality, never: Quality, runs: int, sign: int, cost: TriggerCost | None
) -> float | None:
    if cost is None:
        return None
    better = sign * (mine.metric - never.metric) * mine.rows
    return float(np.nansum(better)) * cost.value - runs * cost.retrain
