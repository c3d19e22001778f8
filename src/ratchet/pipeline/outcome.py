"""What a run ended in, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ratchet.errors import RatchetError
from ratchet.pipeline.step import Rung

Outcome = Literal["promoted", "candidate", "rejected", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How one step went.

    Attributes:
        status: ``done``, ``reused`` (an earlier run's outputs), ``stopped`` (its verdict said
            no), ``failed`` or ``not run``.
        detail: one line about what it found.
    """

    name: str
    status: str
    seconds: float
    cached: bool
    detail: str = ""
    error: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The step as in ``run --json``."""
        return {
            "name": self.name,
            "status": self.status,
            "seconds": round(self.seconds, 4),
            "cached": self.cached,
            "detail": self.detail,
            "error": dict(self.error) if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class Climb:
    """A cheaper way to make the model that was not enough: how it was made, and why not."""

    update: Rung
    reason: str

    def to_json(self) -> dict[str, Any]:
        """The climb as in ``run --json``."""
        return {"update": self.update, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of the pipeline.

    Attributes:
        outcome: ``promoted``, ``candidate`` (passed, waits), ``rejected`` (evidence),
            ``skipped`` (nothing changed) or ``failed`` (a fault).
        reason: why it ended so, in a sentence.
        snapshot: the pinned table version: version, rows, digest, change.
        candidates: what was trained, each with cross-validation and test metrics.
        best: the name of the chosen candidate.
        champion: the serving version before the run, or None.
        checks: the check report, as JSON values.
        gates: every gate with value, threshold, verdict and reason.
        model: name, version, uri, bundle and digest of the registered version, or None.
        metrics: of the best candidate on the test rows.
        metric: the one that chose among the candidates.
        update: how the model was made: ``retune``, ``refit`` or ``incremental``.
        climbed: the cheaper ways that were tried before it, and why they were not enough.
        notes: what training had to say of the model: what there was no time for, what was left out.
        window: which of the training rows were learned from, and why (``training.window``).
        report: the run's HTML page, if it has one.
        seconds: wall time.
        cpu_seconds: processor time of this process and those it started.
        fault: the error that ended a failed run.
    """

    run_id: str
    outcome: Outcome
    reason: str
    trigger: str
    seconds: float
    snapshot: Mapping[str, Any] | None = None
    steps: tuple[StepRecord, ...] = ()
    candidates: tuple[Mapping[str, Any], ...] = ()
    best: str | None = None
    champion: Mapping[str, Any] | None = None
    checks: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    gates: tuple[Mapping[str, Any], ...] = ()
    model: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""
    update: Rung = "retune"
    climbed: tuple[Climb, ...] = ()
    notes: tuple[str, ...] = ()
    window: Mapping[str, Any] | None = None
    report: str | None = None
    cpu_seconds: float = 0.0
    fault: RatchetError | None = None

    @property
    def exit_code(self) -> int:
        """0 done, 3 a verdict said no, else the fault's own."""
        if self.fault is not None:
            return self.fault.exit_code
        return 3 if self.outcome == "rejected" else 0

    def to_json(self) -> dict[str, Any]:
        """The ``data`` object of ``run --json``."""
        return {
            "run_id": self.run_id,
            "outcome": self.outcome,
            "reason": self.reason,
            "trigger": self.trigger,
            "snapshot": dict(self.snapshot) if self.snapshot else None,
            "steps": [step.to_json() for step in self.steps],
            "candidates": [dict(candidate) for candidate in self.candidates],
            "best": self.best,
            "champion": dict(self.champion) if self.champion else None,
            "checks": dict(self.checks) if self.checks else None,
            "comparison": dict(self.comparison) if self.comparison else None,
            "gates": [dict(gate) for gate in self.gates],
            "model": dict(self.model) if self.model else None,
            "metrics": dict(self.metrics),
            "metric": self.metric,
            "update": self.update,
            "climbed": [climb.to_json() for climb in self.climbed],
            "notes": list(self.notes),
            "window": dict(self.window) if self.window else None,
            "report": self.report,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "error": self.fault.to_json() if self.fault else None,
        }
