"""What an alert says: one message per channel that wants to hear of the occasion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ratchet.alerts.rendering import render_text
from ratchet.alerts.settings import AlertSettings, Occasion, name_channels
from ratchet.alerts.templates import TEMPLATES
from ratchet.ids import digest_of

# Slack cuts at 40,000 characters, a person long before.
_LONGEST_REASON = 2000
_RECURS = ("failed", "drift", "performance", "unhealthy", "recovered", "inconclusive")
# Ids, times and measured numbers differ between two times of the same news; a version's does not.
_NUMBER = re.compile(r"(?<!version )(?<![A-Za-z_])\d[0-9a-f:.,T+Z-]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Message:
    """An alert for one channel.

    Attributes:
        key: the same for the same news on the same channel, so that it is told once.
        channel: the channel's name.
        body: what is sent: ``text`` for people (Slack shows it), the other fields for programs.
        topic: what it is about; the same topic within ``quiet`` is told once, with a count.
    """

    key: str
    channel: str
    occasion: Occasion
    run_id: str | None
    body: Mapping[str, Any] = field(default_factory=dict)
    topic: str = ""
    quiet: timedelta = timedelta(0)


def compose(
    alerts: Sequence[AlertSettings],
    occasion: Occasion,
    *,
    project: str,
    reason: str,
    at: datetime,
    run_id: str | None = None,
    facts: Mapping[str, Any] | None = None,
    topic: str | None = None,
    headline: str = "",
    did: str = "",
    advice: str = "",
) -> tuple[Message, ...]:
    """The messages to keep in the outbox for something that happened.

    Args:
        alerts: the configured channels, addresses unresolved.
        occasion: what happened; channels that do not listen for it get nothing.
        reason: why, for people.
        facts: JSON values, told as the evidence: metrics, failed checks.
        topic: what it is about: messages of one topic are the same news when they come again
            soon, unless something else of the topic (``recovered``) came between. By default
            what recurs is told apart by its reason, numbers aside; what happens once has none.
        headline, did, advice: instead of the occasion's own words, see ``templates.Template``.

    Returns:
        One message per listening channel. The same news again gives the same keys: a run has
        one message per occasion and channel, anything else one per time.
    """
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    short = reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
    words = TEMPLATES[occasion]
    run = f" (run {run_id})" if run_id else ""
    if topic is None:
        topic = _NUMBER.sub("#", short) if occasion in _RECURS else ""
    body: dict[str, Any] = {
        "title": f"{project}: {headline or words.headline}{run}",
        "project": project,
        "occasion": occasion,
        "run_id": run_id,
        "reason": short,
        "did": did or words.did,
        "advice": advice or words.advice.replace("{run}", run_id or "last"),
        "at": moment,
        "facts": dict(facts or {}),
    }
    body["text"] = render_text(body)
    return tuple(
        Message(
            digest_of([project, occasion, run_id or moment, topic, name])[:32],
            name,
            occasion,
            run_id,
            body,
            digest_of([project, topic])[:16] if topic else "",
            alert.quiet_time,
        )
        for name, alert in name_channels(alerts).items()
        if alert.hears(occasion)
    )


def gather(bodies: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several messages of one channel as one: each of them in a line.

    Args:
        bodies: what ``compose`` made, oldest first; at least one.
    """
    last = bodies[-1]
    told = sum(int(body.get("count", 1)) for body in bodies)
    lines = [f"{body.get('at', '')} {body.get('title') or body.get('text', '')}" for body in bodies]
    gathered: dict[str, Any] = {
        "title": f"{last.get('project', 'Ratchet')}: {told} more alerts",
        "project": last.get("project", ""),
        "occasion": last.get("occasion", ""),
        "run_id": None,
        "reason": "More alerts were waiting than this channel takes in an hour.",
        "did": "They are told together; each is in the ledger.",
        "advice": "See them whole with `ratchet alerts`.",
        "at": last.get("at", ""),
        "facts": {"alert": lines},
    }
    gathered["text"] = render_text(gathered)
    return gathered
