"""The metrics of an experiment: what one entity says of its arm, and what the arms come to.

An entity counts once, whatever the number of its rows: randomised is who, not what. Most metrics
are a mean over entities of the mean over an entity's rows. The area under the curve is none, but
is as good as one: its influence values (DeLong) have the same variance as it has itself, and are
summed over the rows of an entity (Obuchowski, *Biometrics* 53, 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ratchet.errors import UsageError
from ratchet.rollout.losses import Answers, losses_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

_CLASSES: Final = ("accuracy", "log_loss", "brier")
_TWO: Final = ("auc", "conversion")
_NUMBERS: Final = ("absolute_error", "squared_error")
METRICS: Final = (*_CLASSES, *_TWO, *_NUMBERS)
LOWER: Final = frozenset({"log_loss", "brier", "absolute_error", "squared_error"})
"""Of these less is better."""
SHARES: Final = frozenset({"accuracy", "conversion"})
"""Each row of these says 0 or 1."""

_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class Arm:
    """What the entities of an arm come to.

    Attributes:
        entities: that count.
        value: the metric.
        variance: of one entity's word on it; over ``entities`` it is the value's own.
        rarer: for a share: of the entities, how many said the rarer of 0 and 1.
    """

    entities: int
    value: float
    variance: float
    rarer: int | None = None

    @property
    def error(self) -> float:
        """The standard error of the value."""
        return float(np.sqrt(self.variance / self.entities)) if self.entities else float("inf")


def check_metric(name: str, classes: int) -> str:
    """The metric of this name. Raises UsageError where a model of so many classes has none."""
    metric = {"roc_auc": "auc", "mae": "absolute_error"}.get(name, name)
    known = _NUMBERS if not classes else (*_CLASSES, *(_TWO if classes == 2 else ()))
    if metric not in known:
        raise UsageError(
            f"There is no metric {name} for this model",
            fix=f"use one of {', '.join(known)}",
            code="unknown_metric",
        )
    return metric


def row_values(answers: Answers, metric: str) -> Floats:
    """What each row says, (n,); NaN where its outcome is not known.

    Conversion: whether the outcome was the positive class; that none came is a no, as is none in
    time. For ``auc`` this is the score of the positive class.
    """
    if metric == "conversion":
        return np.asarray(answers.outcome == 1, float)
    if metric == "auc":
        return np.where(answers.outcome >= 0, answers.scores[:, 1], np.nan)
    if metric == "accuracy":
        return np.asarray(1.0 - losses_of(answers, "error"))
    if metric == "log_loss":
        place = np.maximum(answers.outcome, 0).astype(np.int64)
        own = answers.scores[np.arange(len(place)), place]
        found = -np.log(np.clip(own, _SMALLEST, 1.0))
        return np.asarray(np.where(answers.outcome >= 0, found, np.nan))
    return losses_of(answers, metric)


def measure_arm(values: Floats, positive: Flags, entity: Numbers, metric: str) -> Arm:
    """The metric of an arm.

    Args:
        values: of ``row_values``, (n,), none of them NaN.
        positive: for ``auc``: whether the outcome was the positive class.
        entity: whose row it is, (n,).
    """
    _, place = np.unique(entity, return_inverse=True)
    entities = int(place.max()) + 1 if len(place) else 0
    if metric == "auc":
        return _area(values, positive, place, entities)
    if not entities:
        return Arm(0, float("nan"), 0.0)
    if metric == "conversion":  # somebody who converted once converted
        means = np.zeros(entities)
        np.maximum.at(means, place, values)
    else:
        means = np.bincount(place, values) / np.bincount(place)
    rarer = None
    if metric in SHARES:
        rarer = int(min((means > 0).sum(), (means < 1).sum()))
    return Arm(entities, float(means.mean()), float(means.var()), rarer)


def _area(scores: Floats, positive: Flags, place: Numbers, entities: int) -> Arm:
    """The area under the curve, by midranks, with the influence of each entity."""
    from scipy.stats import rankdata

    yes = positive
    n, ours = len(yes), int(yes.sum())
    others = n - ours
    if not ours or not others:
        return Arm(entities, float("nan"), 0.0, min(ours, others))
    ranks = rankdata(scores)
    own = np.empty(n)
    own[yes] = (ranks[yes] - rankdata(scores[yes])) / others
    own[~yes] = 1.0 - (ranks[~yes] - rankdata(scores[~yes])) / ours
    area = float(own[yes].mean())
    weight = np.where(yes, n / ours, n / others)
    summed = np.bincount(place, weight * (own - area), minlength=entities)
    # A mean over rows; per entity its sum counts, over the mean number of rows.
    return Arm(entities, area, float((summed**2).mean() * (entities / n) ** 2), min(ours, others))
