"""Which columns a model leans on: how much a metric suffers when one column is shuffled.

Works for any model that scores a matrix (Breiman, *Machine Learning* 45 (2001) 5; model-agnostic
form of Fisher, Rudin and Dominici, *JMLR* 20 (2019) 177). The cost is bounded by the rows scored,
whatever the table's size. Columns that say the same stand in for each other and look less
important than they are together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import RatchetError
from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.measures import Undefined, measure, standard_error
from ratchet.evaluation.scored import Scored, Targets, scored_rows

if TYPE_CHECKING:
    from ratchet.data.task import Task

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
_KEPT_PER_CLASS = 50
_FEWEST_ROWS = 50


@dataclass(frozen=True, slots=True)
class Importance:
    """One column's importance.

    Attributes:
        name: the column.
        value: how much the metric suffers, in its own unit; about 0 for an unused column.
        se: standard error of ``value``, from the rows used.
    """

    name: str
    value: float
    se: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Importance:
        """The importance that `to_json` wrote."""
        return cls(**data)


def permutation_importance(
    predict: Callable[[Matrix], Floats],
    X: Matrix,
    y: Targets,
    *,
    task: Task,
    columns: Mapping[str, Sequence[int]],
    metric: str | None = None,
    seed: int = 0,
    repeats: int = 3,
    max_rows: int = 1000,
    max_scored: int = 40_000,
) -> tuple[Importance, ...]:
    """Each column's importance, the largest first; equal inputs give equal results.

    Args:
        predict: scores a matrix (m, d) as (m, k).
        X: feature matrix (n, d); rows the model was not trained on.
        y: true class codes (n,); for regression the true values.
        task: what is predicted.
        columns: a name and the matrix columns that belong to it, such as those of one one-hot
            encoded column; they are shuffled together.
        metric: what suffers; one that does not need a threshold is best. Log loss, and RMSE for
            regression, when not given.
        seed: of the sample and the shuffles.
        repeats: shuffles of each column.
        max_rows: rows used at most.
        max_scored: rows scored, about, over all columns; with many columns, repeats and then rows
            are cut down to it, but not below 50 rows a column.

    Raises:
        RatchetError: fewer matrix columns than ``columns`` names (a bug of the caller).
    """
    widest = max((max(indexes, default=-1) for indexes in columns.values()), default=-1)
    if widest >= X.shape[1]:
        raise RatchetError(f"Column {widest} is outside a matrix of {X.shape[1]} columns")
    if not columns:
        return ()
    metric = metric or importance_metric(task)
    each = max_scored // len(columns)
    repeats = max(1, min(repeats, each // max(1, min(max_rows, len(y)))))
    rng = np.random.default_rng(seed)
    codes = np.zeros(len(y), np.int32) if task.kind == "regression" else y
    rows = _sample(codes, max(_FEWEST_ROWS, min(max_rows, each // repeats)), rng)
    sample, truth = np.ascontiguousarray(X[rows]), y[rows]
    base = scored_rows(truth, predict(sample), task=task)
    found = measure(base, metric)
    if isinstance(found, Undefined):
        return ()
    stack = np.tile(sample, (repeats, 1))
    results = []
    for name, indexes in columns.items():
        chosen = np.asarray(indexes, dtype=np.int64)
        order = np.concatenate([rng.permutation(len(rows)) for _ in range(repeats)])
        stack[:, chosen] = sample[np.ix_(order, chosen)]
        proba = predict(stack)
        stack[:, chosen] = np.tile(sample[:, chosen], (repeats, 1))
        results.append(_importance(name, base, proba, metric, repeats))
    # Rounded, so that the last digit of a sum does not order columns that the model never reads.
    return tuple(sorted(results, key=lambda item: (-round(item.value, 12), item.name)))


def importance_metric(task: Task) -> str:
    """What permutation importance is measured by when nothing is said."""
    return "rmse" if task.kind == "regression" else "log_loss"


def _importance(name: str, base: Scored, proba: Floats, metric: str, repeats: int) -> Importance:
    """The mean loss of a metric over the shuffles, with its standard error over rows."""
    sign = find_metric(metric).sign
    before = measure(base, metric)
    shuffled = [
        measure(scored_rows(base.y, part, task=base.task), metric)
        for part in np.split(proba, repeats)
    ]
    after = [part for part in shuffled if not isinstance(part, Undefined)]
    if isinstance(before, Undefined) or not after:
        return Importance(name, 0.0, 0.0)
    value = sign * (before.value - float(np.mean([part.value for part in after])))
    influence = before.influence - np.mean([part.influence for part in after], axis=0)
    return Importance(name, value, standard_error(influence))


def _sample(
    y: npt.NDArray[np.integer], size: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Up to ``size`` random rows in order; of a rare class all, or a few dozen."""
    if len(y) <= size:
        return np.arange(len(y), dtype=np.int64)
    order = rng.permutation(len(y))
    first = order[:size]
    kept = [first]
    codes = np.unique(y)
    enough = min(_KEPT_PER_CLASS, size // len(codes))
    for code in codes:
        missing = enough - int((y[first] == code).sum())
        if missing > 0:
            rest = order[size:]
            kept.append(rest[y[rest] == code][:missing])
    return np.sort(np.concatenate(kept))
