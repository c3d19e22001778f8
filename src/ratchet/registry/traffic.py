"""How the traffic is split next: a plan that can be read first, and then applied.

As with promotions (``promotion.py``): a plan is a value, applying it refuses to act on a world that
changed meanwhile, and the same plan made again after it was applied is empty. The ledger alone
says who answers; aliases, and so MLflow, do not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.outbox import Notice
from ratchet.ledger.reader import LedgerReader
from ratchet.ledger.splitting import Split, check_split, same_split
from ratchet.ledger.store import Ledger
from ratchet.ledger.traffic import CHAMPION, Arm, Kind, Traffic


@dataclass(frozen=True, slots=True)
class TrafficPlan:
    """What the traffic would be, and what it is.

    Attributes:
        before: the record in force when this was planned.
        refusal: why it may not be applied; empty when it may.
    """

    before: Traffic
    split: Split
    refusal: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return same_split(self.before, self.split)

    def lines(self) -> tuple[str, ...]:
        """The plan for people: one line per change, and why."""
        if self.refusal:
            return (f"refused: {self.refusal}",)
        if self.empty:
            return (f"nothing to do: {describe(self.split.arms, self.split.shadow)}",)
        was = {arm.name: arm for arm in self.before.arms}
        lines = [_line(arm, was.pop(arm.name, None)) for arm in self.split.arms]
        lines += [f"{arm.name} (version {arm.version}) answers no more" for arm in was.values()]
        added = [n for n in self.split.shadow if n not in self.before.shadow]
        removed = [n for n in self.before.shadow if n not in self.split.shadow]
        lines += [f"version {number} answers unseen, as a shadow" for number in added]
        lines += [f"version {number} is a shadow no more" for number in removed]
        forced = " (gate overruled)" if self.split.forced else ""
        return (*lines, f"because {self.split.reason}{forced}, by {self.split.by}")


def plan_split(
    ledger: LedgerReader,
    arms: Sequence[Arm],
    shadow: Sequence[int] = (),
    *,
    by: str,
    reason: str,
    force: bool = False,
) -> TrafficPlan:
    """Plan to split the traffic: a canary, or with one arm only the champion and its shadows.

    Args:
        arms: the champion first, then who gets a part of it.
        shadow: versions that are to answer unseen.
        by: who asks.
        reason: why; kept for ever.
        force: let versions answer whose gates did not pass.

    Raises:
        UsageError: no such version, arms that make no split, or no reason.
        ConflictError: nothing serves.
    """
    if not reason.strip():
        raise UsageError(
            "The traffic is changed only with a reason", fix="say why: --reason", code="no_reason"
        )
    before = _in_force(ledger)
    split = Split(
        tuple(arms), tuple(shadow), _kind(arms, before), by, reason, before.seq, forced=force
    )
    check_split(split)
    refusal = "" if force else _refusal(ledger, split, before)
    for number in shadow:
        ledger.version(number)
    return TrafficPlan(before, split, refusal)


def plan_clear(ledger: LedgerReader, *, by: str, reason: str) -> TrafficPlan:
    """Plan to let the champion answer everything, without a shadow.

    Raises:
        ConflictError: nothing serves.
    """
    before = _in_force(ledger)
    arms = (Arm(CHAMPION, before.champion, 100.0),)
    return TrafficPlan(before, Split(arms, (), "plain", by, reason, before.seq))


def apply_split(plan: TrafficPlan, ledger: Ledger, *, notices: Iterable[Notice] = ()) -> Traffic:
    """Do what the plan says, in one transaction.

    Args:
        notices: alerts to keep in the same transaction.

    Returns:
        The record in force.

    Raises:
        ConflictError: the plan was refused, or what serves has changed since it was made.
    """
    if plan.refusal:
        raise ConflictError(
            f"The traffic stays as it is: {plan.refusal}",
            fix="overrule it with --force, or let the version shadow",
            code="gate_not_passed",
        )
    split = plan.split
    return ledger.set_traffic(
        split.arms,
        split.shadow,
        kind=split.kind,
        salt=split.salt,
        by=split.by,
        reason=split.reason,
        expected_seq=split.expected_seq,
        forced=split.forced,
        notices=tuple(notices),
    )


def describe(arms: Sequence[Arm], shadow: Sequence[int]) -> str:
    """Who answers how much, in a line."""
    told = [f"{arm.name} (version {arm.version}) {arm.share:g} %" for arm in arms]
    told += [f"version {number} as a shadow" for number in shadow]
    return ", ".join(told)


def _in_force(ledger: LedgerReader) -> Traffic:
    found = ledger.traffic()
    if found is None:
        raise ConflictError(
            "Nothing serves, so there is no traffic to split",
            fix="train a model with `ratchet run`, or promote one: ratchet promote VERSION",
            code="no_champion",
        )
    return found


def _kind(arms: Sequence[Arm], before: Traffic) -> Kind:
    names = {arm.name for arm in arms}
    if names == {CHAMPION}:
        return "plain"
    goes_on = before.kind == "experiment" and names == {arm.name for arm in before.arms}
    return "experiment" if goes_on else "canary"


def _refusal(ledger: LedgerReader, split: Split, before: Traffic) -> str:
    for arm in split.arms:
        version = ledger.version(arm.version)
        if arm.version not in before.versions and not ledger.gates_passed(version.run_id):
            return f"the gates of version {arm.version} did not pass (run {version.run_id})"
    return ""


def _line(arm: Arm, was: Arm | None) -> str:
    if was is None or was.version != arm.version:
        return f"{arm.name} (version {arm.version}) answers {arm.share:g} %"
    if was.share == arm.share:
        return f"{arm.name} (version {arm.version}) goes on with {arm.share:g} %"
    return f"{arm.name} (version {arm.version}) answers {arm.share:g} % (was {was.share:g} %)"
