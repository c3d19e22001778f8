"""Rollouts from their beginning to their end: each call takes one step, if there is one to take.

A step is one transaction of the ledger; MLflow's aliases follow it. Who dies between leaves the
step done and the aliases behind, and the next call goes on; a call that finds nothing to do
changes nothing. Two that call at once take one step between them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ratchet.errors import ConflictError, EnvironmentFault, UsageError
from ratchet.ledger.rollouts import BEFORE, Begin, Move, Rollout, Strategy
from ratchet.rollout.meanwhile import FASTER, LOOP, overtaken, put_back

if TYPE_CHECKING:
    from ratchet.alerts.settings import Occasion
    from ratchet.data.lake import Lake
    from ratchet.ledger.outbox import Notice
    from ratchet.ledger.store import Ledger
    from ratchet.registry.promotion import AliasRegistry
    from ratchet.rollout.canary import Finding, Verdict


Tell = Callable[["Occasion", str, Rollout], "Sequence[Notice]"]
"""Makes the alerts of something that happened to a rollout, given why."""
Did = Literal["widened", "promoted", "rolled_back", "held", "waits", "ended", "clean", "began_anew"]


def tell_nobody(occasion: Occasion, reason: str, rollout: Rollout) -> Sequence[Notice]:
    """No alerts."""
    return ()


@dataclass(frozen=True, slots=True)
class Step:
    """What one call did.

    Attributes:
        did: ``held``: it was looked at, and stays; ``waits``: for an approval; ``ended``: what
            serves was changed by somebody else; ``clean``: the watch found nothing;
            ``began_anew``: the step did, as the clock was put back.
        rollout: as it is now.
        findings: what it was decided on.
        behind: why MLflow's aliases are behind, if they are.
    """

    did: Did
    rollout: Rollout
    reason: str
    findings: tuple[Finding, ...] = ()
    behind: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was."""
        return self.did not in ("held", "waits")


def start(
    ledger: Ledger,
    version: int,
    strategy: Strategy,
    rules: Mapping[str, Any],
    *,
    by: str,
    reason: str,
    run_id: str | None = None,
    forced: bool = False,
    notices: Sequence[Notice] = (),
) -> Rollout:
    """Begin to roll a version out; the rollout that is there when the run asked for it before.

    Args:
        rules: ``RolloutSettings.rules``; they hold until its end.
        run_id: the run that asks; its promotion is the one that a run has.
        forced: although its gates did not pass.

    Raises:
        UsageError: no such version.
        ConflictError: another rollout is open, nothing serves, the version serves already, the
            traffic is split, or the version's gates did not pass.
    """
    begin = Begin(version, strategy, "awaiting_approval", rules, by, reason, run_id, forced=forced)
    if strategy == "shadow":
        begin = replace(begin, status="shadow", serves="shadow")
    elif strategy == "canary" and not rules["approval"]:
        first = rules["steps"][0]
        begin = replace(begin, status="running", stage=0, share=first, serves="canary")
    return ledger.begin_rollout(begin, notices=notices)


def advance(
    ledger: Ledger,
    lake: Callable[[], Lake],
    *,
    classes: Callable[[int], tuple[Any, ...]],
    now: datetime,
    registry: Callable[[], AliasRegistry] | None = None,
    tell: Tell = tell_nobody,
) -> Step | None:
    """Take the next step of the rollout that is at work, if there is one.

    Args:
        lake: opens the lake, when there is something to look at.
        classes: of a version, in the order of its scores; none for regression.
        registry: opens what shows the aliases; asked only after a change.
        tell: makes the alerts of a change, kept in its transaction.

    Returns:
        None when no rollout is at work, or somebody else took the step meanwhile.

    Raises:
        StorageError, UnreachableError: the ledger or the lake fails; nothing was changed.
    """
    rollout = ledger.live_rollout()
    if rollout is None:
        return None
    try:
        if (move := overtaken(ledger, rollout)) is not None:
            step = Step("ended", ledger.move_rollout(move), move.reason)
        elif (move := put_back(rollout, now)) is not None:
            step = Step("began_anew", ledger.move_rollout(move), move.reason)
        else:
            step = _look(ledger, rollout, lake, classes, now, tell)
    except ConflictError as error:
        if error.name not in FASTER:
            raise
        return None  # whoever was faster is seen by the next call
    return step if not step.changed else replace(step, behind=show_aliases(ledger, registry))


def pause(ledger: Ledger, *, by: str, reason: str) -> Rollout:
    """Take no further step. What is worse goes back all the same.

    Raises:
        UsageError: no rollout is open.
        ConflictError: it waits for an approval.
    """
    rollout = open_rollout(ledger)
    if rollout.status == "awaiting_approval":
        raise ConflictError(
            f"Version {rollout.version} waits for an approval, so it goes no further anyway",
            fix=f"ratchet reject {rollout.version}, or leave it",
        )
    if rollout.status == "paused":
        return rollout
    return ledger.move_rollout(_move(rollout, by, reason, status="paused"))


def resume(ledger: Ledger, *, by: str, reason: str) -> Rollout:
    """Go on after a pause. Raises UsageError when no rollout is paused."""
    rollout = open_rollout(ledger)
    if rollout.status != "paused":
        raise UsageError(
            f"The rollout of version {rollout.version} is not paused", code="not_paused"
        )
    status: Any = "shadow" if rollout.stage == BEFORE else "running"
    return ledger.move_rollout(_move(rollout, by, reason, status=status))


def abort(
    ledger: Ledger,
    *,
    by: str,
    reason: str,
    registry: Callable[[], AliasRegistry] | None = None,
) -> tuple[Rollout, str]:
    """End it: the champion answers everything.

    Returns:
        The rollout, and why MLflow's aliases are behind, if they are.

    Raises:
        UsageError: no rollout is open.
    """
    rollout = open_rollout(ledger)
    move = _move(rollout, by, reason, status="aborted", share=0.0, serves="clear")
    ended = ledger.move_rollout(move)
    return ended, show_aliases(ledger, registry)


def open_rollout(ledger: Ledger) -> Rollout:
    """The rollout that is open. Raises UsageError (``no_rollout``) when none is."""
    for rollout in ledger.rollouts():
        if rollout.open:
            return rollout
    raise UsageError(
        "No version is being rolled out",
        fix="begin with: ratchet rollout start VERSION",
        code="no_rollout",
    )


def show_aliases(ledger: Ledger, registry: Callable[[], AliasRegistry] | None) -> str:
    """Bring MLflow's aliases in line; why they are behind, when they cannot be."""
    if registry is None:
        return ""
    from ratchet.registry.promotion import reconcile

    try:
        reconcile(ledger, registry())
    except EnvironmentFault as error:
        # What serves is decided and stored; the aliases follow with the next change.
        return str(error)
    return ""


def next_step(
    ledger: Ledger,
    rollout: Rollout,
    *,
    by: str,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
    rules: Mapping[str, Any] | None = None,
    tell: Tell = tell_nobody,
) -> Rollout:
    """The step after the one at work: the first or next share, or the promotion."""
    steps, place = rollout.rules["steps"], rollout.stage + 1
    move = _move(rollout, by, reason, evidence=evidence, rules=rules or {})
    at_once = rollout.strategy in ("direct", "manual")
    if at_once or steps[place] >= 100:
        watch: Any = "on" if rollout.rules["watch"] and not at_once else "off"
        move = replace(
            move,
            status="promoted",
            stage=len(steps) - 1,
            share=100.0,
            watch=watch,
            serves="promote",
        )
        return ledger.move_rollout(move, notices=tell("promoted", reason, rollout))
    move = replace(move, status="running", stage=place, share=steps[place], serves="canary")
    return ledger.move_rollout(move)


def _look(
    ledger: Ledger,
    rollout: Rollout,
    lake: Callable[[], Lake],
    classes: Callable[[int], tuple[Any, ...]],
    now: datetime,
    tell: Tell,
) -> Step:
    if rollout.status == "awaiting_approval":
        return Step("waits", rollout, f"for `ratchet approve {rollout.version}`")
    from ratchet.rollout.standing import broken, facts_of, has_labels, pair_of

    if not rollout.open and (why := broken(ledger, rollout, rollout.previous)):
        # A shadow that does not load must not keep the servers from what was promoted.
        reason = f"version {rollout.previous} does not load to be compared with: {why}"
        move = _move(rollout, LOOP, reason, watch="ended", serves="clear")
        return Step("ended", ledger.move_rollout(move), reason)
    from ratchet.rollout.canary import Back, Widen, judge
    from ratchet.rollout.evidence import gather
    from ratchet.rollout.watch import judge_watch

    found = gather(
        lake(),
        pair_of(ledger, rollout, classes),
        now,
        broken=broken(ledger, rollout, rollout.version),
    )
    verdict: Verdict
    if not rollout.open:
        verdict, findings = judge_watch(rollout, found, now)
    else:
        verdict, findings = judge(found, rollout.rules, rollout.stage_started, now)
    evidence = facts_of(found, verdict, findings)
    if isinstance(verdict, Back):
        after = _back(ledger, rollout, verdict.reason, evidence, tell)
        return Step("rolled_back", after, verdict.reason, findings)
    if not isinstance(verdict, Widen) or rollout.status == "paused":
        ledger.note_evidence(rollout.rollout_id, rollout.seq, evidence)
        reason = "it is paused" if rollout.status == "paused" else verdict.reason
        return Step("held", rollout, reason, findings)
    if not rollout.open:
        move = _move(
            rollout, LOOP, verdict.reason, watch="clean", serves="clear", evidence=evidence
        )
        if not has_labels(found):
            move = replace(move, watch="unknown")
        return Step("clean", ledger.move_rollout(move), verdict.reason, findings)
    if rollout.status == "shadow" and rollout.rules["approval"]:
        move = _move(rollout, LOOP, verdict.reason, status="awaiting_approval", evidence=evidence)
        after = ledger.move_rollout(move, notices=tell("candidate", verdict.reason, rollout))
        return Step("widened", after, verdict.reason, findings)
    after = next_step(ledger, rollout, by=LOOP, reason=verdict.reason, evidence=evidence, tell=tell)
    did: Did = "promoted" if after.status == "promoted" else "widened"
    return Step(did, after, verdict.reason, findings)


def _back(
    ledger: Ledger, rollout: Rollout, reason: str, evidence: Mapping[str, Any], tell: Tell
) -> Rollout:
    move = _move(rollout, LOOP, reason, status="rolled_back", share=0.0, evidence=evidence)
    if rollout.open:
        move = replace(move, serves="clear")
    else:
        move = replace(move, serves="back", watch="worse")
    return ledger.move_rollout(move, notices=tell("rolled_back", reason, rollout))


def _move(rollout: Rollout, by: str, reason: str, **values: Any) -> Move:
    return Move(rollout.rollout_id, rollout.seq, by, reason, **values)
