"""Calibration: scores turned into probabilities that hold what they say.

The maps work on log odds and never change the order of two classes' scores, so that calibration
costs no ranking. NumPy only: a served model loads this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratchet.data.task import Task
    from ratchet.training.fitted import Targets
    from ratchet.training.folds import Fold

Floats = npt.NDArray[np.float64]
Method = Literal["sigmoid", "isotonic", "temperature"]

LOW: Final = 1e-6
HIGH: Final = 1e-4
"""What log odds add to a score and to its distance from 1.

They keep the ends finite without ties. The upper end is softer because scores near 1 were rounded
there by float32 runtimes, and log odds would enlarge that.
"""
ENOUGH_FOR_ISOTONIC: Final = 1_000
"""Rows of the rarer class from which isotonic calibration is tried."""
FEW_CLASSES: Final = 50
"""Most classes for which an offset per class is tried."""
SURE: Final = 1.645
"""Standard errors by which the log loss has to be lower (one-sided 5 %)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A fitted map from scores to scores, applied to every score the model ever gives.

    ``points`` are the method's parameters: for ``sigmoid`` (slope, intercept) on the log odds;
    for ``temperature`` (temperature,) or (temperature, one offset per class); for ``isotonic`` the
    knots x and then, as many, y, both log odds.
    """

    method: Method
    points: tuple[float, ...]
    _values: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_values", np.array(self.points, dtype=np.float64))

    def apply(self, scores: Floats) -> Floats:
        """Calibrated scores (n, k) of scores (n, k); each row sums to 1."""
        values = self._values
        if self.method == "temperature":
            return _softmax(_logs(scores) / values[0] + (values[1:] if len(values) > 1 else 0.0))
        odds = log_odds(scores[:, 1])
        if self.method == "sigmoid":
            odds = values[0] * odds + values[1]
        else:
            half = len(values) // 2
            odds = np.interp(odds, values[:half], values[half:])
        calibrated = np.empty((len(scores), 2))
        calibrated[:, 1] = _sigmoid(odds)
        calibrated[:, 0] = 1.0 - calibrated[:, 1]
        return calibrated

    def to_json(self) -> dict[str, Any]:
        """The map as JSON."""
        return {"method": self.method, "points": list(self.points)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Calibration:
        """The map that ``to_json`` wrote."""
        return cls(raw["method"], tuple(raw["points"]))


def fit_calibration(
    oof: Floats,
    y: Targets,
    folds: Sequence[Fold],
    task: Task,
    *,
    weight: Floats | None = None,
    method: Literal["auto", "none", "sigmoid", "isotonic"] = "auto",
) -> Calibration | None:
    """A calibration learned on out-of-fold scores ``oof`` (n, k) of rows with codes ``y`` (n,).

    ``auto`` judges each method by its log loss on every fold when it was learned on the scored
    rows which that fold's model was trained on (in time order these are the earlier ones), and
    keeps one if the loss is lower by more than chance; the simpler where two do equally well. A
    method by its name is taken unasked; with more than two classes it is ``temperature`` always.
    None: regression, too little to learn from, or nothing gained. ``weight`` (n,) is what rows
    count, if they differ by more than their class: class weights are for training, and
    calibration is what undoes them.
    """
    if method == "none" or task.kind == "regression":
        return None
    scored = np.asarray(np.isfinite(oof).all(axis=1), dtype=np.bool_)
    rows = ScoredRows(oof, y.astype(np.int64), np.ones(len(y)) if weight is None else weight)
    if len(np.unique(y[scored])) < 2:
        return None
    if task.kind == "multiclass":
        few = oof.shape[1] <= FEW_CLASSES
        tried: tuple[str, ...] = ("temperature", "offsets") if few else ("temperature",)
    elif method == "auto":
        rarer = int(np.bincount(rows.y[scored], minlength=2).min())
        tried = ("sigmoid", "isotonic") if rarer >= ENOUGH_FOR_ISOTONIC else ("sigmoid",)
    else:
        tried = (method,)
    chosen = tried[0] if method != "auto" else _best_method(rows, folds, scored, tried)
    return None if chosen is None else fit_map(chosen, rows.take(np.flatnonzero(scored)))


def log_odds(score: Floats) -> Floats:
    """Log odds of a score, finite at 0 and 1 and rising everywhere."""
    return np.asarray(np.log((score + LOW) / (1.0 - score + HIGH)))


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Scores (n, k), class codes (n,), and what the rows count (n,)."""

    scores: Floats
    y: npt.NDArray[np.int64]
    weight: Floats

    def take(self, rows: npt.NDArray[np.int64]) -> ScoredRows:
        """Some of the rows, by position."""
        return ScoredRows(self.scores[rows], self.y[rows], self.weight[rows])

    def losses(self, calibration: Calibration | None) -> Floats:
        """The log loss of each row (n,)."""
        scores = self.scores if calibration is None else calibration.apply(self.scores)
        chosen = scores[np.arange(len(self.y)), self.y]
        # As far from 0 as calibrated scores are: one row at 0 shall not decide.
        return np.asarray(-np.log(np.maximum(chosen, LOW)))


def _best_method(
    rows: ScoredRows, folds: Sequence[Fold], scored: npt.NDArray[np.bool_], tried: Sequence[str]
) -> str | None:
    """The method that lowers the cross-fitted log loss for sure, if one does."""
    gains: dict[str, list[Floats]] = {method: [] for method in tried}
    weights = []
    for fold in folds:
        held_out = rows.take(fold.score[scored[fold.score]])
        known = rows.take(fold.train[scored[fold.train]])
        if not len(held_out.y) or len(np.unique(known.y)) < 2:
            continue
        before = held_out.losses(None)
        weights.append(held_out.weight)
        for method in tried:
            gains[method].append(before - held_out.losses(fit_map(method, known)))
    best: str | None = None
    for method in tried:
        parts = gains[method]
        if best is not None:
            parts = [new - old for new, old in zip(parts, gains[best], strict=True)]
        if surely_positive(parts, weights, SURE):
            best = method
    return best


def surely_positive(parts: Sequence[Floats], weights: Sequence[Floats], sure: float) -> bool:
    """Whether the mean of differences, given per row and fold, is above 0 by ``sure`` errors.

    The standard error is the larger of that of rows and that of folds: rows of a fold share the
    same fit and, in time order, the same world.
    """
    if not parts:
        return False
    values, weight = np.concatenate(parts), np.concatenate(weights)
    mean = float(np.average(values, weights=weight))
    by_row = float(np.sqrt(np.square(weight * (values - mean)).sum())) / float(weight.sum())
    means = [np.average(part, weights=w) for part, w in zip(parts, weights, strict=True)]
    by_fold = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0
    return mean > sure * max(by_row, by_fold) and mean > 0


def fit_map(method: str, rows: ScoredRows) -> Calibration:
    """The calibration of this method that suits these rows best."""
    from ratchet.training import calibration_fits as fits

    weight = rows.weight / rows.weight.mean()
    if method in ("temperature", "offsets"):
        free = method == "offsets"
        points = fits.fit_temperature(_logs(rows.scores), rows.y, weight, offsets=free)
        return Calibration("temperature", points)
    odds, positive = log_odds(rows.scores[:, 1]), rows.y == 1
    if method == "sigmoid":
        return Calibration("sigmoid", fits.fit_sigmoid(odds, positive, weight))
    return Calibration("isotonic", fits.fit_isotonic(odds, positive, weight))


def _logs(scores: Floats) -> Floats:
    return np.asarray(np.log(scores + LOW))


def _sigmoid(odds: Floats) -> Floats:
    # Of tanh, which no odds overflow.
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * odds))


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
