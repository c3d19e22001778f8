"""What became of each prediction, from everything that was said about it up to a moment.

Feedback is never changed, only added to. What counts as of a moment T is what was observed
by then, and nothing else: feedback observed later has no part in it.
"""

from __future__ import annotations

from datetime import datetime

import polars as pl


def resolve(
    predictions: pl.LazyFrame, feedback: pl.LazyFrame, as_of: datetime | None = None
) -> pl.LazyFrame:
    """The feedback observed by ``as_of``, each with the prediction that it speaks of.

    Feedback by entity and time means the newest prediction of the entity at or before that
    time (of two at one moment the one with the greater id); without a time, that at which
    it was observed; never one made after the feedback was accepted. What only shadows saw is
    no prediction anybody can speak of.

    Args:
        predictions: rows with ``prediction_id``, ``at``, ``entity`` and ``of``.
        feedback: rows of the table ``feedback``.
        as_of: in UTC; None for everything there is.

    Returns:
        ``key at label prediction_id entity time observed source``, ``prediction_id`` null
        where feedback by entity finds no prediction. An id that was given is not looked up.
    """
    known = feedback.with_columns(pl.coalesce("observed", "at").alias("observed"))
    if as_of is not None:
        known = known.filter(pl.col("observed") <= as_of)
    columns = known.collect_schema().names()
    by_entity = pl.col("prediction_id").is_null() & pl.col("entity").is_not_null()
    asked = (
        known.filter(by_entity)
        .drop("prediction_id")
        .with_columns(pl.min_horizontal(pl.coalesce("time", "observed"), "at").alias("_when"))
        .sort("_when", "key")
    )
    candidates = (
        predictions.filter(pl.col("of").is_null() & pl.col("entity").is_not_null())
        .join(asked.select("entity").unique(), on="entity", how="semi")
        .select("prediction_id", "entity", pl.col("at").alias("_then"))
        .sort("_then", "prediction_id")
        .unique(["entity", "_then"], keep="last", maintain_order=True)
    )
    found = asked.join_asof(
        candidates,
        left_on="_when",
        right_on="_then",
        by="entity",
        strategy="backward",
        check_sortedness=False,  # both were sorted just now; with `by` it could not tell
    )
    return pl.concat([known.filter(~by_entity), found.select(columns)])


def outcomes(resolved: pl.LazyFrame) -> pl.LazyFrame:
    """What became of each prediction: ``prediction_id outcome observed feedback``, one row each.

    The label that became known last wins, and of those that became known at one moment the
    one accepted last. A key that comes again while nothing else was said is the same
    feedback sent twice. ``observed`` is when the outcome was first known to be what it is:
    saying it again later changes nothing. ``feedback`` is the key that said so.
    """
    said = resolved.filter(pl.col("prediction_id").is_not_null() & pl.col("label").is_not_null())
    said = said.sort("prediction_id", "at", "key").filter(_differs("key"))
    return (
        said.sort("prediction_id", "observed", "at", "key")
        .filter(_differs("label"))
        .unique("prediction_id", keep="last", maintain_order=True)
        .select(
            "prediction_id",
            pl.col("label").alias("outcome"),
            "observed",
            pl.col("key").alias("feedback"),
        )
    )


def _differs(column: str) -> pl.Expr:
    """Whether a row is a prediction's first, or differs in ``column`` from the one before it."""
    return pl.col("prediction_id").ne_missing(pl.col("prediction_id").shift(1)) | pl.col(
        column
    ).ne_missing(pl.col(column).shift(1))
