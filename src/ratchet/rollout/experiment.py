"""Experiments from their beginning to their end: each look takes one step, if there is one.

As with rollouts (``drive.py``): a step is one transaction of the ledger, whoever dies leaves the
step before or the one after, and two that look at once take one step between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from ratchet.errors import ConflictError, UsageError
from ratchet.ledger.experiments import Experiment, Turn
from ratchet.rollout.drive import show_aliases

if TYPE_CHECKING:
    from ratchet.data.lake import Lake
    from ratchet.ledger.outbox import Notice
    from ratchet.ledger.store import Ledger
    from ratchet.registry.promotion import AliasRegistry

LOOP: Final = "experiment"
"""Who acts when nobody does by hand."""
Did = Literal["held", "waits", "decided", "applied", "ended"]
Tell = Callable[[str, Experiment], "Sequence[Notice]"]
Classes = Callable[[int], tuple[Any, ...]]


def tell_nobody(reason: str, found: Experiment) -> Sequence[Notice]:
    """No alerts."""
    return ()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look did.

    Attributes:
        did: ``held``: it goes on; ``waits``: no entity is assigned any more, and labels still
            come; ``decided``: it has its verdict; ``applied``: its winner was promoted;
            ``ended``: somebody else changed what serves.
        behind: why MLflow's aliases are behind, if they are.
    """

    did: Did
    experiment: Experiment
    reason: str
    changed: bool = True
    behind: str = ""


def advance(
    ledger: Ledger,
    lake: Callable[[], Lake],
    *,
    classes: Classes,
    now: datetime,
    registry: Callable[[], AliasRegistry] | None = None,
    tell: Tell = tell_nobody,
) -> Look | None:
    """Look at the experiment at work, if there is one, and take the step that is due.

    Returns:
        None when there is none, or somebody else took the step meanwhile.

    Raises:
        StorageError, UnreachableError: the ledger or the lake fails; nothing was changed.
    """
    found = ledger.live_experiment()
    if found is None:
        return None
    try:
        if found.pending:
            return _promote_winner(ledger, found, registry)
        look = _overtaken(ledger, found) or _look(ledger, found, lake(), classes, now, tell)
        if look.experiment.pending:
            return _promote_winner(ledger, look.experiment, registry)
    except ConflictError as error:
        if error.name not in ("experiment_moved", "traffic_changed", "champion_changed"):
            raise
        return None  # whoever was faster is seen by the next call
    return look


def stop(ledger: Ledger, name: str, *, by: str, reason: str) -> Experiment:
    """End an experiment without a verdict: the champion answers everything.

    Raises:
        UsageError: there is none of this name, or it ended before.
    """
    found = ledger.experiment(name)
    if not found.open:
        raise UsageError(
            f"The experiment {found.name} ended before: {found.reason}",
            fix="see it with: ratchet experiment show " + found.name,
            code="experiment_ended",
        )
    return ledger.turn_experiment(_turn(found, by, reason, status="stopped", clear=True))


def note_applied(ledger: Ledger, found: Experiment, *, by: str, reason: str) -> Experiment:
    """Note that its winner was promoted."""
    return ledger.turn_experiment(_turn(found, by, reason, status="applied"))


def check_winner(ledger: Ledger, found: Experiment, *, force: bool = False) -> None:
    """Whether b may be promoted.

    Raises:
        ConflictError: it is not proven better and not forced, or it was compared with a version
            that is not champion any more.
    """
    champion = ledger.champion()
    number = None if champion is None else champion.version
    if found.status == "applied" or number == found.b:
        when = "is champion already" if number == found.b else "was promoted before"
        raise ConflictError(
            f"Version {found.b} of the experiment {found.name} {when}",
            fix="see what serves with: ratchet rollout show",
            code="experiment_applied",
        )
    if found.verdict != "better" and not force:
        stands = found.verdict or f"nothing yet, it is {found.status}"
        raise ConflictError(
            f"Version {found.b} is not promoted: the experiment {found.name} says {stands}",
            # Of a running one it would be why it was begun.
            why="" if found.status == "running" else found.reason,
            fix="wait for its end, or overrule it with --force --reason WHY",
            code="not_proven",
        )
    if number != found.a and not force:
        raise ConflictError(
            f"Version {found.b} is not promoted: it was compared with version {found.a}, and "
            f"version {number} is champion",
            fix="compare it again with: ratchet experiment create",
            code="champion_changed",
        )


def _overtaken(ledger: Ledger, found: Experiment) -> Look | None:
    """Ends an experiment under which somebody else changed what serves."""
    traffic = ledger.traffic()
    if found.status == "waiting":
        return None  # its entities were assigned; what serves now does not change their outcomes
    if traffic is not None and traffic.seq == found.record:
        return None
    told = "nothing serves" if traffic is None else f"by {traffic.by}: {traffic.reason}"
    reason = f"what serves was changed {told}"
    after = ledger.turn_experiment(_turn(found, LOOP, reason, status="stopped", clear=True))
    return Look("ended", after, reason)


def _look(
    ledger: Ledger, found: Experiment, lake: Lake, classes: Classes, now: datetime, tell: Tell
) -> Look:
    from ratchet.rollout.experiment_evidence import compare_now, failures
    from ratchet.rollout.experiment_verdict import judge

    comparison = compare_now(lake, found, classes, now)[1]
    facts = {**comparison.to_json(), "until": now.isoformat()}
    failing = ""
    if found.status == "running":
        failing, facts["errors"] = failures(lake, found, classes, now)
    verdict, reason = judge(found, comparison, failing, now)
    if verdict is not None:
        turn = _turn(found, LOOP, reason, status="decided", verdict=verdict, evidence=facts)
        turn = _clearing(turn)
        after = ledger.turn_experiment(turn, notices=tell(reason, found))
        return Look("decided", after, reason)
    if found.status == "running" and now >= found.ends:
        turn = _turn(found, LOOP, reason, status="waiting", evidence=facts)
        return Look("waits", ledger.turn_experiment(_clearing(turn)), reason)
    ledger.note_findings(found.experiment_id, found.seq, facts)
    did: Did = "held" if found.status == "running" else "waits"
    return Look(did, found, reason, changed=False)


def _clearing(turn: Turn) -> Turn:
    from dataclasses import replace

    return replace(turn, clear=True)


def _promote_winner(
    ledger: Ledger, found: Experiment, registry: Callable[[], AliasRegistry] | None
) -> Look:
    """Promote the winner of an experiment that was begun with ``apply``."""
    from ratchet.registry.promotion import apply, plan_promotion

    champion = ledger.champion()
    number = None if champion is None else champion.version
    if number not in (found.a, found.b):
        reason = f"the winner was not promoted: version {number} is champion meanwhile"
        turn = _turn(found, LOOP, reason, rules={"apply": False})
        return Look("ended", ledger.turn_experiment(turn), reason)
    if number != found.b:
        forced = gates_overruled(ledger, found)
        made = plan_promotion(ledger, None, found.b, by=LOOP, reason=winning(found), force=forced)
        apply(made, ledger, None)
    after = note_applied(ledger, found, by=LOOP, reason=found.reason)
    return Look("applied", after, found.reason, behind=show_aliases(ledger, registry))


def gates_overruled(ledger: Ledger, found: Experiment, *, force: bool = False) -> bool:
    """Whether b is promoted although its gates did not pass, as somebody said it may be."""
    allowed = force or bool(found.rules.get("forced"))
    return allowed and not ledger.gates_passed(ledger.version(found.b).run_id)


def winning(found: Experiment) -> str:
    """Why the winner is promoted."""
    return f"experiment {found.name}: {found.reason}"


def _turn(found: Experiment, by: str, reason: str, **values: Any) -> Turn:
    return Turn(found.experiment_id, found.seq, by, reason, **values)
