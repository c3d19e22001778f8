"""What ``ratchet experiment`` says of an experiment, for programs and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.ledger.experiments import Experiment
    from ratchet.rollout.power import Power


def experiment_json(found: Experiment) -> dict[str, Any]:
    """An experiment as JSON values."""
    moments = ("started", "ends", "stopped", "decided")
    return {
        "id": found.experiment_id,
        "name": found.name,
        "status": found.status,
        "verdict": found.verdict,
        "a": found.a,
        "b": found.b,
        "share": found.share,
        "metric": found.metric,
        **{
            name: None if value is None else value.isoformat()
            for name, value in ((name, getattr(found, name)) for name in moments)
        },
        "rules": dict(found.rules),
        "evidence": dict(found.evidence),
        "by": found.by,
        "reason": found.reason,
    }


def power_lines(power: Power, metric: str, days: float) -> list[str]:
    """What an experiment can show, in sentences."""
    if power.needed is None:
        told = "Nothing is known yet of what the champion's answers came to"
        return [f"{told}, so nobody can say how many entities it takes."]
    seen = f" (the champion has {power.value:.4f})" if power.value is not None else ""
    what = f"To see a difference of {power.margin:g} in {metric}{seen} four times out of five"
    lines = [f"{what} it takes {power.needed:,} entities of both versions with labels."]
    if power.expected is None or power.visible is None:
        return [*lines, "That is at the worst, as nothing is known yet of the champion's answers."]
    lines.append(
        f"In {days:g} days there will be about {power.expected:,}: enough to see a difference of "
        f"{power.visible:.3g}."
    )
    if not power.enough:
        lines.append("That is too few: take more --days, or a larger --margin.")
    return lines


def standing_lines(found: Experiment, now: dict[str, Any]) -> list[str]:
    """How an experiment stands, in sentences."""
    verdict = f", {found.verdict}" if found.verdict else ""
    why = "" if found.open else f": {found.reason}"
    ratio, labelled = now["ratio"], now["labelled"]
    span = f"{found.started:%Y-%m-%d %H:%M} to {found.ends:%Y-%m-%d %H:%M} UTC at the latest"
    came = f"{ratio['a']:,} and {ratio['b']:,}"
    asked = f"({100 - found.share:g} % and {found.share:g} % asked for)"
    lines = [
        f"{found.name}: {found.status}{verdict}{why}",
        f"version {found.a} against version {found.b} in {found.metric}, {span}",
        f"  entities that came: {came} {asked}; with labels: {labelled[0]:,} and {labelled[1]:,}",
    ]
    if now["blocked"]:
        return [*lines, f"  the result may not be read: {now['blocked']}"]
    result = now["estimate"]
    if result is None:
        return [*lines, "  nobody counts yet: labels are still to come"]
    a, b = result["a"]["value"], result["b"]["value"]
    lines.append(f"  {found.metric}: {a:.4f} and {b:.4f}, better by {result['better']:+.4f}")
    if result["low"] is None:
        return [*lines, "  too few to say anything"]
    level = 1 - found.rules["alpha"]
    ends = f"{result['low']:+.4f} to {result['high']:+.4f}"
    return [*lines, f"  interval: {ends} ({level:.0%}, however often one looks)"]
