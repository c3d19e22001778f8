"""Who is told of a run's end: messages kept with the outcome, then delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ratchet import clock

if TYPE_CHECKING:
    from ratchet.alerts.messages import Message
    from ratchet.alerts.outbox import Delivery
    from ratchet.ledger.store import Ledger
    from ratchet.pipeline.outcome import Run
    from ratchet.project import Project


def notices(project: Project, ended: Run) -> tuple[Message, ...]:
    """The messages about a run's end, one per channel that listens for its outcome."""
    if not project.settings.alerts:
        return ()
    from ratchet.alerts.messages import compose

    facts = {
        "metrics": dict(ended.metrics),
        "champion": ended.champion["version"] if ended.champion else None,
        "model": dict(ended.model) if ended.model else None,
        "failed_checks": [
            check["message"]
            for check in (ended.checks or {}).get("results", ())
            if not check["passed"] and check["severity"] == "error"
        ],
        "failed_gates": [gate["reason"] for gate in ended.gates if not gate["passed"]],
    }
    return compose(
        project.settings.alerts,
        ended.outcome,
        project=project.name,
        reason=ended.reason,
        at=clock.now(),
        run_id=ended.run_id,
        facts=facts,
    )


def tell(project: Project, ledger: Ledger) -> Delivery | None:
    """Deliver every message that is due; what does not arrive is tried again next time."""
    if not project.settings.alerts:
        return None
    from ratchet.alerts.outbox import deliver_due

    return deliver_due(
        ledger,
        project.settings.alerts,
        now=clock.now(),
        resolve=lambda text: project.secret(text, "alerts"),
    )
