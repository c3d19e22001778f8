"""The two versions of a rollout, and the stretches of time that it went through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

ARMS: Final = ("champion", "challenger")
"""The arms that answer in a rollout, as the prediction log names them."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a rollout: from when on, its number, and the new version's share (0 to 1)."""

    since: datetime
    number: int
    share: float


@dataclass(frozen=True, slots=True)
class Pair:
    """The two versions, and the stages of the rollout so far, oldest first.

    Attributes:
        promoted: when the new one became champion; None before.
        classes: of each version's scores in their order; none for regression.
        loss: what quality is compared by.
        labels_after: seconds to a label, where somebody said so.
        fast: seconds; a request that took no longer is not slow.
        kept: what an earlier look settled (``Evidence.settled``).
    """

    version: int
    previous: int
    stages: tuple[Stage, ...]
    promoted: datetime | None
    classes: Mapping[int, tuple[Any, ...]]
    loss: str
    labels_after: float | None = None
    fast: float = 0.0
    kept: Mapping[str, Any] = field(default_factory=dict)


def stages_of(changes: Sequence[Stage]) -> tuple[Stage, ...]:
    """The stages, those that began at one moment as the last of them."""
    last = {stage.since: stage for stage in changes}
    return tuple(sorted(last.values(), key=lambda stage: stage.since))


def answered(pair: Pair) -> pl.Expr:
    """What counts as an answer of one of the two: as an arm, or in its time as the shadow."""
    own = pl.col("of").is_null() & pl.col("arm").is_in(ARMS)
    return own | (pl.col("of").is_not_null() & (pl.col("version") == pair.version))


def staged(frame: pl.DataFrame, pair: Pair) -> pl.DataFrame:
    """With the number of the stage, its place among the stages, and the share it was to have."""
    stages = pl.DataFrame(
        {
            "since": [stage.since for stage in pair.stages],
            "stage": [stage.number for stage in pair.stages],
            "place": range(len(pair.stages)),
            "share": [stage.share for stage in pair.stages],
        },
        schema={
            "since": pl.Datetime("us", "UTC"),
            "stage": pl.Int64,
            "place": pl.Int64,
            "share": pl.Float64,
        },
    ).sort("since")
    return frame.sort("at").join_asof(
        stages, left_on="at", right_on="since", check_sortedness=False
    )
