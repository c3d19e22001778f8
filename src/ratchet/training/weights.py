"""Row weights from class weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from ratchet.config.suggest import hint
from ratchet.data.task import Task
from ratchet.errors import ConfigError

Label = bool | int | float | str
ClassWeight = Literal["balanced"] | Mapping[Label, float] | None
WHERE = "training.class_weight"


def row_weights(
    y: npt.NDArray[np.int32] | npt.NDArray[np.float64], class_weight: ClassWeight, task: Task
) -> npt.NDArray[np.float32] | None:
    """The weight of each row (n,), mean 1, or None when all weigh the same.

    ``balanced`` weighs a class by rows / (classes * its rows), so that all classes count alike.

    Raises:
        ConfigError: a weight is given for a class that does not exist, or there are no classes.
    """
    if class_weight is None:
        return None
    if task.kind == "regression":
        raise ConfigError(
            "Class weights were given, and this target is a number",
            fix="remove training.class_weight, or set data.task to binary or multiclass",
            where=WHERE,
        )
    y = np.asarray(y, dtype=np.int32)
    count = np.bincount(y, minlength=len(task.classes)).astype(np.float64)
    if class_weight == "balanced":
        weight = len(y) / (np.maximum(count, 1) * np.count_nonzero(count))
    else:
        weight = class_weights(class_weight, task)
    rows = weight[y]
    return np.asarray(rows / rows.mean(), dtype=np.float32)


def class_weights(given: Mapping[Label, float], task: Task) -> npt.NDArray[np.float64]:
    """The weight of each class of ``task`` (k,); 1 for a class that is not named."""
    codes = {_plain(label): code for code, label in enumerate(task.classes)}
    weight = np.ones(len(codes))
    for label, value in given.items():
        if _plain(label) not in codes:
            raise ConfigError(
                f"`{label}` is no class of the target",
                fix=hint(_plain(label), codes),
                where=f"{WHERE}.{label}",
            )
        weight[codes[_plain(label)]] = value
    return weight


def _plain(label: Label) -> str:
    """A label as text, so that 1, 1.0 and "1", or true and "True", name the same class."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label).strip().lower()
