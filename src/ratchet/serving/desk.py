"""What serves, made ready to answer: one codec in front, a lane behind it for each version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ratchet.serving.http import ProblemError
from ratchet.serving.lane import Lane

if TYPE_CHECKING:
    from ratchet.data.task import Label
    from ratchet.serving.codec import Codec
    from ratchet.serving.residence import Serving


@dataclass(frozen=True, slots=True, eq=False)
class Desk:
    """A ``Serving``, made ready.

    Attributes:
        codec: reads every request, whichever version answers it: the champion's columns must
            be there, those that only another version reads may.
        lanes: by version, shadows too.
        only: the one arm and its lane, where nothing is split.
        shadows: answer too, without anybody seeing it.
        labels: what feedback may say; None where any label or number may be.
    """

    serving: Serving
    codec: Codec
    lanes: dict[int, Lane]
    only: tuple[str, Lane] | None
    shadows: tuple[Lane, ...]
    labels: dict[tuple[bool, Label], Label] | None = field(repr=False)

    def choose(self, entity: str | None, prediction_id: str) -> tuple[str, Lane]:
        """The arm that answers, and its lane."""
        if self.only is not None:
            return self.only
        arm, resident = self.serving.choose(entity, prediction_id)
        return arm.name, self.lanes[resident.version]

    def pinned(self, version: int) -> tuple[str, Lane]:
        """The lane of a version that was asked for by its number.

        Raises:
            ProblemError: 404 where it is not loaded.
        """
        lane = self.lanes.get(version)
        if lane is None:
            loaded = ", ".join(map(str, sorted(self.lanes)))
            raise ProblemError(
                404,
                "no_such_version",
                f"Version {version} is not loaded",
                fix=f"loaded are: {loaded}",
            )
        arms = (arm.name for arm in self.serving.traffic.arms if arm.version == version)
        return next(arms, "pinned"), lane


def open_desk(serving: Serving) -> Desk:
    """A desk for ``serving``; some 0.1 ms of work."""
    codec = serving.codec
    lanes = {number: Lane(each, codec) for number, each in serving.residents.items()}
    arms = serving.traffic.arms
    return Desk(
        serving=serving,
        codec=codec,
        lanes=lanes,
        only=(arms[0].name, lanes[arms[0].version]) if len(arms) == 1 else None,
        shadows=tuple(lanes[each.version] for each in serving.shadows),
        labels=_labels(lanes),
    )


def _labels(lanes: dict[int, Lane]) -> dict[tuple[bool, Label], Label] | None:
    """The classes of all versions; true is not 1, though Python says so."""
    known = {
        (isinstance(label, bool), label): label for lane in lanes.values() for label in lane.classes
    }
    return known or None
