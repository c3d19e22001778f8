"""What the plots of a report are drawn from, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

Points = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """A curve of one class against the rest.

    ``points`` are (across, up), ``low`` and ``high`` the ends of the interval at each of them or
    empty; ``value`` is the area, ``base`` what chance gives.
    """

    label: str
    points: Points
    value: float | None = None
    base: float | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class HistogramFacts:
    """Counts between ``edges`` (one more than counts), one row of them for each label."""

    edges: tuple[float, ...]
    counts: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class CurvesFacts:
    """What the plots are drawn from.

    Attributes:
        roc: share of the others flagged, share of the class found.
        roc_chosen: the point of the decision threshold.
        precision_recall: recall, precision of the step up to it.
        precision_recall_chosen: the point of the decision threshold.
        calibration: points (promised, happened, low, high, rows).
        gap: mean distance between promised and happened.
        threshold: points (threshold, precision, recall, F1, share flagged).
        scores: how many rows have which score.
        scatter: points (estimate, true value) of some rows; regression.
        scatter_bins: points (mean estimate, mean true value, low, high) of bins of equal size.
        residuals: points (estimate, true value - estimate) of some rows.
        residual_bins: points (mean estimate, 10 %, 50 % and 90 % quantile of the residuals).
        errors: how many rows have which residual.
    """

    roc: tuple[CurveFacts, ...] = ()
    roc_chosen: tuple[float, float] | None = None
    precision_recall: tuple[CurveFacts, ...] = ()
    precision_recall_chosen: tuple[float, float] | None = None
    calibration: Points = ()
    gap: float | None = None
    threshold: Points = ()
    scores: HistogramFacts | None = None
    scatter: Points = ()
    scatter_bins: Points = ()
    residuals: Points = ()
    residual_bins: Points = ()
    errors: HistogramFacts | None = None


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """One class on the test rows."""

    label: str
    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True, slots=True)
class BarFacts:
    """One column's importance with its standard error."""

    name: str
    value: float
    se: float | None = None


@dataclass(frozen=True, slots=True)
class ImportanceFacts:
    """How much a metric suffers when a column is shuffled."""

    metric: str
    bars: tuple[BarFacts, ...]


@dataclass(frozen=True, slots=True)
class EffectFacts:
    """What one feature adds to the scores of the explained rows.

    ``values`` are the feature's values (text for a category, None where missing) and ``effects``
    what each added; ``importance`` is the mean size of the effects over all explained rows.
    """

    name: str
    importance: float
    values: tuple[float | str | None, ...] = ()
    effects: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplanationFacts:
    """SHAP values of a sample of the rows; features by importance, the largest first.

    ``unit`` is what effects add up to (``log odds``, ``probability``, the target's unit) and
    ``label`` the class they speak for, where there is one.
    """

    method: str
    rows: int
    unit: str
    features: tuple[EffectFacts, ...]
    label: str = ""
