"""Labelled rows from elsewhere, beside those that were served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from ratchet.data.alignment import align
from ratchet.data.collected import EXTERNAL, ORIGIN, ROW
from ratchet.data.hashing import row_hash
from ratchet.data.predictions.due import Rules
from ratchet.data.schema import TableSchema, polars_type
from ratchet.data.sources.port import Source
from ratchet.errors import DataError


@dataclass(frozen=True, slots=True)
class External:
    """Rows with the columns of the table, and how many were left out.

    Attributes:
        unlabelled: rows without a label.
        later: rows of a time after the moment that is collected for.
    """

    rows: pl.DataFrame
    unlabelled: int = 0
    later: int = 0


def read_external(
    sources: Iterable[Source], schema: TableSchema, rules: Rules, as_of: datetime
) -> External:
    """Read labelled rows from files; of equal rows the last one counts.

    A row is known again by its content: where there is an id without its label, so that a
    file with a corrected label corrects the row; else with it.

    Raises:
        DataError: ``column_missing`` or ``type_mismatch``.
    """
    frames, unlabelled, later = [], 0, 0
    for source in sources:
        _require(source, schema, rules)
        for batch in _batches(source, schema):
            labelled = batch.filter(pl.col(rules.target).is_not_null())
            known = labelled.filter(_by(schema, rules, as_of))
            unlabelled += batch.height - labelled.height
            later += labelled.height - known.height
            frames.append(_with_origin(known, rules))
    if not frames:
        columns = TableSchema((*schema.columns, *ORIGIN))
        return External(pl.DataFrame(schema=columns.polars()))
    rows = pl.concat(frames).unique(ROW, keep="last", maintain_order=True)
    return External(rows, unlabelled, later)


def _require(source: Source, schema: TableSchema, rules: Rules) -> None:
    found = source.schema().names
    lacking = [n for n in schema.names if n not in found and n not in rules.unneeded]
    if lacking:
        raise DataError(
            f"{source.describe()} lacks the columns {', '.join(lacking[:8])}",
            why="Rows from elsewhere need every column that the model learns from, and the label",
            fix="Add the columns to the file; leave a value blank where it is not known",
            where=source.describe(),
            code="column_missing",
        )


def _batches(source: Source, schema: TableSchema) -> Iterator[pl.DataFrame]:
    start = 0
    for batch in source.batches():
        yield align(batch, schema, start=start, where=source.describe())
        start += batch.height


def _by(schema: TableSchema, rules: Rules, as_of: datetime) -> pl.Expr:
    """Whether a row is of a time up to ``as_of``, where a column says when."""
    if rules.time is None or schema.kind(rules.time) not in ("date", "datetime"):
        return pl.lit(True)
    moment = pl.col(rules.time).cast(pl.Datetime("us"))
    return moment.is_null() | (moment <= as_of.replace(tzinfo=None))


def _with_origin(frame: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    content = frame if rules.id is None else frame.drop(rules.target)
    words = [row_hash(content, seed) for seed in (0, 1)]
    names = [
        EXTERNAL + f"{a:016x}{b:016x}" for a, b in zip(*map(np.ndarray.tolist, words), strict=True)
    ]
    return frame.with_columns(
        pl.Series(ROW, names, dtype=pl.String),
        *(pl.lit(None, dtype=polars_type(c.kind)).alias(c.name) for c in ORIGIN if c.name != ROW),
    )
