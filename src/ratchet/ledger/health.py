"""What is not well, told once, whoever finds it: versions that do not load, and the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ratchet.ledger import outbox
from ratchet.ledger.events import Transaction, read_events
from ratchet.ledger.outbox import Notice

FAILED, RECOVERED = "serving_failed", "serving_recovered"
PROBLEMS = "health_changed"


def note_health(
    tx: Transaction,
    record: int,
    version: int,
    why: str,
    notices: Callable[[int], Sequence[Notice]] = lambda seq: (),
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


def note_problems(
    tx: Transaction,
    problems: Mapping[str, str],
    notices: Callable[[int, Sequence[str], Sequence[str]], Sequence[Notice]] = (
        lambda seq, new, gone: ()
    ),
) -> bool:
    """Tell of what is wrong with the pipeline when that is not what was told last.

    Args:
        problems: by code, what is wrong; empty when nothing is.
        notices: makes the alerts, given the event's number, the codes that are new, and those
            that are gone.

    Returns:
        Whether it was news.
    """
    last = read_events(tx.connection, tx.project, kind=PROBLEMS, limit=1)
    before: Mapping[str, str] = last[0].facts["problems"] if last else {}
    new = sorted(problems.keys() - before.keys())
    gone = sorted(before.keys() - problems.keys())
    if not new and not gone:
        return False
    seq = tx.append(PROBLEMS, {"problems": dict(problems), "new": new, "gone": gone})
    outbox.enqueue(tx, notices(seq, new, gone))
    return True
