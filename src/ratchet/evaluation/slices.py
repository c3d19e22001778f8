"""Where a model is weak: its metrics on parts of the rows, such as one contract type.

A part is a category of a column (the most frequent ones), a quarter of a numeric column, or the
rows where a column is missing. A part is called worse only when that holds after the number of
parts looked at is accounted for (Holm, *Scand. J. Stat.* 6 (1979) 65).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.evaluation.catalog import find_metric, usual_metric
from ratchet.evaluation.estimate import Estimate
from ratchet.evaluation.measures import Measure, Undefined, measure, standard_error
from ratchet.evaluation.metrics import evaluate
from ratchet.evaluation.scored import Targets, scored_rows

if TYPE_CHECKING:
    from ratchet.data.task import Task

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
_FEW_VALUES = 10
_MISSING = "missing"
_SHOWN = {
    "binary": ("accuracy", "roc_auc", "log_loss"),
    "multiclass": ("accuracy", "roc_auc", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows.

    Attributes:
        column: the column that makes the part.
        label: its value there: a category, an interval, or ``missing``.
        rows: rows of the part.
        share: of all rows looked at.
        estimates: name and estimate.
        difference: how much better the metric is here than over all rows; negative is worse, None
            when it is undefined here.
        se: standard error of ``difference``.
        worse: the part is worse than the whole, after accounting for all parts looked at.
    """

    column: str
    label: str
    rows: int
    share: float
    estimates: tuple[tuple[str, Estimate], ...]
    difference: float | None
    se: float | None
    worse: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "column": self.column,
            "label": self.label,
            "rows": self.rows,
            "share": self.share,
            "estimates": {name: estimate.to_json() for name, estimate in self.estimates},
            "difference": self.difference,
            "se": self.se,
            "worse": self.worse,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Slice:
        """The slice that `to_json` wrote."""
        estimates = tuple(
            (name, Estimate.from_json(part)) for name, part in data["estimates"].items()
        )
        return cls(**{**data, "estimates": estimates})


def slice_metrics(
    frame: pl.DataFrame,
    y: Targets,
    proba: Floats,
    *,
    task: Task,
    metric: str | None = None,
    threshold: float | None = 0.5,
    columns: Sequence[str] | None = None,
    min_rows: int = 50,
    per_column: int = 6,
    limit: int = 60,
    max_rows: int = 20_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[Slice, ...]:
    """The model's metrics on parts of the rows; those that are worse first, then the weakest.

    Args:
        frame: raw columns of the rows (n rows).
        y: true class codes (n,); for regression the true values.
        proba: class scores (n, k); for regression estimates (n, 1).
        task: what is predicted.
        metric: what parts are compared by; `usual_metric` of the task when not given.
        threshold: the decision threshold; binary only.
        columns: which columns; all of numbers, text and truth values when not given.
        min_rows: smaller parts are left out.
        per_column: most frequent categories of each column.
        limit: parts returned at most; looked at are twice as many at most.
        max_rows: more rows are sampled down to this.
        confidence: of the intervals, and of calling a part worse.
        seed: of the sample.
    """
    metric = metric or usual_metric(task.kind)
    if len(y) > max_rows:
        keep = np.sort(np.random.default_rng(seed).permutation(len(y))[:max_rows])
        frame, y, proba = frame[keep], y[keep], proba[keep]
    whole = measure(scored_rows(y, proba, task=task, threshold=threshold), metric)
    wanted = tuple(dict.fromkeys((metric, *_SHOWN[task.kind])))
    found: list[Slice] = []
    for column, label, mask in _parts(frame, columns, min_rows, per_column):
        if len(found) == 2 * limit:
            break
        part = evaluate(
            y[mask],
            proba[mask],
            task=task,
            threshold=threshold,
            confidence=confidence,
            names=wanted,
        )
        here = measure(scored_rows(y[mask], proba[mask], task=task, threshold=threshold), metric)
        difference, se = _difference(whole, here, mask, find_metric(metric).sign)
        share = part.rows / len(y)
        found.append(Slice(column, label, part.rows, share, part.estimates, difference, se))
    marked = _mark_worse(found, 1 - confidence)
    return tuple(sorted(marked, key=_weakest_first)[:limit])


def _weakest_first(part: Slice) -> tuple[bool, float, str, str]:
    """Order of the report."""
    difference = np.inf if part.difference is None else part.difference
    return not part.worse, difference, part.column, part.label


def _difference(
    whole: Measure | Undefined, here: Measure | Undefined, mask: Mask, sign: int
) -> tuple[float | None, float | None]:
    """A part's metric less that of all rows, and its standard error.

    The part's rows count for both, so its influences are taken over all rows: those of the part
    scaled up by its share, less those of the whole.
    """
    if isinstance(whole, Undefined) or isinstance(here, Undefined):
        return None, None
    influence = -whole.influence
    influence[mask] += here.influence * (len(mask) / len(here.influence))
    return sign * (here.value - whole.value), standard_error(influence)


def _mark_worse(parts: Sequence[Slice], level: float) -> list[Slice]:
    """Call parts worse, from the smallest p-value on, while p x (parts left) is below ``level``."""
    chances = [
        NormalDist().cdf(part.difference / part.se)
        if part.difference is not None and part.se
        else 1.0
        for part in parts
    ]
    marked = list(parts)
    for place, index in enumerate(sorted(range(len(parts)), key=lambda i: chances[i])):
        if chances[index] * (len(parts) - place) > level:
            break
        marked[index] = replace(parts[index], worse=True)
    return marked


def _parts(
    frame: pl.DataFrame, columns: Sequence[str] | None, min_rows: int, per_column: int
) -> Iterator[tuple[str, str, Mask]]:
    """Column, label and rows of each part that has enough rows but not all."""
    for name in frame.columns if columns is None else columns:
        series = frame[name]
        for label, mask in _of_column(series, per_column):
            if min_rows <= mask.sum() < len(series):
                yield name, label, mask
        missing = series.is_null().to_numpy()
        if min_rows <= missing.sum() < len(series):
            yield name, _MISSING, missing


def _of_column(series: pl.Series, per_column: int) -> Iterator[tuple[str, Mask]]:
    """The parts of one column, without its missing rows."""
    if series.dtype.is_numeric() and series.n_unique() > _FEW_VALUES:
        yield from _quarters(series)
    elif series.dtype.is_numeric() or series.dtype in (pl.String, pl.Boolean):
        counts = series.drop_nulls().value_counts(sort=True)
        for value in counts[series.name].head(per_column).sort().to_list():
            yield str(value), (series == value).fill_null(False).to_numpy()


def _quarters(series: pl.Series) -> Iterator[tuple[str, Mask]]:
    """A numeric column cut at its quartiles; equal values never part."""
    values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return
    edges = np.unique(np.quantile(known, [0.0, 0.25, 0.5, 0.75, 1.0], method="lower"))
    for low, high in pairwise(edges):
        first = low == edges[0]
        mask = ((values >= low) if first else (values > low)) & (values <= high)
        yield f"{'from' if first else 'above'} {low:g} to {high:g}", mask
