"""Ridge regression: a linear model with an L2 penalty, from sums of products."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ratchet.data.task import Task, TaskKind
from ratchet.features.recipe import Encoding
from ratchet.training.algorithms.estimator import fitted_estimator
from ratchet.training.algorithms.parameters import Parameter, check_parameters
from ratchet.training.algorithms.port import NUMBERS
from ratchet.training.algorithms.reuse import reuse
from ratchet.training.algorithms.space import Dimension, Space
from ratchet.training.cores import calm_openmp
from ratchet.training.deadline import NEVER, Deadline
from ratchet.training.fitted import Fitted, TrainingRows
from ratchet.training.targets import Standard, standard_of

Floats = npt.NDArray[np.float64]
PARAMETERS = (
    Parameter("alpha", "number", low=0, above=True),
    Parameter("fit_intercept", "boolean"),
)
BLOCK = 16_384


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """All that a linear model needs of its rows.

    ``products`` (d + 1, d + 1) of the columns, the last of which is 1; ``moments`` (d + 1,) with
    the target in the units of ``standard``. Sums of two sets of rows are those of both together.
    """

    standard: Standard
    products: Floats
    moments: Floats

    def solve(self, alpha: float, intercept: bool) -> Floats:
        """Coefficients (d,) and intercept, in the target's own units (d + 1,)."""
        used = len(self.moments) - (0 if intercept else 1)
        penalty = np.full(used, alpha)
        moments = self.moments[:used]
        if intercept:
            penalty[-1] = 0.0
        else:
            # Without an intercept nothing takes up the target's mean.
            moments = (
                moments + self.products[:used, -1] * self.standard.center / self.standard.scale
            )
        system = self.products[:used, :used] + np.diag(penalty)
        found = np.zeros(len(self.moments))
        found[:used] = np.linalg.lstsq(system, moments, rcond=None)[0] * self.standard.scale
        if intercept:
            found[-1] += self.standard.center
        return found

    def plus(self, other: Sums) -> Sums:
        """The sums of both; in the same units."""
        return Sums(self.standard, self.products + other.products, self.moments + other.moments)

    def to_bytes(self) -> bytes:
        """As JSON; numbers keep their last bit."""
        raw = {
            "center": self.standard.center,
            "scale": self.standard.scale,
            "products": self.products.tolist(),
            "moments": self.moments.tolist(),
        }
        return json.dumps(raw).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Sums:
        """What ``to_bytes`` wrote."""
        raw = json.loads(content)
        standard = Standard(raw["center"], raw["scale"])
        return cls(standard, np.array(raw["products"]), np.array(raw["moments"]))


class Ridge:
    """A linear model on scaled numbers and one-hot categories, for a target to be estimated.

    It continues exactly: with the sums of the earlier rows, the model is that of all rows.
    """

    name: ClassVar[str] = "ridge"
    library: ClassVar[str] = "sklearn"
    extra: ClassVar[str] = ""
    rounds_parameter: ClassVar[str | None] = None
    tasks: ClassVar[frozenset[TaskKind]] = NUMBERS
    interruptible: ClassVar[bool] = True
    continues: ClassVar[bool] = True

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The user's parameters under scikit-learn's names."""
        return check_parameters(self.name, PARAMETERS, params)

    def encoding(self, task: Task, rows: int, features: int) -> Encoding:
        """One column per category, numbers filled and scaled."""
        return Encoding(categories="onehot", missing="impute", scale=True)

    def defaults(self, task: Task, rows: int, features: int) -> dict[str, Any]:
        """scikit-learn's penalty."""
        return {"alpha": 1.0}

    def rounds(self, task: Task, rows: int, features: int) -> int | None:
        """It has no rounds."""
        return None

    def space(self, task: Task, rows: int, features: int) -> Space:
        """The penalty, from none to one that outweighs thousands of rows."""
        return (Dimension("alpha", 1e-3, 1e4, log=True),)

    def portfolio(self, task: Task, rows: int, features: int) -> tuple[Mapping[str, Any], ...]:
        """Stronger penalties; each costs next to nothing once the sums are there."""
        return ({"alpha": 30.0}, {"alpha": 500.0}, {"alpha": 0.01})

    def fit(
        self,
        rows: TrainingRows,
        *,
        params: Mapping[str, Any],
        seed: int,
        threads: int,
        validation: TrainingRows | None,
        deadline: Deadline = NEVER,
        start: bytes | None = None,
    ) -> Fitted:
        """Solve the normal equations; a deadline that keeps ends it with the rows seen so far."""
        calm_openmp()
        from sklearn.linear_model import Ridge as Model

        deadline.check()
        if start is None:
            standard = standard_of(rows)
            # What a deadline may cut short is not kept: the next fit may have more time.
            held = replace(rows, cache=None) if deadline.keep else rows
            sums = reuse(held, "ridge", lambda: _sum(rows, standard, deadline))
        else:
            earlier = _earlier(start, rows)
            sums = earlier.plus(_sum(rows, earlier.standard, deadline))
        intercept = bool(params.get("fit_intercept", True))
        found = sums.solve(float(params["alpha"]), intercept)
        model = Model(**params)
        model.coef_, model.intercept_ = found[:-1], float(found[-1])
        model.n_features_in_ = rows.X.shape[1]
        model.sums_ = sums
        return fitted_estimator(self.name, model, params, 0, wide=True)

    def save(self, fitted: Fitted) -> bytes | None:
        """The sums of all rows it has learned from, as JSON."""
        sums: Sums = fitted.model.sums_
        return sums.to_bytes()


def _sum(rows: TrainingRows, standard: Standard, deadline: Deadline) -> Sums:
    """The sums over ``rows``, block by block."""
    columns = rows.X.shape[1] + 1
    products, moments = np.zeros((columns, columns)), np.zeros(columns)
    y = standard.standardise(rows.y)
    for first in range(0, len(y), BLOCK):
        part = slice(first, first + BLOCK)
        X = np.column_stack([rows.X[part], np.ones(len(y[part]))])
        weighted = X if rows.weight is None else X * rows.weight[part, None]
        products += weighted.T @ X
        moments += weighted.T @ y[part]
        if part.stop < len(y):
            deadline.check()
            if deadline.over:
                break
    return Sums(standard, products, moments)


def _earlier(start: bytes, rows: TrainingRows) -> Sums:
    """The sums of the earlier rows.

    Raises:
        ValueError: they are of other columns.
    """
    sums = Sums.from_bytes(start)
    if len(sums.moments) != rows.X.shape[1] + 1:
        raise ValueError(
            f"the earlier model has {len(sums.moments) - 1} columns, "
            f"these rows have {rows.X.shape[1]}"
        )
    return sums
