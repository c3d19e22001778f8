"""An additive model of a score: one curve per feature, the control variate of sampled values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_KNOTS = 10
_FEW_VALUES = 12
_RIDGE = 0.01
_LEAST_EXPLAINED = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Additive:
    """The curves.

    Attributes:
        columns: the matrix columns of each feature that has a curve.
        knots: where each of those columns bends, or its values when ``steps``.
        steps: whether a column takes few values, each with a height of its own.
        weights: of each feature's basis (p, k); None for a feature without a curve.
        outputs: scores that are modelled, k.
    """

    columns: tuple[Ints, ...]
    knots: tuple[tuple[Floats, ...], ...]
    steps: tuple[tuple[bool, ...], ...]
    weights: tuple[Floats | None, ...]
    outputs: int

    def parts(self, X: Matrix) -> Floats:
        """Each feature's curve at rows (n, D): (n, d, k)."""
        found = np.zeros((len(X), len(self.weights), self.outputs))
        for place, weights in enumerate(self.weights):
            if weights is not None:
                found[:, place] = np.einsum("np,pk->nk", self._basis(X, place), weights)
        return found

    def _basis(self, X: Matrix, place: int) -> Floats:
        parts = zip(self.columns[place], self.knots[place], self.steps[place], strict=True)
        return np.concatenate(
            [_basis(X[:, column], knots, steps) for column, knots, steps in parts], axis=1
        )


def fit_additive(
    background: Matrix, first: Ints, second: Ints, effects: Floats, group: Ints
) -> Additive:
    """Fit each feature's curve to what its turns did in walks between background rows.

    A feature whose curve explains next to nothing of its turns gets none.

    Args:
        background: typical rows (b, D).
        first: positions of the rows walked to (m,).
        second: positions of the rows walked from (m,).
        effects: what each feature's turn did (m, d, k).
        group: the feature of each matrix column (D,).
    """
    columns, knots, steps, weights = [], [], [], []
    for place in range(effects.shape[1]):
        own = np.flatnonzero(group == place)
        shapes = [_shape(background[:, column]) for column in own]
        basis = np.concatenate(
            [_basis(background[:, c], *shape) for c, shape in zip(own, shapes, strict=True)], axis=1
        )
        weights.append(_solve(basis[first] - basis[second], effects[:, place]))
        columns.append(own)
        knots.append(tuple(shape[0] for shape in shapes))
        steps.append(tuple(shape[1] for shape in shapes))
    return Additive(tuple(columns), tuple(knots), tuple(steps), tuple(weights), effects.shape[2])


def _solve(basis: Floats, effects: Floats) -> Floats | None:
    """Ridge regression (p, k); None when it explains no more than chance would."""
    rows, width = basis.shape
    if not effects.any() or rows < 2 * width:
        return None
    gram = np.einsum("np,nq->pq", basis, basis)
    ridge = _RIDGE * max(float(np.trace(gram)) / max(width, 1), 1e-12)
    gram[np.diag_indices(width)] += ridge
    weights = np.linalg.solve(gram, np.einsum("np,nk->pk", basis, effects))
    left = np.square(effects - np.einsum("np,pk->nk", basis, weights)).sum()
    explained = 1 - left / np.square(effects).sum() * rows / max(rows - width, 1)
    return weights if explained > _LEAST_EXPLAINED else None


def _shape(column: npt.NDArray[np.float32]) -> tuple[Floats, bool]:
    """A column's knots at its quantiles, or its values when they are few."""
    known = column[~np.isnan(column)].astype(np.float64)
    values = np.unique(known)
    if len(values) <= _FEW_VALUES:
        return values, True
    return np.unique(np.quantile(known, np.linspace(0, 1, _KNOTS))), False


def _basis(column: npt.NDArray[np.float32], knots: Floats, steps: bool) -> Floats:
    """One column a knot but the first, and one for missing values (n, p)."""
    missing = np.isnan(column)
    values = np.where(missing, np.inf, column).astype(np.float64)
    basis = np.empty((len(column), max(len(knots), 1)))
    basis[:, -1] = missing
    for place in range(1, len(knots)):
        if steps:
            basis[:, place - 1] = values == knots[place]
        else:
            basis[:, place - 1] = np.interp(values, knots, np.eye(len(knots))[place])
    if not steps:
        basis[missing, :-1] = 0.0
    return basis
