"""What a run would do now: read from the source's fingerprint, the ledger and the settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ratchet.pipeline.cache import inputs_key
from ratchet.pipeline.graph import STEPS

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.project import Project

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
    """

    action: Action
    reason: str
    steps: tuple[PlannedStep, ...]
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {**asdict(self), "steps": [asdict(step) for step in self.steps]}


def plan_run(project: Project) -> RunPlan:
    """Plan the next run. Writes nothing.

    Raises:
        ConfigError, DataError, UnreachableError: as the run would.
    """
    if project.settings.storage.ledger == "sqlite" and not (project.state / "ledger.db").exists():
        return _plan("train", "there was no run yet", None)
    with project.open_ledger(create=False) as ledger:
        return _plan_with(project, ledger)


def _plan_with(project: Project, ledger: Ledger) -> RunPlan:
    from ratchet.data.sources.open_source import open_source
    from ratchet.ledger.process import liveness

    holder = ledger.holder()
    if holder is not None and liveness(holder.process) != "gone":
        return _plan("wait", f"held by {holder.describe()}", None)
    left = ledger.unfinished_run()
    if left is not None:
        return _plan("resume", f"run {left.run_id} was left open; it goes on", ledger)
    data = project.settings.data
    lake = project.open_lake()
    latest = lake.latest("data")
    if latest is None:
        return _plan("train", "the table was never read", ledger)
    source = open_source(
        project.source_settings(), project.root, columns=data.columns or None, order_by=data.id
    )
    if not lake.is_current("data", source):
        return _plan("look", f"{source.describe()} changed; a new content means training", ledger)
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
