"""What happened to a rollout since the last look: somebody else decided, or the clock was set."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ratchet.errors import ConflictError
from ratchet.ledger.rollouts import Move, Rollout

if TYPE_CHECKING:
    from ratchet.ledger.reader import LedgerReader
    from ratchet.ledger.store import Ledger

FASTER: Final = ("rollout_moved", "traffic_changed", "champion_changed")
"""Names of the conflicts that say that somebody else took a step meanwhile."""
LOOP: Final = "rollout"
"""Who acts when nobody does by hand."""
APART: Final = timedelta(minutes=5)
"""The clocks of machines that share a ledger differ by less."""


def overtaken(ledger: LedgerReader, rollout: Rollout) -> Move | None:
    """Ends a rollout under which somebody else changed what serves."""
    traffic = ledger.traffic()
    champion = None if traffic is None else traffic.champion
    if not rollout.open:
        if champion == rollout.version:
            return None
        return _move(rollout, "another version serves now", watch="ended")
    if champion == rollout.version:
        assert traffic is not None
        reason = f"promoted by {traffic.by}: {traffic.reason}"
        return _move(rollout, reason, status="promoted", share=100.0)
    if champion == rollout.previous and rollout.record in (None, traffic and traffic.seq):
        return None
    told = "nothing serves" if traffic is None else f"by {traffic.by}: {traffic.reason}"
    reason = f"what serves was changed {told}"
    return _move(rollout, reason, status="aborted", share=0.0, serves="clear")


def end_overtaken(ledger: Ledger) -> Rollout | None:
    """End a rollout under which somebody changed what serves: now, not with the next look.

    Returns:
        The rollout that ended; None where none was overtaken, or somebody else saw it first.
    """
    rollout = ledger.live_rollout()
    move = None if rollout is None else overtaken(ledger, rollout)
    if move is None:
        return None
    try:
        return ledger.move_rollout(move)
    except ConflictError as error:
        if error.name not in FASTER:
            raise
        return None


def put_back(rollout: Rollout, now: datetime) -> Move | None:
    """Begins the step at work anew when the clock was put back to before its beginning.

    What is served from then on seems to have been served before: nothing of it would be looked
    at until the clock has caught up, however bad it is.
    """
    began = rollout.stage_started if rollout.promoted is None else rollout.promoted
    if rollout.status == "awaiting_approval" or began - now <= APART:
        return None
    reason = (
        f"the clock was put back to before {began:%Y-%m-%d %H:%M} UTC, when the step began: it "
        "begins anew"
    )
    return _move(rollout, reason, anew=now)


def _move(rollout: Rollout, reason: str, **values: Any) -> Move:
    return Move(rollout.rollout_id, rollout.seq, LOOP, reason, **values)
