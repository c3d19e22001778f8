"""Every metric as a value and each row's influence on it.

A metric of n rows is close to its true value plus the mean of the rows' influences, so that the
standard error of one model's value, of the difference of two models on the same rows, and of either
with rows that belong together, are all the spread of one vector. For AUC this is DeLong's
variance; for a mean it is sd / sqrt(n); for the rest it is the infinitesimal jackknife (Efron, *J.
R. Stat. Soc. B* 54 (1992) 83), to which a bootstrap of many replicates converges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.catalog import find_metric
from ratchet.evaluation.labels import confusion, value_and_gradient
from ratchet.evaluation.ranking import Ranking, auc, average_precision
from ratchet.evaluation.residuals import measure_errors
from ratchet.evaluation.scored import Scored

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric on the rows at hand.

    Attributes:
        value: the metric.
        influence: each row's influence (n,), with mean zero.
        note: what limits it; else empty.
    """

    value: float
    influence: Floats
    note: str = ""


@dataclass(frozen=True, slots=True)
class Undefined:
    """A metric that has no value on the rows at hand, and why."""

    reason: str


def measure(scored: Scored, name: str) -> Measure | Undefined:
    """The metric ``name`` of one model.

    Raises:
        ValueError: no metric has the name.
    """
    info = find_metric(name)
    if scored.task.kind not in info.kinds:
        needed = "numbers" if info.kinds == ("regression",) else "classes"
        if info.binary_only:
            needed = "two classes"
        return Undefined(f"{info.title} needs a task of {needed}")
    if scored.task.kind == "regression":
        found = measure_errors(scored.errors, scored.y, name)
        return Undefined(found) if isinstance(found, str) else Measure(*found)
    if info.from_labels:
        return _of_labels(scored, name)
    if name == "roc_auc":
        return _of_ranking(scored, auc)
    if name == "pr_auc":
        return _of_ranking(scored, average_precision)
    losses = row_losses(scored, name)
    mean = float(losses.mean())
    return Measure(mean, losses - mean)


def row_losses(scored: Scored, name: str) -> Floats:
    """Each row's log loss or squared error (n,).

    Log loss keeps probabilities one rounding step away from 0 and 1, as scikit-learn does, so that
    a sure and wrong row costs 36.04 and not infinity.
    """
    if name == "log_loss":
        tiny = np.finfo(np.float64).eps
        own = scored.proba[np.arange(scored.rows), scored.y]
        losses: Floats = -np.log(np.clip(own, tiny, 1 - tiny))
        return losses
    if scored.classes == 2:
        errors: Floats = scored.proba[:, 1] - (scored.y == 1)
        return errors * errors
    errors = scored.proba.copy()
    errors[np.arange(scored.rows), scored.y] -= 1.0
    squares: Floats = np.square(errors).sum(axis=1)
    return squares


def _of_labels(scored: Scored, name: str) -> Measure:
    """A metric of predicted classes, and the derivative of it by each row's cell."""
    shares = confusion(scored.y, scored.predicted, scored.classes) / scored.rows
    value, gradient = value_and_gradient(name, shares)
    return Measure(value, gradient[scored.y, scored.predicted] - float((gradient * shares).sum()))


def _of_ranking(
    scored: Scored, curve: Callable[[Ranking], tuple[float, Floats]]
) -> Measure | Undefined:
    """The area for the positive class, or the mean over the classes against the rest."""
    present = np.bincount(scored.y, minlength=scored.classes) > 0
    if present.sum() < 2:
        only = scored.task.classes[int(scored.y[0])]
        return Undefined(f"all {scored.rows} rows are of the class {only!r}")
    if scored.classes == 2:
        return Measure(*curve(scored.ranking(1)))
    total, influence = 0.0, np.zeros(scored.rows)
    for code in np.flatnonzero(present):
        area, part = curve(scored.ranking(int(code)))
        total += area
        influence += part
    count = int(present.sum())
    missing = [repr(scored.task.classes[code]) for code in np.flatnonzero(~present)[:5]]
    note = ""
    if missing:
        more = ", ..." if len(present) - count > len(missing) else ""
        note = f"mean over {count} classes; no rows of {', '.join(missing)}{more}"
    return Measure(total / count, influence / count, note)


def standard_error(
    influence: Floats,
    *,
    strata: npt.NDArray[np.integer] | None = None,
    groups: npt.NDArray[np.integer] | None = None,
) -> float:
    """The standard error of a mean of influences.

    Args:
        influence: one value a row (n,).
        strata: codes (n,) of parts whose sizes count as given, as classes do in DeLong's variance.
        groups: codes (n,) of rows that belong together, as rows of one customer do; they count as
            one draw (Liang and Zeger, *Biometrika* 73 (1986) 13). Takes the place of ``strata``.
    """
    rows = len(influence)
    if groups is not None:
        sums = np.bincount(np.unique(groups, return_inverse=True)[1], weights=influence)
        count = len(sums)
        return sqrt(float(np.square(sums).sum()) * count / max(count - 1, 1)) / rows
    if strata is None:
        centred = influence - influence.mean()
        # In parts of the largest, so that squares of a target in billions of billions are finite.
        largest = float(np.abs(centred).max()) or 1.0
        total = float(np.square(centred / largest).sum())
        return largest * sqrt(total / max(rows - 1, 1) / rows)
    sizes = np.bincount(strata)
    sums = np.bincount(strata, weights=influence)
    means = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)
    spread = np.bincount(strata, weights=np.square(influence - means[strata]))
    variance = spread * sizes / np.maximum(sizes - 1, 1)
    return sqrt(float(variance.sum())) / rows


def skewness(influence: Floats) -> float:
    """The skewness of influences (n,); 0 when they are all alike."""
    centred = influence - influence.mean()
    largest = float(np.abs(centred).max())
    if largest == 0:
        return 0.0
    centred = centred / largest
    return float((centred**3).mean() / np.square(centred).mean() ** 1.5)
