"""Whether the versions of a record load where they are to serve: told once, whoever finds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ratchet.ledger import outbox
from ratchet.ledger.events import Transaction, read_events
from ratchet.ledger.outbox import Notice

FAILED, RECOVERED = "serving_failed", "serving_recovered"


def note_health(
    tx: Transaction,
    record: int,
    version: int,
    why: str,
    notices: Callable[[int], Sequence[Notice]],
) -> bool:
    """Tell once, whoever finds it, that a version of a record does not load, or does again.

    Args:
        record: the record's number.
        why: what is wrong; empty when nothing is any more.
        notices: makes the alerts, given the event's number.

    Returns:
        Whether it was news.
    """
    told = [
        event
        for kind in (FAILED, RECOVERED)
        for event in read_events(tx.connection, tx.project, kind=kind, after=record)
        if (event.facts["record"], event.facts["version"]) == (record, version)
    ]
    ill = bool(told) and max(told, key=lambda event: event.seq).kind == FAILED
    if ill == bool(why):
        return False
    facts = {"record": record, "version": version, "why": why}
    seq = tx.append(FAILED if why else RECOVERED, facts)
    outbox.enqueue(tx, notices(seq))
    return True
