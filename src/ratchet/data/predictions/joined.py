"""Predictions with what became of them, and the rows they were made for.

The joined view is computed when it is asked for, from the lake's ``predictions`` and
``feedback``: a late or corrected label is in it at once, and as of an earlier moment it
is as it was then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from ratchet.data.canonical import refuse_misfits
from ratchet.data.lake import Lake
from ratchet.data.parsing import Misfit, misfit_of, parse
from ratchet.data.predictions.outcomes import outcomes, resolve
from ratchet.data.predictions.pinned import pin_table, utc
from ratchet.data.schema import Kind, TableSchema, polars_type

_LIGHT = ("prediction_id", "at", "entity", "of")


def joined(
    lake: Lake,
    *,
    as_of: datetime | None = None,
    since: datetime | None = None,
    version: int | None = None,
    arm: str | None = None,
) -> pl.LazyFrame:
    """One row per prediction: all its columns, and what became of it.

    Added are ``outcome`` (the true class or number as JSON, as ``label`` is; null where
    nothing is known), ``observed`` (when it became known) and ``delay`` (from the answer to
    then). A shadow row has the outcome of the prediction that it shadows.

    Args:
        lake: with the tables ``predictions`` and ``feedback``; without them there are no rows.
        as_of: what was not answered or observed by then is left out; None for everything.
        since: only predictions answered from then on.
        version: only those of this model version.
        arm: only those of this arm.

    Raises:
        StorageError: the lake cannot be read.
    """
    predictions, feedback = pin_table(lake, "predictions"), pin_table(lake, "feedback")
    until = None if as_of is None else utc(as_of)
    start = None if since is None else utc(since)
    found = outcomes(
        resolve(predictions.scan(_LIGHT, since=start, until=until), feedback.scan(), until)
    )
    rows = predictions.scan(since=start, until=until)
    if version is not None:
        rows = rows.filter(pl.col("version") == version)
    if arm is not None:
        rows = rows.filter(pl.col("arm") == arm)
    return (
        rows.with_columns(pl.coalesce("of", "prediction_id").alias("_spoken_of"))
        .join(
            found.select("prediction_id", "outcome", "observed"),
            left_on="_spoken_of",
            right_on="prediction_id",
            how="left",
        )
        .drop("_spoken_of")
        .with_columns((pl.col("observed") - pl.col("at")).alias("delay"))
    )


def features_frame(frame: pl.DataFrame, schema: TableSchema) -> pl.DataFrame:
    """The rows as they were served: the column ``features`` (JSON) in the columns of ``schema``.

    A column that was not served, or not logged, is null.

    Raises:
        DataError: ``type_mismatch``, a value does not fit its column's kind.
    """
    made, misfits, _ = served_columns(frame.get_column("features"), schema)
    if misfits:
        ids = frame.get_column("prediction_id") if "prediction_id" in frame.columns else None
        refuse_misfits(
            misfits,
            lambda rows: [f"row {row + 1}" if ids is None else ids[row] for row in rows],
            "the prediction log",
        )
    return made


def served_columns(
    features: pl.Series, schema: TableSchema
) -> tuple[pl.DataFrame, list[Misfit], pl.Series]:
    """JSON objects as typed columns, what does not fit them, and which rows that is in.

    A value is read as serving reads it: whole numbers may be written 3.0, a date column
    takes the day of a time, times with a zone become UTC.
    """
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    rows: list[Mapping[str, Any]] = [{} if text is None else decode(text) for text in features]
    columns, misfits = [], []
    wrong = pl.repeat(False, len(rows), dtype=pl.Boolean, eager=True)
    for column in schema.columns:
        name = column.name
        made, misfit, unfit = typed(name, column.kind, [row.get(name) for row in rows])
        columns.append(made)
        if misfit is not None:
            misfits.append(misfit)
            wrong |= unfit
    return pl.DataFrame(columns, height=len(rows)), misfits, wrong


def typed(
    name: str, kind: Kind, values: Sequence[Any]
) -> tuple[pl.Series, Misfit | None, pl.Series]:
    """JSON values as a column of a kind, what does not fit, and where (boolean, (n,))."""
    fits = pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
    if kind in ("integer", "number", "string", "boolean"):
        try:
            return pl.Series(name, values, dtype=polars_type(kind), strict=True), None, fits
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            pass  # something of another type: value by value, by its text
    text = pl.Series(name, [_text(value) for value in values], dtype=pl.String)
    moments = kind in ("date", "datetime")
    made, misfit = parse(text, "datetime" if moments else kind)
    if moments and misfit is not None:
        made = made.fill_null(_moments(text.set(made.is_not_null(), None)))
    if kind == "date":
        made = made.dt.date()
    wrong = made.is_null() & text.is_not_null()
    return made, misfit_of(text, wrong, kind), wrong


def _moments(text: pl.Series) -> pl.Series:
    """Texts in any other form of ISO 8601 that serving takes, such as 2026-11-21T02:49Z."""
    known: dict[str, datetime] = {}
    for value in text.drop_nulls().unique():
        with suppress(ValueError):
            known[value] = utc(datetime.fromisoformat(value)).replace(tzinfo=None)
    return text.replace_strict(known, default=None, return_dtype=pl.Datetime("us"))


def _text(value: Any) -> str | None:
    """A JSON value as the text that a file would hold."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
