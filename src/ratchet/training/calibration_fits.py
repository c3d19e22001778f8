"""The parameters of each calibration map, learned from log odds and labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Points = tuple[float, ...]
Derivatives = Callable[[Floats], tuple[float, Floats, Floats]]
"""Of parameters (p,): the loss, its gradient (p,) and its Hessian (p, p)."""

SLOPES: Final = (0.05, 20.0)
"""Bounds of a slope and of an inverse temperature: scores keep their order whatever the labels."""
STEPS: Final = 50
PASSES: Final = 30
SMALLEST_STEP: Final = 50
"""Rows that a step of the isotonic map has at least."""
STEEPEST: Final = 8.0
"""Slope of the isotonic map from step to step, in log odds."""
END_SLOPE: Final = 0.1
"""Slope beyond the middle of its first and last step: the order is kept, little is claimed."""
SPAN: Final = 16.0
"""Log odds between which all scores lie."""


def fit_sigmoid(odds: Floats, positive: Flags, weight: Floats) -> Points:
    """Slope and intercept of a logistic regression on log odds (n,).

    Platt scaling (Platt 1999) by Newton's method (Lin, Lin & Weng 2007), with Platt's targets:
    (positives + 1) / (positives + 2) and 1 / (negatives + 2).
    """
    n_positive, n_negative = float(weight[positive].sum()), float(weight[~positive].sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))

    def loss(values: Floats, slope: float | None = None) -> tuple[float, Floats, Floats]:
        free = 1 if slope is None else 0
        logit = (values[0] if slope is None else slope) * odds + values[free]
        chance = 0.5 + 0.5 * np.tanh(0.5 * logit)
        off, curve = weight * (chance - target), weight * chance * (1 - chance)
        total = float((weight * (np.logaddexp(0.0, logit) - target * logit)).sum())
        if not free:
            return total, np.array([off.sum()]), np.array([[curve.sum()]])
        cross = float(curve @ odds)
        gradient = np.array([off @ odds, off.sum()])
        return total, gradient, np.array([[curve @ odds**2, cross], [cross, curve.sum()]])

    slope, intercept = descend(loss, np.array([1.0, 0.0])).tolist()
    if not SLOPES[0] <= slope <= SLOPES[1]:
        slope = float(np.clip(slope, *SLOPES))
        intercept = float(descend(lambda values: loss(values, slope), np.zeros(1))[0])
    return slope, intercept


def fit_temperature(
    logs: Floats, y: npt.NDArray[np.int64], weight: Floats, *, offsets: bool
) -> Points:
    """The temperature for log scores (n, k) (Guo et al. 2017), and an offset per class if wanted.

    The offsets (bias-corrected temperature scaling, Alexandari et al. 2020) undo class weights.
    A weak prior holds them, and keeps apart what the scores cannot tell.
    """
    classes = logs.shape[1]
    rows = np.arange(len(y))

    def loss(values: Floats) -> tuple[float, Floats, Floats]:
        logit = values[0] * logs + (values[1:] if offsets else 0.0)
        top = logit.max(axis=1, keepdims=True)
        powers = np.exp(logit - top)
        sums = powers.sum(axis=1, keepdims=True)
        chance = powers / sums
        total = float(weight @ (np.log(sums[:, 0]) + top[:, 0] - logit[rows, y]))
        expected = (chance * logs).sum(axis=1)
        slope = float(weight @ (expected - logs[rows, y]))
        bend = float(weight @ ((chance * logs**2).sum(axis=1) - expected**2))
        if not offsets:
            return total, np.array([slope]), np.array([[bend]])
        heavy = chance * weight[:, None]
        free = values[1:]
        gradient = heavy.sum(axis=0) - np.bincount(y, weight, minlength=classes) + free
        hessian = np.empty((classes + 1, classes + 1))
        hessian[0, 0] = bend
        hessian[0, 1:] = hessian[1:, 0] = (heavy * (logs - expected[:, None])).sum(axis=0)
        hessian[1:, 1:] = np.diag(heavy.sum(axis=0) + 1.0) - heavy.T @ chance
        return (
            total + 0.5 * float(free @ free),
            np.concatenate([[slope], gradient]),
            hessian,
        )

    start = np.zeros(classes + 1 if offsets else 1)
    start[0] = 1.0
    found = descend(loss, start)
    cold = float(np.clip(found[0], *SLOPES))
    return (1.0 / cold, *found[1:].tolist())


def fit_isotonic(odds: Floats, positive: Flags, weight: Floats) -> Points:
    """Knots x, then y, of a rising map from log odds (n,) to log odds.

    Steps of an isotonic regression, joined until each has enough rows and none rises too steeply;
    a step is a knot at its mean, and the map is straight between knots: equal scores come of
    equal scores only.
    """
    order = np.argsort(odds)
    ranked, mass = odds[order], weight[order]
    firsts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    mass_at = np.add.reduceat(mass, firsts)
    hits_at = np.add.reduceat(mass * positive[order], firsts)
    starts, _ = pool_violators(hits_at / mass_at, mass_at)
    steps = _Steps(
        np.add.reduceat(mass_at, starts),
        np.add.reduceat(hits_at, starts),
        np.add.reduceat(mass_at * ranked[firsts], starts),
    ).joined()
    x, y = steps.knots()
    bottom = float(y[0] - END_SLOPE * (x[0] + SPAN))
    top = float(y[-1] + END_SLOPE * (SPAN - x[-1]))
    return (-SPAN, *x.tolist(), SPAN, bottom, *y.tolist(), top)


def pool_violators(values: Floats, weight: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Isotonic regression of ``values`` (n,): where each level starts, and the levels.

    Pool adjacent violators (Barlow et al. 1972). All falling runs are pooled at once, which gives
    the same levels and leaves NumPy few passes: about ten for a million rows of labels. Values
    that fall again and again after pooling are finished one by one.
    """
    starts: npt.NDArray[np.int64] = np.arange(len(values))
    sums, mass = values * weight, np.asarray(weight, dtype=np.float64)
    for _ in range(PASSES):
        levels = sums / mass
        rises = np.append(True, levels[1:] > levels[:-1])
        if rises.all():
            return starts, levels
        firsts = np.flatnonzero(rises)
        starts = starts[firsts]
        sums, mass = np.add.reduceat(sums, firsts), np.add.reduceat(mass, firsts)
    return _pool_one_by_one(starts, sums, mass)


def _pool_one_by_one(
    starts: npt.NDArray[np.int64], sums: Floats, mass: Floats
) -> tuple[npt.NDArray[np.int64], Floats]:
    kept: list[tuple[int, float, float]] = []
    for start, total, rows in zip(starts.tolist(), sums.tolist(), mass.tolist(), strict=True):
        while kept and kept[-1][1] * rows >= total * kept[-1][2]:
            start, before, more = kept.pop()
            total, rows = total + before, rows + more
        kept.append((start, total, rows))
    columns = np.array(kept).T
    return columns[0].astype(np.int64), columns[1] / columns[2]


class _Steps:
    """Steps of an isotonic map: rows, positives and the sum of x of each, from low to high."""

    def __init__(self, mass: Floats, hits: Floats, sums: Floats) -> None:
        self.mass, self.hits, self.sums = mass, hits, sums

    def knots(self) -> tuple[Floats, Floats]:
        """Mean x, and log odds of the share of positives, half a row of each class added."""
        return self.sums / self.mass, np.log((self.hits + 0.5) / (self.mass - self.hits + 0.5))

    def joined(self) -> _Steps:
        """The fewest joins after which each step is large enough and rises, not too steeply."""
        steps = self
        while len(steps.mass) > 1:
            small = steps.mass < SMALLEST_STEP
            if small.any():
                steps = steps._join(_with_next(int(small.argmax()), steps.mass))
                continue
            x, y = steps.knots()
            slope = np.diff(y) / np.maximum(np.diff(x), 1e-12)
            bad = (slope > STEEPEST) | (slope <= 0)
            if not bad.any():
                break
            steps = steps._join(int(bad.argmax()))
        return steps

    def _join(self, first: int) -> _Steps:
        """With this step and the next one made one."""
        starts = np.delete(np.arange(len(self.mass)), first + 1)
        return _Steps(
            *(np.add.reduceat(part, starts) for part in (self.mass, self.hits, self.sums))
        )


def _with_next(place: int, mass: Floats) -> int:
    """The first of the pair that a small step and its smaller neighbour are."""
    if place == 0:
        return 0
    last = place == len(mass) - 1
    return place - 1 if last or mass[place - 1] <= mass[place + 1] else place


def descend(derivatives: Derivatives, start: Floats) -> Floats:
    """The minimum of a convex loss by Newton's method, steps halved until the loss falls."""
    values = start
    total, gradient, hessian = derivatives(values)
    for _ in range(STEPS):
        ridge = 1e-12 * max(1.0, float(np.trace(hessian)))
        step = np.linalg.solve(hessian + ridge * np.eye(len(values)), gradient)
        share = 1.0
        while share > 1e-6:
            tried = values - share * step
            then, slopes, curves = derivatives(tried)
            if then <= total:
                break
            share /= 2
        else:
            break
        done = total - then < 1e-9 * max(1.0, abs(total))
        values, total, gradient, hessian = tried, then, slopes, curves
        if done:
            break
    return values
