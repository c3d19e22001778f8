"""From scores to an answer: which class, or which number and how far it may be off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import DataError

if TYPE_CHECKING:
    from ratchet.data.task import Label, Task

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval around an estimate, the same for every row.

    Attributes:
        coverage: the share of new rows whose value lies in it, if they are like those learned on.
        low, high: what is added to the estimate; as a rule ``low`` is below zero.
    """

    coverage: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Decision:
    """How scores become a label, or an estimate an interval.

    Attributes:
        task: ``binary``, ``multiclass`` or ``regression``.
        classes: in the order of the scores; none for regression.
        threshold: with two classes the positive one is decided from this score on, the bound
            included; None with more, where the highest score decides.
        objective: what the threshold was chosen for; empty if for nothing in particular.
        interval: of regression, where there is one.
    """

    task: str
    classes: tuple[Label, ...]
    threshold: float | None = None
    objective: str = ""
    interval: Interval | None = None

    def to_json(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {
            "task": {"kind": self.task, "classes": list(self.classes)},
            "threshold": self.threshold,
            "objective": self.objective,
            "interval": None if self.interval is None else asdict(self.interval),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Decision:
        """The decision that ``to_json`` wrote, in this format or an earlier one."""
        interval = raw.get("interval")
        return cls(
            raw["task"]["kind"],
            tuple(raw["task"]["classes"]),
            raw["threshold"],
            raw.get("objective", ""),
            None if interval is None else Interval(**interval),
        )


def make_decision(
    task: Task,
    threshold: float | None = 0.5,
    *,
    objective: str = "",
    interval: Interval | None = None,
) -> Decision:
    """The decision for ``task``.

    Args:
        threshold: counts with two classes only; None is 0.5.
        objective: what the threshold was chosen for.
        interval: counts for regression only.

    Raises:
        DataError: a threshold outside 0 to 1, or an interval that is none.
    """
    if task.kind == "regression":
        if interval is not None and not (
            0.0 < interval.coverage < 1.0
            and isfinite(interval.low)
            and isfinite(interval.high)
            and interval.low <= interval.high
        ):
            raise DataError(f"An interval has two ends and a coverage, and {interval} does not")
        return Decision(task.kind, (), interval=interval)
    if task.kind != "binary":
        return Decision(task.kind, task.classes)
    threshold = 0.5 if threshold is None else threshold
    if not 0.0 <= threshold <= 1.0:
        raise DataError(f"A decision threshold is between 0 and 1, and {threshold} is not")
    return Decision(task.kind, task.classes, float(threshold), objective)


def interval_of(residuals: Floats, coverage: float = 0.9) -> Interval | None:
    """The interval of ``coverage`` from what cross-validation was off by.

    Each end is an order statistic with the finite-sample correction of split conformal
    prediction, at (1 - coverage) / 2 a side, so that skewed errors give a skewed interval. The
    residuals are those of out-of-fold estimates, while the model learned on all rows, a little
    more than each fold's: as a rule that errs on the wide side. The variant with a guarantee
    (CV+; Barber, Candes, Ramdas and Tibshirani, "Predictive inference with the jackknife+",
    Annals of Statistics 49, 2021) would need every fold's model when serving. Covers on average
    over rows, not at each row alone.

    Args:
        residuals: (n,) value less out-of-fold estimate.
        coverage: between 0 and 1.

    Returns:
        None where there are too few residuals for so high a coverage.
    """
    known = np.sort(residuals[np.isfinite(residuals)])
    tail = (1.0 - coverage) / 2.0
    # The small term is for products such as 20 * 0.05 that come out just below a whole number.
    below = int((len(known) + 1) * tail + 1e-9)
    if below < 1:
        return None
    return Interval(float(coverage), float(known[below - 1]), float(known[-below]))
