"""The settings a project was worked with: an event each time they are not as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ratchet.ids import digest_of
from ratchet.ledger.events import Transaction, read_events
from ratchet.ledger.tables import plain

CHANGED = "settings_changed"


def note_settings(tx: Transaction, settings: Mapping[str, Any], *, by: str) -> bool:
    """Keep the settings, and what changed in them, if they are not those that were kept last.

    Args:
        settings: as JSON values, without anything secret.
        by: who works with them.

    Returns:
        Whether they had changed.
    """
    kept = plain(settings)
    digest = digest_of(kept)
    last = read_events(tx.connection, tx.project, kind=CHANGED, limit=1)
    before = dict(flatten(last[0].facts["settings"])) if last else {}
    if last and last[0].facts["digest"] == digest:
        return False
    after = dict(flatten(kept))
    changed = {
        key: {"before": before.get(key), "after": after.get(key)}
        for key in sorted(before.keys() | after.keys())
        if last and before.get(key) != after.get(key)
    }
    facts = {
        "by": by,
        "digest_before": last[0].facts["digest"] if last else None,
        "digest": digest,
        "changed": changed,
        "settings": kept,
    }
    tx.append(CHANGED, facts)
    return True


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` as ``("a.b", 1)``; lists stay whole."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flatten(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
