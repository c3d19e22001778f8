"""Where a model is weak at present: its metric on parts of the newest rows with mature labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.lake import Lake
from ratchet.data.predictions.joined import served_columns
from ratchet.data.predictions.pinned import pin_table
from ratchet.data.schema import TableSchema
from ratchet.evaluation.slices import slice_metrics
from ratchet.monitoring.labelled import Answers, Watched, moment_of

if TYPE_CHECKING:
    from ratchet.monitoring.performance import Question

_MOST_ROWS: Final = 20_000
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the rows: a value of a column, a range of a number, or where it is missing.

    Attributes:
        column: the column.
        label: its value there.
        rows: labelled rows of the part.
        value: the metric there; None where it has none.
        low: lower end of its interval.
        high: upper end.
        difference: how much better the metric is here than over all; negative is worse.
        worse: it is worse than the whole, after accounting for all parts that were looked at.
    """

    column: str
    label: str
    rows: int
    value: float | None
    low: float | None
    high: float | None
    difference: float | None
    worse: bool


def recent_parts(
    lake: Lake,
    answers: Answers,
    mask: npt.NDArray[np.bool_],
    known: Watched,
    metric: str,
    question: Question,
) -> tuple[Part, ...]:
    """The metric on parts of some labelled rows; those that are worse first.

    Raises:
        StorageError: the lake cannot be read.
    """
    columns = _columns(known.inputs, question)
    if not columns:
        return ()
    rows = np.flatnonzero(mask)
    if len(rows) > _MOST_ROWS:
        # Every so many rows: the same ones each time, and from the whole span.
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_ROWS).astype(np.int64)]
    frame = _features(lake, answers, rows, columns)
    found = slice_metrics(
        frame,
        answers.y[rows],
        answers.proba[rows],
        task=answers.task,
        metric=metric,
        threshold=known.threshold,
        columns=list(columns),
        confidence=question.confidence,
    )
    made = []
    for one in found[:_SHOWN]:
        value = dict(one.estimates)[metric]
        made.append(
            Part(
                one.column,
                one.label,
                one.rows,
                value.value,
                value.low,
                value.high,
                one.difference,
                one.worse,
            )
        )
    return tuple(made)


def _columns(inputs: Mapping[str, Any], question: Question) -> dict[str, Any]:
    wanted = question.slices or tuple(inputs)
    return {
        name: inputs[name] for name in wanted if name in inputs and name not in question.unlogged
    }


def _features(
    lake: Lake, answers: Answers, rows: npt.NDArray[np.int64], columns: Mapping[str, Any]
) -> pl.DataFrame:
    """Columns of some predictions as they were served, in their order."""
    ids = pl.DataFrame({"prediction_id": answers.ids[rows].astype(str)})
    span = answers.at[rows]
    served = (
        pin_table(lake, "predictions")
        .scan(
            ("prediction_id", "features"),
            since=moment_of(int(span.min())),
            until=moment_of(int(span.max())),
        )
        .join(ids.lazy(), on="prediction_id", how="semi")
        .unique("prediction_id", keep="any")
        .collect(engine="streaming")
    )
    held = ids.join(served, on="prediction_id", how="left", maintain_order="left")
    made, _, _ = served_columns(held["features"].fill_null("{}"), TableSchema.of(columns))
    return made
