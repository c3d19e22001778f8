"""Which predictions to label first, when labels are short and the data moved."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from ratchet.data.hashing import stable_hash
from ratchet.data.lake import Lake
from ratchet.data.predictions.joined import joined
from ratchet.monitoring.labelled import SHADOW

MOST: Final = 500
"""At this many labels the standard error of an accuracy is at most 0.023."""

_COLUMNS: Final = ("prediction_id", "at", "entity", "label")


def wanted_labels(
    lake: Lake, version: int, *, since: datetime, until: datetime, most: int = MOST
) -> pl.DataFrame:
    """Predictions of a version in a span that have no label, ``prediction_id at entity label``.

    A fair sample of them, as a metric of rows that were chosen by their scores or features would
    be of those rows alone. It is drawn by a hash of the ids: who asks again gets the same ones
    less those that were labelled meanwhile.

    Raises:
        StorageError: the lake cannot be read.
    """
    open_ones = (
        joined(lake, as_of=until, since=since, version=version)
        .filter(pl.col("outcome").is_null(), pl.col("arm") != SHADOW)
        .select(_COLUMNS)
        .collect(engine="streaming")
        .sort("prediction_id")
    )
    place = stable_hash(open_ones["prediction_id"], 0).argsort(kind="stable")[:most]
    return open_ones[place].sort("at", "prediction_id")
