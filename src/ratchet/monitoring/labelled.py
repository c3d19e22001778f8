"""What was answered and what became of it, as of a moment, as arrays for each version and arm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.data.lake import Lake
from ratchet.data.predictions.joined import joined
from ratchet.data.predictions.pinned import utc
from ratchet.data.task import Label, Task
from ratchet.evaluation.scored import Scored, decide
from ratchet.monitoring.estimate import Estimator

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SHADOW: Final = "shadow"
"""The arm of answers that nobody saw."""

_COLUMNS: Final = (
    "prediction_id",
    "at",
    "version",
    "arm",
    "label",
    "scores",
    "outcome",
    "observed",
    "of",
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Watched:
    """A model version, as far as its performance is concerned.

    Attributes:
        version: its number.
        task: what it predicts.
        threshold: its decision threshold, for a binary task.
        reference: metrics on its test rows: value and standard error.
        estimator: estimates its performance; None where there is none.
        inputs: the columns it reads, with their kinds.
    """

    version: int
    task: Task
    threshold: float | None = None
    reference: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    estimator: Estimator | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The predictions of one version in one arm, in the order of time.

    Attributes:
        version: the model version.
        arm: the arm.
        task: what is predicted.
        ids: of the predictions (n,).
        at: microseconds since 1970 (n,).
        proba: class scores (n, k), or estimates (n, 1).
        predicted: decided class codes (n,); none (0,) for regression.
        y: class codes or values (n,); anything where ``has`` is false.
        has: whether the outcome is known (n,).
        lag: seconds until the outcome was known (n,), NaN where it is not.
        of: the prediction that a shadow row shadows (n,), "" otherwise.
    """

    version: int
    arm: str
    task: Task
    ids: npt.NDArray[Any]
    at: Times
    proba: Floats
    predicted: npt.NDArray[np.integer]
    y: npt.NDArray[Any]
    has: Flags
    lag: Floats
    of: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.at)

    @property
    def shadow(self) -> bool:
        """Nobody saw these answers."""
        return self.arm == SHADOW

    def scored(self, mask: npt.NDArray[Any]) -> Scored:
        """Some of the rows, as evaluation wants them; ``y`` counts where ``has`` is true."""
        predicted = self.predicted if not self.task.classes else self.predicted[mask]
        return Scored(self.y[mask], self.proba[mask], predicted, self.task)


@dataclass(frozen=True, slots=True)
class Log:
    """What is known of the predictions of a span as of a moment.

    Attributes:
        as_of: the moment: nothing answered or observed later is in it.
        answers: by version and arm.
        unfit: predictions or outcomes that do not fit the version's task, which are left out.
        unknown: predictions of versions that nobody asked for.
    """

    as_of: datetime
    answers: tuple[Answers, ...]
    unfit: int = 0
    unknown: int = 0

    @property
    def now(self) -> int:
        """``as_of`` in microseconds since 1970."""
        return micros(self.as_of)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (utc(moment) - _EPOCH) // _MICRO


def moment_of(value: int) -> datetime:
    """The moment so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=value)


def read_log(
    lake: Lake, watched: Mapping[int, Watched], *, as_of: datetime, since: datetime
) -> Log:
    """The predictions of versions since a moment, with their outcomes as of another.

    Raises:
        StorageError: the lake cannot be read.
    """
    frame = joined(lake, as_of=as_of, since=since).select(_COLUMNS).collect(engine="streaming")
    found: list[Answers] = []
    unfit = unknown = 0
    for (version, arm), rows in frame.partition_by("version", "arm", as_dict=True).items():
        known = watched.get(int(version))
        if known is None:
            unknown += rows.height
            continue
        answers, broken = _answers(known, str(arm), rows.sort("at", "prediction_id"))
        unfit += broken
        if len(answers):
            found.append(answers)
    ordered = sorted(found, key=lambda one: (one.version, one.arm))
    return Log(utc(as_of), tuple(ordered), unfit, unknown)


def _answers(known: Watched, arm: str, rows: pl.DataFrame) -> tuple[Answers, int]:
    """The rows whose scores fit the task; an outcome that does not fit counts as none."""
    width = known.task.outputs
    scores = pl.col("scores")
    fits = (scores.list.len() == width) & scores.list.eval(pl.element().is_finite()).list.all()
    good = rows.filter(fits.fill_null(False))
    proba = good["scores"].list.to_array(width).to_numpy().reshape(-1, width)
    outcome = good["outcome"]
    codes, wrong = _codes(outcome, known.task)
    has = outcome.is_not_null().to_numpy() & ~wrong
    lag = (good["observed"] - good["at"]).dt.total_microseconds().cast(pl.Float64) / 1e6
    lag_known = np.where(has, lag.fill_null(0.0).to_numpy(), np.nan)
    answers = Answers(
        version=known.version,
        arm=arm,
        task=known.task,
        ids=good["prediction_id"].to_numpy(),
        at=good["at"].dt.timestamp("us").to_numpy(),
        proba=np.asarray(proba, dtype=np.float64),
        predicted=_decided(good["label"], np.asarray(proba), known),
        y=codes,
        has=has,
        lag=lag_known,
        of=good["of"].fill_null("").to_numpy(),
    )
    return answers, rows.height - good.height + int(wrong.sum())


def _codes(outcome: pl.Series, task: Task) -> tuple[npt.NDArray[Any], Flags]:
    """Outcomes (JSON) as class codes or values (n,), and which are neither (n,)."""
    told = {text: json.loads(text) for text in outcome.drop_nulls().unique()}
    there = outcome.is_not_null().to_numpy()
    if task.kind == "regression":
        numbers = {text: _number(value) for text, value in told.items()}
        values = outcome.replace_strict(numbers, default=None, return_dtype=pl.Float64)
        return values.fill_null(0.0).to_numpy(), there & values.is_null().to_numpy()
    codes = {text: _class_of(value, task.classes) for text, value in told.items()}
    found = outcome.replace_strict(codes, default=None, return_dtype=pl.Int64)
    return found.fill_null(0).to_numpy(), there & found.is_null().to_numpy()


def _decided(label: pl.Series, proba: Floats, known: Watched) -> npt.NDArray[np.integer]:
    """The classes that were answered; where none was logged, those of scores and threshold."""
    if not known.task.classes:
        return np.empty(0, dtype=np.int64)
    codes, wrong = _codes(label, known.task)
    unsaid = label.is_null().to_numpy() | wrong
    if not unsaid.any():
        return codes
    by_score = decide(proba, 0.5 if known.threshold is None else known.threshold)
    return np.where(unsaid, by_score, codes)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if np.isfinite(value) else None


def _class_of(value: Any, classes: tuple[Label, ...]) -> int | None:
    """The code of a class, however its number or truth value was written."""
    for code, label in enumerate(classes):
        if type(label) is type(value) and label == value:
            return code
    for code, label in enumerate(classes):
        if _plain(label) == _plain(value):
            return code
    return None


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
