"""Rows on their way to their answers, and the answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

import msgspec

from ratchet import clock
from ratchet.serving.parts import Part, in_order

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.desk import Desk


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


class AnsweredTable(msgspec.Struct, gc=False):
    """Answers by column, in the order of their rows; at least one.

    Attributes:
        versions, arms: those that answered, each once.
        classes: of all versions that answered, in the order of the first.
        ids: of the predictions.
        labels: the decided classes; None each for regression.
        scores: (rows * k,), those of a row in the order of ``classes``, one row behind the other;
            of a class that the row's version does not know 0.
        ends: of the intervals, low and high; None where not every row has one.
    """

    versions: tuple[int, ...]
    arms: tuple[str, ...]
    classes: tuple[Label, ...]
    ids: Sequence[str]
    labels: Sequence[Label | None]
    scores: Sequence[float]
    ends: tuple[Sequence[float], Sequence[float]] | None


def answers_of(parts: Sequence[Part]) -> list[Answered]:
    """The answers to rows whose parts have scores, in the order of the rows."""
    if len(parts) == 1:
        return _answers(parts[0])
    return in_order(parts, [answer for part in parts for answer in _answers(part)])


def table_of(parts: Sequence[Part]) -> AnsweredTable:
    """The answers to rows whose parts have scores, by column."""
    first = parts[0]
    if first.lane.has_interval or any(
        part.arm != first.arm or part.lane is not first.lane for part in parts
    ):
        return by_column(answers_of(parts))
    # The parts of one lane are slices, in the order of the rows.
    return AnsweredTable(
        (first.lane.version,),
        (first.arm,),
        first.lane.classes,
        [*chain.from_iterable(part.ids for part in parts)],
        [*chain.from_iterable(part.labels for part in parts)],
        [*chain.from_iterable(part.flat_scores() for part in parts)],
        None,
    )


def by_column(answered: Sequence[Answered]) -> AnsweredTable:
    """Answers as a table."""
    classes = _all_classes(answered)
    intervals = [each.interval for each in answered if each.interval is not None]
    ends = [[pair[place] for pair in intervals] for place in (0, 1)]
    return AnsweredTable(
        tuple(dict.fromkeys(each.version for each in answered)),
        tuple(dict.fromkeys(each.arm for each in answered)),
        classes,
        [each.prediction_id for each in answered],
        [each.label for each in answered],
        [score for each in answered for score in _scores(each, classes)],
        (ends[0], ends[1]) if len(intervals) == len(answered) else None,
    )


def _answers(part: Part) -> list[Answered]:
    """The answers to a part's rows."""
    lane, arm = part.lane, part.arm
    version, classes = lane.version, lane.classes
    if lane.has_interval:
        rows = zip(part.ids, part.labels, part.score_rows(), strict=True)
        return [
            Answered(own, version, arm, label, scores, classes, lane.interval(scores))
            for own, label, scores in rows
        ]
    same = repeat(version), repeat(arm)
    scores = part.score_rows()
    return [*map(Answered, part.ids, *same, part.labels, scores, repeat(classes))]


def _all_classes(answered: Sequence[Answered]) -> tuple[Label, ...]:
    """The classes of all versions that answered, in the order of the first."""
    first = tuple(answered[0].classes)
    if all(each.classes is answered[0].classes for each in answered):
        return first
    return tuple(dict.fromkeys(label for each in answered for label in each.classes))


def _scores(answered: Answered, classes: tuple[Label, ...]) -> Sequence[float]:
    """The scores of ``classes``; 0 for one that this version does not know."""
    if len(answered.classes) == len(classes) and tuple(answered.classes) == classes:
        return answered.scores
    known = dict(zip(answered.classes, answered.scores, strict=True))
    return [known.get(label, 0.0) for label in classes]
