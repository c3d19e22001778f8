"""What a model takes and gives: the columns of a raw row, the classes, the decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ratchet.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from ratchet.data.schema import Column, Kind
    from ratchet.data.task import Label, Task

EXAMPLE_ROWS = 10_000
"""Rows that the example is made of."""


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A raw column the model reads.

    Attributes:
        name: its name.
        kind: its kind; values of another kind are refused.
        required: it held a value in every training row. Without it the model still answers, as
            for a missing value, but from outside of what it has learned.
        nullable: it was missing in some training rows.
        example: a typical value as JSON: the most frequent one, or the middle of the numbers.
    """

    name: str
    kind: Kind
    required: bool
    nullable: bool
    example: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs, and the classes in the order of the scores."""

    inputs: tuple[InputColumn, ...]
    task: str
    classes: tuple[Label, ...]

    @property
    def positive(self) -> Label | None:
        """The class to find; None with more than two."""
        return self.classes[1] if self.task == "binary" else None

    @property
    def example(self) -> dict[str, Any]:
        """A typical row: a typical value in every column, so no real person's row."""
        return {column.name: column.example for column in self.inputs}

    def to_json(self) -> dict[str, Any]:
        """The signature as JSON."""
        return {
            "inputs": [asdict(column) for column in self.inputs],
            "outputs": [
                {"name": "label", "kind": "class", "of": list(self.classes)},
                {"name": "probabilities", "kind": "number", "shape": [len(self.classes)]},
            ],
            "task": self.task,
            "classes": list(self.classes),
            "positive": self.positive,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Signature:
        """The signature that ``to_json`` wrote."""
        inputs = tuple(InputColumn(**column) for column in raw["inputs"])
        return cls(inputs, raw["task"], tuple(raw["classes"]))


@dataclass(frozen=True, slots=True)
class Decision:
    """How scores become a label.

    Attributes:
        threshold: with two classes the positive one is decided from this score on, the bound
            included; None with more, where the highest score decides.
    """

    task: str
    classes: tuple[Label, ...]
    threshold: float | None

    def to_json(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {
            "task": {"kind": self.task, "classes": list(self.classes)},
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Decision:
        """The decision that ``to_json`` wrote."""
        return cls(raw["task"]["kind"], tuple(raw["task"]["classes"]), raw["threshold"])


def make_decision(task: Task, threshold: float = 0.5) -> Decision:
    """The decision for ``task``; the threshold counts with two classes only.

    Raises:
        DataError: a task without classes, or a threshold outside 0 to 1.
    """
    _need_classes(task)
    if task.kind != "binary":
        return Decision(task.kind, task.classes, None)
    if not 0.0 <= threshold <= 1.0:
        raise DataError(f"A decision threshold is between 0 and 1, and {threshold} is not")
    return Decision(task.kind, task.classes, float(threshold))


def make_signature(inputs: Iterable[Column], frame: pl.DataFrame, task: Task) -> Signature:
    """The signature of a model that reads ``inputs`` and was trained on ``frame``.

    The same frame gives the same signature; the example is made of its first 10,000 rows.
    """
    _need_classes(task)
    return Signature(
        tuple(_describe(column, frame[column.name]) for column in inputs), task.kind, task.classes
    )


def _need_classes(task: Task) -> None:
    if len(task.classes) < 2:
        raise DataError(
            f"A model for {task.kind} cannot be packaged",
            why="a bundle holds a classifier with two classes or more",
            where="data.task",
        )


def _describe(column: Column, values: pl.Series) -> InputColumn:
    missing = values.null_count()
    if column.kind == "number":
        missing += int(values.is_nan().sum())
    return InputColumn(
        name=column.name,
        kind=column.kind,
        required=missing == 0,
        nullable=missing > 0,
        example=_typical(values.head(EXAMPLE_ROWS), column.kind),
    )


def _typical(values: pl.Series, kind: Kind) -> str | int | float | bool | None:
    present = values.drop_nulls()
    if kind == "number":
        present = present.filter(present.is_finite())
    if not present.len():
        return None
    if kind in ("string", "boolean"):
        typical = present.mode().sort().first()
    else:
        typical = present.sort()[(present.len() - 1) // 2]
    if isinstance(typical, date):
        return typical.isoformat()
    return typical if isinstance(typical, str | int | float) else None
