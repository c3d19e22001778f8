"""The penalised log loss of a linear model, minimised step by step.

scikit-learn's solvers cannot be interrupted and know one penalty, towards zero. These ask the
deadline after every step, and their penalty pulls towards given coefficients, each with its own
strength: that is how a model goes on learning from new rows alone.

Newton's method where its matrix is small, else L-BFGS. Measured on adult_income (39,000 x 38): 0.08
CPU-s against 0.5, and L-BFGS is not yet at the optimum then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.training.deadline import Deadline

Floats = npt.NDArray[np.float64]
BLOCK = 16_384
NEWTON_WORK = 2e9
"""Up to rows x coefficients squared of this a step of Newton's method takes half a second."""
NEWTON_COEFFICIENTS = 400
NEWTON_TOLERANCE = 1e-6
"""Newton's method doubles the right digits with each step: a close end costs a step or two."""


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """What is known of the coefficients before the rows are seen.

    ``mean`` and ``precision`` are (r, d + 1), one row for two classes and one per class for more,
    the intercept last; ``classes`` are the codes. The precision is that of a normal distribution
    with independent coefficients; after the rows it grows by the curvature of their loss (Chapelle
    and Li, "An empirical evaluation of Thompson sampling", 2011, algorithm 3).
    """

    classes: tuple[int, ...]
    mean: Floats
    precision: Floats

    def to_bytes(self) -> bytes:
        """As JSON; numbers keep their last bit."""
        raw = {
            "classes": list(self.classes),
            "mean": self.mean.tolist(),
            "precision": self.precision.tolist(),
        }
        return json.dumps(raw).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Belief:
        """What ``to_bytes`` wrote."""
        raw = json.loads(content)
        return cls(tuple(raw["classes"]), np.array(raw["mean"]), np.array(raw["precision"]))


def weak_belief(classes: tuple[int, ...], columns: int, C: float, intercept: bool) -> Belief:
    """All coefficients about 0, as the penalty of a logistic regression with ``C`` has it.

    Without an intercept it is held at 0.
    """
    shape = (1 if len(classes) == 2 else len(classes), columns + 1)
    precision = np.full(shape, 1.0 / C)
    precision[:, -1] = 0.0 if intercept else 1e10
    return Belief(classes, np.zeros(shape), precision)


def most_likely(
    X: npt.NDArray[Any],
    codes: npt.NDArray[np.int64],
    weight: npt.NDArray[Any] | None,
    belief: Belief,
    *,
    steps: int,
    tolerance: float,
    deadline: Deadline,
) -> Floats:
    """The most likely coefficients (r, d + 1) of rows ``X`` (n, d) with class ``codes`` (n,).

    ``codes`` count the classes of ``belief``; the search starts from ``belief.mean``.

    Raises:
        StoppedError: the deadline passed; one that keeps ends the search where it is.
    """
    deadline.check()
    share = np.full(len(X), 1.0) if weight is None else np.asarray(weight, np.float64)
    problem = _Problem(X, codes, share, belief)
    size = belief.mean.size
    if size <= NEWTON_COEFFICIENTS and len(X) * size**2 <= NEWTON_WORK:
        return _newton(problem, steps, min(tolerance, NEWTON_TOLERANCE), deadline)
    return _lbfgs(problem, steps, tolerance, deadline)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The mean loss per row, penalty included, as a function of all coefficients in a row."""

    X: npt.NDArray[Any]
    codes: npt.NDArray[np.int64]
    share: Floats
    belief: Belief

    def value(self, flat: Floats) -> tuple[float, Floats]:
        """Loss and gradient."""
        loss = _two_classes if len(self.belief.mean) == 1 else _more_classes
        found, slopes = loss(self.X, self.codes, self.share, flat.reshape(self.belief.mean.shape))
        away = flat - self.belief.mean.ravel()
        pull = self.belief.precision.ravel() * away
        total = self.share.sum()
        return (found + 0.5 * float(away @ pull)) / total, (slopes.ravel() + pull) / total

    def bend(self, flat: Floats) -> Floats:
        """The matrix of second derivatives."""
        shape = self.belief.mean.shape
        r, columns = shape
        matrix = np.zeros((r, columns, r, columns))
        for start in range(0, len(self.X), BLOCK):
            part = self.X[start : start + BLOCK]
            wide = np.column_stack([part, np.ones(len(part))]).astype(np.float64, copy=False)
            proba = _probabilities(part, flat.reshape(shape))
            share = self.share[start : start + BLOCK]
            for one in range(r):
                for other in range(one, r):
                    rise = proba[:, one] * ((one == other) - proba[:, other]) * share
                    matrix[one, :, other] += (wide * rise[:, None]).T @ wide
        for one in range(r):
            for other in range(one):
                matrix[one, :, other] = matrix[other, :, one].T
        square = matrix.reshape(flat.size, flat.size)
        bent = (square + np.diag(self.belief.precision.ravel())) / self.share.sum()
        return np.asarray(bent, dtype=np.float64)


def _newton(problem: _Problem, steps: int, tolerance: float, deadline: Deadline) -> Floats:
    """Newton's method; a step that does not lower the loss enough is halved."""
    flat = problem.belief.mean.ravel().copy()
    value, slopes = problem.value(flat)
    for _ in range(steps):
        if np.abs(slopes).max() <= tolerance:
            break
        # Least squares: more than two classes leave a direction that no score depends on.
        step = -np.linalg.lstsq(problem.bend(flat), slopes, rcond=None)[0]
        descent = float(slopes @ step)
        length = 1.0
        while length > 1e-6:
            lower, changed = problem.value(flat + length * step)
            if lower <= value + 1e-4 * length * descent:
                break
            length *= 0.5
        else:
            break  # as low as rounding allows
        flat, value, slopes = flat + length * step, lower, changed
        deadline.check()
        if deadline.over:
            break
    return flat.reshape(problem.belief.mean.shape)


def _lbfgs(problem: _Problem, steps: int, tolerance: float, deadline: Deadline) -> Floats:
    from scipy.optimize import minimize

    def after_step(_: Floats) -> None:
        deadline.check()
        if deadline.over:
            raise StopIteration

    found = minimize(
        problem.value,
        problem.belief.mean.ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=after_step,
        options={"maxiter": steps, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps},
    )
    return np.asarray(found.x, dtype=np.float64).reshape(problem.belief.mean.shape)


def curvature(
    X: npt.NDArray[Any],
    weight: npt.NDArray[Any] | None,
    coefficients: Floats,
) -> Floats:
    """The second derivative of the loss by each coefficient (r, d + 1), at ``coefficients``."""
    total = np.zeros(coefficients.shape)
    for start in range(0, len(X), BLOCK):
        part = X[start : start + BLOCK]
        proba = _probabilities(part, coefficients)
        bend = proba * (1.0 - proba)
        if weight is not None:
            bend *= weight[start : start + BLOCK, None]
        total[:, :-1] += bend.T @ np.square(part, dtype=np.float64)
        total[:, -1] += bend.sum(axis=0)
    return total


def _probabilities(X: npt.NDArray[Any], coefficients: Floats) -> Floats:
    """(n, r): of the positive class of two, or of every class."""
    margin = _margin(X, coefficients)
    if len(coefficients) == 1:
        return _sigmoid(margin)
    return np.asarray(np.exp(margin - _log_total(margin)[:, None]))


def _margin(X: npt.NDArray[Any], coefficients: Floats) -> Floats:
    """(n, r); reckoned in the precision of ``X``, which is not copied."""
    weights = coefficients[:, :-1].T.astype(X.dtype, copy=False)
    return np.asarray(X @ weights, dtype=np.float64) + coefficients[:, -1]


def _slopes(X: npt.NDArray[Any], error: Floats) -> Floats:
    """The gradient (r, d + 1) from each row's error (n, r)."""
    weights = (X.T @ error.astype(X.dtype, copy=False)).T
    return np.column_stack([np.asarray(weights, np.float64), error.sum(axis=0)])


def _two_classes(
    X: npt.NDArray[Any], codes: npt.NDArray[np.int64], share: Floats, coefficients: Floats
) -> tuple[float, Floats]:
    margin = _margin(X, coefficients)
    value = float(share @ (np.logaddexp(0.0, margin[:, 0]) - codes * margin[:, 0]))
    error = (_sigmoid(margin) - codes[:, None]) * share[:, None]
    return value, _slopes(X, error)


def _more_classes(
    X: npt.NDArray[Any], codes: npt.NDArray[np.int64], share: Floats, coefficients: Floats
) -> tuple[float, Floats]:
    margin = _margin(X, coefficients)
    log_total = _log_total(margin)
    row = np.arange(len(X))
    value = float(share @ (log_total - margin[row, codes]))
    error = np.exp(margin - log_total[:, None])
    error[row, codes] -= 1.0
    return value, _slopes(X, error * share[:, None])


def _log_total(margin: Floats) -> Floats:
    top = margin.max(axis=1)
    return np.asarray(top + np.log(np.exp(margin - top[:, None]).sum(axis=1)))


def _sigmoid(margin: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * margin)))
