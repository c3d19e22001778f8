"""A version that waits for somebody's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ratchet.errors import UsageError
from ratchet.ledger.rollouts import Move, Rollout
from ratchet.rollout.drive import Tell, next_step, show_aliases, tell_nobody

if TYPE_CHECKING:
    from ratchet.ledger.store import Ledger
    from ratchet.registry.promotion import AliasRegistry


def approve(
    ledger: Ledger,
    version: int,
    *,
    by: str,
    reason: str,
    registry: Callable[[], AliasRegistry] | None = None,
    tell: Tell = tell_nobody,
) -> tuple[Rollout, str]:
    """Let a version on: as champion, or as a canary, as its strategy has it.

    Returns:
        The rollout, and why MLflow's aliases are behind, if they are.

    Raises:
        UsageError: it does not wait for an approval.
        ConflictError: what serves was changed since it began to wait.
    """
    rollout = waiting(ledger, version)
    approved = {"approved_by": by, "approval": False}
    after = next_step(ledger, rollout, by=by, reason=reason, rules=approved, tell=tell)
    return after, show_aliases(ledger, registry)


def reject(
    ledger: Ledger,
    version: int,
    *,
    by: str,
    reason: str,
    registry: Callable[[], AliasRegistry] | None = None,
) -> tuple[Rollout, str]:
    """Let a version go no further. Raises UsageError: it does not wait, or without a reason."""
    if not reason.strip():
        raise UsageError(
            "A version is rejected only with a reason", fix="say why: --reason", code="no_reason"
        )
    rollout = waiting(ledger, version)
    move = Move(rollout.rollout_id, rollout.seq, by, reason, status="aborted", share=0.0)
    move = replace(move, serves="clear", rules={"rejected_by": by})
    after = ledger.move_rollout(move)
    return after, show_aliases(ledger, registry)


def waiting(ledger: Ledger, version: int) -> Rollout:
    """The rollout of a version that waits. Raises UsageError (``not_waiting``) when it does not."""
    ledger.version(version)
    found = [each for each in ledger.rollouts() if each.status == "awaiting_approval"]
    for rollout in found:
        if rollout.version == version:
            return rollout
    champion, why = ledger.champion(), "no version does"
    fix = f"roll it out with: ratchet rollout start {version}"
    going = [each for each in ledger.rollouts() if each.open]
    if found:
        why, fix = f"version {found[0].version} does", f"ratchet approve {found[0].version}"
    elif champion is not None and champion.version == version:
        why, fix = "it is champion already", "see what serves with: ratchet rollout show"
    elif going:
        why = f"version {going[0].version} is being rolled out, and needs none now"
        fix = "see how it stands with: ratchet rollout show"
    raise UsageError(
        f"Version {version} does not wait for an approval",
        why=why,
        fix=fix,
        code="not_waiting",
    )
