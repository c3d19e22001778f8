"""What training a candidate gives, and what is told while it trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ratchet.features.recipe import Recipe
from ratchet.training.fitted import Fitted, Proba


@dataclass(frozen=True, slots=True)
class TrainingEvent:
    """A step of a candidate: a fold scored, the final fit done, or given up.

    ``done`` of ``total`` fits of this candidate are over; ``scores`` are the fold's.
    """

    kind: Literal["fold", "fitted", "failed"]
    candidate: str
    done: int
    total: int
    seconds: float
    scores: Mapping[str, float]
    error: str = ""


OnEvent = Callable[[TrainingEvent], None]


@dataclass(frozen=True, slots=True, eq=False)
class CandidateResult:
    """One candidate, trained on all training rows after it was cross-validated on them.

    ``params`` are those of the final fit, defaults included. ``cv`` is mean and standard deviation
    of each metric over the folds where it is defined, empty without cross-validation. ``oof`` are
    the scores (n, k) of the training rows by models that did not see them, NaN for rows that no
    fold scored. ``seconds`` is time spent fitting and scoring. ``recipe`` and ``fitted`` are None
    for a failed candidate, and ``error`` says why it failed.
    """

    name: str
    algorithm: str
    params: Mapping[str, Any]
    status: Literal["ok", "failed"]
    error: str = ""
    cv: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    folds: tuple[Mapping[str, float], ...] = ()
    oof: Proba | None = None
    rounds: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    recipe: Recipe | None = None
    fitted: Fitted | None = None
