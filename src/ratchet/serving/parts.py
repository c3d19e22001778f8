"""The rows of a request by the arm that answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ratchet.serving.lane import Lane

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.codec import Asked
    from ratchet.serving.desk import Desk

Row = TypeVar("Row")


class Part(msgspec.Struct, gc=False):
    """Rows that one arm answers.

    Attributes:
        at: when, in microseconds since 1970.
        ids: of the predictions.
        places: of the rows in the request; None where they are all of it.
        scores: (rows, k), once they are there; ``labels`` likewise, None for regression.
    """

    arm: str
    lane: Lane
    at: int
    asked: Sequence[Asked]
    ids: Sequence[str]
    places: Sequence[int] | None = None
    scores: Sequence[list[float]] = ()
    labels: Sequence[Label | None] = ()

    def take(self, scores: Sequence[list[float]]) -> None:
        """Keep the scores, and what they decide."""
        self.scores, self.labels = scores, self.lane.labels(scores)


def divide(
    desk: Desk, asked: Sequence[Asked], ids: Sequence[str], at: int, version: int | None
) -> list[Part]:
    """Rows by the arm that answers them; all by ``version`` where one is asked for.

    Raises:
        ProblemError: 404 where ``version`` is not loaded.
    """
    if version is not None:
        return [Part(*desk.pinned(version), at, asked, ids)]
    if desk.only is not None or len(asked) == 1:
        return [Part(*desk.choose(asked[0].entity, ids[0]), at, asked, ids)]
    places: dict[str, list[int]] = {}
    lanes: dict[str, Lane] = {}
    for place, (each, own) in enumerate(zip(asked, ids, strict=True)):
        arm, lanes[arm] = desk.choose(each.entity, own)
        places.setdefault(arm, []).append(place)
    return [
        Part(arm, lanes[arm], at, [asked[i] for i in own], [ids[i] for i in own], own)
        for arm, own in places.items()
    ]


def in_order(parts: Sequence[Part], rows: Sequence[Row]) -> list[Row]:
    """What belongs to the rows of ``parts``, in the order of the request."""
    places = [place for part in parts for place in part.places or ()]
    return [rows[at] for at in sorted(range(len(places)), key=places.__getitem__)]


def names_of(parts: Sequence[Part]) -> tuple[str, str]:
    """Arm and version of a request, for metrics."""
    return (parts[0].arm, parts[0].lane.text) if len(parts) == 1 else ("mixed", "mixed")
