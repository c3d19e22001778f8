"""What is to be collected as of a moment: new rows, corrected labels, withdrawn rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
import polars as pl

from ratchet.data.collected import EXTERNAL, FEEDBACK, OBSERVED, PREDICTED, ROW
from ratchet.data.predictions.joined import typed
from ratchet.data.predictions.outcomes import outcomes, resolve
from ratchet.data.predictions.pinned import Pinned
from ratchet.data.schema import Kind, TableSchema
from ratchet.errors import ConfigError

LABEL = "_label"
_LIGHT = ("prediction_id", "at", "entity", "of")


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the settings decides about collected rows.

    Attributes:
        schema: the project's raw columns, the target included.
        wait: how old a prediction must be; nothing = as soon as it has a label.
        unlabelled: the label of one that got none within ``wait``; None = it is not taken.
        hashed: columns that the log holds as digests: they are no values to train on.
        unneeded: columns that nobody misses, as they are no features.
    """

    schema: TableSchema
    target: str
    id: str | None = None
    time: str | None = None
    wait: timedelta = timedelta(0)
    unlabelled: Any = None
    hashed: tuple[str, ...] = field(default=())
    unneeded: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done.

    Attributes:
        added: predictions to collect, oldest first, with ``_label`` and the columns of origin.
        corrected: collected rows whose label is another now, likewise.
        withdrawn: ids of collected rows whose label turned out to be another prediction's.
        waiting: labelled predictions that are too young.
        unmatched: labels of predictions that nobody knows.
        unfit: labels that do not fit the target's kind, with an example each.
    """

    added: pl.DataFrame
    corrected: pl.DataFrame
    withdrawn: pl.Series
    waiting: int
    unmatched: int
    unfit: tuple[str, ...]
    unfit_count: int


def find_due(
    predictions: Pinned,
    feedback: Pinned,
    collected: pl.LazyFrame,
    rules: Rules,
    kind: Kind,
    as_of: datetime,
) -> Due:
    """Compare what is known as of ``as_of`` (UTC) with what was collected.

    Args:
        collected: the table as it is: its columns of origin and the target as ``_label``.
        kind: the target's.

    Raises:
        ConfigError: ``label_unknown``, the label of silent predictions is none.
        StorageError: the lake cannot be read.
    """
    light = predictions.scan(_LIGHT, until=as_of)
    resolved = resolve(light, feedback.scan(), as_of).collect(engine="streaming")
    known, unfit, count = _typed(outcomes(resolved.lazy()).collect(), kind)
    own = light.filter(pl.col("of").is_null()).select(
        pl.col("prediction_id").alias(ROW), pl.col("at").alias(PREDICTED)
    )
    labelled = _labelled(own, known, rules, kind, as_of)
    ripe = labelled.filter(pl.col(PREDICTED) <= as_of - rules.wait)
    had = collected.filter(~pl.col(ROW).str.starts_with(EXTERNAL)).collect(engine="streaming")
    new = ripe.join(had, on=ROW, how="anti").sort(PREDICTED, ROW)
    return Due(
        added=new,
        corrected=_corrected(had, known),
        withdrawn=_withdrawn(had, known, resolved),
        waiting=labelled.height - ripe.height,
        unmatched=_unmatched(resolved, own, had),
        unfit=unfit,
        unfit_count=count,
    )


def _typed(found: pl.DataFrame, kind: Kind) -> tuple[pl.DataFrame, tuple[str, ...], int]:
    """Outcomes with their label in the target's kind; those that do not fit it are left out."""
    values = [msgspec.json.decode(label) for label in found.get_column("outcome")]
    labels, misfit, wrong = typed(LABEL, kind, values)
    bad = found.filter(wrong).head(3)
    shown = tuple(
        f"{outcome} for {of}" for of, outcome in bad.select("prediction_id", "outcome").iter_rows()
    )
    frame = found.select(
        pl.col("prediction_id").alias(ROW),
        labels,
        pl.col("observed").alias(OBSERVED),
        pl.col("feedback").alias(FEEDBACK),
    ).filter(pl.col(LABEL).is_not_null())
    return frame, shown, 0 if misfit is None else misfit.count


def _labelled(
    own: pl.LazyFrame, known: pl.DataFrame, rules: Rules, kind: Kind, as_of: datetime
) -> pl.DataFrame:
    """Predictions with their label, said or taken for granted after ``wait``."""
    if rules.unlabelled is None:
        return own.join(known.lazy(), on=ROW).collect(engine="streaming")
    label, misfit, _ = typed(LABEL, kind, [rules.unlabelled])
    if misfit is not None:
        raise ConfigError(
            f"data.source.unlabelled is {rules.unlabelled!r}, which the target cannot be",
            why=f"The target {rules.target} is of the kind {kind}",
            fix="Set it to one of the target's values",
            where="data.source.unlabelled",
            code="label_unknown",
        )
    silent = pl.col(LABEL).is_null() & (pl.col(PREDICTED) <= as_of - rules.wait)
    return (
        own.join(known.lazy(), on=ROW, how="left")
        .with_columns(
            pl.when(silent).then(pl.lit(label[0], dtype=label.dtype)).otherwise(LABEL).alias(LABEL),
            pl.when(silent)
            .then(pl.col(PREDICTED) + rules.wait)
            .otherwise(OBSERVED)
            .alias(OBSERVED),
        )
        .filter(pl.col(LABEL).is_not_null())
        .collect(engine="streaming")
    )


def _corrected(had: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    changed = had.select(ROW, pl.col(LABEL).alias("_before")).join(known, on=ROW)
    return changed.filter(pl.col("_before").ne_missing(pl.col(LABEL))).drop("_before")


def _withdrawn(had: pl.DataFrame, known: pl.DataFrame, resolved: pl.DataFrame) -> pl.Series:
    """Rows without an outcome by now, whose feedback speaks of another prediction.

    That happens to feedback by entity and time when a newer prediction comes into the lake
    later. A row whose prediction or feedback was removed from the lake stays.
    """
    elsewhere = resolved.select(
        pl.col("key").alias(FEEDBACK), pl.col("prediction_id").alias("_now")
    ).filter(pl.col("_now").is_not_null())
    lost = had.join(known, on=ROW, how="anti").join(elsewhere, on=FEEDBACK)
    return lost.filter(pl.col("_now") != pl.col(ROW)).get_column(ROW).unique(maintain_order=True)


def _unmatched(resolved: pl.DataFrame, own: pl.LazyFrame, had: pl.DataFrame) -> int:
    ids = resolved.select(pl.col("prediction_id").alias(ROW))
    lost = ids.lazy().filter(pl.col(ROW).is_not_null()).join(own, on=ROW, how="anti")
    return int(
        ids.get_column(ROW).null_count()
        + lost.join(had.lazy(), on=ROW, how="anti").select(pl.len()).collect().item()
    )
