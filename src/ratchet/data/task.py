"""What is predicted: the classes and their order, from the target's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import polars as pl

from ratchet.data.settings import DataSettings
from ratchet.errors import DataError

TaskKind = Literal["binary", "multiclass", "regression"]
Label = str | int | float | bool

_POSITIVE_WORDS = ("yes", "true", "1", "1.0", "y", "t", "positive", "pos")
_MOST_CLASSES_GUESSED = 20
_MOST_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class Task:
    """The kind of prediction and, in their order, its classes.

    For ``binary`` the classes are (negative, positive); for ``regression`` there are none.
    """

    kind: TaskKind
    classes: tuple[Label, ...]

    @property
    def outputs(self) -> int:
        """Columns of a model's scores: one per class, or one estimate for regression."""
        return len(self.classes) or 1

    def encode(self, labels: pl.Series) -> np.ndarray:
        """What training learns from: class numbers int32 (n,), in the order of ``classes``.

        For regression the values themselves, float64 (n,).

        Raises DataError ``target_missing`` for nulls, ``label_unknown`` for a value that is no
        class, and ``target_not_finite`` for an endless number.
        """
        nulls = labels.null_count()
        if self.kind == "regression" and labels.dtype.is_float():
            nulls += int(labels.is_nan().sum())
        if nulls:
            raise DataError(
                f'The target "{labels.name}" is missing in {nulls} of {labels.len()} rows',
                fix="Remove these rows, or fill in their labels",
                code="target_missing",
            )
        if self.kind == "regression":
            return _finite_values(labels)
        known = _as_dtype(self.classes, labels)
        numbers = pl.Series(range(len(self.classes)), dtype=pl.Int32)
        codes = labels.replace_strict(known, numbers, default=None, return_dtype=pl.Int32)
        if codes.null_count():
            strange = labels.filter(codes.is_null()).unique().sort().head(5).to_list()
            raise DataError(
                f'The target "{labels.name}" holds {_shown(strange)}, which is no known class',
                why=f"The classes are {_shown(self.classes)}",
                fix="Correct the labels, or train anew with this class included",
                code="label_unknown",
            )
        return codes.to_numpy()

    def to_json(self) -> dict[str, Any]:
        """The task as JSON."""
        return {"kind": self.kind, "classes": list(self.classes)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Task:
        """The task that ``to_json`` wrote."""
        return cls(raw["kind"], tuple(raw["classes"]))


def infer_task(target: pl.Series, settings: DataSettings) -> Task:
    """The task that the target's values and the settings make.

    ``auto``: two distinct values are binary; text, booleans and up to 20 whole numbers
    are classes; everything else is regression. Nulls are not looked at.

    Raises DataError: ``target_empty``, ``one_class``, ``too_many_classes``, ``wrong_task``
    or ``positive_unknown``.
    """
    where = "data.target"
    values = target.drop_nulls()
    if not values.len():
        raise DataError(
            f'The target "{target.name}" has no value in any row',
            fix="Name another column in data.target",
            where=where,
            code="target_empty",
        )
    counts = values.value_counts(sort=False)
    kind = _kind(values, counts.height, settings)
    if kind == "regression":
        return Task("regression", ())
    if counts.height == 1:
        raise DataError(
            f'The target "{target.name}" has only one class: {_shown(counts[target.name])}',
            why="With one class there is nothing to tell apart",
            fix="Use data that holds at least two classes",
            where=where,
            code="one_class",
        )
    tally = dict(counts.sort(target.name).iter_rows())
    classes = cast("tuple[Label, ...]", tuple(tally))
    if kind == "multiclass":
        return Task("multiclass", classes)
    positive = _positive(tally, settings.positive)
    return Task("binary", (classes[0] if classes[1] == positive else classes[1], positive))


def _finite_values(labels: pl.Series) -> np.ndarray:
    """A numeric target as float64 (n,)."""
    if not (labels.dtype.is_numeric() or labels.dtype == pl.Boolean):
        raise _wrong_task(labels.name, "regression", f"its values are of type {labels.dtype}")
    values: np.ndarray = labels.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise DataError(
            f'The target "{labels.name}" holds infinity in {int(np.isinf(values).sum())} rows',
            fix="Remove these rows, or correct the values",
            code="target_not_finite",
        )
    return values


def guess_positive(counts: Mapping[Any, int]) -> Any:
    """Which of two values is the one to find: Yes/true/1, else the rarer, else the later."""
    for word in _POSITIVE_WORDS:
        for value in counts:
            if str(value).strip().lower() == word:
                return value
    ordered = sorted(counts, key=lambda value: (counts[value], _descending(value, counts)))
    return ordered[0]


def _descending(value: Any, counts: Mapping[Any, int]) -> int:
    return -sorted(counts, key=str).index(value)


def _kind(values: pl.Series, distinct: int, settings: DataSettings) -> TaskKind:
    text = values.dtype == pl.String
    if values.dtype.is_temporal():
        raise DataError(
            f'The target "{values.name}" is a {"date" if values.dtype == pl.Date else "datetime"}',
            fix="Name a column with classes or numbers in data.target",
            where="data.target",
            code="wrong_task",
        )
    wanted = settings.task
    if wanted == "regression":
        if text:
            raise _wrong_task(values.name, "regression", "its values are text")
        return "regression"
    if wanted == "binary" and distinct > 2:
        raise _wrong_task(values.name, "binary", f"it has {distinct} distinct values")
    whole = not values.dtype.is_float() or bool((values == values.round()).all())
    if wanted == "auto":
        if distinct <= 2:
            return "binary"
        if not text and not (whole and distinct <= _MOST_CLASSES_GUESSED):
            return "regression"
        wanted = "multiclass"
    if distinct > _MOST_CLASSES or (text and distinct > 50 and distinct > values.len() / 2):
        raise DataError(
            f'The target "{values.name}" has {distinct} distinct values in {values.len()} rows',
            why="So many classes cannot be learned; it looks like a name or a free text",
            fix="Name another column in data.target",
            where="data.target",
            code="too_many_classes",
        )
    return wanted


def _positive(tally: Mapping[Any, int], wanted: Label | None) -> Label:
    if wanted is None:
        return cast("Label", guess_positive(tally))
    for value in tally:
        if value == wanted and isinstance(value, bool) == isinstance(wanted, bool):
            return cast("Label", value)
    for value in tally:
        if _plain(value) == _plain(wanted):
            return cast("Label", value)
    raise DataError(
        f"data.positive is {_shown([wanted])}, but the target holds {_shown(tuple(tally))}",
        fix=f"Set data.positive to {_shown([guess_positive(tally)])}",
        where="data.positive",
        code="positive_unknown",
    )


def _plain(value: Any) -> str:
    """A label as one would type it: true, 1 and 1.0 all read the way YAML may give them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().lower()


def _as_dtype(classes: Sequence[Label], labels: pl.Series) -> pl.Series:
    """The classes in the labels' type, null where a class cannot be written in it."""
    made = pl.Series([str(c) for c in classes] if labels.dtype == pl.String else list(classes))
    return made.cast(labels.dtype, strict=False)


def _wrong_task(name: str, task: str, why: str) -> DataError:
    return DataError(
        f'The target "{name}" does not fit data.task: {task}, because {why}',
        fix="Set data.task to auto, or name another target",
        where="data.task",
        code="wrong_task",
    )


def _shown(values: Any) -> str:
    listed = list(values)
    text = ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in listed[:8])
    return text + (" …" if len(listed) > 8 else "")
