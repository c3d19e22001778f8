"""What a model takes and gives: the columns of a raw row, the classes or a number, the decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from ratchet.ids import digest_of

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
    """The inputs, and what is answered.

    Attributes:
        task: ``binary``, ``multiclass`` or ``regression``.
        classes: in the order of the scores; none for regression.
        coverage: of the interval that comes with an estimate; None where none does.
    """

    inputs: tuple[InputColumn, ...]
    task: str
    classes: tuple[Label, ...]
    coverage: float | None = None

    @property
    def positive(self) -> Label | None:
        """The class to find; None with more than two, and for regression."""
        return self.classes[1] if self.task == "binary" else None

    @property
    def example(self) -> dict[str, Any]:
        """A typical row: a typical value in every column, so no real person's row."""
        return {column.name: column.example for column in self.inputs}

    @property
    def inputs_digest(self) -> str:
        """SHA-256 over names and kinds of the inputs: what a caller must give."""
        return digest_of([[column.name, column.kind] for column in self.inputs])

    def to_json(self) -> dict[str, Any]:
        """The signature as JSON."""
        return {
            "inputs": [asdict(column) for column in self.inputs],
            "outputs": self._outputs(),
            "task": self.task,
            "classes": list(self.classes),
            "positive": self.positive,
            "coverage": self.coverage,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Signature:
        """The signature that ``to_json`` wrote."""
        inputs = tuple(InputColumn(**column) for column in raw["inputs"])
        return cls(inputs, raw["task"], tuple(raw["classes"]), raw.get("coverage"))

    def _outputs(self) -> list[dict[str, Any]]:
        if self.classes:
            return [
                {"name": "label", "kind": "class", "of": list(self.classes)},
                {"name": "probabilities", "kind": "number", "shape": [len(self.classes)]},
            ]
        interval = () if self.coverage is None else ("prediction_low", "prediction_high")
        return [{"name": name, "kind": "number"} for name in ("prediction", *interval)]


def make_signature(
    inputs: Iterable[Column], frame: pl.DataFrame, task: Task, *, coverage: float | None = None
) -> Signature:
    """The signature of a model that reads ``inputs`` and was trained on ``frame``.

    The same frame gives the same signature; the example is made of its first 10,000 rows.
    ``coverage`` is that of the decision's interval, for regression.
    """
    columns = tuple(_describe(column, frame[column.name]) for column in inputs)
    return Signature(columns, task.kind, task.classes, coverage)


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
