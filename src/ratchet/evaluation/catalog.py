"""The metrics Ratchet knows: their names, what they mean, and which way is better.

Plain values and no numpy: settings read this to refuse an unknown metric.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ratchet.config.suggest import hint


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """One metric.

    Attributes:
        name: the key in settings, reports and the registry.
        title: the name shown to people.
        better: which direction is an improvement.
        upper: the largest value it can take, None when there is none; the smallest is 0, and for
            R² there is none.
        from_labels: it judges predicted classes, so it depends on the decision threshold.
        kinds: the kinds of task it can measure.
        description: one sentence for people.
    """

    name: str
    title: str
    better: Literal["higher", "lower"]
    upper: float | None
    from_labels: bool
    kinds: tuple[str, ...]
    description: str

    @property
    def binary_only(self) -> bool:
        """It is about the positive class."""
        return self.kinds == _BINARY

    @property
    def sign(self) -> int:
        """1 when higher is better, -1 when lower is."""
        return 1 if self.better == "higher" else -1


_BINARY = ("binary",)
_CLASSES = ("binary", "multiclass")
_NUMBERS = ("regression",)


def _of_labels(
    name: str, title: str, description: str, *, kinds: tuple[str, ...] = _CLASSES
) -> MetricInfo:
    return MetricInfo(name, title, "higher", 1.0, True, kinds, description)


def _of_errors(name: str, title: str, description: str) -> MetricInfo:
    return MetricInfo(name, title, "lower", None, False, _NUMBERS, description)


METRICS: tuple[MetricInfo, ...] = (
    _of_labels("accuracy", "Accuracy", "Share of rows whose class is predicted correctly."),
    _of_labels(
        "precision",
        "Precision (weighted)",
        "Precision of each class, averaged with the classes' shares of the rows as weights.",
    ),
    _of_labels(
        "recall",
        "Recall (weighted)",
        "Recall of each class, averaged with the classes' shares as weights; equals accuracy.",
    ),
    _of_labels(
        "f1",
        "F1 (weighted)",
        "F1 of each class, averaged with the classes' shares of the rows as weights.",
    ),
    MetricInfo(
        "roc_auc",
        "ROC-AUC",
        "higher",
        1.0,
        False,
        _CLASSES,
        "Chance that a row of a class is scored above a row of another; the mean over the "
        "classes (one against the rest) when there are more than two.",
    ),
    MetricInfo(
        "pr_auc",
        "PR-AUC",
        "higher",
        1.0,
        False,
        _CLASSES,
        "Average precision over all cut-offs; the mean over the classes when there are more "
        "than two.",
    ),
    MetricInfo(
        "log_loss",
        "Log loss",
        "lower",
        None,
        False,
        _CLASSES,
        "Mean of -ln(probability given to the true class).",
    ),
    MetricInfo(
        "brier",
        "Brier score",
        "lower",
        2.0,
        False,
        _CLASSES,
        "Mean squared error of the probabilities: of the positive class for two classes, summed "
        "over the classes for more.",
    ),
    _of_labels(
        "precision_positive",
        "Precision (positive class)",
        "Share of the rows predicted positive that are positive.",
        kinds=_BINARY,
    ),
    _of_labels(
        "recall_positive",
        "Recall (positive class)",
        "Share of the positive rows that are predicted positive.",
        kinds=_BINARY,
    ),
    _of_labels(
        "f1_positive",
        "F1 (positive class)",
        "Harmonic mean of precision and recall of the positive class.",
        kinds=_BINARY,
    ),
    _of_errors(
        "rmse",
        "RMSE",
        "Root of the mean squared error, in the unit of the target; large errors weigh most.",
    ),
    _of_errors("mae", "MAE", "Mean absolute error, in the unit of the target."),
    _of_errors(
        "median_ae",
        "Median absolute error",
        "Half of the rows are estimated closer than this, in the unit of the target.",
    ),
    MetricInfo(
        "r2",
        "R²",
        "higher",
        1.0,
        False,
        _NUMBERS,
        "Share of the squared error of always saying the mean that the model removes; 0 is no "
        "better than the mean.",
    ),
)

_BY_NAME = {metric.name: metric for metric in METRICS}


def metric_names(kind: str | None = None) -> tuple[str, ...]:
    """All metrics' names, or those of a task ``kind``, in report order."""
    return tuple(m.name for m in METRICS if kind is None or kind in m.kinds)


def usual_metric(kind: str) -> str:
    """What models of a task ``kind`` are compared by when nothing is said."""
    return {"binary": "roc_auc", "multiclass": "log_loss"}.get(kind, "rmse")


def find_metric(name: str) -> MetricInfo:
    """The metric of that name.

    Raises:
        ValueError: no metric has the name; the message says the nearest one.
    """
    found = _BY_NAME.get(name)
    if found is None:
        raise ValueError(f"unknown metric {name!r}: {hint(name, _BY_NAME)}")
    return found


def check_metrics(names: Iterable[str]) -> None:
    """Refuse unknown names.

    Raises:
        ValueError: as `find_metric`.
    """
    for name in names:
        find_metric(name)
