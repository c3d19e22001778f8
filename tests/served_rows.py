"""Predictions and labels as the server would have logged them, put into a lake."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import write_deltalake

from ratchet.data.lake import Lake
from ratchet.data.predictions.records import Feedback, Served
from ratchet.data.predictions.tables import FEEDBACK, PREDICTIONS

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    """So many hours after the first prediction of a test."""
    return START + timedelta(hours=hours)


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def served(name: str, hours: float = 0.0, **more: Any) -> Served:
    """A prediction answered so many hours after the first one."""
    given = {"version": 1, "arm": "champion", "features": {}, "scores": [0.3, 0.7], "label": "yes"}
    return Served(**{"id": name, "at": micros(at(hours)), **given, **more})


def labelled(prediction: str | None, label: Any, hours: float, **more: Any) -> Feedback:
    """A label accepted so many hours after the first prediction; other times likewise."""
    for name in ("observed", "time"):
        if more.get(name) is not None:
            more[name] = micros(at(more[name]))
    key = more.pop("key", f"{prediction} {more.get('entity')} {label} {hours} {more.get('time')}")
    return Feedback(key=key, at=micros(at(hours)), label=label, prediction=prediction, **more)


def predictions_frame(rows: Iterable[Served]) -> pl.DataFrame:
    """The rows of the table ``predictions``."""
    return pl.DataFrame(
        [
            {
                "prediction_id": row.id,
                "at": _moment(row.at),
                "version": row.version,
                "arm": row.arm,
                "entity": row.entity,
                "label": None if row.label is None else json.dumps(row.label),
                "scores": row.scores,
                "features": json.dumps(row.features),
                "micros": row.micros,
                "of": row.of,
                "request": row.request,
            }
            for row in rows
        ],
        schema=dict(PREDICTIONS),
    )


def feedback_frame(rows: Iterable[Feedback]) -> pl.DataFrame:
    """The rows of the table ``feedback``."""
    return pl.DataFrame(
        [
            {
                "key": row.key,
                "at": _moment(row.at),
                "label": json.dumps(row.label),
                "prediction_id": row.prediction,
                "entity": row.entity,
                "time": _moment(row.time),
                "observed": _moment(row.at if row.observed is None else row.observed),
                "source": row.source,
            }
            for row in rows
        ],
        schema=dict(FEEDBACK),
    )


def put(folder: Path, rows: Iterable[Served | Feedback]) -> Lake:
    """A lake to which a compaction brought these rows, one more time."""
    lake = Lake(str(folder))
    given = list(rows)
    frames = {
        "predictions": predictions_frame(row for row in given if isinstance(row, Served)),
        "feedback": feedback_frame(row for row in given if isinstance(row, Feedback)),
    }
    for name, frame in frames.items():
        if frame.height:
            dated = frame.with_columns(pl.col("at").dt.date().alias("day"))
            write_deltalake(lake.place(name), dated, mode="append", partition_by=["day"])
    return lake


def _moment(value: int | None) -> datetime | None:
    return None if value is None else START.fromtimestamp(0, UTC) + timedelta(microseconds=value)
