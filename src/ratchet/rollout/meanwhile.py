"""What happened to a rollout since the last look: somebody else decided, or the clock was set."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ratchet.ledger.rollouts import Move, Rollout

if TYPE_CHECKING:
    from ratchet.ledger.reader import LedgerReader

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
