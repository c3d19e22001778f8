"""What a run would do now: read from the source's fingerprint, the ledger and the settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ratchet import clock
from ratchet.ledger.tables import plain
from ratchet.pipeline.arrivals import look
from ratchet.pipeline.cache import inputs_key
from ratchet.pipeline.graph import STEPS

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project
    from ratchet.triggers.facts import Arrivals
    from ratchet.triggers.verdicts import Decision

Action = Literal["train", "skip", "look", "resume", "wait"]


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What would happen to one step; ``seconds`` is how long it took the last time it ran."""

    name: str
    action: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run would do, and why.

    Attributes:
        action: ``train``; ``skip``; ``look`` (the source changed, its content decides);
            ``resume`` an open run; ``wait`` (another process holds the project).
        tick: what the loop's next tick would do, and what each of its rules sees; None where
            that was not asked for.
    """

    action: Action
    reason: str
    steps: tuple[PlannedStep, ...]
    seconds: float | None
    tick: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        tick = None if self.tick is None else self.tick.to_json()
        told: dict[str, Any] = plain({**asdict(replace(self, tick=None)), "tick": tick})
        return told


def plan_run(project: Project) -> RunPlan:
    """Plan the next run, and say what the loop's next tick would do. Writes nothing.

    Raises:
        ConfigError, MissingExtraError, DataError, UnreachableError: as the run would.
    """
    from ratchet.pipeline.checking import check_settings
    from ratchet.triggers.decide import decide
    from ratchet.triggers.facts import Facts
    from ratchet.triggers.gather import gather

    check_settings(project)
    policy = project.settings.triggers
    if project.settings.storage.ledger == "sqlite" and not (project.state / "ledger.db").exists():
        planned = _plan("train", "there was no run yet", None)
        return replace(planned, tick=decide(policy, Facts(at=clock.now())))
    with project.open_ledger(create=False) as ledger:
        arrivals = look(project, ledger)
        planned = _plan_with(project, ledger, arrivals)
        facts = gather(ledger, policy, arrivals, None, clock.now())
        return replace(planned, tick=decide(policy, facts))


def _plan_with(project: Project, ledger: Ledger, arrivals: Arrivals) -> RunPlan:
    from ratchet.ledger.process import liveness

    holder = ledger.holder()
    if holder is not None and liveness(holder.process) != "gone":
        return _plan("wait", f"held by {holder.describe()}", None)
    left = ledger.unfinished_run()
    if left is not None:
        return _plan("resume", f"run {left.run_id} was left open; it goes on", ledger)
    latest = project.open_lake().latest("data")
    if latest is None:
        return _plan("train", "the table was never read", ledger)
    if arrivals.changed:
        return _plan("look", f"{arrivals.source} changed; a new content means training", ledger)
    done = ledger.last_completed(inputs_key(project, latest.digest))
    if done is None:
        return _plan("train", "the settings or the code changed since the last run", ledger)
    return _plan("skip", f"nothing changed since run {done.run_id} ({done.outcome})", ledger)


def _plan(action: Action, reason: str, ledger: Ledger | None) -> RunPlan:
    took = _last_seconds(ledger)
    if action in ("skip", "wait"):
        return RunPlan(action, reason, (), 0.0)
    steps = tuple(PlannedStep(step.name, "run", took.get(step.name)) for step in STEPS)
    known = [step.seconds for step in steps if step.seconds is not None]
    return RunPlan(action, reason, steps, sum(known) if known else None)


def _last_seconds(ledger: Ledger | None) -> dict[str, float]:
    """How long each step took when it last ran and was not reused."""
    took: dict[str, float] = {}
    for run in ledger.runs(20) if ledger is not None else ():
        assert ledger is not None
        for step in ledger.steps(run.run_id):
            if step.status == "finished" and not step.cached and step.seconds is not None:
                took.setdefault(step.name, step.seconds)
    return took
