"""The ladder of ways to make the next model, from the cheapest up.

``incremental`` goes on training the model that serves, with the rows that are new; ``refit`` trains
its recipe, parameters and weights anew on the rows of the training window; ``retune`` searches
again. ``auto`` climbs: the first rung whose model passes the gate is taken, and every rung below it
is told with its reason. Each rung that reaches the gate is a decision on the test rows and counts
as one.

All rungs share the time that the run promised. One that there is no time for is not begun: nothing
dearer is tried because something cheap took too long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ratchet.pipeline.step import Rung
from ratchet.training.deadline import MORE_TIME

if TYPE_CHECKING:
    from ratchet.training.settings import Update

MADE, JUDGED = "train", "gate"
"""The steps between which a rung is climbed: the model is made, and judged."""


def ladder(update: Update, champion: Mapping[str, Any] | None) -> tuple[Rung, ...]:
    """The ways to try, in order; without a champion there is nothing to go on from.

    The last one is always possible: a model that cannot go on is refitted, and one whose training
    files are gone is searched for anew.
    """
    if champion is None:
        return ("retune",)
    rungs: tuple[Rung, ...] = ("incremental", "refit", "retune")
    return rungs if update == "auto" else rungs[rungs.index(update) :]


def no_time_for(rung: Rung) -> str:
    """What is said of a rung that is not begun."""
    return f"no time left for {rung}; {MORE_TIME}"


def climbs(step: str, update: Update) -> bool:
    """Whether a step that says no sends the run one rung up.

    A model that cannot be made in this way always does; one that is not good enough only where
    that was asked for.
    """
    return step == MADE or (step == JUDGED and update == "auto")
