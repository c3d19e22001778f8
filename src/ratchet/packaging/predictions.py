"""What a model answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.packaging.signature import Decision

if TYPE_CHECKING:
    from ratchet.data.task import Label


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Labels and scores of some rows.

    Attributes:
        labels: the decided class of each row (n,).
        probabilities: float64 (n, k), in the order of ``classes``.
        classes: the classes (k,); with two (negative, positive).
        threshold: the positive class is decided from this score on; None with more classes.
        absent: columns the model reads that the data did not have; each counted as missing.
    """

    labels: list[Label]
    probabilities: npt.NDArray[np.float64]
    classes: tuple[Label, ...]
    threshold: float | None
    absent: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def to_rows(self) -> list[dict[str, Any]]:
        """One object per row: ``{"label", "probabilities": {class: score}}``, as JSON values."""
        names = [class_name(label) for label in self.classes]
        return [
            {"label": label, "probabilities": dict(zip(names, row, strict=True))}
            for label, row in zip(self.labels, self.probabilities.tolist(), strict=True)
        ]

    def to_columns(self) -> dict[str, list[Any]]:
        """Columns for a table: ``prediction``, and ``probability_<class>`` for every class."""
        columns: dict[str, list[Any]] = {"prediction": self.labels}
        for place, label in enumerate(self.classes):
            columns[f"probability_{class_name(label)}"] = self.probabilities[:, place].tolist()
        return columns


def decide(
    scores: npt.NDArray[np.float64], decision: Decision, absent: tuple[str, ...] = ()
) -> Predictions:
    """Scores (n, k) with their labels."""
    if decision.threshold is not None:
        codes = (scores[:, 1] >= decision.threshold).astype(np.int64)
    else:
        codes = scores.argmax(axis=1)
    labels = [decision.classes[code] for code in codes.tolist()]
    return Predictions(labels, scores, decision.classes, decision.threshold, absent)


def class_name(label: Label) -> str:
    """A class as text: as it is, or as JSON writes it."""
    return label if isinstance(label, str) else json.dumps(label)
