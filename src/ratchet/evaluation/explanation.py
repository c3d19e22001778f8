"""What an explanation is: how much each feature moves each row's score away from the usual one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.importance import Importance
from ratchet.evaluation.points import listed

Floats = npt.NDArray[np.float64]
Value = str | float | bool | None
Method = Literal["tree", "linear", "sampled"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's part in one row's score.

    Attributes:
        feature: its name.
        value: what the row holds there; None when it is missing.
        effect: how much it raises the score; negative lowers.
        se: standard error of ``effect``; None when it is exact.
        text: all of it in words.
    """

    feature: str
    value: Value
    effect: float
    se: float | None
    text: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "feature": self.feature,
            "value": self.value,
            "effect": self.effect,
            "se": self.se,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """SHAP values of n rows, d features and k explained scores.

    Of two classes one score is explained, the positive one's; of more one for each class; for
    regression the estimate. ``base`` plus the sum of a row's values is that row's score, exactly.

    Attributes:
        features: names (d,).
        outputs: what is explained (k,): labels of classes, or ``estimate``.
        values: how much a feature raises a row's score (n, d, k).
        base: the usual score (k,): its mean over the background or the training rows.
        data: what each row holds, one tuple of d a row; None where it is missing.
        scale: of ``values``: ``log odds``, ``log score``, or ``estimate`` in the target's unit.
        method: exact for trees or for linear models, or sampled.
        why: why this method, in words.
        cost: rows scored.
        se: standard errors of sampled values (n, d, k); None when they are exact.
    """

    features: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Floats
    base: Floats
    data: tuple[tuple[Value, ...], ...]
    scale: str
    method: Method
    why: str
    cost: int
    se: Floats | None = None

    @property
    def rows(self) -> int:
        """How many rows are explained."""
        return len(self.values)

    @property
    def scores(self) -> Floats:
        """The rows' scores on ``scale`` (n, k)."""
        scores: Floats = self.base + self.values.sum(axis=1)
        return scores

    def importance(self) -> tuple[Importance, ...]:
        """Each feature's mean |value| over rows and scores, the largest first.

        ``se`` is that of the mean over rows.
        """
        sizes = np.abs(self.values).mean(axis=2)
        se = sizes.std(axis=0) / np.sqrt(max(self.rows - 1, 1))
        found = [
            Importance(name, float(sizes[:, place].mean()), float(se[place]))
            for place, name in enumerate(self.features)
        ]
        return tuple(sorted(found, key=lambda item: (-round(item.value, 12), item.name)))

    def reasons(self, row: int, *, top: int = 5, output: int | None = None) -> tuple[Reason, ...]:
        """What moved one row's score most, the largest effect first; nothing without effect.

        Args:
            row: its position.
            top: reasons at most.
            output: which explained score; the row's highest when not given.
        """
        which = int(self.scores[row].argmax()) if output is None else output
        effects = self.values[row, :, which]
        order = np.argsort(-np.abs(effects), kind="stable")[:top]
        return tuple(self._reason(row, int(place), which) for place in order if effects[place])

    def _reason(self, row: int, place: int, output: int) -> Reason:
        feature, value = self.features[place], self.data[row][place]
        effect = float(self.values[row, place, output])
        se = None if self.se is None else float(self.se[row, place, output])
        what = f"{feature} is missing, which" if value is None else f"{feature} = {said(value)}"
        score = "estimate" if self.scale == "estimate" else "score"
        if len(self.outputs) > 1:
            score += f" of {self.outputs[output]}"
        verb = "raises" if effect > 0 else "lowers"
        text = f"{what} {verb} the {score} by {amount(abs(effect))}"
        return Reason(feature, value, effect, se, text)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; numbers to six digits."""
        return {
            "features": list(self.features),
            "outputs": list(self.outputs),
            "values": _nested(self.values),
            "base": listed(self.base, 12),
            "data": [list(row) for row in self.data],
            "scale": self.scale,
            "method": self.method,
            "why": self.why,
            "cost": self.cost,
            "se": None if self.se is None else _nested(self.se),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Explanation:
        """The explanation that `to_json` wrote."""
        shape = (len(raw["data"]), len(raw["features"]), len(raw["outputs"]))
        se = raw["se"]
        return cls(
            features=tuple(raw["features"]),
            outputs=tuple(raw["outputs"]),
            values=np.array(raw["values"], dtype=np.float64).reshape(shape),
            base=np.array(raw["base"], dtype=np.float64),
            data=tuple(tuple(row) for row in raw["data"]),
            scale=raw["scale"],
            method=raw["method"],
            why=raw["why"],
            cost=raw["cost"],
            se=None if se is None else np.array(se, dtype=np.float64).reshape(shape),
        )


def said(value: Value) -> str:
    """A cell's value as people write it."""
    if value is None:
        return "missing"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= 60 else text[:59] + "…"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def amount(value: float) -> str:
    """An effect with the digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if 0.1 <= value < 1000 else f"{value:.2g}"


def _nested(values: Floats) -> list[list[list[float]]]:
    return [[listed(cell) for cell in row] for row in values]
