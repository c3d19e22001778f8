"""The rows of the next version of the table ``collected``, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from ratchet.data.alignment import align
from ratchet.data.collected import FEEDBACK, OBSERVED, PREDICTED, ROW, TABLE, with_origin
from ratchet.data.kept import read_rows
from ratchet.data.predictions.due import LABEL, Due, Rules
from ratchet.data.predictions.joined import served_columns, typed
from ratchet.data.predictions.pinned import Pinned
from ratchet.data.schema import TableSchema, kind_of

_BLOCK = 1 << 16
_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Work:
    """What makes the next version.

    Attributes:
        fresh: rows from elsewhere that are not in the table yet.
        relabelled: rows from elsewhere that are there with another label.
        raw: the table's columns without those of origin.
    """

    predictions: Pinned
    due: Due
    fresh: pl.DataFrame
    relabelled: pl.DataFrame
    raw: TableSchema
    rules: Rules

    @property
    def schema(self) -> TableSchema:
        """All columns of the table."""
        return with_origin(self.raw)

    @property
    def adds(self) -> bool:
        """Whether there are rows to add."""
        return bool(self.due.added.height or self.fresh.height)

    @property
    def changes(self) -> bool:
        """Whether rows that are there change or go."""
        gone, new = self.due.withdrawn.len(), self.due.corrected.height
        return bool(gone or new or self.relabelled.height)


@dataclass(slots=True)
class Tally:
    """What was seen of the rows that were added.

    Attributes:
        unfit: predictions left out because a value does not fit its column; ``shown`` says some.
        filled: columns in which any of them held a value.
    """

    added: int = 0
    unfit: int = 0
    shown: list[str] = field(default_factory=list)
    filled: set[str] = field(default_factory=set)


def kept_rows(stored: pl.LazyFrame, work: Work) -> Iterator[pl.DataFrame]:
    """The rows that are there, in their order, with what changes about them."""
    schema = work.schema
    corrections = _corrections(work)
    start = 0
    for batch in read_rows(stored):
        made = align(batch, schema, start=start, where=TABLE)
        start += batch.height
        if work.changes:
            made = _changed(made, corrections, work)
        yield made


def added_rows(work: Work, tally: Tally) -> Iterator[pl.DataFrame]:
    """The new rows: predictions from the oldest on, then those from elsewhere."""
    for block in work.due.added.iter_slices(_BLOCK):
        made = _served(block, work, tally)
        if made.height:
            tally.added += made.height
            tally.filled.update(s.name for s in made if s.null_count() < s.len())
            yield made
    if work.fresh.height:
        yield work.fresh.select(work.schema.names)


def _corrections(work: Work) -> pl.DataFrame:
    target = pl.col(work.rules.target).alias(LABEL)
    moment = pl.col(OBSERVED).dt.replace_time_zone(None)
    return pl.concat(
        [
            work.due.corrected.select(ROW, LABEL, moment, FEEDBACK),
            work.relabelled.select(ROW, target, OBSERVED, FEEDBACK),
        ]
    )


def _changed(batch: pl.DataFrame, corrections: pl.DataFrame, work: Work) -> pl.DataFrame:
    kept = batch.filter(~pl.col(ROW).is_in(work.due.withdrawn.implode()))
    new = {LABEL: work.rules.target, f"{OBSERVED}_new": OBSERVED, f"{FEEDBACK}_new": FEEDBACK}
    joined = kept.join(corrections, on=ROW, how="left", suffix="_new", maintain_order="left")
    is_new = pl.col(LABEL).is_not_null()
    return joined.with_columns(
        pl.when(is_new).then(pl.col(source)).otherwise(pl.col(column)).alias(column)
        for source, column in new.items()
    ).select(batch.columns)


def _served(block: pl.DataFrame, work: Work, tally: Tally) -> pl.DataFrame:
    """The predictions of a block as rows of the table; those that do not fit are left out."""
    rules, schema = work.rules, work.raw
    rows = (
        work.predictions.scan(
            ("prediction_id", "features", "entity"),
            since=block[PREDICTED].min(),  # type: ignore[arg-type]
            until=block[PREDICTED].max(),  # type: ignore[arg-type]
        )
        .join(block.lazy(), left_on="prediction_id", right_on=ROW)
        .unique("prediction_id", keep="any")
        .collect(engine="streaming")
        .sort(PREDICTED, "prediction_id")
    )
    # Of a hashed column the log holds digests: they are no values of its kind.
    shown = TableSchema(tuple(c for c in schema.columns if c.name not in rules.hashed))
    made, misfits, wrong = served_columns(rows["features"], shown)
    made = _with_roles(align(made, schema, start=0, where=TABLE), rows, rules)
    for misfit in misfits[: _MOST_SHOWN - len(tally.shown)]:
        tally.shown.append(
            f'"{misfit.column}" is {misfit.values[0]} in {rows["prediction_id"][misfit.rows[0]]}'
        )
    tally.unfit += int(wrong.sum())
    return made.with_columns(
        rows[LABEL].alias(rules.target),
        rows["prediction_id"].alias(ROW),
        rows[PREDICTED].dt.replace_time_zone(None),
        rows[OBSERVED].dt.replace_time_zone(None),
        rows[FEEDBACK],
    ).filter(~wrong)


def _with_roles(made: pl.DataFrame, rows: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """The id and the time where the request did not say them."""
    filled = {}
    if rules.id is not None:
        entity, _, _ = typed(rules.id, kind_of(made[rules.id].dtype), rows["entity"].to_list())
        filled[rules.id] = made[rules.id].fill_null(entity)
    if rules.time is not None and made[rules.time].dtype in (pl.Date, pl.Datetime):
        at = rows[PREDICTED].dt.replace_time_zone(None).cast(made[rules.time].dtype)
        filled[rules.time] = made[rules.time].fill_null(at)
    return made.with_columns(**filled)
