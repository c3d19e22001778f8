"""A policy played through history: at the end of every period it is asked what to do.

The question goes to `triggers.decide`, with facts as monitoring would have told them then; what it
starts is judged by the gate's own rules, and serves from the next period on if it passes. Nothing
that became known later has a part in it: labels count from their delay on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ratchet.backtest.cells import Cells, path_of
from ratchet.backtest.drifting import Drifting
from ratchet.backtest.gate import Gate
from ratchet.backtest.quality_facts import QualityFacts, Served
from ratchet.backtest.settings import Policy, listens
from ratchet.backtest.stream import Stream
from ratchet.ledger.triggers import RunHead
from ratchet.monitoring.settings import MonitoringSettings
from ratchet.triggers.decide import decide
from ratchet.triggers.facts import (
    Arrivals,
    Champion,
    DriftFacts,
    Facts,
    Observed,
    PastRun,
    Spent,
)
from ratchet.triggers.pauses import cooldown_of
from ratchet.triggers.settings import PERIODS, TriggersSettings
from ratchet.triggers.verdicts import Fire, Investigate


@dataclass(frozen=True, slots=True)
class Run:
    """A retraining of a replay.

    Attributes:
        period: after which it happened.
        promoted: its model serves from the next period on.
        verdict: what the gate proved.
        judged: in a sentence.
    """

    period: int
    at: datetime
    trigger: str
    reason: str
    promoted: bool
    verdict: str
    difference: float | None
    judged: str


@dataclass(frozen=True, slots=True)
class Played:
    """What a policy did.

    Attributes:
        path: which model answered each served period, by its training point.
        runs: every retraining, in order.
        investigations: times the policy would have looked closer.
        cpu: seconds of processor time that its trainings took.
    """

    name: str
    path: tuple[int, ...]
    runs: tuple[Run, ...]
    investigations: int = 0
    cpu: float = 0.0

    @property
    def promotions(self) -> int:
        """Retrainings whose model came to serve."""
        return sum(run.promoted for run in self.runs)


@dataclass(slots=True)
class _State:
    """What a project would know of itself."""

    served: list[Served]
    trained: PastRun
    schedules: dict[str, datetime]
    heads: list[PastRun]
    holding: dict[str, datetime] = field(default_factory=dict)
    answered: dict[str, str] = field(default_factory=dict)
    rejections: int = 0


def play(cells: Cells, policy: Policy, monitoring: MonitoringSettings, drift: Drifting) -> Played:
    """Play one policy.

    Args:
        cells: the models of the past.
        policy: when to train, and what must be proven.
        monitoring: how quality is looked at.
        drift: of the same rows; asked only where the policy listens to drift.
    """
    stream = cells.stream
    gate = Gate(cells, policy.gates)
    quality = QualityFacts(cells, monitoring, policy.triggers)
    state = _begin(stream, policy.triggers)
    runs: list[Run] = []
    investigations, cpu = 0, 0.0
    for period in stream.points:
        facts = _facts(cells, policy.triggers, state, period, quality, drift)
        decision = decide(policy.triggers, facts)
        state.schedules, state.holding = dict(decision.schedules), dict(decision.holding)
        investigations += isinstance(decision.verdict, Investigate)
        if isinstance(decision.verdict, Fire) and period > stream.first:
            runs.append(_train(cells, gate, state, decision.verdict, period))
            cpu += cells.fits[period].cpu
    changes = [(run.period, run.period) for run in runs if run.promoted]
    return Played(policy.name, path_of(stream, changes), tuple(runs), investigations, cpu)


def play_every(cells: Cells, policy: Policy | None, name: str) -> Played:
    """A training after each period: through a policy's gate, or without any."""
    stream = cells.stream
    gate = None if policy is None else Gate(cells, policy.gates)
    serving, runs, cpu = stream.first, [], 0.0
    for period in stream.points:
        if period == stream.first:
            continue
        cpu += cells.fits[period].cpu
        passed, verdict, difference, said = True, "not judged", None, "every model serves"
        if gate is not None:
            judged = gate.judge(period, serving)
            passed, verdict = judged.passed, judged.verdict
            difference, said = judged.difference, judged.reason
        serving = period if passed else serving
        at = stream.ends[period]
        runs.append(Run(period, at, "every", "a period is over", passed, verdict, difference, said))
    changes = [(run.period, run.period) for run in runs if run.promoted]
    return Played(name, path_of(stream, changes), tuple(runs), 0, cpu)


def play_never(cells: Cells, name: str) -> Played:
    """The first model for ever."""
    return Played(name, path_of(cells.stream, ()), ())


def _begin(stream: Stream, policy: TriggersSettings) -> _State:
    at = stream.ends[stream.first]
    first = PastRun(
        "run-0000", "first", "first:", "promoted", at, at, rows=stream.known(stream.first)
    )
    return _State(
        served=[Served(1, stream.first, at)],
        trained=first,
        schedules={each.name: at for each in policy.schedule},
        heads=[first],
    )


def _facts(
    cells: Cells,
    policy: TriggersSettings,
    state: _State,
    period: int,
    quality: QualityFacts,
    drift: Drifting,
) -> Facts:
    stream, now = cells.stream, cells.stream.ends[period]
    champion = state.served[-1]
    known = stream.known(period)
    new = known - (state.trained.rows or 0)
    seen = quality.facts(state.served, period)
    drifted: DriftFacts | None = None
    if listens(policy, "drift") and period > champion.point:
        drifted = drift.facts(champion.point, period, champion.point + 1)
    run = state.trained
    head = RunHead(
        run.run_id, run.trigger, run.key, "finished", run.outcome, 1, run.started, run.finished,
        run.seconds, True,
    )  # fmt: skip
    wait = cooldown_of(policy, head, Observed(drifted, seen), now)
    return Facts(
        at=now,
        champion=Champion(champion.version, champion.since),
        trained=run,
        last_run=run,
        rejections=state.rejections,
        arrivals=Arrivals(known, new, new > 0, str(known), "the replayed rows"),
        drift=drifted,
        performance=seen,
        schedules=state.schedules,
        holding=state.holding,
        spent=_spent(policy, state, now),
        answered=state.answered,
        cooldown_until=run.started + wait if wait else None,
    )


def _spent(policy: TriggersSettings, state: _State, now: datetime) -> Spent:
    budget = policy.budget
    if budget is None:
        return Spent()
    since = now - PERIODS[budget.per]
    within = [run for run in state.heads if run.started > since]
    expected = state.heads[-1].seconds / 60
    return Spent(len(within), sum(run.seconds for run in within) / 60, expected)


def _train(cells: Cells, gate: Gate, state: _State, fire: Fire, period: int) -> Run:
    stream, fit = cells.stream, cells.fits[period]
    judged = gate.judge(period, state.served[-1].point)
    at = stream.ends[period]
    run = PastRun(
        f"run-{len(state.heads):04d}",
        fire.trigger,
        fire.key,
        "promoted" if judged.passed else "rejected",
        at,
        at + timedelta(seconds=fit.cpu),
        fit.cpu,
        fit.known,
    )
    for key in (fire.key, *fire.key.split("&")):
        state.answered.setdefault(key, run.run_id)
    state.heads.append(run)
    state.trained = run
    state.rejections = 0 if judged.passed else state.rejections + 1
    if judged.passed:
        state.served.append(Served(len(state.served) + 1, period, at))
    return Run(
        period, at, fire.trigger, fire.reason, judged.passed, judged.verdict, judged.difference,
        judged.reason,
    )  # fmt: skip
