"""How many predictions have their label by now, and how long the labels took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from ratchet.data.lake import Lake
from ratchet.data.predictions.outcomes import outcomes, resolve
from ratchet.data.predictions.pinned import pin_table, utc

_LIGHT = ("prediction_id", "at", "entity", "of")


@dataclass(frozen=True, slots=True)
class DayOfLabels:
    """The predictions of one UTC day.

    Attributes:
        delay: seconds from the answer to the label, of half of the labelled ones at most; None
            without labels. ``slow`` likewise of nine in ten.
    """

    day: date
    predictions: int
    labelled: int
    delay: float | None
    slow: float | None

    @property
    def coverage(self) -> float:
        """The share that is labelled, 0 to 1."""
        return self.labelled / self.predictions


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A label of a prediction that is not in the lake."""

    key: str
    prediction: str | None
    entity: str | None
    time: datetime | None
    label: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Coverage:
    """Labels as of a moment, day by day of the predictions.

    Attributes:
        days: oldest first; only those with predictions.
        unmatched: how many labels match no prediction; ``examples`` are the newest of them.
    """

    days: tuple[DayOfLabels, ...]
    unmatched: int
    examples: tuple[Unmatched, ...]


def label_coverage(
    lake: Lake, *, as_of: datetime, since: datetime | None = None, examples: int = 5
) -> Coverage:
    """Count labels and their delays by the day of the prediction; shadows are left out.

    Args:
        as_of: what was not answered or observed by then does not count.
        since: only predictions answered from then on.
        examples: how many unmatched labels are shown.

    Raises:
        StorageError: the lake cannot be read.
    """
    until = utc(as_of)
    light = pin_table(lake, "predictions").scan(_LIGHT, until=until)
    resolved = resolve(light, pin_table(lake, "feedback").scan(), until).collect()
    own = light.filter(pl.col("of").is_null()).select("prediction_id", "at")
    wanted = own if since is None else own.filter(pl.col("at") >= utc(since))
    known = outcomes(resolved.lazy()).select("prediction_id", "observed")
    lost = _unmatched(resolved, own)
    return Coverage(_days(wanted, known), lost.height, _examples(lost.head(examples)))


def _days(own: pl.LazyFrame, known: pl.LazyFrame) -> tuple[DayOfLabels, ...]:
    delay = (pl.col("observed") - pl.col("at")).dt.total_microseconds() / 1e6
    found = (
        own.join(known, on="prediction_id", how="left")
        .with_columns(delay.alias("delay"), pl.col("at").dt.date().alias("day"))
        .group_by("day")
        .agg(
            pl.len().alias("predictions"),
            pl.col("delay").count().alias("labelled"),
            pl.col("delay").median().alias("median"),
            pl.col("delay").quantile(0.9, interpolation="higher").alias("slow"),
        )
        .sort("day")
        .collect(engine="streaming")
    )
    return tuple(DayOfLabels(*row) for row in found.iter_rows())


def _unmatched(resolved: pl.DataFrame, own: pl.LazyFrame) -> pl.DataFrame:
    """Feedback for no known prediction, newest first."""
    return (
        resolved.lazy()
        .join(own.select("prediction_id"), on="prediction_id", how="anti")
        .sort("at", "key", descending=[True, False])
        .collect()
    )


def _examples(lost: pl.DataFrame) -> tuple[Unmatched, ...]:
    columns = ("key", "prediction_id", "entity", "time", "label", "at")
    return tuple(Unmatched(*row) for row in lost.select(columns).iter_rows())
