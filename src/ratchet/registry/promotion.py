"""Which version serves next: a plan that can be read first, and then applied.

The ledger is the truth; MLflow's aliases follow it. A plan is a value: it says what would change
and why, and applying it refuses to act on a world that changed meanwhile. After it was applied,
the same plan made again is empty. When a process dies between the two, ``reconcile`` brings the
aliases in line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.deployments import ALIASES, Alias, Deployment
from ratchet.ledger.outbox import Notice
from ratchet.ledger.reader import LedgerReader
from ratchet.ledger.store import Ledger
from ratchet.ledger.versions import Version
from ratchet.registry.plans import PlanStep, PromotionPlan


class AliasRegistry(Protocol):
    """Where aliases are shown to the world (``MlflowTracking`` is one)."""

    def aliases(self, model: str) -> Mapping[str, str]:
        """What each alias points to."""

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Point an alias to a version, or remove it."""


def plan_promotion(
    ledger: LedgerReader,
    registry: AliasRegistry | None,
    version: int,
    *,
    alias: Alias = "champion",
    by: str,
    reason: str,
    run_id: str | None = None,
    force: bool = False,
) -> PromotionPlan:
    """Plan to give ``alias`` to ``version``.

    Args:
        registry: whose aliases follow; None leaves them for ``reconcile``.
        by: who asks: a person, or ``run``.
        reason: why; kept for ever.
        run_id: the run whose promotion this is, when a run asks; it has one.
        force: overrule gates that did not pass.

    Raises:
        UsageError: no such version, or a forced promotion without a reason.
    """
    wanted = ledger.version(version)
    if force and not reason.strip():
        raise UsageError(
            "A gate is overruled only with a reason", fix="say why with --reason", code="no_reason"
        )
    previous = _number(ledger.current(alias))
    proven = force or alias != "champion" or previous == version
    refusal = "" if proven else _refusal(ledger, wanted)
    draft = PromotionPlan(
        ledger.project,
        alias,
        version,
        previous,
        "promote",
        by,
        reason,
        run_id,
        force,
        refusal,
    )
    return draft if refusal else replace(draft, steps=_steps(ledger, registry, draft, wanted))


def plan_rollback(
    ledger: LedgerReader,
    registry: AliasRegistry | None,
    *,
    by: str,
    reason: str,
    to: int | None = None,
) -> PromotionPlan:
    """Plan to go back to the champion before this one, or to an earlier one.

    Args:
        to: a version that was champion before; by default the one before the present champion.

    Raises:
        UsageError: there is nothing to go back to.
    """
    target = ledger.previous_champion() if to is None else to
    if target is None:
        raise UsageError(
            f"There is no earlier champion of {ledger.project} to go back to",
            fix="see what served with `ratchet models`",
            code="nothing_to_roll_back",
        )
    wanted = ledger.version(target)
    served = {row.version for row in ledger.deployments("champion")}
    if target not in served:
        raise UsageError(
            f"Version {target} never was champion, so there is no way back to it",
            fix=f"promote it: ratchet promote {target}",
            code="never_champion",
        )
    previous = _number(ledger.champion())
    draft = PromotionPlan(ledger.project, "champion", target, previous, "rollback", by, reason)
    return replace(draft, steps=_steps(ledger, registry, draft, wanted))


def apply(
    plan: PromotionPlan,
    ledger: Ledger,
    registry: AliasRegistry | None,
    *,
    notices: Iterable[Notice] = (),
) -> Deployment | None:
    """Do what the plan says: the ledger in one transaction, then the aliases.

    Args:
        notices: alerts to keep in the same transaction.

    Returns:
        The deployment in force, None when the ledger had nothing to change.

    Raises:
        ConflictError: the plan was refused, or the alias moved since it was made.
        UnreachableError, StorageError: MLflow failed after the ledger was changed; what serves
            is right, and ``reconcile`` makes the aliases right.
    """
    if plan.refusal:
        raise ConflictError(
            f"Version {plan.version} is not promoted: {plan.refusal}", code="gate_not_passed"
        )
    deployed = None
    if any(step.where == "ledger" for step in plan.steps):
        deployed = ledger.deploy(
            plan.version,
            plan.alias,
            expected_previous=plan.previous,
            by=plan.by,
            reason=plan.reason,
            action=plan.action,
            run_id=plan.run_id,
            forced=plan.forced,
            notices=tuple(notices),
        )
    if registry is not None:
        reconcile(ledger, registry)
    return deployed


def reconcile(ledger: LedgerReader, registry: AliasRegistry) -> tuple[PlanStep, ...]:
    """Bring the registry's aliases in line with the ledger.

    Returns:
        The changes made; none when all was right.
    """
    steps = _alias_steps(registry.aliases(ledger.project), _wanted(ledger))
    for step in steps:
        registry.set_alias(ledger.project, step.alias, step.after)
    return steps


def _steps(
    ledger: LedgerReader, registry: AliasRegistry | None, plan: PromotionPlan, wanted: Version
) -> tuple[PlanStep, ...]:
    target = _wanted(ledger)
    steps: list[PlanStep] = []
    if plan.previous != plan.version and not _promoted_before(ledger, plan):
        before = None if plan.previous is None else str(plan.previous)
        steps.append(PlanStep("ledger", plan.alias, before, str(plan.version)))
        target.pop(plan.alias, None)
        if wanted.mlflow_version is not None:
            target[plan.alias] = wanted.mlflow_version
        if plan.alias == "champion" and _number(ledger.current("challenger")) == plan.version:
            steps.append(PlanStep("ledger", "challenger", str(plan.version), None))
            target["challenger"] = None
    if registry is not None:
        steps += _alias_steps(registry.aliases(ledger.project), target)
    return tuple(steps)


def _promoted_before(ledger: LedgerReader, plan: PromotionPlan) -> bool:
    """Whether the run had its promotion; a run that is continued does not undo a rollback."""
    return plan.run_id is not None and any(
        (row.run_id, row.action, row.version) == (plan.run_id, "promote", plan.version)
        for row in ledger.deployments(plan.alias)
    )


def _refusal(ledger: LedgerReader, version: Version) -> str:
    verdicts = ledger.gates(version.run_id)
    if not verdicts:
        return f"the gates of run {version.run_id} were never evaluated"
    failed = [verdict.name for verdict in verdicts if not verdict.passed]
    return f"it did not pass {', '.join(failed)}" if failed else ""


def _wanted(ledger: LedgerReader) -> dict[Alias, str | None]:
    found: dict[Alias, str | None] = {}
    for alias in ALIASES:
        current = ledger.current(alias)
        if current is None:
            found[alias] = None
        elif current.mlflow_version is not None:
            found[alias] = current.mlflow_version
        # A version that is not registered yet cannot be pointed to; registering comes first.
    return found


def _alias_steps(
    shown: Mapping[str, str], wanted: Mapping[Alias, str | None]
) -> tuple[PlanStep, ...]:
    return tuple(
        PlanStep("registry", alias, shown.get(alias), wanted[alias])
        for alias in ALIASES
        if alias in wanted and shown.get(alias) != wanted[alias]
    )


def _number(version: Version | None) -> int | None:
    return None if version is None else version.version
