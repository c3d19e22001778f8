"""Numbers, times and names as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from ratchet.evaluation.catalog import METRICS

MINUS = "−"
NONE = "–"

_BY_NAME = {metric.name: metric for metric in METRICS}
_PLACES = {metric.name: place for place, metric in enumerate(METRICS)}
_ACRONYMS = {
    "roc": "ROC",
    "auc": "AUC",
    "pr": "PR",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "f1": "F1",
}
_LOWER = ("log_loss", "brier", "rmse", "mae")
_ALGORITHMS = {
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "svm": "SVM",
    "torch": "Neural network",
    "onnx": "ONNX",
    "ensemble": "Ensemble",
}
_FORMS = {"lightgbm": "LightGBM text", "xgboost": "XGBoost JSON", "numpy": "NumPy arrays"}
_GATES = {
    "above_chance": "Better than chance",
    "champion": "Against the champion",
    "files": "Bundle is whole",
    "loads": "Bundle loads",
    "predictions": "Predictions are valid",
    "parity": "Same scores as in training",
    "latency_p95": "Time for one row (95th percentile)",
    "size": "Bundle size",
    "memory": "Memory while serving",
}


def figure(value: float | None, digits: int = 4) -> str:
    """A number: four decimals near 1, fewer for larger ones, powers of ten for tiny ones."""
    if value is None:
        return NONE
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    size = abs(value)
    if value == 0:
        shown = "0"
    elif isinstance(value, int) or (size >= 1000 and size < 1e15):
        shown = f"{size:,.0f}"
    elif size >= 1e15 or size < 0.5 * 10**-digits:
        shown = f"{size:.2e}"
    elif size >= 10:
        shown = f"{size:.{max(digits - (3 if size >= 100 else 2), 0)}f}"
    else:
        shown = f"{size:.{digits}f}"
    return MINUS + shown if value < 0 else shown


def signed(value: float | None, digits: int = 4) -> str:
    """A number that always shows its sign."""
    shown = figure(value, digits)
    return f"+{shown}" if value is not None and value > 0 else shown


def count(value: int | None) -> str:
    """A whole number with separators."""
    return NONE if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def percent(share: float | None) -> str:
    """A share; never 0% or 100% when it is neither."""
    if share is None:
        return NONE
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    shown = f"{share * 100:.1f}".removesuffix(".0")
    return f"{shown}%"


def confidence(level: float) -> str:
    """``95%``."""
    return f"{level * 100:g}%"


def duration(seconds: float | None) -> str:
    """``0.62 s``, ``12 s``, ``2 min 5 s``, ``1 h 4 min``."""
    if seconds is None:
        return NONE
    if seconds < 0.01:
        return "<0.01 s"
    if seconds < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(amount: float | None) -> str:
    """Bytes in the unit a person thinks in, as the gates say it."""
    if amount is None:
        return NONE
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= scale:
            return f"{amount / scale:.3g} {unit}"
    return f"{amount:.0f} bytes"


def moment(iso: str) -> str:
    """An ISO time or date as ``21 Nov 2026, 06:19 UTC``; anything else as it is."""
    try:
        at = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    day = f"{at.day} {at:%b %Y}"
    if "T" not in iso and " " not in iso:
        return day
    zone = ""
    if at.tzinfo is not None:
        at, zone = at.astimezone(UTC), " UTC"
        day = f"{at.day} {at:%b %Y}"
    return f"{day}, {at:%H:%M}{zone}"


def name(value: str, longest: int | None = None) -> str:
    """A name from the data on one line; an empty one can still be seen.

    A long one is cut in the middle: names that begin alike often differ at the end.
    """
    line = " ".join(value.split()) or "(blank)"
    if longest is None or len(line) <= longest:
        return line
    tail = (longest - 1) * 2 // 5
    return f"{line[: longest - 1 - tail].rstrip()}…{line[len(line) - tail :].lstrip()}"


def metric_title(metric: str) -> str:
    """The metric's name for people."""
    known = _BY_NAME.get(metric)
    if known is not None:
        return known.title
    return _sentence(spoken(metric)) or metric


def spoken(key: str) -> str:
    """A key of the facts as words: ``balanced_accuracy`` as ``balanced accuracy``."""
    return " ".join(_ACRONYMS.get(word, word) for word in key.split("_"))


def metric_said(metric: str) -> str:
    """The metric's name within a sentence: ``log loss``, ``ROC-AUC``."""
    title = metric_title(metric)
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def place(metric: str) -> int:
    """Where the metric stands in the catalogue; last if it does not."""
    return _PLACES.get(metric, len(_PLACES))


def metric_meaning(metric: str) -> str:
    """What the metric is, in a sentence; empty for one the catalogue does not know."""
    known = _BY_NAME.get(metric)
    return known.description if known is not None else ""


def better(metric: str) -> Literal["higher", "lower"]:
    """Which way is an improvement."""
    known = _BY_NAME.get(metric)
    if known is not None:
        return known.better
    return "lower" if metric in _LOWER else "higher"


def bounded(metric: str) -> bool:
    """Whether the metric is a share: from 0 to 1, higher is better."""
    known = _BY_NAME.get(metric)
    return known is not None and known.upper == 1.0 and known.better == "higher"


def from_labels(metric: str) -> bool:
    """Whether the metric judges decisions, so that it depends on the threshold."""
    known = _BY_NAME.get(metric)
    return known is not None and known.from_labels


def algorithm_title(algorithm: str) -> str:
    """``logistic_regression`` as ``Logistic regression``; a dotted path as it is."""
    if algorithm in _ALGORITHMS:
        return _ALGORITHMS[algorithm]
    return algorithm if "." in algorithm else _sentence(algorithm.replace("_", " "))


def form_title(form: str) -> str:
    """The form a model ships in."""
    return _FORMS.get(form, algorithm_title(form))


def algorithm_said(algorithm: str) -> str:
    """The algorithm's name within a sentence: ``logistic regression``, ``LightGBM``."""
    title = algorithm_title(algorithm)
    return title[:1].lower() + title[1:] if title[1:].islower() else title


def gate_title(gate: str) -> str:
    """What a gate asks, in words."""
    if gate in _GATES:
        return _GATES[gate]
    group, _, metric = gate.partition(".")
    if group == "minimum" and metric:
        wanted = "Minimum" if better(metric) == "higher" else "Maximum"
        return f"{wanted} {metric_title(metric)}"
    return _sentence(gate.replace("_", " ").replace(".", " "))


def gate_figure(gate: str, value: float | None) -> str:
    """A gate's value or threshold in its unit."""
    if value is None:
        return NONE
    if gate == "latency_p95":
        return f"{value * 1000:.3g} ms"
    if gate in ("size", "memory"):
        return size(value)
    if gate == "parity":
        return f"{value:.2g}"
    if gate in ("files", "predictions"):
        return f"{value:,.0f}"
    return figure(value or 0.0)


def check_title(check: str) -> str:
    """``expect_column_values_to_be_between`` as ``values to be between``."""
    for prefix in ("expect_column_", "expect_"):
        if check.startswith(prefix):
            return _sentence(check.removeprefix(prefix).replace("_", " "))
    return _sentence(check.replace("_", " "))


def listed(values: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(values[:-1]), *values[-1:]) if part)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def sentence(said: str) -> str:
    """The words as a sentence: a capital at its start, a mark at its end."""
    said = said.strip()
    ended = said if said.endswith((".", "!", "?", "…")) else f"{said}."
    return ended[:1].upper() + ended[1:]
