"""The facts of the plots from ``points.json`` and ``explanation.json``, thinned to what is drawn.

``points.json`` is what ``ratchet.evaluation.plots.plot_points`` gives, ``explanation.json`` an
``Explanation`` of ``ratchet.evaluation.explanation``, both as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ratchet.pipeline.report.plot_facts import (
    CurveFacts,
    CurvesFacts,
    EffectFacts,
    ExplanationFacts,
    HistogramFacts,
    Points,
)

Json = Mapping[str, Any]
Cell = float | str | None

_DRAWN_FEATURES = 15
_DRAWN_ROWS = 400
_METHODS = {
    "tree": "exact, for trees",
    "linear": "exact, for a linear model",
    "sampled": "sampled",
}


def read_curves(raw: Json, target: str = "") -> CurvesFacts | None:
    """All curves there are; None without any."""
    found = CurvesFacts(
        roc=_lines(raw.get("roc_curve")),
        roc_chosen=_chosen(raw.get("roc_curve")),
        precision_recall=_lines(raw.get("precision_recall")),
        precision_recall_chosen=_chosen(raw.get("precision_recall")),
        threshold=_columns(
            raw.get("threshold"), "threshold", "precision", "recall", "f1", "flagged"
        ),
        **_calibration(raw.get("calibration")),
        **_estimates(raw, target),
    )
    return None if found == CurvesFacts() else found


def _columns(raw: Json | None, *names: str) -> Points:
    """Lists of equal length as points."""
    if not raw:
        return ()
    return tuple(zip(*(raw[name] for name in names), strict=True))


def _lines(raw: Json | None) -> tuple[CurveFacts, ...]:
    return tuple(
        CurveFacts(
            label=line["label"],
            points=_columns(line, "x", "y"),
            value=line.get("area"),
            base=line.get("chance"),
            low=tuple(line.get("low", ())),
            high=tuple(line.get("high", ())),
        )
        for line in (raw or {}).get("lines", ())
    )


def _chosen(raw: Json | None) -> tuple[float, float] | None:
    found = (raw or {}).get("chosen")
    return (found["x"], found["y"]) if found else None


def _calibration(raw: Json | None) -> dict[str, Any]:
    if not raw:
        return {}
    scores = raw["scores"]
    counts = (scores["first"], scores["second"])
    return {
        "calibration": _columns(raw, "promised", "happened", "low", "high", "rows"),
        "gap": raw["gap"],
        "scores": HistogramFacts(
            tuple(scores["edges"]),
            tuple(
                (name, tuple(int(count) for count in found))
                for name, found in zip(scores["names"], counts, strict=True)
            ),
        ),
    }


def _estimates(raw: Json, target: str) -> dict[str, Any]:
    """The plots of a regression."""
    made: dict[str, Any] = {}
    if found := raw.get("predicted_actual"):
        made["scatter"] = _columns(found, "x", "y")
        made["scatter_bins"] = _columns(found["bins"], "promised", "happened", "low", "high")
    if found := raw.get("residuals"):
        made["residuals"] = _columns(found, "x", "y")
        made["residual_bins"] = _columns(found["bins"], "at", "low", "middle", "high")
    if found := raw.get("residual_distribution"):
        bars = found["histogram"]
        counts = tuple(int(count) for count in bars["rows"])
        made["errors"] = HistogramFacts(tuple(bars["edges"]), ((target, counts),))
    return made


def read_explanation(raw: Json | None) -> ExplanationFacts | None:
    """SHAP values of one score: the class that most rows score highest, where there are several."""
    if raw is None or not raw["values"]:
        return None
    values: Sequence[Sequence[Sequence[float]]] = raw["values"]
    output = _shown_output(values, raw["base"])
    drawn = _spread(len(values), _DRAWN_ROWS)
    sizes = [
        sum(abs(row[place][output]) for row in values) / len(values)
        for place in range(len(raw["features"]))
    ]
    order = sorted(range(len(sizes)), key=lambda place: (-sizes[place], place))
    features = []
    for rank, place in enumerate(order):
        shown = drawn if rank < _DRAWN_FEATURES else ()
        features.append(
            EffectFacts(
                raw["features"][place],
                sizes[place],
                tuple(_cells(raw["data"][row][place] for row in shown)),
                tuple(values[row][place][output] for row in shown),
            )
        )
    outputs = raw["outputs"]
    label = str(outputs[output]) if outputs[output] != "estimate" else ""
    unit = "" if raw["scale"] == "estimate" else raw["scale"]
    method = str(_METHODS.get(raw["method"], raw["method"]))
    return ExplanationFacts(method, len(values), unit, tuple(features), label)


def _shown_output(values: Sequence[Sequence[Sequence[float]]], base: Sequence[float]) -> int:
    """The score that is highest for most rows."""
    if len(base) == 1:
        return 0
    wins = [0] * len(base)
    for row in values:
        scores = [start + sum(cell[k] for cell in row) for k, start in enumerate(base)]
        wins[scores.index(max(scores))] += 1
    return wins.index(max(wins))


def _spread(count: int, most: int) -> tuple[int, ...]:
    """Up to ``most`` positions, evenly over ``count``."""
    if count <= most:
        return tuple(range(count))
    return tuple(place * count // most for place in range(most))


def _cells(found: Iterable[Any]) -> Iterable[Cell]:
    for cell in found:
        yield float(cell) if isinstance(cell, bool) else cell
