"""What a model answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.decision import Decision

if TYPE_CHECKING:
    from ratchet.data.task import Label

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Answers for some rows: labels and scores, or for regression estimates.

    Attributes:
        labels: the decided class of each row (n,); for regression the estimate.
        scores: float64 (n, k), in the order of ``classes``; for regression (n, 1).
        decision: how the one became the other.
        absent: columns the model reads that the data did not have; each counted as missing.
    """

    labels: list[Label]
    scores: Floats
    decision: Decision
    absent: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes (k,); with two (negative, positive); none for regression."""
        return self.decision.classes

    @property
    def threshold(self) -> float | None:
        """With two classes the positive one is decided from this score on."""
        return self.decision.threshold

    @property
    def probabilities(self) -> Floats:
        """The scores of the classes (n, k); for regression (n, 0)."""
        return self.scores if self.classes else self.scores[:, :0]

    @property
    def values(self) -> Floats | None:
        """The estimates (n,) of regression; None with classes."""
        return None if self.classes else self.scores[:, 0]

    @property
    def interval(self) -> tuple[Floats, Floats] | None:
        """The lower and the upper ends (n,) around the estimates, where the model gives them."""
        found = self.decision.interval
        if found is None:
            return None
        return self.scores[:, 0] + found.low, self.scores[:, 0] + found.high

    def to_rows(self) -> list[dict[str, Any]]:
        """One object per row, as JSON values.

        ``{"label", "probabilities": {class: score}}``, or for regression ``{"prediction"}`` and,
        where the model gives an interval, ``"interval": {"low", "high"}``.
        """
        if self.classes:
            names = [class_name(label) for label in self.classes]
            return [
                {"label": label, "probabilities": dict(zip(names, row, strict=True))}
                for label, row in zip(self.labels, self.scores.tolist(), strict=True)
            ]
        rows: list[dict[str, Any]] = [{"prediction": value} for value in self.labels]
        if self.interval is not None:
            ends = zip(*(end.tolist() for end in self.interval), strict=True)
            for row, (low, high) in zip(rows, ends, strict=True):
                row["interval"] = {"low": low, "high": high}
        return rows

    def to_columns(self) -> dict[str, list[Any] | Floats]:
        """Columns for a table.

        ``prediction``, and ``probability_<class>`` for every class; for regression
        ``prediction``, and ``prediction_low`` and ``prediction_high`` where there is an interval.
        """
        if self.classes:
            return {"prediction": self.labels} | {
                f"probability_{class_name(label)}": self.scores[:, place]
                for place, label in enumerate(self.classes)
            }
        columns: dict[str, list[Any] | Floats] = {"prediction": self.scores[:, 0]}
        if self.interval is not None:
            columns["prediction_low"], columns["prediction_high"] = self.interval
        return columns


def decide(scores: Floats, decision: Decision, absent: tuple[str, ...] = ()) -> Predictions:
    """Scores (n, k) with their labels; estimates (n, 1) are their own."""
    if not decision.classes:
        return Predictions(scores[:, 0].tolist(), scores, decision, absent)
    if decision.threshold is not None:
        codes = (scores[:, 1] >= decision.threshold).astype(np.int64)
    else:
        codes = scores.argmax(axis=1)
    labels = [decision.classes[code] for code in codes.tolist()]
    return Predictions(labels, scores, decision, absent)


def class_name(label: Label) -> str:
    """A class as text: as it is, or as JSON writes it."""
    return label if isinstance(label, str) else json.dumps(label)
