"""The policies that are compared where nobody names any."""

from __future__ import annotations

from typing import Any, Final

from ratchet.backtest.settings import Policy
from ratchet.gates.settings import GatesSettings
from ratchet.triggers.settings import TriggersSettings

_ALONE: Final[dict[str, Any]] = {
    "performance": None,
    "estimated": None,
    "drift": None,
    "new_rows": None,
    "max_age": None,
    "follow_up": None,
}
_OTHERS: Final[dict[str, dict[str, Any]]] = {
    "falling quality": {"performance": {}, "follow_up": {}},
    "a fifth more rows": {"new_rows": "20%"},
    "monthly": {"schedule": "@monthly", "cooldown": None},
    "drift": {"drift": {"action": "retrain"}},
}


def standard_policies(triggers: TriggersSettings, gates: GatesSettings) -> tuple[Policy, ...]:
    """The project's own policy, the default one, and one for each single reason to train.

    Args:
        triggers: the project's.
        gates: the project's: all of them are judged by these.
    """
    usual = TriggersSettings(cost=triggers.cost)
    found = [Policy("default", usual, gates)]
    if triggers != usual:
        found.insert(0, Policy("project", triggers, gates))
    for name, rules in _OTHERS.items():
        made = TriggersSettings.model_validate(_ALONE | rules)
        found.append(Policy(name, made.model_copy(update={"cost": triggers.cost}), gates))
    return tuple(found)
