"""The rows of a request by the arm that answers them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ratchet import clock
from ratchet.serving.asked import Asked, Columns, Table, entities_of
from ratchet.serving.lane import FEW, Lane, columns_of

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.packaging.composite import Scores
    from ratchet.serving.desk import Desk

Row = TypeVar("Row")
Places = TypeVar("Places", range, list[int])

MOST = 1_024
"""Rows of a part."""


class Part(msgspec.Struct, gc=False):
    """Rows that one arm answers.

    Attributes:
        at: when, in microseconds since 1970.
        ids: of the predictions.
        places: of the rows in the request; None where they are all of it.
        scores: (rows, k), once they are there; ``labels`` likewise, None for regression.
        matrix: of many rows the scores as an array, float64.
        columns: the rows' values by column, once somebody needed them.
    """

    arm: str
    lane: Lane
    at: int
    asked: Sequence[Asked]
    ids: Sequence[str]
    places: Sequence[int] | None = None
    scores: Sequence[list[float]] = ()
    labels: Sequence[Label | None] = ()
    matrix: Scores | None = None
    columns: Columns | None = None

    def score(self) -> None:
        """Have the lane answer the rows; raises what ``Lane.score`` does."""
        lane = self.lane
        if len(self.asked) <= FEW:
            self.scores = lane.score(self.asked)
            self.labels = lane.labels(self.scores)
            return
        began = clock.effort()
        self.matrix = lane.matrix(self.asked, self.by_column())
        self.labels = lane.labels_of(self.matrix)
        lane.learn(len(self.asked), clock.effort() - began)

    @property
    def effort(self) -> float:
        """Seconds of work that scoring is expected to take."""
        return len(self.asked) * self.lane.pace

    def by_column(self) -> Columns:
        """The values of each column, in the order of the lane's ``names``."""
        if self.columns is None:
            columns = columns_of(self.asked)
            self.columns = columns if isinstance(self.asked, Table) else self.lane.code(columns)
        return self.columns

    def score_rows(self) -> Sequence[list[float]]:
        """The scores, a list for each row."""
        if self.matrix is not None and not self.scores:
            self.scores = self.matrix.tolist()
        return self.scores

    def flat_scores(self) -> Sequence[float]:
        """The scores, those of one row behind those of the other."""
        if self.matrix is not None:
            flat: list[float] = self.matrix.ravel().tolist()
            return flat
        return [*chain.from_iterable(self.scores)]


def divide(
    desk: Desk, asked: Sequence[Asked], ids: Sequence[str], at: int, version: int | None
) -> list[Part]:
    """Rows by the arm that answers them; all by ``version`` where one is asked for.

    Of very many rows an arm has several parts, so that others get their turn between them.

    Raises:
        ProblemError: 404 where ``version`` is not loaded.
    """
    if version is not None or desk.only is not None or len(asked) == 1:
        arm, lane = (
            desk.pinned(version)
            if version is not None
            else desk.only or desk.choose(asked[0].entity, ids[0])
        )
        if len(asked) <= MOST:
            return [Part(arm, lane, at, asked, ids)]
        return [
            Part(arm, lane, at, asked[own.start : own.stop], ids[own.start : own.stop], own)
            for own in _slices(range(len(asked)))
        ]
    places: dict[str, list[int]] = {}
    lanes: dict[str, Lane] = {}
    for place, (each, own) in enumerate(zip(asked, ids, strict=True)):
        arm, lanes[arm] = desk.choose(each.entity, own)
        places.setdefault(arm, []).append(place)
    return [
        Part(arm, lanes[arm], at, [asked[i] for i in own], [ids[i] for i in own], own)
        for arm, all_of_it in places.items()
        for own in _slices(all_of_it)
    ]


def _slices(places: Places) -> list[Places]:
    return [places[start : start + MOST] for start in range(0, len(places), MOST)]


def entity_of(asked: Sequence[Asked]) -> str | None:
    """Whom rows are about, where that is one and the same."""
    entities = entities_of(asked)
    if entities is None:
        return None
    return entities[0] if all(each == entities[0] for each in entities) else None


def in_order(parts: Sequence[Part], rows: Sequence[Row]) -> list[Row]:
    """What belongs to the rows of ``parts``, in the order of the request."""
    places = [place for part in parts for place in part.places or ()]
    return [rows[at] for at in sorted(range(len(places)), key=places.__getitem__)]


def names_of(parts: Sequence[Part]) -> tuple[str, str]:
    """Arm and version of a request, for metrics."""
    first = parts[0]
    alone = len(parts) == 1 or all(each.arm == first.arm for each in parts)
    return (first.arm, first.lane.text) if alone else ("mixed", "mixed")
