"""How an algorithm wants its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an algorithm wants its numbers.

    Args:
        categories: a code per category, or a 0/1 column each.
        missing: keep NaN, or fill it with what training had most (categories)
            or in the middle (numbers).
        scale: standardise what is not 0/1.
        onehot_max: most categories for one-hot; None takes the project's setting.
        high_cardinality: what a column with more becomes; None takes the setting.
    """

    categories: Literal["codes", "onehot"] = "codes"
    missing: Literal["native", "impute"] = "native"
    scale: bool = False
    onehot_max: int | None = None
    high_cardinality: Literal["target", "frequency", "codes"] | None = None
