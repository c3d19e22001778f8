"""Rows on their way to their answers, and the answers."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import msgspec

from ratchet import clock

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.desk import Desk
    from ratchet.serving.parts import Part


class Answered(msgspec.Struct, gc=False):
    """An answer, which is in the prediction log.

    Attributes:
        prediction_id: what feedback refers to it by.
        version, arm: who answered.
        label: the decided class; None for regression.
        scores: (k,) of ``classes`` in their order; for regression the estimate (1,).
        classes: none for regression.
        interval: the ends around the estimate, where the model gives them.
    """

    prediction_id: str
    version: int
    arm: str
    label: Label | None
    scores: list[float]
    classes: tuple[Label, ...]
    interval: tuple[float, float] | None = None


class Order(msgspec.Struct, frozen=True, gc=False):
    """Rows on their way to their answers.

    Attributes:
        desk: what served when they came.
        parts: the rows by who answers them.
        began: when their request came, by ``clock.monotonic``.
        request_id: kept with the answers.
    """

    desk: Desk
    parts: list[Part]
    began: float
    request_id: str | None

    def micros(self) -> int:
        """Microseconds since the request came."""
        return int((clock.monotonic() - self.began) * 1e6)


def answers_of(part: Part) -> list[Answered]:
    """The answers to a part's rows, which have scores."""
    lane, arm = part.lane, part.arm
    version, classes = lane.version, lane.classes
    if lane.has_interval:
        rows = zip(part.ids, part.labels, part.scores, strict=True)
        return [
            Answered(own, version, arm, label, scores, classes, lane.interval(scores))
            for own, label, scores in rows
        ]
    same = repeat(version), repeat(arm)
    return [*map(Answered, part.ids, *same, part.labels, part.scores, repeat(classes))]
