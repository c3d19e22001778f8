"""The penalised log loss of a linear model, minimised step by step.

scikit-learn's solvers cannot be interrupted and know one penalty, towards zero. This one asks the
deadline after every step, and its penalty pulls towards given coefficients, each with its own
strength: that is how a model goes on learning from new rows alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.training.deadline import Deadline

Floats = npt.NDArray[np.float64]
BLOCK = 65_536


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
    precision[:, -1] = 0.0 if intercept else 1e12
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

    ``codes`` count the classes of ``belief``. Minimised by L-BFGS, from ``belief.mean``.

    Raises:
        StoppedError: the deadline passed; one that keeps ends the search where it is.
    """
    from scipy.optimize import minimize

    shape, mean, precision = belief.mean.shape, belief.mean.ravel(), belief.precision.ravel()
    share = np.full(len(X), 1.0) if weight is None else np.asarray(weight, np.float64)
    total = float(share.sum())
    loss = _two_classes if shape[0] == 1 else _more_classes

    def objective(flat: Floats) -> tuple[float, Floats]:
        value, gradient = loss(X, codes, share, flat.reshape(shape))
        away = flat - mean
        value += 0.5 * float(away @ (precision * away))
        return value / total, (gradient.ravel() + precision * away) / total

    def after_step(_: Floats) -> None:
        deadline.check()
        if deadline.over:
            raise StopIteration

    deadline.check()
    found = minimize(
        objective,
        mean,
        jac=True,
        method="L-BFGS-B",
        callback=after_step,
        options={"maxiter": steps, "gtol": tolerance, "ftol": 64 * np.finfo(float).eps},
    )
    return np.asarray(found.x, dtype=np.float64).reshape(shape)


def curvature(
    X: npt.NDArray[Any],
    weight: npt.NDArray[Any] | None,
    coefficients: Floats,
) -> Floats:
    """The second derivative of the loss by each coefficient (r, d + 1), at ``coefficients``."""
    total = np.zeros(coefficients.shape)
    for start in range(0, len(X), BLOCK):
        part = X[start : start + BLOCK]
        margin = _margin(part, coefficients)
        if len(coefficients) == 1:
            proba = _sigmoid(margin)
        else:
            proba = np.exp(margin - _log_total(margin)[:, None])
        bend = proba * (1.0 - proba)
        if weight is not None:
            bend *= weight[start : start + BLOCK, None]
        total[:, :-1] += bend.T @ np.square(part, dtype=np.float64)
        total[:, -1] += bend.sum(axis=0)
    return total


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
