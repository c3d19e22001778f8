"""The events that are decisions, told for people: who, what, and on what evidence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ratchet.ids import digest_of
from ratchet.ledger.events import Event

_DIGEST = re.compile(r"[0-9a-f]{12,64}")
_SHORT = 12
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Told:
    """An event for people.

    Attributes:
        who: who decided; empty where the event does not say.
        what: what was decided and why, as a sentence.
        evidence: the digests of what it was decided on, by name, shortened.
    """

    who: str
    what: str
    evidence: Mapping[str, str]


def is_decision(event: Event) -> bool:
    """Whether the event says that something was decided, approved, changed or refused."""
    if event.kind == "trigger_evaluated":
        return event.facts.get("verdict") != "skip"
    return event.kind in _SAYS


def tell_event(event: Event) -> Told:
    """An event for people; of one that is no decision, its facts."""
    facts = event.facts
    says = _SAYS.get(event.kind)
    what = says(facts) if says is not None else _plainly(facts)
    who = facts.get("by") or facts.get("revoked_by") or ""
    evidence = facts.get("evidence")
    found = dict(evidence) if isinstance(evidence, Mapping) else {}
    digests = {name: value for name, value in found.items() if _is_digest(value)}
    if found and not digests:
        digests["evidence"] = digest_of(found)
    for name in ("digest", "bundle_digest", "facts_digest"):
        if _is_digest(facts.get(name)):
            digests[name] = facts[name]
    return Told(str(who), what[:_LONGEST], {name: text[:_SHORT] for name, text in digests.items()})


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _deployed(facts: Mapping[str, Any]) -> str:
    version = facts.get("version")
    named = "none" if version is None else f"version {version}"
    before = facts.get("previous_version")
    came = "" if before is None else f", before it version {before}"
    forced = " (a gate was overruled)" if facts.get("forced") else ""
    return f"{facts['action']} {facts['alias']}: {named}{came}{forced}: {facts['reason']}"


def _finished(facts: Mapping[str, Any]) -> str:
    return f"{facts['outcome']}: {facts['reason']}"


def _rollout(facts: Mapping[str, Any]) -> str:
    share = f" at {facts['share']:g} %" if facts.get("share") else ""
    reason = facts.get("reason", "")
    return f"rollout of version {facts['version']}: {facts['status']}{share}: {reason}"


def _trigger(facts: Mapping[str, Any]) -> str:
    return f"{facts.get('verdict')}: {facts.get('reason', '')}"


def _settings(facts: Mapping[str, Any]) -> str:
    changed = facts.get("changed") or {}
    if not changed:
        return "the settings were kept for the first time"
    told = [f"{key}: {item['before']!r} → {item['after']!r}" for key, item in changed.items()]
    return "settings: " + "; ".join(told)


def _health(facts: Mapping[str, Any]) -> str:
    problems = facts.get("problems") or {}
    if not problems:
        return f"healthy again: {', '.join(facts.get('gone', ()))}"
    return "; ".join(problems.values())


def _incident(facts: Mapping[str, Any]) -> str:
    when = f"since {facts['since'][:16]}" if "since" in facts else f"over at {facts['until'][:16]}"
    version = facts["version"]
    served = "nothing served" if version is None else f"version {version} answered"
    return f"incident {when} UTC, {served}: {facts['reason']}"


def _key_created(facts: Mapping[str, Any]) -> str:
    return f"key {facts['key_id']} for {facts['name']} ({', '.join(facts['scopes'])})"


def _serving(facts: Mapping[str, Any]) -> str:
    return f"version {facts['version']}: {facts['why'] or 'it loads again'}"


def _plainly(facts: Mapping[str, Any]) -> str:
    shown = ((key, value) for key, value in facts.items() if isinstance(value, str | int | float))
    return ", ".join(f"{key} {value}" for key, value in shown)


_SAYS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "deployed": _deployed,
    "run_finished": _finished,
    "rollout_changed": _rollout,
    "trigger_requested": lambda facts: f"a run was asked for: {facts.get('reason', '')}",
    "trigger_evaluated": _trigger,
    "settings_changed": _settings,
    "health_changed": _health,
    "incident_opened": _incident,
    "incident_closed": _incident,
    "key_created": _key_created,
    "key_revoked": lambda facts: f"key {facts['key_id']} was revoked",
    "serving_failed": _serving,
    "serving_recovered": _serving,
    "experiment_changed": _plainly,
    "experiment_started": _plainly,
    "experiment_decided": _plainly,
    "alert_dropped": lambda facts: f"an alert on {facts['channel']} was given up",
}
