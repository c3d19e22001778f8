"""A plan of what is to serve next, as a value: to be read, compared, and applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ratchet.ledger.deployments import Action, Alias


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One change.

    Attributes:
        where: ``ledger``: what serves; ``registry``: what MLflow shows.
        before, after: the version's number there; None for none.
    """

    where: Literal["ledger", "registry"]
    alias: Alias
    before: str | None
    after: str | None

    def line(self) -> str:
        """The change for people."""
        place = "" if self.where == "ledger" else " in MLflow"
        if self.after is None:
            return f"remove {self.alias}{place} (version {self.before})"
        was = "" if self.before is None else f" (was {self.before})"
        return f"{self.alias} becomes version {self.after}{place}{was}"


@dataclass(frozen=True, slots=True)
class PromotionPlan:
    """What would be changed, for what reason, or why nothing may be.

    Attributes:
        version: the version that is to have the alias.
        previous: the version that had it when this was planned.
        refusal: why it may not be applied; empty when it may.
        steps: the changes, the ledger's first; none when all is as it should be.
    """

    project: str
    alias: Alias
    version: int
    previous: int | None
    action: Action
    by: str
    reason: str
    run_id: str | None = None
    forced: bool = False
    refusal: str = ""
    steps: tuple[PlanStep, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps


def explain(plan: PromotionPlan) -> tuple[str, ...]:
    """The plan for people, one line per change, and why."""
    if plan.refusal:
        return (f"refused: {plan.refusal}",)
    if plan.empty:
        return (f"nothing to do: {plan.alias} is version {plan.version}",)
    forced = " (gate overruled)" if plan.forced else ""
    return (*(step.line() for step in plan.steps), f"because {plan.reason}{forced}, by {plan.by}")
