"""What training gives, and what is told while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ratchet.features.recipe import Recipe
from ratchet.training.fitted import Fitted, Proba
from ratchet.training.progress import Epoch

if TYPE_CHECKING:
    from ratchet.training.blend import Blend
    from ratchet.training.select import Choice

TrialStatus = Literal["finished", "pruned", "stopped", "failed"]
Origin = Literal["defaults", "warm", "portfolio", "search"]

NO_TIME = "the time was up before it could be compared"
"""The ``error`` of a candidate that was dropped for want of time."""


@dataclass(frozen=True, slots=True)
class TrainingEvent:
    """A step of training.

    ``fold``, ``fitted`` and ``failed``: a fold of a candidate's defaults was scored, its final fit
    is done, or a fit failed; ``done`` of ``total`` fits are over, ``scores`` are the fold's.
    ``trial``: a configuration was tried; ``trial`` is its number from 1, ``status`` what came of
    it, ``score`` its mean of ``metric`` over the folds it was given, ``done`` of ``total`` trials
    are over (0: there is no limit). ``best`` is the best mean so far and ``best_candidate`` whose
    it is; ``left`` the seconds until the search ends, None without a limit.
    ``epoch``: a pass over the rows is over, told in ``epoch``; ``candidate`` says of which fit.
    """

    kind: Literal["fold", "fitted", "failed", "trial", "epoch"]
    candidate: str
    done: int
    total: int
    seconds: float
    scores: Mapping[str, float]
    error: str = ""
    trial: int = 0
    status: TrialStatus | None = None
    metric: str = ""
    score: float | None = None
    best: float | None = None
    best_candidate: str = ""
    left: float | None = None
    epoch: Epoch | None = None


OnEvent = Callable[[TrainingEvent], None]


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One configuration that was tried.

    ``number`` counts from 1 in the order they were started; ``params`` are complete, ``tuned`` are
    those that differ from the defaults; ``folds`` the scores of the folds it was given, in order;
    ``mean`` their mean of ``metric``. ``seconds`` is
    time spent on it, ``started`` seconds since the search began. ``rows`` were used in all (fewer
    than there are: a sample).
    """

    number: int
    candidate: str
    algorithm: str
    origin: Origin
    params: Mapping[str, Any]
    tuned: Mapping[str, Any]
    status: TrialStatus
    metric: str
    mean: float | None
    folds: tuple[Mapping[str, float], ...]
    seconds: float
    started: float
    rows: int
    rounds: int | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON."""
        return {
            "number": self.number,
            "candidate": self.candidate,
            "algorithm": self.algorithm,
            "origin": self.origin,
            "params": dict(self.params),
            "tuned": dict(self.tuned),
            "status": self.status,
            "metric": self.metric,
            "mean": self.mean,
            "folds": [dict(fold) for fold in self.folds],
            "seconds": self.seconds,
            "started": self.started,
            "rows": self.rows,
            "rounds": self.rounds,
            "error": self.error,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> TrialRecord:
        """The record that ``to_json`` wrote."""
        return cls(**{**raw, "folds": tuple(raw["folds"])})


@dataclass(frozen=True, slots=True, eq=False)
class CandidateResult:
    """The best trial of one candidate, or the ensemble, which has the name ``ensemble``.

    ``params`` are those of the final fit, defaults included; ``tuned`` those that a search or a
    portfolio changed. ``cv`` is mean and standard deviation of each metric over the folds where it
    is defined, empty without cross-validation. ``oof`` are the scores (n, k) by models that did
    not see the row, NaN for rows that no fold scored; its rows are the training rows, or the
    sample of them at ``sample`` (positions). ``seconds`` is time spent fitting and scoring,
    ``trials`` how many configurations were tried. One that was ``dropped`` is no failure: there was
    no time for it, or it was far behind; ``error`` says which. ``recipe`` and ``fitted`` are None
    for a failed candidate, for the ensemble, and where the budget had no time for a final fit.
    """

    name: str
    algorithm: str
    params: Mapping[str, Any]
    status: Literal["ok", "failed", "dropped"]
    error: str = ""
    cv: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    folds: tuple[Mapping[str, float], ...] = ()
    oof: Proba | None = None
    sample: Any = None
    rounds: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    recipe: Recipe | None = None
    fitted: Fitted | None = None
    tuned: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training came to.

    ``candidates`` hold the best trial of each candidate, in the order of the project file, and
    then the ensemble if one is worthwhile. ``blends`` are models that can be shipped, in order of
    preference: the chosen one, then those to fall back to. ``trials`` are all that were tried, in
    order. ``seconds`` is wall-clock time, ``notes`` what the user should know.
    """

    candidates: tuple[CandidateResult, ...]
    choice: Choice
    blends: tuple[Blend, ...]
    trials: tuple[TrialRecord, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def blend(self) -> Blend:
        """The chosen model."""
        return self.blends[0]
