"""What an alert says: one message per channel that wants to hear of the occasion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ratchet.alerts.settings import AlertSettings, Occasion, name_channels
from ratchet.ids import digest_of

# Slack cuts at 40,000 characters, a person long before.
_LONGEST_REASON = 2000

HEADLINES: Mapping[Occasion, str] = {
    "promoted": "a new model serves",
    "candidate": "a new model passed its gates and waits",
    "rejected": "the new model was rejected, the old one stays",
    "skipped": "nothing to train",
    "failed": "the run failed, the old model stays",
    "rolled_back": "the model was rolled back",
    "unhealthy": "the model is not healthy",
}


@dataclass(frozen=True, slots=True)
class Message:
    """An alert for one channel.

    Attributes:
        key: the same for the same news on the same channel, so that it is told once.
        channel: the channel's name.
        body: what is sent: ``text`` for people (Slack shows it), the other fields for programs.
    """

    key: str
    channel: str
    occasion: Occasion
    run_id: str | None
    body: Mapping[str, Any] = field(default_factory=dict)


def compose(
    alerts: Sequence[AlertSettings],
    occasion: Occasion,
    *,
    project: str,
    reason: str,
    at: datetime,
    run_id: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> tuple[Message, ...]:
    """The messages to keep in the outbox for something that happened.

    Args:
        alerts: the configured channels, addresses unresolved.
        occasion: what happened; channels that do not listen for it get nothing.
        reason: why, for people.
        facts: JSON values for programs: metrics, links, failed checks.

    Returns:
        One message per listening channel. The same news again gives the same keys: a run has
        one message per occasion and channel, anything else one per time.
    """
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    short = reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
    run = f" (run {run_id})" if run_id else ""
    body = {
        "text": f"{project}: {HEADLINES[occasion]}{run}. {short}",
        "project": project,
        "occasion": occasion,
        "run_id": run_id,
        "reason": short,
        "at": moment,
        "facts": dict(facts or {}),
    }
    return tuple(
        Message(
            digest_of([project, occasion, run_id or moment, name])[:32],
            name,
            occasion,
            run_id,
            body,
        )
        for name, alert in name_channels(alerts).items()
        if occasion in alert.on
    )
