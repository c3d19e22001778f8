"""What the gates say: one result each, and the report of them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ratchet.evaluation.compare import Verdict

Group = Literal["thresholds", "champion", "artifacts", "budget"]

Where = Callable[..., str]
"""Answers where a setting was made: its path as words, such as ``"gates", "minimum", "f1"``."""


def default_places(*path: str | int) -> str:
    """The answer when no setting was made by anybody."""
    return "default"


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's verdict.

    Attributes:
        name: the gate, such as ``minimum.roc_auc``.
        group: what it is about.
        value: what was measured, in the metric's unit, seconds, bytes or rows; None when it could
            not be measured or is no number.
        threshold: what ``value`` was held against, in the same unit; None when there is none.
        passed: whether the model may go on.
        reason: what was measured and what follows from it, one sentence for people.
        where: where the threshold was set: ``ratchet.yaml:31``, or ``default``.
        verdict: what the comparison with the model that serves proves; None for other gates, and
            when nothing serves yet.
        rows_needed: about how many test rows would have been enough, where they were too few.
    """

    name: str
    group: Group
    value: float | None
    threshold: float | None
    passed: bool
    reason: str
    where: str = "default"
    verdict: Verdict | None = None
    rows_needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateResult:
        """The result that `to_json` wrote."""
        return cls(**data)

    def line(self) -> str:
        """One line for a terminal or a log."""
        return f"{'passed' if self.passed else 'FAILED'}  {self.name}: {self.reason} [{self.where}]"


@dataclass(frozen=True, slots=True)
class GateReport:
    """All gates' verdicts, in the order they were judged."""

    results: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed; a report without gates proves nothing."""
        return bool(self.results) and not self.failed

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    def summary(self) -> str:
        """One sentence: how many passed, or which failed and why the first one did."""
        if not self.results:
            return "no gate was judged"
        if not self.failed:
            return f"all {len(self.results)} gates passed"
        names = ", ".join(result.name for result in self.failed)
        return (
            f"{len(self.failed)} of {len(self.results)} gates failed ({names}): "
            f"{self.failed[0].reason}"
        )

    def lines(self) -> tuple[str, ...]:
        """One line for each gate, failures first."""
        ordered = sorted(self.results, key=lambda result: result.passed)
        return tuple(result.line() for result in ordered)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"passed": self.passed, "results": [result.to_json() for result in self.results]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateReport:
        """The report that `to_json` wrote."""
        return cls(tuple(GateResult.from_json(result) for result in data["results"]))
