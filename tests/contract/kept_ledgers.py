"""What the contract tests of traffic, rollouts and experiments begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ratchet.ledger.results import GateRecord
from ratchet.ledger.store import Ledger

START = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)

Open = Callable[[], Ledger]


@dataclass
class Clock:
    """A clock that stands until it is set."""

    at: datetime = START

    def __call__(self) -> datetime:
        return self.at


def fill(ledger: Ledger) -> Ledger:
    """Three versions, the first of which is champion; the gates of the third did not pass."""
    for number in (1, 2, 3):
        run_id = f"r{number}"
        ledger.start_run(run_id, trigger="manual")
        ledger.record_gates(run_id, [GateRecord("minimum.roc_auc", number != 3, 0.8, 0.75)])
        ledger.add_version(
            run_id, f"digest-{number}", f"bundles/{number}", threshold=0.4, schema_digest="s"
        )
    ledger.deploy(1, expected_previous=None, by="run", reason="first", run_id="r1")
    return ledger
