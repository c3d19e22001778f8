"""The spread of a difference of two models' decisions, on the few rows where these differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.estimate import quantile_one_sided
from ratchet.evaluation.scored import Scored

Floats = npt.NDArray[np.float64]

FEW_DISAGREEMENTS = 25
"""Fewer rows on which just one decision is right are judged by the exact test."""
_LEAST_SURE = 0.1


@dataclass(frozen=True, slots=True)
class Spread:
    """The standard error of a difference, and how it was made.

    ``wins`` and ``losses`` are the rows of which only the new or only the old model's decision is
    right; None for metrics of other things than decisions.
    """

    se: float
    method: str
    wins: int | None = None
    losses: int | None = None


def of_decisions(
    found: Spread, metric: str, influence: Floats, models: tuple[Scored, Scored], *, exact: bool
) -> Spread:
    """The spread of a metric of decisions, with what few disagreements demand."""
    ours, theirs = models
    right, known = ours.predicted == ours.y, theirs.predicted == theirs.y
    wins, losses = int((right & ~known).sum()), int((~right & known).sum())
    se, method = _with_flips(found.se, influence, ours, theirs), found.method
    if metric in ("accuracy", "recall") and exact and wins + losses < FEW_DISAGREEMENTS:
        difference = (wins - losses) / len(influence)
        se, method = max(se, _exact_error(difference, wins, losses)), "McNemar, exact"
    return Spread(se, method, wins, losses)


def _exact_error(difference: float, wins: int, losses: int) -> float:
    """The standard error at which a normal test of ``difference`` is as sure as McNemar's exact.

    The exact test asks how often a fair coin gives as many of the disagreements to one model
    (McNemar, *Psychometrika* 12 (1947) 153). Any bound then is above 0 at just the levels at which
    that test rejects.
    """
    total, most = wins + losses, max(wins, losses)
    chance = sum(comb(total, count) for count in range(most, total + 1)) / 2**total
    return abs(difference) / max(quantile_one_sided(chance), _LEAST_SURE) if difference else 0.0


def _with_flips(se: float, influence: Floats, ours: Scored, theirs: Scored) -> float:
    """The standard error with two more disagreements, one each way.

    Few rows on which two models disagree look more certain than they are: three wins and no loss
    would count as proof. Adding one disagreement each way mends that (Bonett and Price, *J. Educ.
    Behav. Stat.* 37 (2012) 479), and never proves what the mid-p McNemar test does not (Fagerland,
    Lydersen and Laake, *BMC Med. Res. Methodol.* 13 (2013) 91). For other metrics than accuracy a
    disagreement weighs what the seen ones weigh on average.
    """
    differ = ours.predicted != theirs.predicted
    count = int(differ.sum())
    weight = float(np.square(influence[differ]).sum()) / count if count else 1.0
    rows = len(influence)
    return sqrt((se * rows) ** 2 + 2 * weight) / rows
